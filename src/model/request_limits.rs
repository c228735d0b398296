//! Documented limits of a provider on the parameters of a request. A manifest is checked against them before money is spent.
//!
//! The provider decides what is valid. Models and limits change, so a size outside them causes a doubt and never a refusal. A family is
//! recognised by name only, and an unknown model causes no doubt.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::model::escape::excerpt;
use crate::model::request::{Request, Size};

/// Longest excerpt of a model's name in a message, in characters.
const MODEL_CHARS_MAX: usize = 40;

/// Limits on the parameters of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Model id of the form `org/name`, as an example, if all models have such ids; `None` if they have any form.
    pub repo_id_example: Option<&'static str>,
    /// Model families with a documented range of their own.
    pub families: &'static [ModelFamily],
    /// Further rules; `None` for a provider without.
    pub rules: Option<RulesRef>,
    /// Ranges of the numbers in a request.
    pub ranges: FieldRanges,
}

/// Ranges of the numbers in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldRanges {
    /// Ranges that most services have: sides of 64 to 2048 pixels, 1 to 100 steps, a guidance of 1.5 to 20.
    #[default]
    Usual,
    /// Ranges of a description: it says what is documented, and whatever else is plausible is left to the provider.
    Described,
}

impl FieldRanges {
    /// Returns the range of a side, in pixels.
    pub const fn side(self) -> RangeInclusive<u32> {
        match self {
            Self::Usual => 64..=2048,
            Self::Described => 1..=16_384,
        }
    }

    /// Returns the range of the number of steps.
    pub const fn steps(self) -> RangeInclusive<i64> {
        match self {
            Self::Usual => 1..=100,
            Self::Described => 1..=1000,
        }
    }

    /// Returns the range of the guidance scale.
    pub const fn guidance(self) -> RangeInclusive<f64> {
        match self {
            Self::Usual => 1.5..=20.0,
            Self::Described => 0.0..=100.0,
        }
    }

    /// Returns why a request is outside these ranges. One that is made from a list of providers may have the numbers of another one.
    fn refusal(self, request: &Request) -> Option<RequestDoubt> {
        let pixels = self.side();
        let is_drawable = |size: &Size| pixels.contains(&size.width) && pixels.contains(&size.height);
        let size = request.size.filter(|size| !is_drawable(size));
        let steps = request.steps.filter(|steps| !self.steps().contains(&i64::from(*steps)));
        let guidance = request.guidance.filter(|guidance| !self.guidance().contains(guidance));
        let (what, from, to) = match (size, steps, guidance) {
            (Some(size), ..) => (format!("`size` is {size}"), pixels.start().to_string(), pixels.end().to_string()),
            (_, Some(n), _) => {
                (format!("`steps` is {n}"), self.steps().start().to_string(), self.steps().end().to_string())
            }
            (.., Some(scale)) => {
                let range = self.guidance();
                (format!("`guidance` is {scale}"), range.start().to_string(), range.end().to_string())
            }
            (None, None, None) => return None,
        };
        let what = format!("{what}, and this provider takes {from} to {to}");
        Some(RequestDoubt { what, remedy: "give this provider an entry of its own".to_owned() })
    }
}

/// Rules on the fields of a request.
pub trait RequestRules: fmt::Debug + Send + Sync {
    /// Returns why a request cannot be sent as it is: it gives a field that the provider does not have.
    fn refusal(&self, request: &Request) -> Option<RequestDoubt>;

    /// Returns a doubt about the prompt or the seed of a request.
    fn prompt_doubt(&self, request: &Request) -> Option<RequestDoubt>;

    /// Returns a doubt about the size of a request with its model.
    fn size_doubt(&self, request: &Request) -> Option<RequestDoubt>;
}

/// Rules that last as long as the process. Two values are equal if they are the same rules.
#[derive(Clone, Copy, Debug)]
pub struct RulesRef(pub &'static dyn RequestRules);

impl PartialEq for RulesRef {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self.0, other.0)
    }
}

impl Eq for RulesRef {}

/// What a manifest needs to know of a provider that one of its rows names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderFacts {
    /// Documented limits on the parameters of a request.
    pub limits: &'static RequestLimits,
    /// Model of a row that names none; empty if there is no such model.
    pub default_model: &'static str,
}

/// Lookup of the providers that rows name: by a name, or by the path of a description below the folder. The error says what is wrong and
/// what to do.
#[derive(Clone, Copy)]
pub struct ProviderLookup(pub fn(&str, &Path) -> Result<ProviderFacts, RequestDoubt>);

impl fmt::Debug for ProviderLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderLookup")
    }
}

impl PartialEq for ProviderLookup {
    /// There is one table of providers.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ProviderLookup {}

/// Models with the same documented limits, which are recognised by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFamily {
    /// Name of the family.
    pub name: &'static str,
    /// Patterns in the names of the models: consecutive words. The last word may be the beginning of a longer word.
    pub marks: &'static [&'static str],
    /// Range of a side in pixels.
    pub side: RangeInclusive<u32>,
}

/// Doubt about a request: what is unusual, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestDoubt {
    /// Description.
    pub what: String,
    /// Remedy.
    pub remedy: String,
}

impl RequestLimits {
    /// No limits, for a provider that documents none.
    pub const NONE: Self = Self { repo_id_example: None, families: &[], rules: None, ranges: FieldRanges::Usual };

    /// Returns why a request cannot be sent as it is, and a doubt about it. `is_new_kind` is true for the first request with its model and
    /// size: a doubt about them is told once.
    pub fn judge(&self, request: &Request, is_new_kind: bool) -> (Option<RequestDoubt>, Option<RequestDoubt>) {
        let rules = self.rules.map(|RulesRef(rules)| rules);
        let of_size = || {
            let of_family = self.doubt(request);
            of_family.or_else(|| rules.and_then(|rules| rules.size_doubt(request)))
        };
        let doubt = if is_new_kind { of_size() } else { None };
        let doubt = doubt.or_else(|| rules.and_then(|rules| rules.prompt_doubt(request)));
        (rules.and_then(|rules| rules.refusal(request)).or_else(|| self.ranges.refusal(request)), doubt)
    }

    /// Returns a doubt if the documentation of the request's model does not include its size; `None` if there is no doubt.
    pub fn doubt(&self, request: &Request) -> Option<RequestDoubt> {
        let Size { width, height } = request.size?;
        let ModelFamily { name, side, .. } = self.family(&request.model)?;
        if side.contains(&width) && side.contains(&height) {
            return None;
        }
        let (low, high) = (side.start(), side.end());
        let what = format!(
            "`size` is {width}x{height}, and {name} models such as `{}` are documented to accept sides of {low} to {high} pixels",
            excerpt(&request.model, MODEL_CHARS_MAX)
        );
        Some(RequestDoubt { what, remedy: "stay within that, or try it with one image first".into() })
    }

    /// Returns the family of a model; `None` if it is unknown.
    pub fn family(&self, model: &str) -> Option<&ModelFamily> {
        let name = model.rsplit('/').next().unwrap_or(model).to_lowercase();
        let words: Vec<_> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let name = format!("-{}-", words.join("-"));
        self.families.iter().find(|family| family.marks.iter().any(|mark| name.contains(mark)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RequestLimits = RequestLimits {
        families: &[ModelFamily { name: "Qwen-Image", marks: &["-qwen-image-"], side: 64..=1664 }],
        ..RequestLimits::NONE
    };

    #[test]
    fn a_doubt_names_the_model_and_what_it_takes() {
        let request = Request { model: "Qwen/Qwen-Image".into(), ..Request::default() };
        let of = |width, height| LIMITS.doubt(&Request { size: Some(Size { width, height }), ..request.clone() });
        assert_eq!((of(1664, 64), LIMITS.doubt(&request)), (None, None));
        let RequestDoubt { what, remedy } = of(2048, 1024).expect("it is too wide");
        assert_eq!(
            what,
            "`size` is 2048x1024, and Qwen-Image models such as `Qwen/Qwen-Image` are documented to accept sides of 64 to 1664 pixels"
        );
        assert_eq!(remedy, "stay within that, or try it with one image first");
    }

    #[test]
    fn a_size_of_an_unknown_model_is_not_doubted() {
        let size = Some(Size { width: 1, height: 100_000 });
        assert_eq!(LIMITS.doubt(&Request { model: "someone/new-model".into(), size, ..Request::default() }), None);
    }
}
