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
}

impl SubmitFault {
    /// Whether the task is accepted, and so paid for, all the same.
    pub const fn accepts(self) -> bool {
        match self {
            Self::CutAfter | Self::Garbage | Self::Hang => true,
            Self::Busy | Self::Throttled | Self::CutBefore | Self::Html => false,
        }
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

/// Every fault by its name.
const NAMES: [(&str, PlannedFault); 23] = [
    ("submit-500", Submit(S::Busy)),
    ("submit-429", Submit(S::Throttled)),
    ("submit-cut-before", Submit(S::CutBefore)),
    ("submit-cut-after", Submit(S::CutAfter)),
    ("submit-garbage", Submit(S::Garbage)),
    ("submit-hang", Submit(S::Hang)),
    ("submit-html", Submit(S::Html)),
    ("poll-500", Poll(P::Busy)),
    ("poll-429", Poll(P::Throttled)),
    ("poll-cut", Poll(P::Cut)),
    ("poll-garbage", Poll(P::Garbage)),
    ("poll-hang", Poll(P::Hang)),
    ("poll-not-found", Poll(P::NotFound)),
    ("task-failed", Task(T::Failed)),
    ("task-stuck", Task(T::Stuck)),
    ("task-empty", Task(T::Empty)),
    ("image-500", Image(I::Broken)),
    ("image-404", Image(I::NotFound)),
    ("image-cut", Image(I::Cut)),
    ("image-short", Image(I::Short)),
    ("image-html", Image(I::Html)),
    ("image-hang", Image(I::Hang)),
    ("image-expired", Image(I::Expired)),
];

/// Names that stand for several faults at once, each with the given probability.
const GROUPS: [(&str, &[PlannedFault]); 6] = [
    ("500", &[Submit(S::Busy), Poll(P::Busy), Image(I::Broken)]),
    ("429", &[Submit(S::Throttled), Poll(P::Throttled)]),
    ("cut", &[Submit(S::CutBefore), Submit(S::CutAfter), Poll(P::Cut), Image(I::Cut)]),
    ("garbage", &[Submit(S::Garbage), Submit(S::Html), Poll(P::Garbage), Image(I::Html)]),
    ("truncated", &[Image(I::Cut), Image(I::Short)]),
    ("hang", &[Submit(S::Hang), Poll(P::Hang), Image(I::Hang)]),
];

impl PlannedFault {
    /// Every fault there is.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(_, fault)| fault)
    }

    /// Its name on the command line and in the statistics.
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(_, fault)| *fault == self).map(|(name, _)| name).expect("NAMES has every fault")
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
    let single = NAMES.into_iter().find(|(name, _)| *name == text).map(|(_, fault)| vec![fault]);
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
    #[error("there is no fault `{kind}`; {hint}the faults are {}, and the groups {}", list(&NAMES), list(&GROUPS))]
    Unknown {
        /// What was asked for.
        kind: String,
        /// The nearest name as a question, where one is near; else empty.
        hint: String,
    },
}

fn list<T>(named: &[(&str, T)]) -> String {
    named.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl FaultSettingError {
    fn unknown(kind: &str) -> Self {
        let names = NAMES.iter().map(|(name, _)| *name).chain(GROUPS.iter().map(|(name, _)| *name));
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
mod tests {
    use super::*;

    fn plan(settings: &[&str]) -> FaultPlan {
        settings.iter().map(|text| text.parse::<FaultSetting>().unwrap()).collect()
    }

    #[test]
    fn every_name_reads_back() {
        for fault in PlannedFault::all() {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert_eq!(plan(&[&format!("{fault}=0.25")]).probability(fault).to_bits(), 0.25_f64.to_bits());
        }
    }

    #[test]
    fn a_group_sets_all_its_members_and_a_later_setting_wins() {
        let plan = plan(&["cut=0.5", "poll-cut=0"]);
        let likely = |fault| plan.probability(fault) > 0.0;
        assert!(likely(Submit(S::CutBefore)) && likely(Submit(S::CutAfter)) && likely(Image(I::Cut)));
        assert!(!likely(Poll(P::Cut)) && !likely(Image(I::Short)));
        assert_eq!(PlannedFault::all().filter(|fault| likely(*fault)).count(), 3);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_and_all() {
        let error = "submit-50=0.1".parse::<FaultSetting>().unwrap_err().to_string();
        assert!(
            error.starts_with("there is no fault `submit-50`; did you mean `submit-500`? the faults are "),
            "{error}"
        );
        for (name, _) in NAMES {
            assert!(error.contains(name), "{error}");
        }
        let error = "sunshine=1".parse::<FaultSetting>().unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
        assert!("cut".parse::<PlannedFault>().is_err(), "a group is not one fault");
    }

    #[test]
    fn what_is_not_a_probability_is_refused() {
        for text in ["", "1.1", "-0.1", "NaN", "inf", "often", "5%"] {
            let error = format!("submit-500={text}").parse::<FaultSetting>();
            assert_eq!(error, Err(FaultSettingError::Probability(text.into())));
        }
        assert_eq!("submit-500".parse::<FaultSetting>(), Err(FaultSettingError::Form));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let plan = plan(&["submit-500=0.3", "submit-html=0.2", "poll-hang=1"]);
        let mut rng = Rng::with_seed(1);
        let draws: Vec<_> = (0..10_000).map(|_| plan.draw_submit(&mut rng)).collect();
        let n = |fault| draws.iter().filter(|draw| **draw == fault).count();
        assert!((2_800..3_200).contains(&n(Some(S::Busy))), "{}", n(Some(S::Busy)));
        assert!((1_800..2_200).contains(&n(Some(S::Html))), "{}", n(Some(S::Html)));
        assert_eq!(n(None) + n(Some(S::Busy)) + n(Some(S::Html)), 10_000);
        assert!((0..100).all(|_| plan.draw_poll(&mut rng) == Some(P::Hang)), "a probability of 1 is always");
        assert!((0..100).all(|_| plan.draw_image(&mut rng).is_none()), "a probability of 0 is never");
    }
}
