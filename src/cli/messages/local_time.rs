//! Local time beside UTC, for people: by the variable `TZ`, or else by the time zone of the machine.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use time::{OffsetDateTime, UtcOffset};

use crate::cli::messages::time_zone::TimeZone;
use crate::model::time::Timestamp;

/// Files that describe time zones by their names.
const ZONES: [&str; 2] = ["/usr/share/zoneinfo", "/usr/lib/zoneinfo"];

/// File that describes the time zone of the machine.
const OF_MACHINE: &str = "/etc/localtime";

/// Limit on such a file, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Returns the local time in parentheses, such as ` (2026-11-30 00:05:00 +08:00)`. Empty where it is UTC, or is not known.
pub(crate) fn beside(at: Timestamp) -> String {
    let variable = env::var("TZ").ok();
    of_variable(variable.as_deref()).and_then(|zone| shown(at, &zone)).unwrap_or_default()
}

/// Returns the time zone that the variable `TZ` names; without the variable, that of the machine.
fn of_variable(variable: Option<&str>) -> Option<TimeZone> {
    let name = match variable {
        None => return TimeZone::from_file(&read(Path::new(OF_MACHINE))?),
        Some(name) => name.strip_prefix(':').unwrap_or(name),
    };
    let files = ZONES.iter().map(|folder| Path::new(folder).join(name)).chain([PathBuf::from(name)]);
    let found = files.filter(|path| path.is_absolute() && path.is_file()).find_map(|path| read(&path));
    found.map_or_else(|| TimeZone::from_rule(name), |bytes| TimeZone::from_file(&bytes))
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn shown(at: Timestamp, zone: &TimeZone) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(at.millis().div_euclid(1000)).ok()?;
    let offset = UtcOffset::from_whole_seconds(zone.offset_at(time)?).ok().filter(|offset| !offset.is_utc())?;
    let local = time.checked_to_offset(offset)?;
    let (date, (hour, minute, second)) = (local.date(), local.to_hms());
    let (sign, east) = if offset.is_negative() { ('-', -1) } else { ('+', 1) };
    let month = u8::from(date.month());
    let (hours, minutes) = (east * offset.whole_hours(), east * offset.minutes_past_hour());
    let clock = format!("{hour:02}:{minute:02}:{second:02} {sign}{hours:02}:{minutes:02}");
    Some(format!(" ({:04}-{month:02}-{:02} {clock})", date.year(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_is_shown_where_it_is_not_utc() {
        let at = Timestamp::from_millis(1_795_968_300_123); // 2026-11-29T16:05:00.123Z
        let shown = |name| of_variable(Some(name)).and_then(|zone| shown(at, &zone));
        assert_eq!(shown("CST-8").as_deref(), Some(" (2026-11-30 00:05:00 +08:00)"));
        assert_eq!(shown("<-0330>3:30").as_deref(), Some(" (2026-11-29 12:35:00 -03:30)"));
        for name in ["UTC0", "", "no zone", "../../etc/hostname", "/"] {
            assert_eq!(shown(name), None, "{name}");
        }
        if Path::new("/usr/share/zoneinfo/Asia/Shanghai").exists() {
            for name in ["Asia/Shanghai", ":Asia/Shanghai", "/usr/share/zoneinfo/Asia/Shanghai"] {
                assert_eq!(shown(name).as_deref(), Some(" (2026-11-30 00:05:00 +08:00)"), "{name}");
            }
            assert_eq!(shown("America/New_York").as_deref(), Some(" (2026-11-29 11:05:00 -05:00)"));
        }
    }
}
