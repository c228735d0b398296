//! Domain types for every other module: plain values with no input or output, no clock, no async and no serde.

pub mod change;
pub mod cost;
pub mod counts;
pub mod event;
pub mod history;
pub mod job;
pub mod limits;
pub mod link;
pub mod name;
pub mod origin;
pub mod outcome;
pub mod pace;
pub mod part;
pub mod phase;
pub mod price;
pub mod progress;
pub mod request;
pub mod share;
pub mod style;
pub mod text;
pub mod time;
