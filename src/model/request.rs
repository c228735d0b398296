//! Request to a provider: a prompt and its parameters, and the content hash that identifies them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Name of the field that names a provider.
pub(super) const PROVIDER: &str = "provider";

/// Data that are sent to a provider for one image. Two equal requests are the same work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Text that describes the image.
    pub prompt: String,
    /// Provider that the manifest's row names; `None` for that of the run.
    pub provider: Option<String>,
    /// Provider's name of the model, such as `Qwen/Qwen-Image`.
    pub model: String,
    /// Text that describes what the image must not show.
    pub negative_prompt: Option<String>,
    /// Width and height of the image, in pixels.
    pub size: Option<Size>,
    /// Random seed, 0 to 2^31 - 1 where the provider says so.
    pub seed: Option<u64>,
    /// Number of sampling steps.
    pub steps: Option<u32>,
    /// Guidance scale: how closely the image follows the prompt.
    pub guidance: Option<f64>,
    /// Source images of an edit model: URLs, data URIs, or names of files on this disk.
    pub image_url: Vec<String>,
    /// Low-rank adapters to apply, by repository id.
    pub loras: Vec<Lora>,
    /// Fields that the provider may know and this program does not, sent as they were given.
    pub params: BTreeMap<String, Json>,
}

/// Low-rank adapter and, where several are mixed, its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// Repository id, such as `org/name`.
    pub repo: String,
    /// Share in the mix; the weights of a request sum to 1. `None` if no weight was given.
    pub weight: Option<f64>,
}

/// Width and height in pixels, written `1024x768`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Width, in pixels.
    pub width: u32,
    /// Height, in pixels.
    pub height: u32,
}

/// Error for a text that is not a [`Size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a size is written WIDTHxHEIGHT in pixels, for example 1024x1024")]
pub struct SizeError;

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (width, height) = text.trim().split_once(['x', 'X']).ok_or(SizeError)?;
        let side = |text: &str| {
            let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits_only.then(|| text.parse().ok()).flatten().filter(|side| *side > 0).ok_or(SizeError)
        };
        Ok(Self { width: side(width)?, height: side(height)? })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// JSON value as its text, with sorted keys and without spaces. Equal values therefore have equal hashes, and this layer needs no serde.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(pub String);

/// Value of one field of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RequestValue<'a> {
    /// Text, unchanged.
    Text(Cow<'a, str>),
    /// Integer, never negative.
    Whole(u64),
    /// Floating-point number.
    Real(f64),
    /// URLs, data URIs or names of files, at least one.
    Urls(&'a [String]),
    /// Adapters, at least one.
    Loras(&'a [Lora]),
    /// Further parameters, at least one.
    Params(&'a BTreeMap<String, Json>),
}

/// Hash of everything that is sent, which two requests with the same content share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Returns the 32 bytes of the hash.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Request {
    /// Returns the hash of this request. It does not depend on the spelling in the manifest, nor on columns that are only carried through.
    pub fn content(&self) -> ContentHash {
        let mut canon = CanonicalHasher(blake3::Hasher::new());
        canon.text("promptbatch request 1");
        canon.text(&self.prompt);
        canon.text(&self.model);
        canon.option(self.negative_prompt.as_ref(), |canon, text| canon.text(text));
        canon.option(self.size, |canon, size| canon.text(&size.to_string()));
        canon.option(self.seed, CanonicalHasher::number);
        canon.option(self.steps, |canon, steps| canon.number(u64::from(steps)));
        canon.option(self.guidance, CanonicalHasher::float);
        canon.number(self.image_url.len() as u64);
        self.image_url.iter().for_each(|url| canon.text(url));
        canon.number(self.loras.len() as u64);
        for lora in &self.loras {
            canon.text(&lora.repo);
            canon.option(lora.weight, CanonicalHasher::float);
        }
        canon.number(self.params.len() as u64);
        for (name, Json(text)) in &self.params {
            canon.text(name);
            canon.text(text);
        }
        // Behind the others, and only if the row names one: the ids of all other jobs are older than this field.
        if let Some(provider) = &self.provider {
            canon.text(PROVIDER);
            canon.text(provider);
        }
        ContentHash(canon.0.finalize().into())
    }
}

/// Canonical hasher: no two different values give the same bytes, as every part carries its kind or its length.
struct CanonicalHasher(blake3::Hasher);

impl CanonicalHasher {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn float(&mut self, number: f64) {
        // 0.0 and -0.0 are equal and must have the same hash.
        let number = if number == 0.0 { 0.0 } else { number };
        self.number(number.to_bits());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.number(0),
            Some(value) => {
                self.number(1);
                write(self, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cat() -> Request {
        Request { prompt: "a cat".into(), model: "Qwen/Qwen-Image".into(), ..Request::default() }
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        assert_eq!("1024x768".parse(), Ok(Size { width: 1024, height: 768 }));
        assert_eq!(" 64X64 ".parse(), Ok(Size { width: 64, height: 64 }));
        assert_eq!(Size { width: 1, height: 2 }.to_string(), "1x2");
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "x",
            "1024",
            "1024x",
            "x768",
            "1024*768",
            "1024×768",
            "0x64",
            "-1x5",
            "+1x5",
            "1x2x3",
            "1 x 2",
            "99999999999x1",
        ] {
            assert_eq!(text.parse::<Size>(), Err(SizeError), "{text:?}");
        }
    }

    /// Goal: no field can be lost from the identity of a request. Method: change each in turn and compare the hashes.
    #[test]
    fn every_field_changes_the_content() {
        let changes: Vec<fn(&mut Request)> = vec![
            |r| r.prompt = "a dog".into(),
            |r| r.model = "other".into(),
            |r| r.provider = Some("fal".into()),
            |r| r.provider = Some("openai".into()),
            |r| r.negative_prompt = Some("blur".into()),
            |r| r.negative_prompt = Some(String::new()),
            |r| r.size = Some(Size { width: 64, height: 64 }),
            |r| r.seed = Some(0),
            |r| r.steps = Some(0),
            |r| r.guidance = Some(0.0),
            |r| r.image_url = vec!["https://a".into()],
            |r| r.image_url = vec!["https://a".into(), "https://b".into()],
            |r| r.loras = vec![Lora { repo: "a/b".into(), weight: None }],
            |r| r.loras = vec![Lora { repo: "a/b".into(), weight: Some(1.0) }],
            |r| r.params = [("x".to_owned(), Json("1".into()))].into(),
            |r| r.params = [("x".to_owned(), Json("\"1\"".into()))].into(),
            |r| r.params = [("y".to_owned(), Json("1".into()))].into(),
        ];
        let mut seen = vec![cat().content()];
        for change in changes {
            let mut request = cat();
            change(&mut request);
            let content = request.content();
            assert!(!seen.contains(&content), "{request:?} hashes like another request");
            seen.push(content);
        }
    }

    #[test]
    fn text_cannot_move_from_one_field_to_the_next() {
        let joined = Request { prompt: "a catQ".into(), model: "wen/Qwen-Image".into(), ..Request::default() };
        assert_ne!(joined.content(), cat().content());
    }

    #[test]
    fn both_zeros_are_the_same_guidance() {
        let with = |guidance| Request { guidance: Some(guidance), ..cat() }.content();
        assert_eq!(with(0.0), with(-0.0));
    }

    /// The identity of paid work must never change between versions: a changed hash would pay for every job again.
    #[test]
    fn the_hash_of_a_known_request_is_kept_for_ever() {
        assert_eq!(cat().content().bytes()[..8], 0x8fba_15c2_9454_ac1c_u64.to_be_bytes());
    }
}
