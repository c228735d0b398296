//! Input of a manifest: its bytes, its encoding, and its text line by line.

pub mod bytes;
pub(crate) mod detect;
pub mod encoding;
pub(crate) mod folder;
pub mod hashing_reader;
pub(crate) mod line_ends;
pub(crate) mod lines;
pub mod path;
pub mod source_lines;
pub mod spool;
pub mod text;
