//! Images on their way in: nothing gets its final name before it is whole, checked and safely on disk.

pub mod check;
