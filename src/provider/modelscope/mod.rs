//! ModelScope's API-Inference: the bodies that it reads, and what its answers prove.
//!
//! [`answer`] parses the responses without any I/O.

pub mod answer;
pub mod body;
pub mod client;
pub mod decision_table;
pub mod envelope;
pub mod fault;
pub mod ids;
pub mod token;

/// Default base URL of the API.
pub const BASE_URL: &str = "https://api-inference.modelscope.cn";

/// Default model, for requests that name no model: fast, and in the cheapest class.
pub const MODEL: &str = "Tongyi-MAI/Z-Image-Turbo";
