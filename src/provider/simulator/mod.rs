//! A whole ModelScope-shaped API on this machine: no account, no money, with faults on request.

pub mod faults;
pub mod picture;
