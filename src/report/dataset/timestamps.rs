//! Texts that Apache Arrow's JSON reader takes for times: `2027-01-15`, `2027-01-15 08:30`, `2027-01-15T08:30:00Z`.

/// Reports whether Arrow reads this text as a time with a precision of seconds. Its reader does so without being asked to.
pub(super) fn is_timestamp(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    if !is_date(date) {
        return false;
    }
    let Some(time) = rest.strip_prefix(['T', ' ']) else { return rest.is_empty() };
    let (time, zone) = time.find(['Z', '+', '-']).map_or((time, ""), |at| time.split_at(at));
    let is_zone = match zone.split_at_checked(1) {
        None => true,
        Some(("Z", rest)) => rest.is_empty(),
        Some((_, offset)) => is_clock(offset, &[2, 5]) || (offset.len() == 4 && is_minute_of_day(offset)),
    };
    is_clock(time, &[2, 5, 8]) && is_zone
}

/// Checks `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-').map(|part| number(part).map(|number| (part.len(), number)));
    let (Some(Some((4, year))), Some(Some((2, month))), Some(Some((2, day)))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        _ => 31,
    };
    (1..=12).contains(&month) && (1..=days).contains(&day)
}

/// Checks `HH`, `HH:MM` or `HH:MM:SS`, of one of these lengths.
fn is_clock(text: &str, lengths: &[usize]) -> bool {
    let limits = [24, 60, 60];
    let mut parts = text.split(':').zip(limits);
    lengths.contains(&text.len())
        && parts.all(|(part, limit)| part.len() == 2 && number(part).is_some_and(|n| n < limit))
}

/// Checks `HHMM`.
fn is_minute_of_day(text: &str) -> bool {
    number(text).is_some_and(|number| number / 100 < 24 && number % 100 < 60)
}

fn number(digits: &str) -> Option<u32> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: exactly the texts that Arrow takes for times. Method: what pyarrow 26 infers for each.
    #[test]
    fn times_are_those_of_arrow() {
        for text in [
            "2027-01-15",
            "2028-02-29",
            "0001-01-01",
            "2027-01-15T08",
            "2027-01-15 08:00",
            "2027-01-15 08:00:00",
            "2027-01-15T08:00:00Z",
            "2027-01-15T08:00:00+02:00",
            "2027-01-15T08:00:00+0200",
            "2027-01-15T08:00+02",
            "2027-01-15T08:00-02",
            "2027-01-15T08Z",
        ] {
            assert!(is_timestamp(text), "{text:?}");
        }
        for text in [
            "",
            "2027",
            "2027-01",
            "20270115",
            "2027/01/15",
            "2027-1-5",
            "2027-13-15",
            "2027-02-29",
            "2027-02-30",
            "2027-00-10",
            "2027-01-15 ",
            " 2027-01-15",
            "2027-01-15Z",
            "2027-01-15 0800",
            "2027-01-15T080000",
            "2027-01-15t08:00",
            "2027-01-15T24:00",
            "2027-01-15T23:59:60",
            "2027-01-15T08:00:00.000Z",
            "2027-01-15 08:00:00.5",
            "2027-01-15T08:00:00+2",
            "2027-01-15T",
            "２０２７-01-15",
            "08:00",
        ] {
            assert!(!is_timestamp(text), "{text:?}");
        }
    }
}
