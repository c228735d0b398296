//! Coefficients of a lossy WebP: skips the tokens of every block (RFC 6386, section 13).

use crate::images::validate::webp::bools::BoolDecoder;
use crate::images::validate::webp::probabilities::{DEFAULTS, TOKEN_BITS, TOKENS, UPDATES};

/// Band of each coefficient, and one more entry for the position after the last.
const BANDS: [usize; 17] = [0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0];

/// Probabilities of the bits of larger coefficients, by category.
const CATEGORIES: [&[u8]; 4] = [
    &[173, 148, 140],
    &[176, 155, 140, 135],
    &[180, 157, 141, 134, 130],
    &[254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129],
];

/// Coefficients per block.
const COEFFICIENTS: usize = 16;

/// Kind of a block.
#[derive(Clone, Copy)]
enum Kind {
    /// Luma without the first coefficient.
    LumaRest = 0,
    /// First coefficients of 16 luma blocks.
    LumaFirst = 1,
    Chroma = 2,
    /// Luma with the first coefficient.
    Luma = 3,
}

/// Context from the blocks above and on the left: whether they have coefficients.
pub(super) struct Contexts {
    above: Vec<Neighbours>,
    left: Neighbours,
}

/// Flags of four luma blocks, two blocks of each chroma channel, and the block of first coefficients.
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

    /// Skips a macroblock without coefficients.
    pub(super) fn skip(&mut self, column: usize, has_block_modes: bool) {
        for blocks in [&mut self.above[column], &mut self.left] {
            // A macroblock without a block of first coefficients does not change that context.
            *blocks = Neighbours { first: blocks.first && has_block_modes, ..Neighbours::default() };
        }
    }
}

/// Token probabilities of an image.
pub(super) struct Tokens(Box<[u8; TOKENS]>);

impl Tokens {
    pub(super) fn read(first: &mut BoolDecoder) -> Self {
        let mut probabilities = Box::new(DEFAULTS);
        for (probability, update) in probabilities.iter_mut().zip(UPDATES) {
            if first.bit(update) {
                *probability = u8::try_from(first.number(8)).unwrap_or(u8::MAX);
            }
        }
        Self(probabilities)
    }

    /// Skips the coefficients of one macroblock.
    pub(super) fn pass(&self, tokens: &mut BoolDecoder, contexts: &mut Contexts, column: usize, has_block_modes: bool) {
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

    fn blocks(&self, tokens: &mut BoolDecoder, kind: Kind, from: usize, above: &mut [bool], left: &mut [bool]) {
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

    /// Skips one block from coefficient `from` on, and returns whether the block has coefficients.
    fn block(&self, tokens: &mut BoolDecoder, kind: Kind, context: u8, from: usize) -> bool {
        // A copy stays in registers, which saves a sixth of the time.
        let mut local = *tokens;
        let has_any = self.tokens(&mut local, kind, context, from);
        *tokens = local;
        has_any
    }

    #[inline]
    fn tokens(&self, tokens: &mut BoolDecoder, kind: Kind, context: u8, from: usize) -> bool {
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
            // Sign of the coefficient.
            tokens.flag();
            probabilities = self.probabilities(kind, at, context);
        }
        true
    }
}

/// Skips the rest of a coefficient greater than 1.
#[inline]
fn pass_large(tokens: &mut BoolDecoder, probabilities: &[u8; TOKEN_BITS]) {
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
