//! driver

pub mod images;
