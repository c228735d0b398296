//! Pixels of lossless WebP: every code is read up to the last pixel, and no pixel is kept.
//!
//! Colours matter in one place only: a small image inside the image assigns the codes to regions. That image is decoded in full.

use std::io::BufRead;

use crate::images::validate::webp::bits::{WebpBitReader, WebpFault};
use crate::images::validate::webp::prefix::Prefix;

/// Numbers of symbols in the first alphabet, without the colour cache: green values, and lengths of copies.
const GREENS: usize = 256;
const LENGTHS: usize = 24;

/// Number of symbols for the distances of copies.
const DISTANCES: usize = 40;

/// Maximum memory in bytes for the code tables of an image. Encoders write some hundred tables; a file can claim 65,536 times five.
const TABLE_BYTES_MAX: usize = 128 << 20;

/// Offsets of the 120 shortest distances. The upper bits are the rows up; the lowest four bits are 8 minus the columns
/// to the left.
const NEAR: [u8; 120] = [
    0x18, 0x07, 0x17, 0x19, 0x28, 0x06, 0x27, 0x29, 0x16, 0x1a, 0x26, 0x2a, 0x38, 0x05, 0x37, 0x39, 0x15, 0x1b, 0x36,
    0x3a, 0x25, 0x2b, 0x48, 0x04, 0x47, 0x49, 0x14, 0x1c, 0x35, 0x3b, 0x46, 0x4a, 0x24, 0x2c, 0x58, 0x45, 0x4b, 0x34,
    0x3c, 0x03, 0x57, 0x59, 0x13, 0x1d, 0x56, 0x5a, 0x23, 0x2d, 0x44, 0x4c, 0x55, 0x5b, 0x33, 0x3d, 0x68, 0x02, 0x67,
    0x69, 0x12, 0x1e, 0x66, 0x6a, 0x22, 0x2e, 0x54, 0x5c, 0x43, 0x4d, 0x65, 0x6b, 0x32, 0x3e, 0x78, 0x01, 0x77, 0x79,
    0x53, 0x5d, 0x11, 0x1f, 0x64, 0x6c, 0x42, 0x4e, 0x76, 0x7a, 0x21, 0x2f, 0x75, 0x7b, 0x31, 0x3f, 0x63, 0x6d, 0x52,
    0x5e, 0x00, 0x74, 0x7c, 0x41, 0x4f, 0x10, 0x20, 0x62, 0x6e, 0x30, 0x73, 0x7d, 0x51, 0x5f, 0x40, 0x72, 0x7e, 0x61,
    0x6f, 0x50, 0x71, 0x7f, 0x60, 0x70,
];

/// Reads the pixels of one image. An error comes with the number of whole rows read.
pub(super) fn pass<R: BufRead>(bits: &mut WebpBitReader<R>, width: u32, height: u32) -> Result<(), (WebpFault, u32)> {
    let columns = transforms(bits, width, height).map_err(|fault| (fault, 0))?;
    let mut image = Image { width: columns, height, at: 0 };
    let passed = image.read_main(bits);
    passed.map_err(|fault| (fault, u32::try_from(image.at / u64::from(columns)).unwrap_or(height)))
}

/// Reads the transforms of the pixels and returns the width of the coded image.
fn transforms<R: BufRead>(bits: &mut WebpBitReader<R>, width: u32, height: u32) -> Result<u32, WebpFault> {
    let mut columns = width;
    let mut is_seen = [false; 4];
    while bits.take(1)? == 1 {
        let kind = bits.take(2)?;
        if std::mem::replace(&mut is_seen[kind as usize], true) {
            return Err(WebpFault::Damaged("a transform is repeated"));
        }
        match kind {
            // Predictors and colour factors, one for each square of pixels.
            0 | 1 => {
                let side = bits.take(3)? + 2;
                Image::new(squares(columns, side), squares(height, side)).read(bits, &mut Nothing)?;
            }
            2 => (),
            // A palette. With few colours, several pixels are packed into one.
            _ => {
                let n_colours = bits.take(8)? + 1;
                Image::new(n_colours, 1).read(bits, &mut Nothing)?;
                let packed = match n_colours {
                    1..=2 => 3,
                    3..=4 => 2,
                    5..=16 => 1,
                    _ => 0,
                };
                columns = squares(columns, packed);
            }
        }
    }
    Ok(columns)
}

/// Returns how many squares cover a length in pixels. The side of a square is 2 to the power of `side` pixels.
const fn squares(length: u32, side: u32) -> u32 {
    (length + (1 << side) - 1) >> side
}

/// Consumer of the pixels of an image.
trait PixelSink {
    /// `true` if the consumer uses the pixels.
    const ARE_KEPT: bool;
    /// Receives a pixel of these colours.
    fn literal(&mut self, red: u16, green: u16, blue: u16, alpha: u16);
    /// Receives `length` pixels, copied from `distance` pixels back.
    fn copy(&mut self, distance: usize, length: usize);
    /// Receives a pixel of the colour cache, by its index.
    fn cached(&mut self, place: usize);
}

struct Nothing;

impl PixelSink for Nothing {
    const ARE_KEPT: bool = false;

    fn literal(&mut self, _: u16, _: u16, _: u16, _: u16) {}
    fn copy(&mut self, _: usize, _: usize) {}
    fn cached(&mut self, _: usize) {}
}

/// Pixels that are kept, as 0xAARRGGBB.
struct Kept {
    pixels: Vec<u32>,
    /// Colour cache by hash; empty if there is none.
    cache: Vec<u32>,
}

impl Kept {
    fn push(&mut self, pixel: u32) {
        self.pixels.push(pixel);
        if self.cache.len() > 1 {
            let hash = pixel.wrapping_mul(0x1e35_a7bd) >> (32 - self.cache.len().ilog2());
            self.cache[hash as usize] = pixel;
        }
    }
}

impl PixelSink for Kept {
    const ARE_KEPT: bool = true;

    fn literal(&mut self, red: u16, green: u16, blue: u16, alpha: u16) {
        let [red, green, blue, alpha] = [red, green, blue, alpha].map(u32::from);
        self.push(alpha << 24 | red << 16 | green << 8 | blue);
    }

    fn copy(&mut self, distance: usize, length: usize) {
        for _ in 0..length {
            self.push(self.pixels[self.pixels.len() - distance]);
        }
    }

    fn cached(&mut self, place: usize) {
        self.push(self.cache[place]);
    }
}

/// Prefix codes of the five alphabets, for one region of an image.
struct Group {
    green: Prefix,
    red: Prefix,
    blue: Prefix,
    alpha: Prefix,
    distance: Prefix,
    /// `true` if all pixels of the region have one colour and take no bits.
    is_free: bool,
}

impl Group {
    fn read<R: BufRead>(bits: &mut WebpBitReader<R>, n_cached: usize) -> Result<Self, WebpFault> {
        let green = Prefix::read(bits, GREENS + LENGTHS + n_cached)?;
        let [red, blue, alpha] = [Prefix::read(bits, 256)?, Prefix::read(bits, 256)?, Prefix::read(bits, 256)?];
        let distance = Prefix::read(bits, DISTANCES)?;
        let is_free = green.only().is_some_and(|green| usize::from(green) < GREENS)
            && [&red, &blue, &alpha].iter().all(|colour| colour.only().is_some());
        Ok(Self { green, red, blue, alpha, distance, is_free })
    }

    fn memory(&self) -> usize {
        [&self.green, &self.red, &self.blue, &self.alpha, &self.distance].iter().map(|codes| codes.memory()).sum()
    }
}

/// Map from squares of the image to groups of codes.
struct Map {
    /// Base-2 logarithm of the side of a square in pixels.
    side: u32,
    columns: u32,
    groups: Vec<u16>,
}

/// Image, and the index of its next pixel.
struct Image {
    width: u32,
    height: u32,
    at: u64,
}

impl Image {
    const fn new(width: u32, height: u32) -> Self {
        Self { width, height, at: 0 }
    }

    /// Reads an image within the image, which has one group of codes.
    fn read<R: BufRead>(&mut self, bits: &mut WebpBitReader<R>, pixels: &mut impl PixelSink) -> Result<(), WebpFault> {
        let n_cached = read_cache(bits)?;
        self.read_with(bits, n_cached, pixels)
    }

    fn read_with<R: BufRead>(
        &mut self,
        bits: &mut WebpBitReader<R>,
        n_cached: usize,
        pixels: &mut impl PixelSink,
    ) -> Result<(), WebpFault> {
        let groups = [Group::read(bits, n_cached)?];
        self.pixels(bits, &groups, None, pixels)
    }

    /// Reads the image itself.
    fn read_main<R: BufRead>(&mut self, bits: &mut WebpBitReader<R>) -> Result<(), WebpFault> {
        let n_cached = read_cache(bits)?;
        if bits.take(1)? == 0 {
            return self.read_with(bits, n_cached, &mut Nothing);
        }
        let side = bits.take(3)? + 2;
        let map = Map::read(bits, side, squares(self.width, side), squares(self.height, side))?;
        let n_groups = map.groups.iter().max().map_or(1, |last| usize::from(*last) + 1);
        let mut groups = Vec::new();
        let mut memory = 0;
        for _ in 0..n_groups {
            let group = Group::read(bits, n_cached)?;
            memory += group.memory();
            if memory > TABLE_BYTES_MAX {
                return Err(WebpFault::Damaged("it has too many code tables"));
            }
            groups.push(group);
        }
        self.pixels(bits, &groups, Some(&map), &mut Nothing)
    }

    fn pixels<R: BufRead, P: PixelSink>(
        &mut self,
        bits: &mut WebpBitReader<R>,
        groups: &[Group],
        map: Option<&Map>,
        pixels: &mut P,
    ) -> Result<(), WebpFault> {
        let width = u64::from(self.width);
        let end = width * u64::from(self.height);
        while self.at < end {
            let (x, y) = (self.at % width, self.at / width);
            let (group, n_same) = match map {
                None => (&groups[0], width - x),
                Some(map) => map.group(groups, x, y, width),
            };
            let end_of_same = self.at + n_same;
            if group.is_free && !P::ARE_KEPT {
                // The pixels of such a group take no bits.
                self.at = end_of_same;
                continue;
            }
            while self.at < end_of_same {
                self.at += pixel(bits, group, self.at, end, self.width, pixels)?;
            }
        }
        Ok(())
    }
}

impl Map {
    fn read<R: BufRead>(bits: &mut WebpBitReader<R>, side: u32, columns: u32, rows: u32) -> Result<Self, WebpFault> {
        let n_cached = read_cache(bits)?;
        let mut kept = Kept { pixels: vec![], cache: vec![0; n_cached] };
        Image::new(columns, rows).read_with(bits, n_cached, &mut kept)?;
        let number = |pixel: &u32| u16::try_from(pixel >> 8 & 0xffff).expect("sixteen bits");
        Ok(Self { side, columns, groups: kept.pixels.iter().map(number).collect() })
    }

    /// Returns the group of a pixel, and how many pixels from there on have it.
    fn group<'a>(&self, groups: &'a [Group], x: u64, y: u64, width: u64) -> (&'a Group, u64) {
        let place = (y >> self.side) * u64::from(self.columns) + (x >> self.side);
        let group = self.groups[usize::try_from(place).expect("it is in memory")];
        let next = ((x >> self.side) + 1) << self.side;
        (&groups[usize::from(group)], next.min(width) - x)
    }
}

/// Reads one pixel, or one copy of several pixels, and returns their number.
#[inline]
fn pixel<R: BufRead>(
    bits: &mut WebpBitReader<R>,
    group: &Group,
    at: u64,
    end: u64,
    width: u32,
    pixels: &mut impl PixelSink,
) -> Result<u64, WebpFault> {
    let green = group.green.symbol(bits)?;
    let place = usize::from(green);
    if place < GREENS {
        let (red, blue, alpha) = (group.red.symbol(bits)?, group.blue.symbol(bits)?, group.alpha.symbol(bits)?);
        pixels.literal(red, green, blue, alpha);
        return Ok(1);
    }
    if place >= GREENS + LENGTHS {
        pixels.cached(place - GREENS - LENGTHS);
        return Ok(1);
    }
    let length = number(bits, u32::from(green) - 256)?;
    let symbol = group.distance.symbol(bits)?;
    let distance = distance(number(bits, symbol.into())?, width);
    if u64::from(distance) > at || u64::from(length) > end - at {
        return Err(WebpFault::Damaged("its pixels are copied from outside the image"));
    }
    pixels.copy(distance as usize, length as usize);
    Ok(length.into())
}

/// Reads a length or distance. Its symbol determines how many bits follow.
fn number<R: BufRead>(bits: &mut WebpBitReader<R>, symbol: u32) -> Result<u32, WebpFault> {
    if symbol < 4 {
        return Ok(symbol + 1);
    }
    let n_bits = (symbol - 2) >> 1;
    Ok(((2 + (symbol & 1)) << n_bits) + bits.take(n_bits)? + 1)
}

fn distance(number: u32, width: u32) -> u32 {
    match NEAR.get(number as usize - 1) {
        None => number - 120,
        Some(near) => {
            let (x, y) = (8 - i32::from(near & 15), i32::from(near >> 4));
            u32::try_from(x + y * width.cast_signed()).unwrap_or(0).max(1)
        }
    }
}

/// Returns the number of colours in the cache; 0 if there is no cache.
fn read_cache<R: BufRead>(bits: &mut WebpBitReader<R>) -> Result<usize, WebpFault> {
    if bits.take(1)? == 0 {
        return Ok(0);
    }
    match bits.take(4)? {
        n_bits @ 1..=11 => Ok(1 << n_bits),
        _ => Err(WebpFault::Damaged("its colour cache has an invalid size")),
    }
}
