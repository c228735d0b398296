//! Faults that the simulator injects on request: their names and probabilities.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

/// Fault that can be injected, by the request or the task that it affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InjectedFault {
    /// Affects a submission; sampled again for each submission.
    Submit(SubmitFault),
    /// Affects a poll; sampled again for each poll.
    Poll(PollFault),
    /// Affects a task for its whole life; sampled when the task is accepted.
    Task(TaskFault),
    /// Affects the download of an image; sampled again for each download.
    Image(ImageFault),
}

/// Fault of a submission. Each variant says whether the submission is accepted despite the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubmitFault {
    /// Status 500 "Server is busy"; not accepted.
    Busy,
    /// Status 429 "Too many requests"; not accepted.
    Throttled,
    /// Connection is dropped; not accepted.
    CutBefore,
    /// Connection is dropped without a byte of response; accepted.
    CutAfter,
    /// Status 200 with bytes that are not JSON; accepted.
    Garbage,
    /// Response is never sent; accepted.
    Hang,
    /// Status 502 with a gateway's page; not accepted.
    Html,
    /// Response of a gateway or proxy, one of its pages; not accepted.
    Gateway,
    /// Response of a gateway or proxy; accepted behind it.
    GatewayAccepted,
    /// Status 400, 429, 500 or 503 with an error and the task id; accepted.
    IdError,
    /// Response to the previous submission, from a cache on the network path; not accepted.
    Cached,
    /// Status 401 in the API's envelope, for this submission only; not accepted.
    Unauthorized,
    /// Status 403 in the API's envelope, for this submission only; not accepted.
    Forbidden,
    /// Status 404, 405, 301 or 400 of another service; not accepted. All submissions of the next four seconds receive it too.
    Misrouted,
}

impl SubmitFault {
    /// Returns true if the task is accepted, and so paid for, despite the fault.
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

    /// Returns true if the task is accepted and the response does not contain its id.
    pub const fn hides_task(self) -> bool {
        self.accepts() && !matches!(self, Self::IdError)
    }
}

/// Fault of a poll; the task itself is not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PollFault {
    /// Status 500 "Server is busy".
    Busy,
    /// Status 429 "Too many requests".
    Throttled,
    /// Connection is dropped in the middle of the response.
    Cut,
    /// Status 200 with bytes that are not JSON.
    Garbage,
    /// Response is never sent.
    Hang,
    /// Status FAILED "task not found", for this poll only.
    NotFound,
    /// Response of a gateway or proxy, one of its pages.
    Gateway,
    /// Response to the poll of another task, with the id of that task.
    Mixed,
    /// Status 401 in the API's envelope, for this poll only.
    Unauthorized,
}

/// Fault of a task, which lasts for the whole life of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskFault {
    /// Task ends FAILED with code 500.
    Failed,
    /// Task stays PROCESSING for ever.
    Stuck,
    /// Task ends SUCCEED without an image.
    Empty,
}

/// Fault of an image download; a later download of the same image may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageFault {
    /// Status 500.
    Broken,
    /// Status 404, as for an expired link.
    NotFound,
    /// Connection is dropped after half of the bytes that Content-Length announced.
    Cut,
    /// Half of the bytes, with a Content-Length of exactly that half.
    Short,
    /// Status 200 with a page in place of an image.
    Html,
    /// Response is never sent.
    Hang,
    /// Status 403, as for a signed link that has expired.
    Expired,
}

use ImageFault as I;
use InjectedFault::{Image, Poll, Submit, Task};
use PollFault as P;
use SubmitFault as S;
use TaskFault as T;

/// Names of all faults, with short descriptions.
const NAMES: [(&str, InjectedFault, &str); 33] = [
    ("submit-500", Submit(S::Busy), "500 \"Server is busy\"; not accepted"),
    ("submit-429", Submit(S::Throttled), "429 \"Too many requests\"; not accepted"),
    ("submit-cut-before", Submit(S::CutBefore), "connection dropped; not accepted"),
    ("submit-cut-after", Submit(S::CutAfter), "accepted, then the connection is dropped"),
    ("submit-garbage", Submit(S::Garbage), "accepted, answered with 200 but no JSON"),
    ("submit-hang", Submit(S::Hang), "accepted, never answered"),
    ("submit-html", Submit(S::Html), "502 with a page; not accepted"),
    ("submit-gateway", Submit(S::Gateway), "a page of some proxy, firewall or gateway; not accepted"),
    ("submit-gateway-accepted", Submit(S::GatewayAccepted), "the same, but accepted behind it"),
    ("submit-id-error", Submit(S::IdError), "accepted, with the id in a 400, 429, 500 or 503 response"),
    ("submit-cached", Submit(S::Cached), "the previous submission's response; not accepted"),
    ("submit-401", Submit(S::Unauthorized), "401 once; not accepted"),
    ("submit-403", Submit(S::Forbidden), "403 once; not accepted"),
    ("submit-misrouted", Submit(S::Misrouted), "another service answers all requests for 4 s; not accepted"),
    ("poll-500", Poll(P::Busy), "500 \"Server is busy\""),
    ("poll-429", Poll(P::Throttled), "429 \"Too many requests\""),
    ("poll-cut", Poll(P::Cut), "connection dropped in mid-response"),
    ("poll-garbage", Poll(P::Garbage), "200 but no JSON"),
    ("poll-hang", Poll(P::Hang), "never answered"),
    ("poll-not-found", Poll(P::NotFound), "\"task not found\" once"),
    ("poll-gateway", Poll(P::Gateway), "a page of some proxy, firewall or gateway"),
    ("poll-mixed", Poll(P::Mixed), "the response to a poll for another task"),
    ("poll-401", Poll(P::Unauthorized), "401 once"),
    ("task-failed", Task(T::Failed), "ends FAILED with code 500"),
    ("task-stuck", Task(T::Stuck), "PROCESSING forever"),
    ("task-empty", Task(T::Empty), "ends SUCCEED with no image"),
    ("image-500", Image(I::Broken), "500"),
    ("image-404", Image(I::NotFound), "404, as for an expired link"),
    ("image-cut", Image(I::Cut), "connection dropped halfway"),
    ("image-short", Image(I::Short), "half of the bytes, as if the file were complete"),
    ("image-html", Image(I::Html), "200 with a page instead"),
    ("image-hang", Image(I::Hang), "never answered"),
    ("image-expired", Image(I::Expired), "403, as for a signed link that has expired"),
];

/// Names of groups of faults. Each fault of a group gets the given probability.
const GROUPS: [(&str, &[InjectedFault]); 8] = [
    ("500", &[Submit(S::Busy), Poll(P::Busy), Image(I::Broken)]),
    ("429", &[Submit(S::Throttled), Poll(P::Throttled)]),
    ("401", &[Submit(S::Unauthorized), Poll(P::Unauthorized)]),
    ("cut", &[Submit(S::CutBefore), Submit(S::CutAfter), Poll(P::Cut), Image(I::Cut)]),
    ("garbage", &[Submit(S::Garbage), Submit(S::Html), Poll(P::Garbage), Image(I::Html)]),
    ("gateway", &[Submit(S::Gateway), Submit(S::GatewayAccepted), Poll(P::Gateway)]),
    ("truncated", &[Image(I::Cut), Image(I::Short)]),
    ("hang", &[Submit(S::Hang), Poll(P::Hang), Image(I::Hang)]),
];

/// Returns the faults and the groups for `--help`, one per line.
#[cfg(feature = "cli")]
pub(crate) fn help() -> String {
    let faults = NAMES.iter().map(|(name, _, words)| format!("  {name:<24} {words}"));
    let groups = GROUPS.iter().map(|(name, faults)| {
        let names: Vec<_> = faults.iter().map(|fault| fault.name()).collect();
        format!("  {name:<24} {}", names.join(", "))
    });
    let [faults, groups] = [faults.collect::<Vec<_>>(), groups.collect()].map(|lines: Vec<String>| lines.join("\n"));
    format!("Faults:\n{faults}\nGroups of faults:\n{groups}")
}

impl InjectedFault {
    /// Returns all faults.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(_, fault, _)| fault)
    }

    /// Returns the name on the command line and in the statistics.
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(_, fault, _)| *fault == self).map(|(name, ..)| name).expect("NAMES has every fault")
    }
}

impl fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for InjectedFault {
    type Err = FaultSettingError;

    fn from_str(text: &str) -> Result<Self, FaultSettingError> {
        match faults_named(text)?.as_slice() {
            [fault] => Ok(*fault),
            _ => Err(FaultSettingError::unknown(text)),
        }
    }
}

fn faults_named(text: &str) -> Result<Vec<InjectedFault>, FaultSettingError> {
    let single = NAMES.into_iter().find(|(name, ..)| *name == text).map(|(_, fault, _)| vec![fault]);
    let group = || GROUPS.into_iter().find(|(name, _)| *name == text).map(|(_, faults)| faults.to_vec());
    single.or_else(group).ok_or_else(|| FaultSettingError::unknown(text))
}

/// Fault or group of faults with its probability, written `submit-500=0.05`.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSetting {
    /// Faults that the name covers.
    pub faults: Vec<InjectedFault>,
    /// Probability of each of these faults, from 0 to 1.
    pub probability: f64,
}

/// Reasons why a text is not a [`FaultSetting`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultSettingError {
    /// Text has no `=`.
    #[error("a fault is written KIND=P, for example submit-500=0.05")]
    Form,
    /// Text after the `=` is not a probability.
    #[error("`{0}` is not a probability: use a number from 0 to 1, for example 0.05")]
    Probability(String),
    /// Fault does not exist.
    #[error("there is no fault `{kind}`; {hint}the faults are {}, and the groups {}", list(NAMES.map(|(name, ..)| name)), list(GROUPS.map(|(name, _)| name)))]
    Unknown {
        /// Name that was given.
        kind: String,
        /// Nearest known name as a question; empty if no name is similar.
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

/// Probabilities of all faults. The faults of one request exclude each other, so their probabilities add up. Beyond a sum of 1, faults that
/// are listed earlier in this module take precedence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan(BTreeMap<InjectedFault, f64>);

impl FaultPlan {
    /// Returns the plan with this probability for this fault. Of two probabilities for one fault, the later counts.
    #[must_use]
    pub fn with(mut self, fault: InjectedFault, probability: f64) -> Self {
        self.0.insert(fault, probability);
        self
    }

    /// Returns the probability of this fault; 0 if the plan does not contain it.
    pub fn probability(&self, fault: InjectedFault) -> f64 {
        self.0.get(&fault).copied().unwrap_or(0.0)
    }

    /// Samples the fault of the next submission; `None` means no fault.
    pub fn draw_submit(&self, rng: &mut Rng) -> Option<SubmitFault> {
        self.draw(rng, |fault| if let Submit(fault) = fault { Some(fault) } else { None })
    }

    /// Samples the fault of the next poll; `None` means no fault.
    pub fn draw_poll(&self, rng: &mut Rng) -> Option<PollFault> {
        self.draw(rng, |fault| if let Poll(fault) = fault { Some(fault) } else { None })
    }

    /// Samples the fault of the next accepted task; `None` means no fault.
    pub fn draw_task(&self, rng: &mut Rng) -> Option<TaskFault> {
        self.draw(rng, |fault| if let Task(fault) = fault { Some(fault) } else { None })
    }

    /// Samples the fault of the next image download; `None` means no fault.
    pub fn draw_image(&self, rng: &mut Rng) -> Option<ImageFault> {
        self.draw(rng, |fault| if let Image(fault) = fault { Some(fault) } else { None })
    }

    /// Samples one random number, whatever the plan contains. A changed probability therefore does not shift later samples.
    fn draw<T>(&self, rng: &mut Rng, pick: impl Fn(InjectedFault) -> Option<T>) -> Option<T> {
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
