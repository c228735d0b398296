//! Time zone: the file format of the tz database (RFC 9636), and the rules of POSIX behind it.

use time::{Duration, Month, OffsetDateTime};

/// Time zone, as a list of changes and a rule for the time after them.
#[derive(Debug)]
pub(super) struct TimeZone {
    /// Times of the changes in seconds since 1970, each with the offset from then on, in seconds.
    changes: Vec<(i64, i32)>,
    /// Offset before the first change.
    first: i32,
    rule: Option<Rule>,
}

/// Rule of POSIX, such as `EST5EDT,M3.2.0,M11.1.0`. Offsets are in seconds to the east.
#[derive(Debug)]
struct Rule {
    standard: i32,
    /// Offset in summer, and when that begins and ends.
    summer: Option<(i32, Switch, Switch)>,
}

/// Day and time at which the offset changes.
#[derive(Clone, Copy, Debug)]
struct Switch {
    day: Day,
    seconds: i32,
}

#[derive(Clone, Copy, Debug)]
enum Day {
    /// Month, week of the month and day of the week from Sunday. Week 5 is the last one.
    Weekday(u8, u8, u8),
    /// Day of the year from 1, without the 29th of February.
    Plain(u16),
    /// Day of the year from 0.
    Ordinal(u16),
}

impl TimeZone {
    /// Reads a rule of POSIX.
    pub(super) fn from_rule(text: &str) -> Option<Self> {
        let rule = Rule::parse(text)?;
        Some(Self { changes: Vec::new(), first: rule.standard, rule: Some(rule) })
    }

    /// Reads a file of the tz database, of version 2 or later.
    pub(super) fn from_file(bytes: &[u8]) -> Option<Self> {
        let (counts, version) = header(bytes)?;
        if version < b'2' {
            return None;
        }
        let bytes = bytes.get(HEADER_BYTES + size(&counts, 4)..)?;
        let (counts, _) = header(bytes)?;
        let body = bytes.get(HEADER_BYTES..)?;
        let [_, _, _, n_times, n_types, _] = counts;
        let kinds = body.get(8 * n_times..)?;
        let types = kinds.get(n_times..)?.get(..6 * n_types)?.as_chunks::<6>().0;
        let offset = |kind: usize| types.get(kind).map(|kind| i32::from_be_bytes([kind[0], kind[1], kind[2], kind[3]]));
        let times = body.get(..8 * n_times)?.as_chunks::<8>().0;
        let change = |(time, kind): (&[u8; 8], &u8)| Some((i64::from_be_bytes(*time), offset(usize::from(*kind))?));
        let changes = times.iter().zip(kinds).map(change).collect::<Option<_>>()?;
        let rule = str::from_utf8(body.get(size(&counts, 8)..)?).ok()?.trim_matches('\n');
        Some(Self { changes, first: offset(0)?, rule: Rule::parse(rule) })
    }

    /// Returns the offset at this time in seconds; `None` if it is not known.
    pub(super) fn offset_at(&self, at: OffsetDateTime) -> Option<i32> {
        let n_before = self.changes.partition_point(|(time, _)| *time <= at.unix_timestamp());
        if n_before == self.changes.len()
            && let Some(rule) = &self.rule
        {
            return rule.offset_at(at);
        }
        Some(n_before.checked_sub(1).map_or(self.first, |n| self.changes[n].1))
    }
}

const HEADER_BYTES: usize = 44;

/// Returns the counts in the header of a block, and the version.
fn header(bytes: &[u8]) -> Option<([usize; 6], u8)> {
    let header = bytes.get(..HEADER_BYTES)?.strip_prefix(b"TZif")?;
    let mut counts = [0; 6];
    for (count, bytes) in counts.iter_mut().zip(header[16..].as_chunks::<4>().0) {
        *count = usize::try_from(u32::from_be_bytes(*bytes)).ok().filter(|count| *count < 1 << 16)?;
    }
    Some((counts, header[0]))
}

/// Returns the length of a block behind its header. Its times have this many bytes.
fn size([n_utc, n_standard, n_leap, n_times, n_types, n_chars]: &[usize; 6], time: usize) -> usize {
    n_times * (time + 1) + n_types * 6 + n_chars + n_leap * (time + 4) + n_standard + n_utc
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let mut text = Parser(text);
        text.name()?;
        let standard = -text.time()?;
        if text.0.is_empty() {
            return Some(Self { standard, summer: None });
        }
        text.name()?;
        let summer = if text.0.starts_with(',') || text.0.is_empty() { standard + 3600 } else { -text.time()? };
        let switches = (text.switch()?, text.switch()?);
        text.0.is_empty().then_some(Self { standard, summer: Some((summer, switches.0, switches.1)) })
    }

    fn offset_at(&self, at: OffsetDateTime) -> Option<i32> {
        let Some((summer, begin, end)) = self.summer else { return Some(self.standard) };
        let year = (at + Duration::seconds(self.standard.into())).year();
        let begin = begin.in_year(year)? - i64::from(self.standard);
        let end = end.in_year(year)? - i64::from(summer);
        let now = at.unix_timestamp();
        // South of the equator, summer begins in one year and ends in the next.
        let is_summer = if begin < end { (begin..end).contains(&now) } else { !(end..begin).contains(&now) };
        Some(if is_summer { summer } else { self.standard })
    }
}

impl Switch {
    /// Returns the local time of the switch in this year, in seconds since 1970 as if it were UTC.
    fn in_year(self, year: i32) -> Option<i64> {
        let date = |month: Month, day| time::Date::from_calendar_date(year, month, day).ok();
        let day = match self.day {
            Day::Ordinal(n) => date(Month::January, 1)? + Duration::days(n.into()),
            Day::Plain(n) => {
                let is_behind = n >= 60 && time::util::is_leap_year(year);
                date(Month::January, 1)? + Duration::days(i64::from(n) - 1 + i64::from(is_behind))
            }
            Day::Weekday(month, week, day) => {
                let month = Month::try_from(month).ok()?;
                let first = date(month, 1)?;
                let ahead = (7 + day - first.weekday().number_days_from_sunday()) % 7;
                let n = 1 + ahead + 7 * (week - 1);
                date(month, if n > month.length(year) { n - 7 } else { n })?
            }
        };
        Some(day.midnight().assume_utc().unix_timestamp() + i64::from(self.seconds))
    }
}

/// Parser of a rule: the rest of its text.
struct Parser<'a>(&'a str);

impl Parser<'_> {
    fn name(&mut self) -> Option<()> {
        let n_bytes = if self.0.starts_with('<') {
            self.0.find('>')? + 1
        } else {
            self.0.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.0.len())
        };
        self.0 = &self.0[n_bytes..];
        (n_bytes >= 3).then_some(())
    }

    fn number(&mut self) -> Option<u16> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let number = self.0[..end].parse().ok();
        self.0 = &self.0[end..];
        number
    }

    fn skip(&mut self, c: char) -> bool {
        self.0.strip_prefix(c).inspect(|rest| self.0 = rest).is_some()
    }

    /// Reads `[+-]hh[:mm[:ss]]` in seconds.
    fn time(&mut self) -> Option<i32> {
        let sign = if self.skip('-') { -1 } else { 1 };
        self.skip('+');
        let mut seconds = 3600 * i32::from(self.number().filter(|hours| *hours <= 167)?);
        for unit in [60, 1] {
            if self.skip(':') {
                seconds += unit * i32::from(self.number().filter(|number| *number < 60)?);
            }
        }
        Some(sign * seconds)
    }

    fn switch(&mut self) -> Option<Switch> {
        self.skip(',').then_some(())?;
        let day = if self.skip('M') {
            let mut part = |range: std::ops::RangeInclusive<u16>| {
                let number = self.number().filter(|number| range.contains(number))?;
                self.skip('.');
                u8::try_from(number).ok()
            };
            Day::Weekday(part(1..=12)?, part(1..=5)?, part(0..=6)?)
        } else if self.skip('J') {
            Day::Plain(self.number().filter(|n| (1..=365).contains(n))?)
        } else {
            Day::Ordinal(self.number().filter(|n| *n <= 365)?)
        };
        let seconds = if self.skip('/') { self.time()? } else { 2 * 3600 };
        Some(Switch { day, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a time in UTC, such as `2026-07-01 06:59:59`.
    fn utc(text: &str) -> OffsetDateTime {
        let parts: Vec<u16> = text.split(['-', ' ', ':']).map(|part| part.parse().unwrap()).collect();
        let small = |n: usize| u8::try_from(parts[n]).unwrap();
        let date =
            time::Date::from_calendar_date(parts[0].into(), Month::try_from(small(1)).unwrap(), small(2)).unwrap();
        date.with_hms(small(3), small(4), small(5)).unwrap().assume_utc()
    }

    /// Goal: offsets are right in winter, in summer and around each switch. Method: rules of real zones, north and south, with dates that
    /// their governments published.
    #[test]
    fn rules_give_the_offsets_of_real_zones() {
        let new_york = "EST5EDT,M3.2.0,M11.1.0";
        let sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        for (rule, at, hours) in [
            ("CST-8", "2026-07-01 00:00:00", 8.0),
            ("<+0530>-5:30", "2026-07-01 00:00:00", 5.5),
            (new_york, "2026-03-08 06:59:59", -5.0),
            (new_york, "2026-03-08 07:00:00", -4.0),
            (new_york, "2026-11-01 05:59:59", -4.0),
            (new_york, "2026-11-01 06:00:00", -5.0),
            (sydney, "2026-01-01 00:00:00", 11.0),
            (sydney, "2026-04-04 16:00:00", 10.0),
            (sydney, "2026-10-03 16:00:00", 11.0),
            (berlin, "2026-03-29 00:59:59", 1.0),
            (berlin, "2026-03-29 01:00:00", 2.0),
            (berlin, "2026-10-25 01:00:00", 1.0),
            ("AAA0BBB,J60/0,J61/0", "2028-03-01 00:00:00", 1.0),
            ("AAA0BBB,59/0,60/0", "2028-02-29 00:00:00", 1.0),
        ] {
            let offset = TimeZone::from_rule(rule).and_then(|zone| zone.offset_at(utc(at))).map(f64::from);
            assert!(offset.is_some_and(|offset| (offset - hours * 3600.0).abs() < 0.5), "{rule} {at}: {offset:?}");
        }
    }

    #[test]
    fn what_is_no_time_zone_is_none() {
        for text in [
            "",
            "UTC",
            "X5",
            "EST5EDT",
            "EST5EDT,M13.1.0,M1.1.0",
            "EST5EDT,M3.2.0",
            "EST999",
            "EST5EDT,M3.2.0,M11.1.0x",
        ] {
            assert!(TimeZone::from_rule(text).is_none(), "{text}");
        }
        let mut file = b"TZif2".to_vec();
        file.extend([0; 39]);
        for n in 0..=file.len() {
            assert!(TimeZone::from_file(&file[..n]).is_none());
        }
        assert!(TimeZone::from_file(&[file.as_slice(), &[255; 400]].concat()).is_none());
    }
}
