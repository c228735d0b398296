//! Painter of the simulator's pictures: the seed selects one of four motifs, one of twelve palettes, and all details.
//!
//! A motif returns the colour of one point; this module does not know files. Its speed comes from tables of the wavy lines. A layer that
//! another layer hides is never computed.

use std::f32::consts::TAU;

use fastrand::Rng;

use crate::simulator::picture::canvas::{
    Color, Curve, Motif, Palette, PictureFrame, Spot, between, mix, smooth, split,
};

/// Returns the pixels of a picture, three bytes each, row by row.
pub(super) fn rgb(seed: u64, width: u16, height: u16) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let frame = PictureFrame::new(width, height);
    let palette = Palette::pick(&mut rng);
    match rng.u8(0..4) {
        0 => frame.fill(&Hills::new(&mut rng, &palette, &frame)),
        1 => frame.fill(&Paper::new(&mut rng, &palette, &frame)),
        2 => frame.fill(&Orbs::new(&mut rng, &palette, &frame)),
        _ => frame.fill(&Rings::new(&mut rng, &palette, &frame)),
    }
}

/// Motif of hill layers under a low sun; distant layers are paler.
struct Hills<'a> {
    frame: &'a PictureFrame,
    sky: [Color; 2],
    sun: Spot,
    sun_radius: f32,
    sun_color: Color,
    layers: Vec<(Curve, Color)>,
}

impl<'a> Hills<'a> {
    const LAYERS: u8 = 6;

    fn new(rng: &mut Rng, palette: &Palette, frame: &'a PictureFrame) -> Self {
        let layers = (0..Self::LAYERS)
            .map(|layer| {
                let near = f32::from(layer) / f32::from(Self::LAYERS - 1);
                let base = frame.end.y * (0.50 + 0.38 * near);
                let swell = between(rng, (0.05, 0.10)) * (1.0 - 0.4 * near);
                (Curve::new(rng, frame, frame.end.x, base, swell, 3.0 + 3.0 * near), palette.at(0.62 - 0.62 * near))
            })
            .collect();
        let sun = frame.spot(rng, (0.18, 0.82), (0.16, 0.42));
        Self {
            frame,
            sky: [palette.at(between(rng, (0.42, 0.62))), palette.at(0.97)],
            sun,
            sun_radius: between(rng, (0.07, 0.14)),
            sun_color: mix(palette.at(1.0), [1.0; 3], 0.45),
            layers,
        }
    }

    fn sky(&self, spot: Spot) -> Color {
        let height = (spot.y / (self.frame.end.y * 0.62)).min(1.0);
        let color = mix(self.sky[0], self.sky[1], smooth(height));
        let distance = spot.distance(self.sun);
        let near = (1.0 - distance / 0.55).max(0.0);
        let glow = near * near * near * 0.65;
        let color = mix(color, self.sun_color, glow);
        mix(color, self.sun_color, self.frame.cover(self.sun_radius - distance))
    }
}

impl Motif for Hills<'_> {
    fn color(&self, spot: Spot) -> Color {
        let first = first_in_sight(&self.layers, spot.y, self.frame.pixel);
        let mut color = if first == 0 { self.sky(spot) } else { [0.0; 3] };
        for (ridge, ground) in &self.layers[first.saturating_sub(1)..] {
            if spot.y > ridge.low - self.frame.pixel {
                let depth = spot.y - ridge.at(spot.x);
                // Haze covers the foot of every hill.
                let ground = mix(*ground, self.sky[1], 0.34 * smooth(depth / 0.22));
                color = mix(color, ground, self.frame.cover(depth));
            }
        }
        color
    }
}

/// Motif of coloured paper sheets with wavy edges; each sheet throws a soft shadow on the sheet below.
struct Paper<'a> {
    frame: &'a PictureFrame,
    /// Direction across the sheets, as a unit vector.
    across: Spot,
    origin: f32,
    sheets: Vec<(Curve, Color)>,
}

impl<'a> Paper<'a> {
    fn new(rng: &mut Rng, palette: &Palette, frame: &'a PictureFrame) -> Self {
        let turn = between(rng, (-0.16, 0.16)) * TAU;
        let across = Spot { x: turn.sin(), y: turn.cos() };
        let long = frame.end.x * across.y.abs() + frame.end.y * across.x.abs();
        let deep = frame.end.x * across.x.abs() + frame.end.y * across.y.abs();
        let (from, to) = if rng.bool() { (0.0, 1.0) } else { (1.0, 0.0) };
        let n_sheets = rng.u8(5..9);
        let sheets = (0..=n_sheets)
            .map(|sheet| {
                let share = f32::from(sheet) / f32::from(n_sheets);
                let base = if sheet == 0 { -1.0 } else { deep * (share - 0.5 / f32::from(n_sheets)) };
                let swell = between(rng, (0.025, 0.06));
                (Curve::new(rng, frame, long, base, swell, 4.0), palette.at(from + (to - from) * share))
            })
            .collect();
        // After the rotation, the frame begins before the origin of the coordinates.
        let origin = (frame.end.x * across.x.min(0.0)).abs();
        Self { frame, across, origin, sheets }
    }
}

impl Motif for Paper<'_> {
    fn color(&self, spot: Spot) -> Color {
        let along = spot.x * self.across.y - spot.y * self.across.x + self.frame.end.y * self.across.x.max(0.0);
        let down = spot.x * self.across.x + spot.y * self.across.y + self.origin;
        let mut color = [0.0; 3];
        let first = first_in_sight(&self.sheets, down, self.frame.pixel);
        for (edge, sheet) in &self.sheets[first.saturating_sub(1)..] {
            if down < edge.low - SHADOW_REACH {
                continue;
            }
            let depth = down - edge.at(along);
            if depth < self.frame.pixel {
                let shadow = (1.0 + depth.min(0.0) / SHADOW_REACH).max(0.0);
                color = mix(color, [0.0; 3], 0.34 * shadow * shadow);
            }
            let lit = mix(*sheet, [1.0; 3], 0.12 * (1.0 - depth / 0.12).clamp(0.0, 1.0));
            color = mix(color, lit, self.frame.cover(depth));
        }
        color
    }
}

/// Length of a sheet's shadow.
const SHADOW_REACH: f32 = 0.045;

/// Motif of translucent discs of light that overlap on a slanted gradient.
struct Orbs<'a> {
    frame: &'a PictureFrame,
    ground: [Color; 2],
    slant: f32,
    discs: Vec<Disc>,
}

struct Disc {
    center: Spot,
    radius: f32,
    color: Color,
    strength: f32,
    /// Width of the blurred rim.
    rim: f32,
}

impl<'a> Orbs<'a> {
    fn new(rng: &mut Rng, palette: &Palette, frame: &'a PictureFrame) -> Self {
        let n_discs = rng.u8(8..14);
        let discs = (0..n_discs)
            .map(|disc| {
                let small = f32::from(disc) / f32::from(n_discs);
                let radius = between(rng, (0.30, 0.46)) * (1.0 - small) + between(rng, (0.03, 0.10)) * small;
                let center = frame.spot(rng, (0.02, 0.98), (0.02, 0.98));
                let color = palette.at(between(rng, (0.30, 1.0)));
                let rim = frame.pixel.max(radius * between(rng, (0.0, 0.35)) * (1.0 - small));
                Disc { center, radius, color, strength: between(rng, (0.35, 0.75)), rim }
            })
            .collect();
        let ground = [palette.at(between(rng, (0.0, 0.15))), palette.at(between(rng, (0.30, 0.55)))];
        Self { frame, ground, slant: between(rng, (0.15, 0.85)), discs }
    }
}

impl Motif for Orbs<'_> {
    fn color(&self, spot: Spot) -> Color {
        let slope = self.slant * spot.x / self.frame.end.x + (1.0 - self.slant) * spot.y / self.frame.end.y;
        let mut color = mix(self.ground[0], self.ground[1], smooth(slope));
        for disc in &self.discs {
            let (x, y) = (spot.x - disc.center.x, spot.y - disc.center.y);
            let squared = x * x + y * y;
            if squared < disc.radius * disc.radius {
                let inside = ((disc.radius - squared.sqrt()) / disc.rim).min(1.0);
                // Light from the upper left gives a disc its volume.
                let light = 0.72 - 0.28 * (x + y) / disc.radius;
                color = mix(color, disc.color, smooth(inside) * disc.strength * light.clamp(0.0, 1.0));
            }
        }
        color
    }
}

/// Motif of wide rings around a centre; each is shaded as if it lay a little deeper than the next.
struct Rings<'a> {
    frame: &'a PictureFrame,
    center: Spot,
    width: f32,
    wobble: Curve,
    colors: Vec<Color>,
}

impl<'a> Rings<'a> {
    fn new(rng: &mut Rng, palette: &Palette, frame: &'a PictureFrame) -> Self {
        let n_colors = rng.u8(5..9);
        let outward = rng.bool();
        let swell = between(rng, (0.0, 0.05));
        let colors = (0..n_colors).map(|ring| {
            let share = f32::from(ring) / f32::from(n_colors - 1);
            palette.at(if outward { share } else { 1.0 - share })
        });
        Self {
            frame,
            center: frame.spot(rng, (0.15, 0.85), (0.25, 1.05)),
            width: between(rng, (0.09, 0.15)),
            wobble: Curve::new(rng, frame, frame.end.x + frame.end.y, 0.0, swell, 5.0),
            colors: colors.collect(),
        }
    }
}

impl Motif for Rings<'_> {
    fn color(&self, spot: Spot) -> Color {
        let distance = spot.distance(self.center) + self.wobble.at(spot.x + spot.y);
        let (index, share) = split((distance / self.width).max(0.0));
        let here = self.ring(index, share);
        // The rim is smoothed over one pixel into the next ring, which begins in the shadow of this ring.
        let rim = self.frame.cover((share - 1.0) * self.width + 0.5 * self.frame.pixel);
        if rim > 0.0 { mix(here, self.ring(index + 1, 0.0), rim) } else { here }
    }
}

impl Rings<'_> {
    fn ring(&self, index: usize, share: f32) -> Color {
        // The colours run forward and then backward, so that neighbouring rings have similar colours.
        let last = self.colors.len() - 1;
        let step = index % (2 * last);
        let color = self.colors[if step <= last { step } else { 2 * last - step }];
        let shadow = if index == 0 { 0.0 } else { 0.30 * (1.0 - share / 0.45).max(0.0).powi(2) };
        mix(mix(color, [1.0; 3], 0.10 * share), [0.0; 3], shadow)
    }
}

/// Returns one more than the index of the foremost layer that surely covers this point; 0 if no layer does.
fn first_in_sight(layers: &[(Curve, Color)], down: f32, pixel: f32) -> usize {
    layers.iter().rposition(|(edge, _)| down > edge.high + pixel).map_or(0, |layer| layer + 1)
}
