//! EXIF: stores the prompt as description and the parameters as user comment, where viewers look for them.

use crate::images::postprocess::tags::EmbeddedMetadata;

/// Maximum number of bytes per text. An EXIF block in a JPEG has 64 KB for everything. Longer texts are cut here; the
/// ledger keeps the whole text.
const TEXT_BYTES_MAX: usize = 24 << 10;

/// Prefix of the block in a JPEG.
pub(super) const JPEG_PREFIX: &[u8] = b"Exif\0\0";

const ASCII: u16 = 2;
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;

/// Builds the block: a TIFF of two directories, big-endian as readers of Stable Diffusion's parameters expect.
pub(super) fn block(tags: &EmbeddedMetadata) -> Vec<u8> {
    let description = [cut(&tags.prompt, TEXT_BYTES_MAX).as_bytes(), b"\0"].concat();
    let software = b"promptbatch\0".to_vec();
    let units = cut(&tags.parameters, TEXT_BYTES_MAX).encode_utf16().flat_map(u16::to_be_bytes);
    let comment: Vec<u8> = b"UNICODE\0".iter().copied().chain(units).collect();
    // Header, a directory of three entries, and a directory of one entry. Values longer than four bytes follow.
    let (first, second) = (8, 8 + 2 + 3 * 12 + 4);
    let mut values = Values { bytes: vec![], begin: second + 2 + 12 + 4 };
    let mut block = b"MM\0*\0\0\0\x08".to_vec();
    debug_assert_eq!(block.len(), first);
    block.extend_from_slice(&3_u16.to_be_bytes());
    values.entry(&mut block, 0x010e, ASCII, &description);
    values.entry(&mut block, 0x0131, ASCII, &software);
    entry(&mut block, 0x8769, LONG, 1, second);
    block.extend_from_slice(&[0; 4]);
    block.extend_from_slice(&1_u16.to_be_bytes());
    values.entry(&mut block, 0x9286, UNDEFINED, &comment);
    block.extend_from_slice(&[0; 4]);
    block.extend_from_slice(&values.bytes);
    block
}

/// Values that do not fit into the entries of a directory.
struct Values {
    bytes: Vec<u8>,
    begin: usize,
}

impl Values {
    fn entry(&mut self, block: &mut Vec<u8>, tag: u16, kind: u16, value: &[u8]) {
        if value.len() <= 4 {
            let mut short = [0; 4];
            short[..value.len()].copy_from_slice(value);
            entry(block, tag, kind, value.len(), usize::try_from(u32::from_be_bytes(short)).expect("32 bits"));
        } else {
            entry(block, tag, kind, value.len(), self.begin + self.bytes.len());
            self.bytes.extend_from_slice(value);
            // Values begin at even offsets.
            self.bytes.resize(self.bytes.len().next_multiple_of(2), 0);
        }
    }
}

fn entry(block: &mut Vec<u8>, tag: u16, kind: u16, count: usize, value: usize) {
    let word = |n: usize| u32::try_from(n).expect("a block is some kilobytes long").to_be_bytes();
    block.extend_from_slice(&tag.to_be_bytes());
    block.extend_from_slice(&kind.to_be_bytes());
    block.extend_from_slice(&word(count));
    block.extend_from_slice(&word(value));
}

/// Returns the longest prefix of whole characters within `bytes_max` bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
