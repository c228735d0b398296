//! Images of an answer: their links, or the names under which their bytes were kept while the answer arrived.

use serde_json::Value;

use crate::description::format::Description;
use crate::description::pointer::{Pointer, scalar};
use crate::description::words::{Billed, Exchange, FaultWord, ImageKind};
use crate::model::link::SPOOLED;
use crate::model::outcome::{IMAGES_COUNTED_MAX, Url};
use crate::provider::described::reading::JsonReading;

/// Longest image link that is followed, in bytes; a limit that is usual in browsers and servers.
const LINK_BYTES_MAX: usize = 8192;

/// Pointer to the image of an answer that is an image itself.
const BODY: &str = "/$body";

/// How PNG, JPEG and WebP begin in base64.
const IMAGES_IN_BASE64: [&str; 3] = ["iVBORw0KGgo", "/9j/", "UklGR"];

/// Placeholder for the link of an image of a task that has no usable link. It counts as a missing image.
pub(crate) const NO_LINK: &str = "(none that can be followed)";

/// Image of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageText {
    /// Link, or the name of kept bytes.
    Link(Url),
    /// Base64 that is still to be decoded.
    Base64(String),
}

/// Images of an answer, or the reason why it has none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ImageSearch {
    /// Images, at least one.
    Found(Vec<ImageText>),
    /// Surely no usable image, for this reason.
    Refused(FaultWord, String),
    /// The answer has the form of a success without an image.
    Empty(FaultWord),
    /// The answer does not say anything about images.
    Nothing,
}

/// Finds the images of an answer.
pub(crate) fn find(api: &Description, reading: &JsonReading) -> ImageSearch {
    let rules = &api.answer;
    if let Some((kind, word)) = refusal(api, reading) {
        return ImageSearch::Refused(kind, word);
    }
    let body = BODY.parse::<Pointer>().into_iter().filter(|_| rules.kind == ImageKind::Body);
    let pointers: Vec<Pointer> = body.chain(rules.images.iter().cloned()).collect();
    let mut found: Vec<ImageText> = Vec::new();
    for text in reading.texts() {
        for pointer in &pointers {
            let n_before = found.len();
            for value in pointer.all(text) {
                let (image, known) = match api.exchange {
                    Exchange::Answer => (image(value, rules.kind), found.len()),
                    // A task may name an image twice. Two pointers to it are still one image.
                    Exchange::Task => (image_of_task(value, pointers.len() == 1), n_before),
                };
                let image = image.filter(|image| !found[..known].contains(image));
                found.extend(image.filter(|_| found.len() < IMAGES_COUNTED_MAX));
            }
        }
    }
    if !found.is_empty() {
        return ImageSearch::Found(found);
    }
    let has_form = reading.whole().is_some_and(|body| pointers.iter().any(|pointer| has_parent(pointer, body)));
    if has_form { ImageSearch::Empty(rules.empty.unwrap_or(FaultWord::BadOutput)) } else { ImageSearch::Nothing }
}

/// Returns whether an ending of this kind is paid for.
pub(crate) fn is_billed(api: &Description, kind: FaultWord) -> bool {
    // Without a statement of the provider, only a refusal for the content is free.
    kind != FaultWord::Moderated || api.bills.contains(&Billed::Moderated)
}

/// Returns the first word beside the images that says that there is no usable one.
fn refusal(api: &Description, reading: &JsonReading) -> Option<(FaultWord, String)> {
    let rules = &api.answer;
    let body = reading.whole()?;
    let words = rules.reason.iter().flat_map(|pointer| pointer.all(body)).filter_map(scalar);
    let known = |word: &String| rules.reasons.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    words.into_iter().find_map(|word| known(&word).map(|(_, kind)| (*kind, word.clone())))
}

/// Returns the image of a finished task. Whatever says something at its only place is an image, and is counted even if no link leads to it.
/// Where there are several places, some may have other values, and only links count.
fn image_of_task(value: &Value, is_only_place: bool) -> Option<ImageText> {
    let link = |text: &str| Some(ImageText::Link(Url(text.to_owned())));
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => match image(value, ImageKind::Link) {
            Some(ImageText::Base64(_)) => link(NO_LINK),
            Some(image) => Some(image),
            None if !is_only_place => None,
            None if text.len() > LINK_BYTES_MAX => link(NO_LINK),
            None => link(text.trim()),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            is_only_place.then(|| link(NO_LINK)).flatten()
        }
    }
}

fn image(value: &Value, kind: ImageKind) -> Option<ImageText> {
    let text = value.as_str()?.trim();
    let link = || ImageText::Link(Url(text.to_owned()));
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    if text.starts_with(SPOOLED) || is_web {
        return (text.len() <= LINK_BYTES_MAX).then(link);
    }
    if let Some(data) = text.strip_prefix("data:") {
        let (_, base64) = data.split_once(";base64,")?;
        return Some(ImageText::Base64(base64.to_owned()));
    }
    match kind {
        ImageKind::Base64 | ImageKind::Body if !text.is_empty() => Some(ImageText::Base64(text.to_owned())),
        // Some services ignore that a link was asked for.
        ImageKind::Link if IMAGES_IN_BASE64.iter().any(|begin| text.starts_with(begin)) => {
            Some(ImageText::Base64(text.to_owned()))
        }
        ImageKind::Base64 | ImageKind::Link | ImageKind::Body => None,
    }
}

/// Returns whether the parent node of an image pointer exists. If not, the response may come from a proxy.
fn has_parent(pointer: &Pointer, body: &Value) -> bool {
    let parent: Vec<_> = pointer.steps().iter().take_while(|step| *step != "*").collect();
    let n_steps = if parent.len() == pointer.steps().len() { parent.len().saturating_sub(1) } else { parent.len() };
    let mut value = body;
    for step in &parent[..n_steps] {
        match value.get(step.as_str()) {
            Some(below) => value = below,
            None => return false,
        }
    }
    n_steps > 0 && (value.is_array() || value.is_object() || value.is_null())
}
