//! Width and height in columns of their own: they make the size if the user maps them, and are reported if nothing uses them.

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::value::{UnparsedValue, shown_text};

/// Side of an image that has a column of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Width,
    Height,
}

impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Width => "width",
            Self::Height => "height",
        }
    }
}

/// Sides of the size of one entry, from columns of their own.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    width: Option<(String, Location)>,
    height: Option<(String, Location)>,
}

impl Sides {
    /// Adds a side. An empty text gives none.
    pub(crate) fn add(&mut self, side: Side, text: &str, place: Location) {
        let pixels = without_unit(text);
        if !pixels.is_empty() {
            let value = Some((pixels.to_owned(), place));
            match side {
                Side::Width => self.width = value,
                Side::Height => self.height = value,
            }
        }
    }

    /// Returns the size of an entry with the other fields `given`. `None` if it has no sides.
    pub(crate) fn size(self, given: &[FieldEntry]) -> Result<Option<FieldEntry>, (Location, Issue)> {
        let single = |place: Location, has: &str, lacks: &str| {
            Err((place, wrong(format!("this entry has a {has} and no {lacks}"), "give both, or neither of them")))
        };
        match (self.width, self.height) {
            (None, None) => Ok(None),
            (Some((_, place)), Some(_)) if given.iter().any(|given| given.field == Field::Size) => {
                Err((place, wrong("this entry has a size, and a width and height too", "keep one of them")))
            }
            (Some((width, place)), Some((height, _))) => {
                let size = UnparsedValue::Cell(format!("{width}x{height}"));
                Ok(Some(FieldEntry::one(Field::Size, size, place)))
            }
            (Some((_, place)), None) => single(place, "width", "height"),
            (None, Some((_, place))) => single(place, "height", "width"),
        }
    }
}

/// Columns with a side of the size that the user neither mapped nor carried.
#[derive(Debug, Default)]
pub(crate) struct UnusedSides {
    width: Option<Unused>,
    height: Option<Unused>,
    n_sizes: u64,
    /// Records that a row has other values than the width and height of an image.
    has_others: bool,
}

#[derive(Debug)]
struct Unused {
    title: String,
    /// The title as an option.
    option: String,
    place: Location,
}

impl UnusedSides {
    /// Adds a column. Only the first one of each side counts.
    pub(crate) fn add(&mut self, side: Side, title: &str, option: String, place: Location) {
        let unused = Unused { title: title.to_owned(), option, place };
        match side {
            Side::Width => self.width.get_or_insert(unused),
            Side::Height => self.height.get_or_insert(unused),
        };
    }

    /// Returns the titles of the width and of the height. `None` unless both are there.
    pub(crate) fn titles(&self) -> Option<(&str, &str)> {
        Some((&self.width.as_ref()?.title, &self.height.as_ref()?.title))
    }

    /// Looks at the values of an entry.
    pub(crate) fn see(&mut self, width: &str, height: &str) {
        match (pixels(width), pixels(height)) {
            (Some(width), Some(height)) if is_of_image(width, height) => self.n_sizes += 1,
            _ if width.trim().is_empty() && height.trim().is_empty() => {}
            _ => self.has_others = true,
        }
    }

    /// Reports the columns: a mistake if all their values are sizes of images, otherwise a warning for each.
    pub(crate) fn finish(&self, kind: &str, findings: &mut PassDiagnostics) {
        if let (Some(width), Some(height)) = (&self.width, &self.height)
            && self.n_sizes > 0
            && !self.has_others
        {
            let (w, h) = (shown_text(&width.title), shown_text(&height.title));
            let what = format!("the {kind}s {w} and {h} hold the size of each image, and would not be sent");
            let (w, h) = (&width.option, &height.option);
            let remedy = format!("add --map {w}=width,{h}=height if it is meant so, or --carry {w},{h} if it is not");
            return findings.mistakes.push(width.place, wrong(what, remedy));
        }
        for (side, unused) in [(Side::Width, &self.width), (Side::Height, &self.height)] {
            let Some(Unused { title, option, place }) = unused else { continue };
            let what = format!("the {kind} {} is carried through and not sent", shown_text(title));
            let name = side.name();
            let remedy = format!(
                "add --map {option}={name} if it is the {name} of the image in pixels, or --carry {option} if it is not"
            );
            findings.warnings.push(*place, wrong(what, remedy));
        }
    }
}

/// Returns whether a text is the size of an image: two sides in pixels that image models are asked for.
pub(crate) fn is_size_of_image(text: &str) -> bool {
    let sides = text.trim().to_lowercase().replace(['*', '×'], "x");
    sides
        .split_once('x')
        .and_then(|(width, height)| Some((pixels(width)?, pixels(height)?)))
        .is_some_and(|(width, height)| is_of_image(width, height))
}

/// Returns the number of pixels. `None` for another text.
fn pixels(text: &str) -> Option<u32> {
    without_unit(text).parse().ok()
}

/// Removes the unit and a fraction of zero from a number of pixels.
fn without_unit(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_suffix("px").unwrap_or(text).trim_end();
    text.strip_suffix(".0").unwrap_or(text)
}

/// Returns whether image models are asked for this size: multiples of 64, and sizes of screens and of some models.
/// Goods may be as wide and high in millimetres, so other sizes are not taken for pixels.
fn is_of_image(width: u32, height: u32) -> bool {
    const OTHERS: [(u32, u32); 8] =
        [(1920, 1080), (1280, 720), (1080, 1080), (1350, 1080), (1328, 1328), (1664, 928), (1472, 1140), (1584, 1056)];
    let is_side = |side: u32| (256..=4096).contains(&side) && side.is_multiple_of(64);
    is_side(width) && is_side(height) || OTHERS.contains(&(width.max(height), width.min(height)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of mistakes and of warnings about columns with these values.
    fn reported(rows: &[(&str, &str)]) -> [u64; 2] {
        let (mut sides, mut findings) = (UnusedSides::default(), PassDiagnostics::default());
        sides.add(Side::Width, "Width", "Width".to_owned(), Location::Line(1));
        sides.add(Side::Height, "Height", "Height".to_owned(), Location::Line(1));
        for (width, height) in rows {
            sides.see(width, height);
        }
        sides.finish("column", &mut findings);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    #[test]
    fn sizes_of_images_are_a_mistake_and_those_of_goods_are_not() {
        for rows in [
            &[("768", "512")][..],
            &[("1024", "1024"), ("", ""), (" 512 ", "768px")],
            &[("1080", "1920"), ("1024.0", "768.0")],
        ] {
            assert_eq!(reported(rows), [1, 0], "{rows:?}");
        }
        for rows in [
            &[("30", "40")][..],
            &[("1200", "600")],
            &[("768", "512"), ("30", "40")],
            &[("768", "")],
            &[("wide", "high")],
            &[("", "")],
            &[],
        ] {
            assert_eq!(reported(rows), [0, 2], "{rows:?}");
        }
    }
}
