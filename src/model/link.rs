//! Links: the expiry time that a signed link names, and the part of any link that may be shown.

use crate::model::outcome::Url;
use crate::model::time::Timestamp;

/// Signatures that name the time of signing and their lifetime in seconds: AWS (version 4), Google (4), OSS (4).
const DATED: [(&str, &str); 3] =
    [("X-Amz-Date", "X-Amz-Expires"), ("X-Goog-Date", "X-Goog-Expires"), ("x-oss-date", "x-oss-expires")];

/// Maximum length of a host in bytes.
const HOST_BYTES_MAX: usize = 255;

/// Returns when this link expires, by the clock of its signer; `None` if the link does not say.
pub(crate) fn expires_at(url: &Url) -> Option<Timestamp> {
    let query = url.0.split('#').next()?.split_once('?')?.1;
    let dated = || {
        DATED.into_iter().find_map(|(date, seconds)| {
            let signed_at = utc(value(query, date)?)?;
            Some(signed_at.millis().saturating_add(millis(value(query, seconds)?)?))
        })
    };
    // OSS (version 1), CloudFront and Google (version 2) name the second of the expiry itself.
    let at_second = || millis(value(query, "Expires")?);
    // Azure names the time. Encoders of a query also encode its colons.
    let at_time = || utc(&value(query, "se")?.replace("%3A", ":").replace("%3a", ":")).map(Timestamp::millis);
    dated().or_else(at_second).or_else(at_time).map(Timestamp::from_millis)
}

/// Scheme of images that came in an answer and are kept on this disk.
pub(crate) const SPOOLED: &str = "spool:";

/// Returns whether the image is kept on this disk, and not at a host.
pub(crate) fn is_spooled(url: &Url) -> bool {
    url.0.starts_with(SPOOLED)
}

/// Returns the host of a link with its port, in lower case; the whole text if it is no web address. At most 255 bytes.
pub(crate) fn host(url: &Url) -> String {
    let text = url.0.split_once("//").map_or(url.0.as_str(), |(_, rest)| rest);
    let authority = text.split(['/', '\\', '?', '#']).next().unwrap_or(text);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let end = host.floor_char_boundary(HOST_BYTES_MAX);
    host[..end].to_ascii_lowercase()
}

/// Returns the address without what may be secret: the name and password before its host, its query and its fragment.
pub(crate) fn shown(text: &str) -> String {
    const HIDDEN: &str = "…";
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (address, behind) = text.split_at(end);
    let host_at = address.find("//").map_or(0, |at| at + 2);
    let (scheme, rest) = address.split_at(host_at);
    // A backslash also separates a host from its path, as parsers of web addresses read it. A name and password may contain an `@`.
    let (host, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) || text.ends_with(']');
    let host = match (host.rfind('@'), host.rsplit_once(':')) {
        (Some(at), _) => format!("{HIDDEN}{}", &host[at..]),
        // A password with a `/` or `?` in it, which no parser would read as a password.
        (None, Some((_, port))) if !is_port(port) => return format!("{scheme}{HIDDEN}"),
        (None, Some(_) | None) => host.to_owned(),
    };
    let behind = behind.chars().next().map_or(String::new(), |mark| format!("{mark}{HIDDEN}"));
    format!("{scheme}{host}{path}{behind}")
}

/// Returns the first value of this name, in any case of letters.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Converts a whole number of seconds to milliseconds.
fn millis(seconds: &str) -> Option<i64> {
    seconds.parse::<u32>().ok().map(|seconds| i64::from(seconds) * 1000)
}

/// Parses a time such as `20130524T000000Z`, `2013-05-24T00:00:00Z`, `2013-05-24T00:00Z` or `2013-05-24`.
fn utc(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00"),
    };
    let date = number(date, '-', 8)?;
    let time = number(time, ':', 6).or_else(|| Some(number(time, ':', 4)? * 100))?;
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    let (hour, minute, second) = (time / 10_000, time / 100 % 100, time % 100);
    let is_a_time = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    is_a_time.then(|| Timestamp::from_millis(seconds * 1000))
}

/// Returns the number in a text of `n_digits` digits, with `separator` at any place between them.
fn number(text: &str, separator: char, n_digits: usize) -> Option<i64> {
    let digits = text.replace(separator, "");
    let is_number = digits.len() == n_digits && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Returns the number of days from 1970-01-01 to this date.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end, and months that follow a rule.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(query: &str) -> Option<i64> {
        let url = Url(format!("https://images.example/a.png?{query}"));
        expires_at(&url).map(|at| at.millis() / 1000)
    }

    #[test]
    fn the_well_known_signatures_say_when_they_expire() {
        for (query, expected) in [
            (
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400",
                1_369_353_600 + 86_400,
            ),
            ("X-Goog-Expires=900&X-Goog-Date=20261231T123456Z&X-Goog-Signature=ab", 1_798_720_496 + 900),
            ("x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date=20000229T235959Z&x-oss-expires=60", 951_868_799 + 60),
            ("OSSAccessKeyId=key&Expires=1790000000&Signature=a%2Fb%3D", 1_790_000_000),
            ("Policy=x&Expires=1790000000&Key-Pair-Id=K", 1_790_000_000),
            ("sv=2024-11-04&se=2100-03-01T00%3A00%3A00Z&sr=b&sig=x", 4_107_542_400),
            ("se=2026-12-31T12:34Z", 1_798_720_440),
            ("se=1970-01-01", 0),
            ("Expires=1790000000#Expires=1", 1_790_000_000),
        ] {
            assert_eq!(seconds(query), Some(expected), "{query}");
        }
    }

    #[test]
    fn of_any_other_link_nothing_is_known() {
        for query in [
            "",
            "Expires=",
            "Expires=soon",
            "Expires=-1",
            "Expires=99999999999999999999",
            "X-Amz-Date=20130524T000000Z",
            "X-Amz-Expires=86400",
            "X-Amz-Date=2013&X-Amz-Expires=86400",
            "se=1",
            "se=2026-13-01",
            "se=2026-12-31T24:00Z",
            "se=2026-12-31T12:34:56",
            "se=2026-12-31T12:34:56+08:00",
            "lifetime=5&NotExpires=1790000000",
        ] {
            assert_eq!(seconds(query), None, "{query}");
        }
        assert_eq!(expires_at(&Url("https://images.example/Expires=1790000000".into())), None);
        assert_eq!(expires_at(&Url("https://images.example/a.png#?Expires=1790000000".into())), None);
    }

    #[test]
    fn the_host_of_a_link_has_its_port_and_no_credential() {
        for (text, expected) in [
            ("https://A.example/x", "a.example"),
            ("https://a.example:8443?x", "a.example:8443"),
            ("https://user:s@a.example#x", "a.example"),
            ("https://user:s@s@[::1]:80/x", "[::1]:80"),
            ("https://a.example\\@b.example", "a.example"),
            ("//a.example/x", "a.example"),
            ("a.example", "a.example"),
            ("", ""),
        ] {
            assert_eq!(host(&Url(text.into())), expected, "{text}");
        }
        assert_eq!(host(&Url(format!("https://{}", "图".repeat(1000)))).len(), 255);
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (text, expected) in [
            ("https://a.example/img/x.png", "https://a.example/img/x.png"),
            ("https://a.example/x.png?Expires=1&Signature=s", "https://a.example/x.png?…"),
            ("https://a.example/x.png#s", "https://a.example/x.png#…"),
            ("https://a.example?key=s#t", "https://a.example?…"),
            ("https://user:s@a.example/x", "https://…@a.example/x"),
            ("https://user:s@s@a.example", "https://…@a.example"),
            ("https://user@a.example\\@x", "https://…@a.example\\@x"),
            ("https://a.example/@user/x", "https://a.example/@user/x"),
            ("user:s@a.example/x", "…@a.example/x"),
            ("//s@a.example", "//…@a.example"),
            ("https://user:s/s@a.example", "https://…"),
            ("https://user:s?s@a.example", "https://…"),
            ("http://a.example:80/x", "http://a.example:80/x"),
            ("http://[::1]:80/x", "http://[::1]:80/x"),
            ("http://[::1]/x", "http://[::1]/x"),
            ("a.example", "a.example"),
            ("?s", "?…"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    /// Generates texts from relevant words and from arbitrary characters.
    fn queries() -> impl Strategy<Value = String> {
        let names = DATED.into_iter().flat_map(|(date, seconds)| [date, seconds]).chain(["Expires", "se"]);
        let words = names.chain(["=", "&", "?", "#", "%3A", "T", "Z", "-", ":", "20260229", "235960", "4294967295"]);
        let word = prop::sample::select(words.collect::<Vec<_>>()).prop_map(str::to_owned);
        prop::collection::vec(prop_oneof![3 => word, 1 => any::<String>()], 0..24).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in any::<String>(), query in queries()) {
            shown(&text);
            shown(&query);
            expires_at(&Url(text));
            expires_at(&Url(format!("?{query}")));
        }

        /// Goal: the calendar has no gap. Method: the day after each day, from the calendar's rules, is one more.
        #[test]
        fn a_day_follows_the_other(year in 1970_i64..9999, month in 1_i64..=12, day in 1_i64..=31) {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let n_days = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let last = n_days[usize::try_from(month - 1).unwrap()];
            let day = day.min(last);
            let next = match (day == last, month) {
                (false, _) => (year, month, day + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
            prop_assert_eq!(days(next.0, next.1, next.2), days(year, month, day) + 1);
        }
    }
}
