//! Drawing primitives for the simulator's motifs: a pixel grid, wavy lines, palettes and colour mixing.

use std::f32::consts::TAU;

use fastrand::Rng;

/// Colour as red, green and blue, each from 0 to 1.
pub(super) type Color = [f32; 3];

/// Motif of a picture: a colour for every point.
pub(super) trait Motif {
    fn color(&self, spot: Spot) -> Color;
}

/// Point in the picture; the shorter side has length 1, and y grows downwards.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
}

impl Spot {
    pub(super) fn distance(self, other: Self) -> f32 {
        let (x, y) = (self.x - other.x, self.y - other.y);
        (x * x + y * y).sqrt()
    }
}

/// Rectangle of pixels that a motif fills.
pub(super) struct PictureFrame {
    columns: u16,
    rows: u16,
    /// Size of a pixel, which is the width over which edges are smoothed.
    pub(super) pixel: f32,
    /// Corner at the bottom right.
    pub(super) end: Spot,
}

impl PictureFrame {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let pixel = 1.0 / f32::from(columns.min(rows));
        let end = Spot { x: f32::from(columns) * pixel, y: f32::from(rows) * pixel };
        Self { columns, rows, pixel, end }
    }

    pub(super) fn fill(&self, motif: &impl Motif) -> Vec<u8> {
        // Plain loops and no adapters: a build without optimisation draws pictures too.
        let mut bytes = Vec::with_capacity(usize::from(self.columns) * usize::from(self.rows) * 3);
        for row in 0..self.rows {
            let y = (f32::from(row) + 0.5) * self.pixel;
            for column in 0..self.columns {
                let [red, green, blue] = motif.color(Spot { x: (f32::from(column) + 0.5) * self.pixel, y });
                bytes.extend_from_slice(&[byte(red), byte(green), byte(blue)]);
            }
        }
        bytes
    }

    /// Samples a point within these shares of the width and the height.
    pub(super) fn spot(&self, rng: &mut Rng, across: (f32, f32), down: (f32, f32)) -> Spot {
        Spot { x: self.end.x * between(rng, across), y: self.end.y * between(rng, down) }
    }

    /// Returns the share of a pixel that a layer covers, if its edge is `depth` before the pixel.
    pub(super) fn cover(&self, depth: f32) -> f32 {
        (depth / self.pixel + 0.5).clamp(0.0, 1.0)
    }
}

/// Wavy line as a table: a height for every position along the line.
pub(super) struct Curve {
    heights: Vec<f32>,
    steps: f32,
    per_length: f32,
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Curve {
    /// Creates a line around `base` over the given length. It has three waves of decreasing size, the longest with `pace` radians per unit.
    pub(super) fn new(rng: &mut Rng, frame: &PictureFrame, length: f32, base: f32, swell: f32, pace: f32) -> Self {
        let waves = [(1.0, 1.0), (0.45, 2.1), (0.18, 4.7)]
            .map(|(size, faster)| (swell * size, pace * faster * between(rng, (0.8, 1.25)), rng.f32() * TAU));
        let steps = frame.columns.max(frame.rows);
        let height = |step| {
            let along = length * f32::from(step) / f32::from(steps);
            base + waves.iter().map(|(size, pace, start)| size * (pace * along + start).sin()).sum::<f32>()
        };
        let heights: Vec<f32> = (0..=steps + 1).map(height).collect();
        let low = heights.iter().copied().fold(f32::INFINITY, f32::min);
        let high = heights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Self { heights, steps: steps.into(), per_length: f32::from(steps) / length, low, high }
    }

    pub(super) fn at(&self, along: f32) -> f32 {
        let (step, share) = split((along * self.per_length).clamp(0.0, self.steps));
        let (here, next) = (self.heights[step], self.heights[step + 1]);
        here + (next - here) * share
    }
}

/// Palette of five colours from dark to light, with all colours between them.
pub(super) struct Palette([Color; 5]);

impl Palette {
    pub(super) fn pick(rng: &mut Rng) -> Self {
        let tint = [rng.f32(), rng.f32(), rng.f32()];
        let channel = |shift: u32, hex: u32| f32::from((hex >> shift).to_le_bytes()[0]) / 255.0;
        let color = |hex| mix([channel(16, hex), channel(8, hex), channel(0, hex)], tint, 0.08);
        Self(PALETTES[rng.usize(..PALETTES.len())].map(color))
    }

    /// Returns the colour at `share`, from 0 for the darkest to 1 for the lightest.
    pub(super) fn at(&self, share: f32) -> Color {
        let (step, share) = split(share.clamp(0.0, 0.9999) * 4.0);
        mix(self.0[step], self.0[step + 1], share)
    }
}

const PALETTES: [[u32; 5]; 12] = [
    [0x1d_1135, 0x5b_2a6b, 0xb5_446e, 0xf0_8a5d, 0xf9_d29d], // dusk
    [0x06_283d, 0x0f_4c75, 0x32_82b8, 0x7f_c8d6, 0xe8_f6ef], // ocean
    [0x0b_2b26, 0x1f_4d3a, 0x4f_8a5b, 0xa3_c585, 0xf1_f0cc], // forest
    [0x2f_1b1a, 0x7a_3b2e, 0xc6_6b3d, 0xe9_b872, 0xf7_e9d0], // clay
    [0x0b_132b, 0x1c_3f60, 0x1f_8a8a, 0x6f_d6a8, 0xf0_f7c9], // aurora
    [0x3b_1c32, 0x7f_2c56, 0xd1_668b, 0xf4_a6b7, 0xfd_eff2], // blossom
    [0x11_122b, 0x32_3a6b, 0x8a_5a83, 0xdd_8f7b, 0xfb_e0b9], // desert night
    [0x2b_3a1f, 0x6a_8532, 0xc9_b83a, 0xf5_a742, 0xff_f0c2], // citrus
    [0x22_303c, 0x4a_6572, 0x8a_a6a3, 0xd2_d9cd, 0xf7_f4ea], // fjord
    [0x23_1942, 0x5e_548e, 0x9f_86c0, 0xe0_b1cb, 0xfb_eef5], // lavender
    [0x1a_0b0e, 0x5c_1020, 0xb5_2a2a, 0xee_7b30, 0xff_d97d], // ember
    [0x10_302f, 0x12_645f, 0x25_a18e, 0x9a_e3c4, 0xff_f3d6], // lagoon
];

pub(super) fn between(rng: &mut Rng, (low, high): (f32, f32)) -> f32 {
    low + (high - low) * rng.f32()
}

pub(super) fn mix(from: Color, to: Color, share: f32) -> Color {
    [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share, from[2] + (to[2] - from[2]) * share]
}

/// Eases a share of 0 to 1 at both ends.
pub(super) fn smooth(share: f32) -> f32 {
    let share = share.clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// Splits a number into its whole part and the rest. (`floor` would be a function call on processors that guarantee only SSE2.)
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positions are small and never negative")]
pub(super) fn split(place: f32) -> (usize, f32) {
    let whole = place as u16;
    (usize::from(whole), place - f32::from(whole))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is the intended result"
)]
fn byte(share: f32) -> u8 {
    (share * 255.0 + 0.5) as u8
}
