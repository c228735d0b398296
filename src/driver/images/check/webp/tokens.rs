//! The coefficients of a lossy WebP: passes over the tokens of every block. RFC 6386, section 13.

use crate::driver::images::check::webp::bools::Bools;
use crate::driver::images::check::webp::probabilities::{DEFAULTS, TOKEN_BITS, TOKENS, UPDATES};

/// The band of each coefficient; one more, for what would follow the last.
const BANDS: [usize; 17] = [0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0];

/// Bits of the larger coefficients by their category, with their probabilities.
const CATEGORIES: [&[u8]; 4] = [
    &[173, 148, 140],
    &[176, 155, 140, 135],
    &[180, 157, 141, 134, 130],
    &[254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129],
];

/// Coefficients of a block.
const COEFFICIENTS: usize = 16;

/// The kinds of blocks.
#[derive(Clone, Copy)]
enum Kind {
    /// Brightness, but for the first coefficient.
    LumaRest = 0,
    /// The first coefficients of 16 blocks of brightness.
    LumaFirst = 1,
    Chroma = 2,
    /// Brightness with its first coefficient.
    Luma = 3,
}

/// What is known of the blocks above and on the left: whether they have coefficients.
pub(super) struct Contexts {
    above: Vec<Neighbours>,
    left: Neighbours,
}

/// Four blocks of brightness, two of each colour, and the one of first coefficients.
#[derive(Clone, Copy, Default)]
struct Neighbours {
    luma: [bool; 4],
    chroma: [[bool; 2]; 2],
    first: bool,
}

impl Contexts {
    pub(super) fn new(columns: usize) -> Self {
        Self { above: vec![Neighbours::default(); columns], left: Neighbours::default() }
    }

    pub(super) fn begin_row(&mut self) {
        self.left = Neighbours::default();
    }

    /// Passes over a macroblock without coefficients.
    pub(super) fn skip(&mut self, column: usize, has_block_modes: bool) {
        for blocks in [&mut self.above[column], &mut self.left] {
            // A macroblock without a block of first coefficients says nothing of them.
            *blocks = Neighbours { first: blocks.first && has_block_modes, ..Neighbours::default() };
        }
    }
}

/// The probabilities of the tokens of an image.
pub(super) struct Tokens(Box<[u8; TOKENS]>);

impl Tokens {
    pub(super) fn read(first: &mut Bools) -> Self {
        let mut probabilities = Box::new(DEFAULTS);
        for (probability, update) in probabilities.iter_mut().zip(UPDATES) {
            if first.bit(update) {
                *probability = u8::try_from(first.number(8)).unwrap_or(u8::MAX);
            }
        }
        Self(probabilities)
    }

    /// Passes over the coefficients of one macroblock.
    pub(super) fn pass(&self, tokens: &mut Bools, contexts: &mut Contexts, column: usize, has_block_modes: bool) {
        let (above, left) = (&mut contexts.above[column], &mut contexts.left);
        let (kind, from) = if has_block_modes {
            (Kind::Luma, 0)
        } else {
            let context = u8::from(above.first) + u8::from(left.first);
            above.first = self.block(tokens, Kind::LumaFirst, context, 0);
            left.first = above.first;
            (Kind::LumaRest, 1)
        };
        self.blocks(tokens, kind, from, &mut above.luma, &mut left.luma);
        for (above, left) in above.chroma.iter_mut().zip(&mut left.chroma) {
            self.blocks(tokens, Kind::Chroma, 0, above, left);
        }
    }

    fn blocks(&self, tokens: &mut Bools, kind: Kind, from: usize, above: &mut [bool], left: &mut [bool]) {
        for left in left {
            for above in &mut *above {
                let has_any = self.block(tokens, kind, u8::from(*above) + u8::from(*left), from);
                (*above, *left) = (has_any, has_any);
            }
        }
    }

    fn probabilities(&self, kind: Kind, at: usize, context: u8) -> &[u8; TOKEN_BITS] {
        let begin = ((kind as usize * 8 + BANDS[at]) * 3 + usize::from(context)) * TOKEN_BITS;
        self.0[begin..].first_chunk().expect("there are as many as the contexts have")
    }

    /// Passes over one block from a coefficient on, and says whether it has any.
    fn block(&self, tokens: &mut Bools, kind: Kind, context: u8, from: usize) -> bool {
        // A copy stays in registers, which saves a sixth of the time.
        let mut local = *tokens;
        let has_any = self.tokens(&mut local, kind, context, from);
        *tokens = local;
        has_any
    }

    #[inline]
    fn tokens(&self, tokens: &mut Bools, kind: Kind, context: u8, from: usize) -> bool {
        let mut at = from;
        let mut probabilities = self.probabilities(kind, at, context);
        while at < COEFFICIENTS {
            if !tokens.bit(probabilities[0]) {
                return at > from;
            }
            while !tokens.bit(probabilities[1]) {
                at += 1;
                if at == COEFFICIENTS {
                    return true;
                }
                probabilities = self.probabilities(kind, at, 0);
            }
            at += 1;
            let context = if tokens.bit(probabilities[2]) {
                pass_large(tokens, probabilities);
                2
            } else {
                1
            };
            // The sign.
            tokens.flag();
            probabilities = self.probabilities(kind, at, context);
        }
        true
    }
}

/// Passes over the rest of a coefficient that is more than 1.
#[inline]
fn pass_large(tokens: &mut Bools, probabilities: &[u8; TOKEN_BITS]) {
    if !tokens.bit(probabilities[3]) {
        let _ = tokens.bit(probabilities[4]) && tokens.bit(probabilities[5]);
    } else if !tokens.bit(probabilities[6]) {
        if tokens.bit(probabilities[7]) {
            tokens.bit(165);
            tokens.bit(145);
        } else {
            tokens.bit(159);
        }
    } else {
        let high = usize::from(tokens.bit(probabilities[8]));
        let low = usize::from(tokens.bit(probabilities[9 + high]));
        for probability in CATEGORIES[2 * high + low] {
            tokens.bit(*probability);
        }
    }
}
