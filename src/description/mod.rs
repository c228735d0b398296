//! Format of provider descriptions: one YAML file says how to submit, poll and judge the answers of an image API.
//!
//! A description is data and holds no code. [`Description`](format::Description) lists its fields, [`parse`] reads it with the line of each
//! mistake, and [`schema`] describes it for editors. The client that speaks a described API is in `provider`.

pub mod answers;
pub mod auth;
pub mod body;
pub mod error;
pub mod error_row;
pub mod examples;
pub mod format;
pub mod leaf;
pub mod list;
mod message_words;
pub mod parse;
pub mod path;
pub mod pointer;
pub mod requests;
mod rules;
pub mod schema;
pub mod span;
pub mod status;
pub mod words;

#[cfg(test)]
mod tests;
