//! PNG: inserts international text chunks directly after the header, in the form of the specification.

use crate::images::postprocess::tags::EmbeddedMetadata;

/// Length of the signature and the first chunk, which is always the header.
const HEAD_BYTES: usize = 33;

/// Length and type of the header chunk.
const HEADER: &[u8] = b"\0\0\0\x0dIHDR";

/// Inserts the texts after the header. Returns `false` if there is no complete header.
pub(super) fn insert(head: &mut Vec<u8>, tags: &EmbeddedMetadata) -> bool {
    if head.len() < HEAD_BYTES || &head[8..16] != HEADER {
        return false;
    }
    let chunks = [chunk("parameters", &tags.parameters), chunk("promptbatch", &tags.record)].concat();
    head.splice(HEAD_BYTES..HEAD_BYTES, chunks);
    true
}

/// Builds an `iTXt` chunk: not compressed, without a language.
fn chunk(keyword: &str, text: &str) -> Vec<u8> {
    let mut data = b"iTXt".to_vec();
    data.extend_from_slice(keyword.as_bytes());
    data.extend_from_slice(b"\0\0\0\0\0");
    data.extend_from_slice(text.as_bytes());
    let length = u32::try_from(data.len() - 4).expect("no prompt is 4 GB long");
    let crc = crc32fast::hash(&data);
    [&length.to_be_bytes()[..], &data, &crc.to_be_bytes()].concat()
}
