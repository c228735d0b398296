//! PNG: international text chunks right behind the header, as the specification has them.

use crate::driver::images::making::tags::Tags;

/// The signature and the first chunk, which is always the header.
const HEAD_BYTES: usize = 33;

/// The header's length and type.
const HEADER: &[u8] = b"\0\0\0\x0dIHDR";

/// Puts the texts behind the header.
pub(super) fn insert(head: &mut Vec<u8>, tags: &Tags) -> bool {
    if head.len() < HEAD_BYTES || &head[8..16] != HEADER {
        return false;
    }
    let chunks = [chunk("parameters", &tags.parameters), chunk("promptbatch", &tags.record)].concat();
    head.splice(HEAD_BYTES..HEAD_BYTES, chunks);
    true
}

/// An `iTXt` chunk: not compressed, in no language.
fn chunk(keyword: &str, text: &str) -> Vec<u8> {
    let mut data = b"iTXt".to_vec();
    data.extend_from_slice(keyword.as_bytes());
    data.extend_from_slice(b"\0\0\0\0\0");
    data.extend_from_slice(text.as_bytes());
    let length = u32::try_from(data.len() - 4).expect("no prompt is 4 GB long");
    let crc = crc32fast::hash(&data);
    [&length.to_be_bytes()[..], &data, &crc.to_be_bytes()].concat()
}
