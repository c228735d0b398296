//! Estimate of a run's duration, cost and disk space, from measured values or else from typical ones.

use std::time::Duration;

use crate::manifest::summary::ManifestSummary;
use crate::model::limits::Rate;
use crate::model::price::Price;
use crate::model::request::Size;

/// Task latency without a measurement: the middle of the values seen with fast models.
const TYPICAL_LATENCY: Duration = Duration::from_secs(20);

/// Image size for a request that names none.
const TYPICAL_SIZE: Size = Size { width: 1024, height: 1024 };

/// Bytes per pixel of a PNG, as photographs have them.
const BYTES_PER_PIXEL: f64 = 1.5;

/// Bytes per job in the ledger and the results, in addition to the job's own text.
const BYTES_PER_JOB: u64 = 800;

/// Measurements of a run's tasks and images so far, from its ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measurements {
    /// Median duration of the last tasks; `None` without a measurement.
    pub latency: Option<Duration>,
    /// Mean size of the last images, in bytes; `None` without a measurement.
    pub image_bytes: Option<u64>,
}

/// Limits of the pace, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceLimits {
    /// Rate limit of submissions; `None` if unknown.
    pub rate: Option<Rate>,
    /// In-flight limit of tasks; `None` if unknown.
    pub in_flight: Option<u32>,
}

/// Estimate for the images that are still missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Latency of one task.
    pub latency: Duration,
    /// Time from the first submission to the last image.
    pub time: Duration,
    /// Lowest and highest possible cost of all of them; `None` if a price is unknown.
    pub cost: Option<(f64, f64)>,
    /// Disk space, in bytes.
    pub disk_bytes: u64,
}

/// Estimates the effort for `n` jobs of a manifest.
pub fn estimate(
    n: u64,
    census: &ManifestSummary,
    price: Option<&Price>,
    pace: PaceLimits,
    experience: Measurements,
) -> Estimate {
    let latency = experience.latency.unwrap_or(TYPICAL_LATENCY);
    let share = if census.n_jobs() == 0 { 0.0 } else { real(n) / real(census.n_jobs()) };
    let image_bytes = match experience.image_bytes {
        Some(bytes) => real(n) * real(bytes),
        None => share * census.kinds().map(|kind| real(kind.n) * typical_bytes(kind.size)).sum::<f64>(),
    };
    Estimate {
        latency,
        time: time(n, latency, pace),
        cost: price.and_then(|price| cost(n, census, price)),
        disk_bytes: whole(image_bytes).saturating_add(n.saturating_mul(BYTES_PER_JOB)),
    }
}

/// Returns the longer of two times: by the rate limit, and by the in-flight limit. Assumes one task at a time if neither is
/// known.
fn time(n: u64, latency: Duration, PaceLimits { rate, in_flight }: PaceLimits) -> Duration {
    if n == 0 {
        return Duration::ZERO;
    }
    let by_rate = rate.map(|rate| rate.interval().as_secs_f64() * real(n - 1) + latency.as_secs_f64());
    let in_flight = in_flight.or_else(|| rate.is_none().then_some(1));
    let by_places = in_flight.map(|places| real(n.div_ceil(u64::from(places.max(1)))) * latency.as_secs_f64());
    let secs = by_rate.into_iter().chain(by_places).fold(0.0, f64::max);
    Duration::try_from_secs_f64(secs).unwrap_or(Duration::MAX)
}

/// Returns the exact cost of `n` jobs if they are all jobs or have one price. Otherwise returns the range from the cheapest
/// selection of jobs to the most expensive one.
fn cost(n: u64, census: &ManifestSummary, price: &Price) -> Option<(f64, f64)> {
    let mut kinds = census
        .kinds()
        .map(|kind| price.of(kind.model, kind.size).map(|price| (price, kind.n)))
        .collect::<Option<Vec<(f64, u64)>>>()?;
    if census.n_others() > 0 {
        kinds.push((price.per_image.filter(|_| price.is_one())?, census.n_others()));
    }
    kinds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let take = |kinds: &mut dyn Iterator<Item = &(f64, u64)>| {
        let mut left = n;
        let mut sum = 0.0;
        for (price, n) in kinds {
            let n = left.min(*n);
            sum += price * real(n);
            left -= n;
        }
        sum
    };
    Some((take(&mut kinds.iter()), take(&mut kinds.iter().rev())))
}

fn typical_bytes(size: Option<Size>) -> f64 {
    let Size { width, height } = size.unwrap_or(TYPICAL_SIZE);
    f64::from(width) * f64::from(height) * BYTES_PER_PIXEL
}

#[expect(clippy::cast_precision_loss, reason = "an estimate is rounded anyway")]
fn real(n: u64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "n is a count that is never negative, and too large values saturate"
)]
fn whole(n: f64) -> u64 {
    n as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;
    use crate::manifest::source::Source;

    /// Returns the census of a manifest with the given number of jobs for each of the two models.
    fn census(n_a: u32, n_b: u32) -> ManifestSummary {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        let row = |model: &str, n: u32| format!("x,{model},64x64\n").repeat(n as usize);
        std::fs::write(&path, format!("prompt,model,size\n{}{}", row("a/a", n_a), row("b/b", n_b))).unwrap();
        manifest::open(Source { path, ..Source::default() }).unwrap().census().clone()
    }

    fn seconds(n: u64, rate: Option<&str>, in_flight: Option<u32>) -> u64 {
        let pace = PaceLimits { rate: rate.map(|rate| rate.parse().unwrap()), in_flight };
        time(n, Duration::from_secs(10), pace).as_secs()
    }

    #[test]
    fn the_slower_of_rate_and_places_decides() {
        assert_eq!(seconds(0, None, None), 0);
        assert_eq!(seconds(6, None, None), 60, "one at a time");
        assert_eq!(seconds(7, None, Some(3)), 30);
        assert_eq!(seconds(61, Some("1/s"), None), 70);
        assert_eq!(seconds(61, Some("1/s"), Some(1)), 610);
        assert_eq!(seconds(61, Some("1/s"), Some(100)), 70);
        assert!(time(u64::MAX, Duration::from_secs(u64::MAX), PaceLimits::default()) == Duration::MAX);
    }

    #[test]
    fn cost_is_exact_for_all_and_a_span_for_some() {
        let census = census(3, 2);
        let price = |text: &str| text.parse::<Price>().unwrap();
        let of_two = Price { by_model: [("b/b".to_owned(), 5.0)].into(), ..price("1") };
        assert_eq!(cost(5, &census, &price("2 magicube")), Some((10.0, 10.0)));
        assert_eq!(cost(5, &census, &of_two), Some((13.0, 13.0)));
        assert_eq!(cost(3, &census, &of_two), Some((3.0, 11.0)));
        assert_eq!(cost(5, &census, &Price { per_image: None, ..of_two }), None, "one price is not known");
        assert_eq!(cost(0, &census, &price("2")), Some((0.0, 0.0)));
    }

    #[test]
    fn disk_is_known_from_what_came_or_else_guessed_from_sizes() {
        let census = census(10, 0);
        let bytes = |n, image_bytes| {
            let experience = Measurements { image_bytes, ..Measurements::default() };
            estimate(n, &census, None, PaceLimits::default(), experience).disk_bytes
        };
        assert_eq!(bytes(10, Some(1_000)), 10 * 1_800);
        assert_eq!(bytes(10, None), 10 * (64 * 64 * 3 / 2 + 800));
        assert_eq!(bytes(5, None), 5 * (64 * 64 * 3 / 2 + 800));
        assert_eq!(bytes(0, None), 0);
    }
}
