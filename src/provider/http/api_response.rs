//! Response of an API, or of a gateway or proxy in front of it: status, headers and body, read within limits.

use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use crate::model::escape::excerpt;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Timestamp;
use crate::provider::http::error::NoResponse;
use crate::provider::http::image_answer::{ImageAnswer, Inflater};
use crate::provider::http::rate_limit_headers::RateLimitHeaders;
use crate::provider::http::retry_after::server_date;
use crate::provider::http::spool::SpoolEntry;
use crate::provider::http::token::Token;
use crate::provider::http::{body_decoding, retry_after};

/// Longest body of an API response that is read, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Names of the headers with the remaining quota; `None` if the provider has no such header.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::provider) struct QuotaHeaders {
    /// Quota of all models together.
    pub account: Option<&'static str>,
    /// Quota of the requested model.
    pub model: Option<&'static str>,
}

/// Response of the API, or of a gateway or proxy in front of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiResponse {
    /// HTTP status code.
    pub status: u16,
    /// Value of the `Retry-After` header, not parsed; `None` if absent.
    pub retry_after: Option<String>,
    /// Server time from the `Date` header; `None` if absent or implausible. Waits and days are counted by this clock.
    pub date: Option<Timestamp>,
    /// Submissions left of the quota of all models together, by the provider's own header; `None` if absent.
    pub remaining: Option<u64>,
    /// Submissions left of the quota of the requested model, by the provider's own header; `None` if absent.
    pub model_remaining: Option<u64>,
    /// Rate limit that the rate-limit headers describe.
    pub rate: RateLimitHeaders,
    /// Body, or its beginning if `cut` is set.
    pub body: Vec<u8>,
    /// Reason why the body is incomplete; `None` for a complete body.
    pub cut: Option<String>,
}

impl ApiResponse {
    /// Reads a response within the size limit. The beginning of an incomplete or too long body is kept: it may hold a task id.
    pub(super) async fn read(mut response: Response, quota_headers: QuotaHeaders) -> Self {
        let head = Self::head(&response, quota_headers);
        let mut body = Vec::new();
        let cut = loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > BODY_BYTES_MAX => {
                    break Some(format!("a response of more than {BODY_BYTES_MAX} bytes"));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break None,
                Err(error) => break Some(NoResponse::from(error).words),
            }
            // A million chunks of one byte must not block all other tasks.
            tokio::task::consume_budget().await;
        };
        Self { body: body_decoding::bytes(body), cut, ..head }
    }

    /// Reads a response whose images go into `entry` while they arrive. The body is the JSON that is left, or what came of it. The error is
    /// one of this disk: the submission is then in doubt.
    pub(super) async fn read_images(
        mut response: Response,
        quota_headers: QuotaHeaders,
        entry: &mut SpoolEntry,
    ) -> Result<Self, Fault> {
        let head = Self::head(&response, quota_headers);
        let (mut answer, mut inflater) = (ImageAnswer::default(), Inflater::default());
        let mut cut = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => answer.push(inflater.push(&chunk), entry)?,
                Ok(None) => break None,
                Err(error) => break Some(NoResponse::from(error).words),
            }
            tokio::task::consume_budget().await;
        };
        let (body, excess) = answer.end(entry)?;
        cut = cut.or_else(|| excess.map(str::to_owned));
        Ok(Self { body, cut, ..head })
    }

    /// Reads the status and the headers of a response.
    fn head(response: &Response, quota_headers: QuotaHeaders) -> Self {
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after").map(str::to_owned);
        let date = header("date").and_then(server_date);
        let number = |name: Option<&str>| header(name?)?.trim().parse().ok();
        let (remaining, model_remaining) = (number(quota_headers.account), number(quota_headers.model));
        let rate = RateLimitHeaders::read(header, date);
        Self { status, retry_after, date, remaining, model_remaining, rate, body: Vec::new(), cut: None }
    }

    /// Returns the response without the token of its request, in whatever encoding the token is repeated.
    #[must_use]
    pub fn without(mut self, token: &Token) -> Self {
        self.body = token.redact(&self.body);
        // An escaped token is visible only after the JSON is parsed.
        if self.body.contains(&b'\\')
            && let Some(json) = self.json()
        {
            let (told, hidden) = (json.to_string(), token.redact(json.to_string().as_bytes()));
            if told.as_bytes() != hidden {
                self.body = hidden;
            }
        }
        self
    }

    /// Parses the body; `None` unless the body is a complete JSON object.
    pub(in crate::provider) fn json(&self) -> Option<Value> {
        if self.cut.is_some() {
            return None;
        }
        serde_json::from_slice(&self.body).ok().filter(Value::is_object)
    }

    /// Returns the wait that `Retry-After` requests, for any status.
    pub(in crate::provider) fn retry_after(&self) -> Option<Duration> {
        retry_after::retry_after(self.retry_after.as_ref()?, self.date)
    }

    /// Quotes the beginning of the body for the user: at most 80 characters.
    pub(in crate::provider) fn excerpt(&self) -> String {
        match String::from_utf8_lossy(&self.body).trim() {
            "" => "nothing".to_owned(),
            text => format!("{:?}", excerpt(text, 80)),
        }
    }

    /// Creates a fault with this message and the wait that `Retry-After` requests.
    pub(in crate::provider) fn fault(&self, kind: FaultKind, words: impl Into<String>) -> Fault {
        Fault::new(kind, words).with_retry_after(self.retry_after())
    }
}
