//! The faults that the simulator plays on request: their names, and how likely each of them is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

/// One fault that can be asked for, by the request or the task that it befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlannedFault {
    /// Befalls a submission, anew for each.
    Submit(SubmitFault),
    /// Befalls a poll, anew for each.
    Poll(PollFault),
    /// Befalls a task, and stays with it: it is fixed when the task is accepted.
    Task(TaskFault),
    /// Befalls the fetching of an image, anew for each.
    Image(ImageFault),
}

/// What can befall a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubmitFault {
    /// 500 "Server is busy"; not accepted.
    Busy,
    /// 429 "Too many requests"; not accepted.
    Throttled,
    /// The connection is dropped; not accepted.
    CutBefore,
    /// Accepted, then the connection is dropped with no byte of answer.
    CutAfter,
    /// Accepted, then 200 with bytes that are not JSON.
    Garbage,
    /// Accepted, and never answered.
    Hang,
    /// 502 with a gateway's page; not accepted.
    Html,
    /// The answer of something on the way, one of its [pages](crate::provider::simulator::pages); not accepted.
    Gateway,
    /// The same; accepted behind it.
    GatewayAccepted,
    /// Accepted, and answered with 400, 429, 500 or 503 and an error, with the task's id in it.
    IdError,
    /// The answer to the submission before, from a cache on the way; not accepted.
    Cached,
    /// 401 in the envelope of the API, this once; not accepted.
    Unauthorized,
    /// 403 in the envelope of the API, this once; not accepted.
    Forbidden,
    /// 404, 405, 301 or 400 from another service, to this submission and all others for four seconds; not accepted.
    Misrouted,
}

impl SubmitFault {
    /// Whether the task is accepted, and so paid for, all the same.
    pub const fn accepts(self) -> bool {
        match self {
            Self::CutAfter | Self::Garbage | Self::Hang | Self::GatewayAccepted | Self::IdError => true,
            Self::Busy
            | Self::Throttled
            | Self::CutBefore
            | Self::Html
            | Self::Gateway
            | Self::Cached
            | Self::Unauthorized
            | Self::Forbidden
            | Self::Misrouted => false,
        }
    }

    /// Whether the task is accepted and the answer does not give its id.
    pub const fn hides_task(self) -> bool {
        self.accepts() && !matches!(self, Self::IdError)
    }
}

/// What can befall a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PollFault {
    /// 500 "Server is busy".
    Busy,
    /// 429 "Too many requests".
    Throttled,
    /// The connection is dropped in the middle of the answer.
    Cut,
    /// 200 with bytes that are not JSON.
    Garbage,
    /// Never answered.
    Hang,
    /// FAILED "task not found", this once.
    NotFound,
    /// The answer of something on the way, one of its [pages](crate::provider::simulator::pages).
    Gateway,
    /// The answer to another poll, which names its task.
    Mixed,
    /// 401 in the envelope of the API, this once.
    Unauthorized,
}

/// What can befall a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskFault {
    /// Ends FAILED with code 500.
    Failed,
    /// Is PROCESSING for ever.
    Stuck,
    /// Ends SUCCEED with no image.
    Empty,
}

/// What can befall the fetching of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageFault {
    /// 500.
    Broken,
    /// 404, as for an expired link.
    NotFound,
    /// The connection is dropped after half of the bytes that Content-Length promised.
    Cut,
    /// Half of the bytes, and a Content-Length that agrees with them.
    Short,
    /// 200 with a page instead of an image.
    Html,
    /// Never answered.
    Hang,
    /// 403, as for a signed link that has expired.
    Expired,
}

use ImageFault as I;
use PlannedFault::{Image, Poll, Submit, Task};
use PollFault as P;
use SubmitFault as S;
use TaskFault as T;

/// Every fault by its name, and what it is in a few words.
const NAMES: [(&str, PlannedFault, &str); 33] = [
    ("submit-500", Submit(S::Busy), "500 \"Server is busy\"; not accepted"),
    ("submit-429", Submit(S::Throttled), "429 \"Too many requests\"; not accepted"),
    ("submit-cut-before", Submit(S::CutBefore), "connection dropped; not accepted"),
    ("submit-cut-after", Submit(S::CutAfter), "accepted, then the connection is dropped"),
    ("submit-garbage", Submit(S::Garbage), "accepted, answered with 200 and no JSON"),
    ("submit-hang", Submit(S::Hang), "accepted, never answered"),
    ("submit-html", Submit(S::Html), "502 with a page; not accepted"),
    ("submit-gateway", Submit(S::Gateway), "a page of some proxy, firewall or gateway; not accepted"),
    ("submit-gateway-accepted", Submit(S::GatewayAccepted), "the same, accepted behind it"),
    ("submit-id-error", Submit(S::IdError), "accepted, the id in an answer of 400, 429, 500 or 503"),
    ("submit-cached", Submit(S::Cached), "the previous submission's answer; not accepted"),
    ("submit-401", Submit(S::Unauthorized), "401 once; not accepted"),
    ("submit-403", Submit(S::Forbidden), "403 once; not accepted"),
    ("submit-misrouted", Submit(S::Misrouted), "another service answers all for 4 s; not accepted"),
    ("poll-500", Poll(P::Busy), "500 \"Server is busy\""),
    ("poll-429", Poll(P::Throttled), "429 \"Too many requests\""),
    ("poll-cut", Poll(P::Cut), "connection dropped in mid-answer"),
    ("poll-garbage", Poll(P::Garbage), "200 and no JSON"),
    ("poll-hang", Poll(P::Hang), "never answered"),
    ("poll-not-found", Poll(P::NotFound), "\"task not found\" once"),
    ("poll-gateway", Poll(P::Gateway), "a page of some proxy, firewall or gateway"),
    ("poll-mixed", Poll(P::Mixed), "the answer to a poll for another task"),
    ("poll-401", Poll(P::Unauthorized), "401 once"),
    ("task-failed", Task(T::Failed), "ends FAILED with code 500"),
    ("task-stuck", Task(T::Stuck), "PROCESSING for ever"),
    ("task-empty", Task(T::Empty), "ends SUCCEED with no image"),
    ("image-500", Image(I::Broken), "500"),
    ("image-404", Image(I::NotFound), "404, as for an expired link"),
    ("image-cut", Image(I::Cut), "connection dropped halfway"),
    ("image-short", Image(I::Short), "half of the bytes, as if they were all"),
    ("image-html", Image(I::Html), "200 with a page instead"),
    ("image-hang", Image(I::Hang), "never answered"),
    ("image-expired", Image(I::Expired), "403, as for a signed link that has expired"),
];

/// Names that stand for several faults at once, each with the given probability.
const GROUPS: [(&str, &[PlannedFault]); 8] = [
    ("500", &[Submit(S::Busy), Poll(P::Busy), Image(I::Broken)]),
    ("429", &[Submit(S::Throttled), Poll(P::Throttled)]),
    ("401", &[Submit(S::Unauthorized), Poll(P::Unauthorized)]),
    ("cut", &[Submit(S::CutBefore), Submit(S::CutAfter), Poll(P::Cut), Image(I::Cut)]),
    ("garbage", &[Submit(S::Garbage), Submit(S::Html), Poll(P::Garbage), Image(I::Html)]),
    ("gateway", &[Submit(S::Gateway), Submit(S::GatewayAccepted), Poll(P::Gateway)]),
    ("truncated", &[Image(I::Cut), Image(I::Short)]),
    ("hang", &[Submit(S::Hang), Poll(P::Hang), Image(I::Hang)]),
];

/// The faults and the groups for `--help`, one a line.
pub fn help() -> String {
    let faults = NAMES.iter().map(|(name, _, words)| format!("  {name:<24} {words}"));
    let groups = GROUPS.iter().map(|(name, faults)| {
        let names: Vec<_> = faults.iter().map(|fault| fault.name()).collect();
        format!("  {name:<24} {}", names.join(", "))
    });
    let [faults, groups] = [faults.collect::<Vec<_>>(), groups.collect()].map(|lines: Vec<String>| lines.join("\n"));
    format!("Faults:\n{faults}\nGroups of faults:\n{groups}")
}

impl PlannedFault {
    /// Every fault there is.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(_, fault, _)| fault)
    }

    /// Its name on the command line and in the statistics.
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(_, fault, _)| *fault == self).map(|(name, ..)| name).expect("NAMES has every fault")
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for PlannedFault {
    type Err = FaultSettingError;

    fn from_str(text: &str) -> Result<Self, FaultSettingError> {
        match faults_named(text)?.as_slice() {
            [fault] => Ok(*fault),
            _ => Err(FaultSettingError::unknown(text)),
        }
    }
}

fn faults_named(text: &str) -> Result<Vec<PlannedFault>, FaultSettingError> {
    let single = NAMES.into_iter().find(|(name, ..)| *name == text).map(|(_, fault, _)| vec![fault]);
    let group = || GROUPS.into_iter().find(|(name, _)| *name == text).map(|(_, faults)| faults.to_vec());
    single.or_else(group).ok_or_else(|| FaultSettingError::unknown(text))
}

/// One fault or group and its probability, written `submit-500=0.05`.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSetting {
    /// The faults that the name stands for.
    pub faults: Vec<PlannedFault>,
    /// How likely each of them is, from 0 to 1.
    pub probability: f64,
}

/// Why a text is not a [`FaultSetting`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultSettingError {
    /// It has no `=`.
    #[error("a fault is written KIND=P, for example submit-500=0.05")]
    Form,
    /// What stands after the `=` is not a probability.
    #[error("`{0}` is not a probability: use a number from 0 to 1, for example 0.05")]
    Probability(String),
    /// There is no such fault.
    #[error("there is no fault `{kind}`; {hint}the faults are {}, and the groups {}", list(NAMES.map(|(name, ..)| name)), list(GROUPS.map(|(name, _)| name)))]
    Unknown {
        /// What was asked for.
        kind: String,
        /// The nearest name as a question, where one is near; else empty.
        hint: String,
    },
}

fn list<const N: usize>(names: [&str; N]) -> String {
    names.join(", ")
}

impl FaultSettingError {
    fn unknown(kind: &str) -> Self {
        let names = NAMES.iter().map(|(name, ..)| *name).chain(GROUPS.iter().map(|(name, _)| *name));
        let nearest = names
            .map(|name| (strsim::jaro_winkler(name, kind), name))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = nearest.map_or_else(String::new, |(_, name)| format!("did you mean `{name}`? "));
        Self::Unknown { kind: kind.to_owned(), hint }
    }
}

impl FromStr for FaultSetting {
    type Err = FaultSettingError;

    fn from_str(text: &str) -> Result<Self, FaultSettingError> {
        let (name, probability) = text.split_once('=').ok_or(FaultSettingError::Form)?;
        let faults = faults_named(name.trim())?;
        let probability = probability.trim();
        match probability.parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&number) => Ok(Self { faults, probability: number }),
            _ => Err(FaultSettingError::Probability(probability.to_owned())),
        }
    }
}

/// How likely each fault is. The faults of one request exclude each other, so their probabilities add up; beyond 1,
/// those that come first in this module win.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan(BTreeMap<PlannedFault, f64>);

impl FaultPlan {
    /// The same plan with this fault as likely as that; of two probabilities for one fault the later counts.
    #[must_use]
    pub fn with(mut self, fault: PlannedFault, probability: f64) -> Self {
        self.0.insert(fault, probability);
        self
    }

    /// The probability of this fault.
    pub fn probability(&self, fault: PlannedFault) -> f64 {
        self.0.get(&fault).copied().unwrap_or(0.0)
    }

    /// What befalls the next submission.
    pub fn draw_submit(&self, rng: &mut Rng) -> Option<SubmitFault> {
        self.draw(rng, |fault| if let Submit(fault) = fault { Some(fault) } else { None })
    }

    /// What befalls the next poll.
    pub fn draw_poll(&self, rng: &mut Rng) -> Option<PollFault> {
        self.draw(rng, |fault| if let Poll(fault) = fault { Some(fault) } else { None })
    }

    /// What befalls the next accepted task.
    pub fn draw_task(&self, rng: &mut Rng) -> Option<TaskFault> {
        self.draw(rng, |fault| if let Task(fault) = fault { Some(fault) } else { None })
    }

    /// What befalls the next fetching of an image.
    pub fn draw_image(&self, rng: &mut Rng) -> Option<ImageFault> {
        self.draw(rng, |fault| if let Image(fault) = fault { Some(fault) } else { None })
    }

    /// One number is drawn whatever the plan, so that a changed probability does not shift the draws after it.
    fn draw<T>(&self, rng: &mut Rng, pick: impl Fn(PlannedFault) -> Option<T>) -> Option<T> {
        let mut left = rng.f64();
        let mut candidates = self.0.iter().filter_map(|(fault, probability)| Some((pick(*fault)?, probability)));
        candidates
            .find(|(_, probability)| {
                left -= **probability;
                left < 0.0
            })
            .map(|(fault, _)| fault)
    }
}

impl Extend<FaultSetting> for FaultPlan {
    fn extend<I: IntoIterator<Item = FaultSetting>>(&mut self, settings: I) {
        for setting in settings {
            self.0.extend(setting.faults.into_iter().map(|fault| (fault, setting.probability)));
        }
    }
}

impl FromIterator<FaultSetting> for FaultPlan {
    fn from_iter<I: IntoIterator<Item = FaultSetting>>(settings: I) -> Self {
        let mut plan = Self::default();
        plan.extend(settings);
        plan
    }
}

#[cfg(test)]
mod tests;
