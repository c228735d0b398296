//! Domain types for every other module: plain values with no input or output, no clock, no async and no serde.

pub mod amount;
pub mod choice;
pub mod cost;
pub mod counts;
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "the program shows more than the library"))]
pub(crate) mod escape;
pub mod event;
mod fault_kind;
pub mod history;
pub mod job;
pub mod limits;
pub(crate) mod link;
pub mod money;
pub mod more;
pub mod name;
pub mod one_line;
pub mod outcome;
pub mod output_options;
pub mod partial_download;
pub mod partition;
pub mod percentage;
pub mod phase;
pub mod picture;
pub mod price;
pub mod progress;
pub mod provenance;
pub mod provider_identity;
pub mod request;
#[cfg(feature = "cli")]
pub(crate) mod request_diff;
pub(crate) mod request_field;
pub mod request_limits;
pub mod shared_cost;
pub mod shared_rate;
pub mod snapshot;
pub mod storage_url;
pub mod submission_id;
pub mod time;
