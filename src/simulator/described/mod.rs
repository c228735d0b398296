//! What a simulated service reads and writes if it plays a described API: routes, requests, envelopes, errors and lists.
//!
//! No file here knows an API. Everything comes from a [`Description`](crate::description::format::Description), read backwards: the leaves
//! of a body say where a request has its prompt, and the pointers of an answer say where an answer has its id.

pub(super) mod auth;
pub(super) mod bill;
pub(super) mod book;
pub(super) mod draft;
pub(super) mod errors;
pub(super) mod form;
pub(super) mod limits;
pub(super) mod lists;
pub(super) mod put;
pub(super) mod routes;
pub(super) mod submission;
pub(super) mod tasks;
