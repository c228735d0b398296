//! A thousand jobs through everything that goes wrong on the way.

use std::time::Duration;

use promptbatch::provider::simulator::config::Config;
use promptbatch::provider::simulator::faults::FaultSetting;

use crate::bench::{Bench, expect_code, quick};

/// 5 % each of server errors, cut connections, garbage answers and truncated images, on tasks of 2 s.
#[test]
fn a_thousand_jobs_through_faults_end_as_a_thousand_images() {
    let faults = ["500=0.05", "cut=0.05", "garbage=0.05", "truncated=0.05"];
    let faults = faults.iter().map(|text| text.parse::<FaultSetting>().unwrap());
    let bench = Bench::new(Config { latency: Duration::from_secs(2), faults: faults.collect(), ..quick() });
    bench.csv(1000);
    let output = bench.run("prompts.csv", &["-j", "500"]);
    expect_code(&output, 0);
    bench.check_images(1000);
    let stats = bench.stats();
    assert!(stats.faults.values().sum::<u64>() > 300, "the faults must bite: {:?}", stats.faults);
    let n_attempts: u64 = bench.results().iter().map(|row| row["attempts"].parse::<u64>().unwrap()).sum();
    assert!(stats.n_accepted_twice <= n_attempts - 1000, "{} twice, {n_attempts} attempts", stats.n_accepted_twice);
    assert_eq!(stats.n_token_leaks, 0);
}
