//! Mutation of inputs: small changes, misplaced pieces, excessive repetition, and two files joined in one.

use fastrand::Rng;

/// Maximum length of an input, in bytes.
const BYTES_MAX: usize = 64 << 10;

/// Returns an input of the pool, changed once or a few times.
pub fn mutated(pool: &[Vec<u8>], words: &[&str], rng: &mut Rng) -> Vec<u8> {
    let mut input = rng.choice(pool).cloned().unwrap_or_default();
    for _ in 0..=rng.u8(0..4) {
        let at = rng.usize(0..=input.len());
        let end = at + rng.usize(0..=(input.len() - at).min(64));
        match rng.u8(0..12) {
            0 => change(&mut input, at, |byte| *byte ^= 1 << rng.u8(0..8)),
            1 => change(&mut input, at, |byte| *byte = rng.u8(..)),
            2 => change(&mut input, at, |byte| *byte = *rng.choice(b"\0\x1b\x7f\xff\"'\n\r {[,:-#").unwrap()),
            3 => drop(input.drain(at..end)),
            4 => drop(input.splice(at..at, input[at..end].to_vec())),
            5 => input.truncate(at),
            6..9 => insert(&mut input, at, word(words, rng), 1),
            9 => drop(input.splice(at..end, word(words, rng).bytes())),
            10 => insert(&mut input, at, word(words, rng), rng.usize(2..2000)),
            _ => {
                let other = rng.choice(pool).map_or(&[][..], Vec::as_slice);
                let from = rng.usize(0..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
        }
    }
    input.truncate(BYTES_MAX);
    input
}

fn change(input: &mut [u8], at: usize, change: impl FnOnce(&mut u8)) {
    if let Some(byte) = input.get_mut(at) {
        change(byte);
    }
}

fn insert(input: &mut Vec<u8>, at: usize, word: &str, n: usize) {
    input.splice(at..at, word.repeat(n.min(BYTES_MAX / word.len().max(1))).into_bytes());
}

/// Returns a piece of such inputs, or a number at a limit.
fn word<'a>(words: &[&'a str], rng: &mut Rng) -> &'a str {
    const NUMBERS: [&str; 10] =
        ["0", "-1", "1e400", "65536", "2147483648", "4294967296", "18446744073709551616", "NaN", "1.5", "00"];
    if rng.u8(0..5) == 0 { rng.choice(NUMBERS).unwrap() } else { rng.choice(words).copied().unwrap_or(" ") }
}
