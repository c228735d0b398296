//! Partition of a manifest: each of several machines works on one part, and no job is in two.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::model::limits::{Concurrency, Limits, Rate};
use crate::model::request::ContentHash;

/// Environment variables of schedulers that give the number of a part, and how many parts there are.
const SCHEDULERS: [Scheduler; 6] = [
    Scheduler {
        index: "SLURM_ARRAY_TASK_ID",
        first: First::OfArray { first: "SLURM_ARRAY_TASK_MIN", last: "SLURM_ARRAY_TASK_MAX" },
        count: "SLURM_ARRAY_TASK_COUNT",
    },
    Scheduler { index: "JOB_COMPLETION_INDEX", first: First::Number(0), count: COUNT },
    Scheduler { index: "BUILDKITE_PARALLEL_JOB", first: First::Number(0), count: "BUILDKITE_PARALLEL_JOB_COUNT" },
    Scheduler { index: "CIRCLE_NODE_INDEX", first: First::Number(0), count: "CIRCLE_NODE_TOTAL" },
    Scheduler { index: "CI_NODE_INDEX", first: First::Number(1), count: "CI_NODE_TOTAL" },
    Scheduler { index: "PROMPTBATCH_PART", first: First::Number(1), count: COUNT },
];

/// Folder with the runs of all parts, below the output folder of the whole.
pub const SHARDS: &str = "shards";

/// Variable with the number of parts, for schedulers that do not give it.
const COUNT: &str = "PROMPTBATCH_PARTITIONS";

struct Scheduler {
    index: &'static str,
    first: First,
    count: &'static str,
}

/// Number that a scheduler gives to its first part.
enum First {
    Number(u32),
    /// Variables with the numbers of the first and of the last part.
    OfArray {
        first: &'static str,
        last: &'static str,
    },
}

/// Way to divide the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// By a hash of each request: a job stays in its part when rows are moved, inserted or removed. Equal requests are in one part.
    Hash,
    /// In turn, in manifest order: the parts differ by one job at most.
    Slice,
}

/// Part of a manifest, such as `hash:2/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Way to divide the jobs.
    pub kind: PartitionKind,
    /// Number of this part, from 1.
    pub part: NonZeroU32,
    /// Number of parts.
    pub count: NonZeroU32,
}

/// Error of a text that is no partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// Text of another form.
    #[error("a partition is hash:M/N or slice:M/N, with M from 1 to N, such as hash:2/8; or auto")]
    Form,
    /// No scheduler that says which part this is.
    #[error(
        "could not tell which part this is: auto reads SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, BUILDKITE_PARALLEL_JOB, \
         CIRCLE_NODE_INDEX, CI_NODE_INDEX or PROMPTBATCH_PART, and none of them is set; name the part, such as hash:2/8"
    )]
    NoScheduler,
    /// Scheduler that gives the number of the part, and not how many there are, or a number that makes no sense.
    #[error(
        "could not tell which part this is: {index}={part:?}, and {count}={total:?}; set {count} to the number of parts"
    )]
    Environment {
        /// Variable with the number of the part.
        index: &'static str,
        /// Its value.
        part: String,
        /// Variable with the number of parts.
        count: &'static str,
        /// Its value, empty if it is not set.
        total: String,
    },
    /// Array of jobs that are only some of the parts.
    #[error(
        "could not tell how many parts there are: the array goes from {first} to {last} with {total} tasks, which are only some of the parts; \
         name the part with the number of all parts, such as --partition hash:${index}/8"
    )]
    Array {
        /// Variable with the number of the part.
        index: &'static str,
        /// Number of the first task.
        first: String,
        /// Number of the last task.
        last: String,
        /// Number of tasks.
        total: String,
    },
}

/// Returns whether an array has gaps, or does not begin where the first part is. Its tasks are not all parts then: some are run again.
fn is_some_of_array(first: Option<u32>, last: Option<u32>, total: Option<u32>) -> bool {
    let has_gaps = |(first, last): (u32, u32)| last.checked_sub(first).and_then(|n| n.checked_add(1)) != total;
    total.is_some() && (first.is_some_and(|first| first > 1) || first.zip(last).is_some_and(has_gaps))
}

impl Partition {
    /// Reads a partition as the user writes it. `auto` is looked up in the variables of schedulers, by hash.
    pub fn read(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, PartitionError> {
        if text.trim() == "auto" { Self::of_scheduler(variable) } else { text.parse() }
    }

    fn of_scheduler(variable: impl Fn(&str) -> Option<String>) -> Result<Self, PartitionError> {
        let is_set = |scheduler: &&Scheduler| variable(scheduler.index).is_some_and(|value| !value.trim().is_empty());
        let Scheduler { index, first, count } = SCHEDULERS.iter().find(is_set).ok_or(PartitionError::NoScheduler)?;
        let (part, total) = (variable(index).unwrap_or_default(), variable(count).unwrap_or_default());
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let first = match first {
            First::Number(first) => Some(*first),
            First::OfArray { first, last } => {
                let text = |name| variable(name).unwrap_or_default();
                let (from, to) = (text(first), text(last));
                if is_some_of_array(number(&from), number(&to), number(&total)) {
                    return Err(PartitionError::Array { index, first: from, last: to, total });
                }
                if from.is_empty() { Some(0) } else { number(&from) }
            }
        };
        let from_one = || number(&part)?.checked_sub(first?)?.checked_add(1);
        let partition = || Self::new(PartitionKind::Hash, from_one()?, number(&total)?);
        partition().ok_or(PartitionError::Environment { index, part, count, total })
    }

    /// Creates the `part`-th of `count` parts; `None` if there is none.
    pub fn new(kind: PartitionKind, part: u32, count: u32) -> Option<Self> {
        let (part, count) = (NonZeroU32::new(part)?, NonZeroU32::new(count)?);
        (part <= count).then_some(Self { kind, part, count })
    }

    /// Returns whether the job at this position of the manifest, from 1, with this content is in the part.
    pub fn has(&self, index: u64, content: &ContentHash) -> bool {
        let n = match self.kind {
            PartitionKind::Slice => index.saturating_sub(1),
            PartitionKind::Hash => {
                let (head, _) = content.bytes().split_first_chunk().expect("a hash has 32 bytes");
                u64::from_le_bytes(*head)
            }
        };
        n % u64::from(self.count.get()) == u64::from(self.part.get() - 1)
    }

    /// Returns the folder of the part below the output folder of the whole.
    pub fn folder(&self) -> String {
        format!("{SHARDS}/{}-of-{}", self.part, self.count)
    }

    /// Returns the part's share of limits that are meant for the whole: the rate, and the tasks in flight.
    #[must_use]
    pub fn share(&self, limits: Limits) -> Limits {
        let rate = limits.rate.map(|rate| self.rate(rate));
        let poll_rate = limits.poll_rate.map(|rate| self.rate(rate));
        let concurrency = match limits.concurrency {
            Concurrency::Auto => Concurrency::Auto,
            Concurrency::Fixed(n) => Concurrency::Fixed(self.in_flight(n)),
        };
        Limits { concurrency, rate, poll_rate, ..limits }
    }

    /// Returns the part's share of a rate.
    #[must_use]
    pub fn rate(&self, whole: Rate) -> Rate {
        Rate { per: whole.per.saturating_mul(self.count.get()), ..whole }
    }

    /// Returns the part's share of the tasks in flight. The first parts get what does not divide evenly. Each gets one at least, or it would
    /// never end.
    #[must_use]
    pub fn in_flight(&self, whole: NonZeroU32) -> NonZeroU32 {
        let count = self.count.get();
        let more = u32::from(self.part.get() <= whole.get() % count);
        NonZeroU32::new(whole.get() / count + more).unwrap_or(NonZeroU32::MIN)
    }
}

impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, PartitionError> {
        let read = || {
            let (kind, numbers) = text.trim().split_once(':')?;
            let (part, count) = numbers.split_once('/')?;
            let kind = match kind {
                "hash" => PartitionKind::Hash,
                "slice" => PartitionKind::Slice,
                _ => return None,
            };
            Self::new(kind, part.parse().ok()?, count.parse().ok()?)
        };
        read().ok_or(PartitionError::Form)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.kind, self.part, self.count)
    }
}

impl fmt::Display for PartitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash => "hash",
            Self::Slice => "slice",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Request;

    fn part(text: &str) -> Partition {
        text.parse().unwrap()
    }

    fn content(n: u64) -> ContentHash {
        Request { prompt: n.to_string(), model: "a/b".into(), ..Request::default() }.content()
    }

    #[test]
    fn a_partition_is_read_as_it_is_written() {
        for text in ["hash:1/1", "hash:2/8", "slice:8/8", "slice:1/1000000"] {
            assert_eq!(part(text).to_string(), text);
        }
        for text in [
            "",
            "hash",
            "hash:",
            "hash:1",
            "hash:0/2",
            "hash:3/2",
            "count:1/2",
            "hash:1/0",
            "hash:-1/2",
            "2/8",
            "hash:1/2/3",
        ] {
            assert_eq!(text.parse::<Partition>(), Err(PartitionError::Form), "{text}");
        }
    }

    /// Goal: every job is in exactly one part, however many there are. Method: both kinds, any number of parts.
    #[test]
    fn every_job_is_in_one_part() {
        for kind in ["hash", "slice"] {
            for count in [1, 2, 3, 8, 20] {
                let parts: Vec<_> = (1..=count).map(|n| part(&format!("{kind}:{n}/{count}"))).collect();
                let mut sizes = vec![0_u32; count];
                for index in 1..=8000 {
                    let owners: Vec<_> = (0..count).filter(|n| parts[*n].has(index, &content(index))).collect();
                    assert_eq!(owners.len(), 1, "{kind} of {count}: job {index}");
                    sizes[owners[0]] += 1;
                }
                let (least, most) = (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap());
                assert!(kind == "hash" || most - least <= 1, "{sizes:?}");
                assert!(f64::from(most) < 1.4 * f64::from(least), "{sizes:?}");
            }
        }
    }

    #[test]
    fn the_part_of_a_job_never_changes() {
        let owners: Vec<_> =
            (1..=8).map(|n| (1..=4).find(|m| part(&format!("hash:{m}/4")).has(1, &content(n)))).collect();
        assert_eq!(owners, [2, 2, 2, 1, 2, 1, 3, 1].map(Some), "a later release must find the same parts");
    }

    #[test]
    fn schedulers_say_which_part_this_is() {
        let read = |variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Partition::read("auto", variable).map(|partition| partition.to_string()).map_err(|error| error.to_string())
        };
        for (variables, expected) in [
            (
                &[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_COUNT", "8")][..],
                "hash:4/8",
            ),
            (
                &[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "8")],
                "hash:3/8",
            ),
            (&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "5")], "hash:1/5"),
            (&[("CIRCLE_NODE_INDEX", "0"), ("CIRCLE_NODE_TOTAL", "5")], "hash:1/5"),
            (&[("BUILDKITE_PARALLEL_JOB", "4"), ("BUILDKITE_PARALLEL_JOB_COUNT", "5")], "hash:5/5"),
            (&[("JOB_COMPLETION_INDEX", "2"), ("PROMPTBATCH_PARTITIONS", "3")], "hash:3/3"),
            (&[("PROMPTBATCH_PART", "2"), ("PROMPTBATCH_PARTITIONS", "3")], "hash:2/3"),
        ] {
            assert_eq!(read(variables).as_deref(), Ok(expected));
        }
        assert!(read(&[]).unwrap_err().contains("none of them is set"));
        let empty = [("SLURM_ARRAY_TASK_ID", ""), ("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "5")];
        assert_eq!(read(&empty).as_deref(), Ok("hash:2/5"), "an empty variable is not set");
        // Some tasks of an array are run again: --array=4, --array=3,7-8 and --array=1,3.
        for (id, min, max, count) in [("4", "4", "4", "1"), ("7", "3", "8", "3"), ("3", "1", "3", "2")] {
            let error = read(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_MAX", max),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ])
            .unwrap_err();
            assert!(error.ends_with("such as --partition hash:$SLURM_ARRAY_TASK_ID/8"), "{error}");
        }
        let whole = [
            ("SLURM_ARRAY_TASK_ID", "8"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_MAX", "8"),
            ("SLURM_ARRAY_TASK_COUNT", "8"),
        ];
        assert_eq!(read(&whole).as_deref(), Ok("hash:8/8"));
        for variables in [
            &[("JOB_COMPLETION_INDEX", "2")][..],
            &[("CI_NODE_INDEX", "6"), ("CI_NODE_TOTAL", "5")],
            &[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "5")],
            &[("CI_NODE_INDEX", "x"), ("CI_NODE_TOTAL", "5")],
            &[("SLURM_ARRAY_TASK_ID", "9"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "2")],
        ] {
            let error = read(variables).unwrap_err();
            assert!(error.contains(variables[0].0), "{error}");
        }
    }

    #[test]
    fn the_shares_of_all_parts_are_the_whole() {
        let whole = Limits {
            rate: "30/m".parse().ok(),
            concurrency: Concurrency::Fixed(NonZeroU32::new(10).unwrap()),
            ..Limits::default()
        };
        let share = |n| part(&format!("hash:{n}/4")).share(whole.clone());
        let in_flight: Vec<_> = (1..=4)
            .map(|n| match share(n).concurrency {
                Concurrency::Fixed(n) => n.get(),
                Concurrency::Auto => 0,
            })
            .collect();
        assert_eq!(in_flight, [3, 3, 2, 2]);
        assert_eq!(share(1).rate.unwrap().interval(), whole.rate.unwrap().interval() * 4);
        let one = Limits { concurrency: Concurrency::Fixed(NonZeroU32::MIN), ..whole };
        assert_eq!(part("hash:3/4").share(one).concurrency, Concurrency::Fixed(NonZeroU32::MIN));
    }
}
