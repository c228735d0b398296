//! Sizes as users write them: `64MiB`, `20MB`, `100MP`.

/// Maximum size of an image file, unless the user sets another.
pub(crate) const BYTES_MAX: &str = "64MiB";

/// Maximum number of pixels of an image, unless the user sets another.
pub(crate) const PIXELS_MAX: &str = "100MP";

const BYTES: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("kib", 1 << 10),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
];

const PIXELS: [(&str, u64); 2] = [("", 1), ("mp", 1_000_000)];

/// Number of tasks in flight. `None` means `auto`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight(pub Option<u32>);

/// Parses a number of tasks in flight.
pub(crate) fn in_flight(text: &str) -> Result<InFlight, String> {
    match text.trim() {
        "auto" => Ok(InFlight(None)),
        number => match number.parse() {
            Ok(n @ 1..) => Ok(InFlight(Some(n))),
            _ => Err("write a whole number of at least 1, or auto".to_owned()),
        },
    }
}

/// Parses a number of bytes, at least 1.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    quantity(text, &BYTES).ok_or("a size is a whole number of at least 1 and a unit, for example 20MB or 64MiB".into())
}

/// Parses a number of pixels, at least 1.
pub(crate) fn pixels(text: &str) -> Result<u64, String> {
    quantity(text, &PIXELS).ok_or("pixels are a whole number of at least 1, for example 16777216 or 100MP".into())
}

/// Formats a number of bytes to two or three digits: `12 kB`, `1.7 MB`, `340 GB`.
pub(crate) fn shown(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
    let Some((unit, size)) = UNITS.into_iter().rev().find(|(_, size)| bytes >= *size) else {
        return format!("{bytes} bytes");
    };
    let tenths = bytes / (size / 10);
    if tenths < 100 { format!("{}.{} {unit}", tenths / 10, tenths % 10) } else { format!("{} {unit}", tenths / 10) }
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = unit.trim().to_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|quantity| *quantity > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::validate::verdict::CheckLimits;

    #[test]
    fn sizes_are_shown_to_two_or_three_digits() {
        for (n, text) in
            [(0, "0 bytes"), (999, "999 bytes"), (1_700_000, "1.7 MB"), (12_345, "12 kB"), (340_000_000_000, "340 GB")]
        {
            assert_eq!(shown(n), text);
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("1", 1),
            ("64MiB", 64 << 20),
            ("20MB", 20_000_000),
            (" 20 mb ", 20_000_000),
            ("512KiB", 512 << 10),
            ("3kB", 3000),
            ("2GiB", 2 << 30),
            ("1GB", 1_000_000_000),
            ("100b", 100),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        assert_eq!(
            (pixels("16777216"), pixels("100MP"), pixels("1 mp")),
            (Ok(1 << 24), Ok(100_000_000), Ok(1_000_000))
        );
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "0",
            "0MB",
            "-1",
            "+1",
            "1.5MB",
            "MB",
            "64M1B",
            "1 2",
            "64MP",
            "18446744073709551616",
            "18446744073709551615kB",
        ] {
            assert!(bytes(text).unwrap_err().contains("64MiB"), "{text}");
        }
        for text in ["", "0", "-1", "1024x1024", "64MiB", "18446744073709551615MP"] {
            assert!(pixels(text).unwrap_err().contains("100MP"), "{text}");
        }
    }

    #[test]
    fn the_flags_default_to_what_the_library_does() {
        let CheckLimits { bytes_max, pixels_max } = CheckLimits::default();
        assert_eq!((bytes(BYTES_MAX), pixels(PIXELS_MAX)), (Ok(bytes_max), Ok(pixels_max)));
    }
}
