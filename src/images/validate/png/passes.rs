//! Number and length of the rows of a PNG, in one pass or in the seven passes of Adam7.

/// Size of an image or frame, and the layout of its pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bits_per_pixel: u8,
    pub(super) is_interlaced: bool,
}

/// Pass of rows of equal length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) n_rows: u64,
    /// Bytes per row, including its filter type.
    pub(super) row_bytes: u64,
}

/// First column, first row, column step and row step of each pass.
const ADAM7: [(u32, u32, u32, u32); 7] =
    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

impl Layout {
    /// Returns the passes that have pixels. A pass without columns has no rows in the data either.
    pub(super) fn passes(self) -> Vec<Pass> {
        let pass = |&(x, y, dx, dy): &(u32, u32, u32, u32)| {
            let n_columns = u64::from(self.width.saturating_sub(x).div_ceil(dx));
            let n_rows = u64::from(self.height.saturating_sub(y).div_ceil(dy));
            Pass { n_rows, row_bytes: 1 + (n_columns * u64::from(self.bits_per_pixel)).div_ceil(8) }
        };
        let passes = if self.is_interlaced { &ADAM7[..] } else { &[(0, 0, 1, 1)] };
        passes.iter().map(pass).filter(|pass| pass.n_rows > 0 && pass.row_bytes > 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passes_of_every_small_image_have_all_its_pixels() {
        for (width, height) in (1..=20).flat_map(|width| (1..=20).map(move |height| (width, height))) {
            let layout = Layout { width, height, bits_per_pixel: 8, is_interlaced: true };
            let n_pixels: u64 = layout.passes().iter().map(|pass| pass.n_rows * (pass.row_bytes - 1)).sum();
            assert_eq!(n_pixels, u64::from(width * height), "{width}x{height}");
            let whole = Layout { is_interlaced: false, ..layout }.passes();
            assert_eq!(whole, [Pass { n_rows: height.into(), row_bytes: u64::from(width) + 1 }]);
        }
    }

    #[test]
    fn bits_of_a_row_fill_whole_bytes() {
        let row_bytes = |width, bits_per_pixel| {
            Layout { width, height: 1, bits_per_pixel, is_interlaced: false }.passes()[0].row_bytes
        };
        assert_eq!([row_bytes(8, 1), row_bytes(9, 1), row_bytes(3, 2), row_bytes(3, 4)], [2, 3, 2, 3]);
        assert_eq!([row_bytes(3, 48), row_bytes(3, 64)], [19, 25]);
    }
}
