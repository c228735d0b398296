//! HTTP for every provider: clients, limits, tokens, rate-limit headers and downloads. No file here knows an API.
//!
//! `client::HttpClient` sends the requests of one provider. Two separate clients inside it protect the token. The API client follows no
//! redirect; the image client never holds the token, and an address policy (`address_policy`) decides where image links may lead.

pub(crate) mod address_policy;
mod address_realm;
pub(crate) mod api_response;
pub(crate) mod base_url;
pub(crate) mod body_decoding;
mod body_reader;
pub(crate) mod client;
mod client_builder;
mod download;
mod download_limits;
pub mod error;
mod image_answer;
pub(crate) mod image_link;
mod proxy;
pub(crate) mod rate_limit_headers;
mod request_limiter;
pub(crate) mod retry_after;
pub(in crate::provider) mod spool;
pub(crate) mod task_path;
mod text_rejection;
pub mod token;
pub mod token_source;
