//! Pictures of the simulator: real PNG files, always identical for the same seed and size.

mod canvas;
mod caption;
mod paint;

use crate::model::request::Size;
use crate::simulator::picture::caption::Caption;

/// Longest side of a picture in pixels: the longest that the service accepts.
pub(crate) const SIDE_PIXELS_MAX: u16 = 2048;

/// Digits of a picture's name that encode its seed, width and height; the other digits are a checksum.
const NAME_DIGITS: usize = 24;

/// Digits of the checksum of [`sealed`].
pub(super) const SEAL_CHARS: usize = 8;

/// Picture that is not drawn yet: three numbers and a caption determine all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Picture {
    seed: u64,
    width: u16,
    height: u16,
    caption: Caption,
}

impl Picture {
    /// Creates the picture of this seed and size, without words. Each side is limited to the range from 1 to [`SIDE_PIXELS_MAX`].
    pub fn new(seed: u64, size: Size) -> Self {
        let bounded = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX).clamp(1, SIDE_PIXELS_MAX);
        Self { seed, width: bounded(size.width), height: bounded(size.height), caption: Caption::NONE }
    }

    /// Returns the picture with the beginning of the prompt, the model and the seed of its request.
    #[must_use]
    pub fn of_request(self, prompt: &str, model: &str, seed: Option<u64>) -> Self {
        Self { caption: Caption::new(prompt, model, seed), ..self }
    }

    /// Returns the picture with the caption of this text; `None` if no caption has it.
    pub(super) fn with_caption(self, text: &str) -> Option<Self> {
        Some(Self { caption: Caption::from_text(text)?, ..self })
    }

    /// Returns the text of the caption; empty without one.
    pub(super) fn caption(&self) -> &str {
        self.caption.text()
    }

    /// Returns the seed of the drawing.
    pub const fn seed(self) -> u64 {
        self.seed
    }

    /// Returns the width and height in pixels.
    pub fn size(self) -> Size {
        Size { width: self.width.into(), height: self.height.into() }
    }

    /// Returns the name in links: 32 hexadecimal digits that encode the picture and a checksum, and its caption.
    pub fn name(self) -> String {
        let digits = format!("{:016x}{:04x}{:04x}", self.seed, self.width, self.height);
        sealed(&digits, self.caption())
    }

    /// Parses the name of a picture; `None` if [`Picture::name`] did not produce it.
    pub fn from_name(name: &str) -> Option<Self> {
        let number = |range| u64::from_str_radix(name.get(range)?, 16).ok();
        let pixels = |range| u32::try_from(number(range)?).ok();
        let size = Size { width: pixels(16..20)?, height: pixels(20..NAME_DIGITS)? };
        let picture = Self::new(number(0..16)?, size).with_caption(name.get(NAME_DIGITS + SEAL_CHARS..)?)?;
        (picture.name() == name).then_some(picture)
    }

    /// Draws the picture as a PNG file: 8 bits per channel, no alpha, compressed for speed.
    pub fn png(self) -> Vec<u8> {
        let mut pixels = paint::rgb(self.seed, self.width, self.height);
        self.caption.draw(&mut pixels, self.width, self.height);
        let mut file = Vec::with_capacity(pixels.len() / 4);
        let mut encoder = png::Encoder::new(&mut file, self.width.into(), self.height.into());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels))
            .expect("a vector takes every byte, and the pixels are as many as the header says");
        file
    }
}

/// Returns digits with a checksum of all of the text, and the caption.
pub(super) fn sealed(digits: &str, caption: &str) -> String {
    let checksum = crc32fast::hash(format!("{digits}{caption}").as_bytes());
    format!("{digits}{checksum:08x}{caption}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(seed: u64, width: u32, height: u32) -> Picture {
        Picture::new(seed, Size { width, height })
    }

    /// Decodes the header and the pixels with an independent decoder.
    fn decode(bytes: &[u8]) -> (png::OutputInfo, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        reader.finish().unwrap();
        (info, pixels)
    }

    #[test]
    fn every_motif_decodes_at_every_shape() {
        for seed in 0..24 {
            for (width, height) in [(64, 64), (96, 32), (31, 77), (1, 1), (1, 40), (40, 1)] {
                let (info, pixels) = decode(&picture(seed, width, height).png());
                assert_eq!((info.width, info.height, info.color_type), (width, height, png::ColorType::Rgb));
                assert_eq!(pixels.len(), (width * height * 3) as usize);
            }
        }
    }

    #[test]
    fn pictures_differ_by_seed_and_repeat_exactly() {
        let files: Vec<_> = (0..64).map(|seed| picture(seed, 48, 48).png()).collect();
        for (seed, file) in files.iter().enumerate() {
            assert_eq!(*file, picture(seed as u64, 48, 48).png());
            assert_eq!(files.iter().filter(|other| *other == file).count(), 1, "seed {seed} looks like another");
        }
    }

    /// Goal: every picture is worth looking at. Method: count its colours; a broken motif is flat.
    #[test]
    fn no_picture_is_flat() {
        for seed in 0..200 {
            let (_, pixels) = decode(&picture(seed, 64, 64).png());
            let colors: std::collections::BTreeSet<_> = pixels.chunks_exact(3).collect();
            assert!(colors.len() > 60, "seed {seed} has {} colours", colors.len());
        }
    }

    #[test]
    fn a_name_holds_the_whole_picture() {
        for picture in [picture(0, 1, 1), picture(u64::MAX, 2048, 64), picture(0x0123_4567, 512, 768)] {
            assert_eq!(picture.name().len(), 32);
            assert_eq!(Picture::from_name(&picture.name()), Some(picture));
        }
        let with_words = picture(7, 512, 768).of_request("a cat", "a/b", Some(1));
        assert_eq!(Picture::from_name(&with_words.name()), Some(with_words));
    }

    #[test]
    fn pictures_with_other_words_look_different() {
        let picture = picture(7, 256, 256);
        let pictures = [
            picture,
            picture.of_request("a cat", "a/b", Some(1)),
            picture.of_request("a dog", "a/b", Some(1)),
            picture.of_request("a cat", "a/c", Some(1)),
            picture.of_request("a cat", "a/b", Some(2)),
            picture.of_request("a cat", "a/b", None),
            picture.of_request("石桥", "a/b", None),
        ];
        let files: std::collections::BTreeSet<_> = pictures.map(Picture::png).into();
        assert_eq!(files.len(), pictures.len());
    }

    #[test]
    fn a_name_with_any_digit_changed_is_nobodys() {
        let name = picture(7, 512, 512).of_request("a cat", "a/b", Some(1)).name();
        for place in 0..name.len() {
            let mut changed = name.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert_eq!(Picture::from_name(std::str::from_utf8(&changed).unwrap()), None);
        }
        for name in ["", "7", &name[1..], &name.to_uppercase(), &format!("{name}0"), "ééééééééééééééééé"]
        {
            assert_eq!(Picture::from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn sides_are_bounded() {
        assert_eq!(picture(1, 0, u32::MAX).size(), Size { width: 1, height: SIDE_PIXELS_MAX.into() });
    }
}
