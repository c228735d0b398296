//! Tests that separate an exhausted daily quota from throttling in 429 responses.

use super::*;

fn refused(message: &str, retry_after: Option<&str>) -> FaultKind {
    let body = json!({ "errors": { "message": message }, "request_id": "r" }).to_string();
    let answer = ApiResponse { retry_after: retry_after.map(str::to_owned), ..answer(429, &body) };
    submitted(&answer, "Qwen/Qwen-Image").unwrap_err().kind
}

#[test]
fn the_words_of_the_api_for_a_day_stop_the_run() {
    for message in [
        "You have exceeded today's quota for model Qwen/Qwen-Image, please try again tomorrow",
        "You have exceeded today’s quota for model Qwen/Qwen-Image",
        "YOU HAVE EXCEEDED TODAY'S QUOTA",
        "daily quota exceeded",
        "Request quota per day exceeded",
        "The free quota for today is used up",
        "quota used up, please try again tomorrow",
        "今日额度已用完",
        "额度不足，请明天再试",
    ] {
        let day = FaultKind::QuotaExhausted { resets_at: None };
        assert_eq!(refused(message, None), day, "{message}");
        assert_eq!(refused(message, Some("40000")), day, "{message}: a wait of half a day");
    }
}

#[test]
fn what_names_a_moment_or_asks_to_come_back_soon_is_throttling() {
    for message in [
        "Request quota per minute exceeded, retry in 3 s",
        "Quota of 5 requests per second exceeded",
        "hourly quota exceeded",
        "quota exceeded",
        "You exceeded your current quota",
        "today's quota for one minute is used up",
        "daily quota exceeded: 10 QPS",
        "today's quota: retry in 30s",
        "Allocated quota exceeded, please increase your quota limit.",
        "concurrency quota: try again tomorrow or with fewer concurrent requests",
        "每分钟配额已用完",
        "今日额度：每秒 2 次",
        "limit_burst_rate: today's quota of bursts",
        "Too many requests",
    ] {
        assert_eq!(refused(message, None), FaultKind::Throttled { retry_after: None }, "{message}");
    }
    let soon = Some(Duration::from_secs(3));
    assert_eq!(refused("You have exceeded today's quota", Some("3")), FaultKind::Throttled { retry_after: soon });
}

/// Goal: a model name may contain any text, also words that look like a period of time.
#[test]
fn the_name_of_the_model_is_no_word_of_the_message() {
    for model in ["second-state/flux", "a/model-7m", "minute/hour"] {
        let message = format!("You have exceeded today's quota for model {model}, please try again tomorrow");
        let body = json!({ "errors": { "message": message }, "request_id": "r" }).to_string();
        let kind = submitted(&answer(429, &body), model).unwrap_err().kind;
        assert_eq!(kind, FaultKind::QuotaExhausted { resets_at: None }, "{model}");
    }
}

/// Goal: the API's own header takes precedence over the words of its message.
#[test]
fn a_quota_of_which_nothing_remains_is_that_of_the_day() {
    let refused = |message: &str| {
        let body = json!({ "errors": { "message": message }, "request_id": "r" }).to_string();
        submitted(&ApiResponse { remaining: Some(0), ..answer(429, &body) }, "a/b").unwrap_err().kind
    };
    assert_eq!(refused("You have exceeded your quota"), FaultKind::QuotaExhausted { resets_at: None });
    assert_eq!(refused("quota per minute exceeded"), FaultKind::Throttled { retry_after: None });
    assert_eq!(refused("Too many requests"), FaultKind::Throttled { retry_after: None });
}
