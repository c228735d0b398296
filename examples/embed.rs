//! Program with an embedded batch: it writes a manifest, watches the batch, stops it in the middle, and resumes it.
//!
//! `cargo run --example embed` needs no account, because the images come from the simulator. With
//! [`ProviderConfig::default`] they come from ModelScope, and the token from the environment.

use std::error::Error;

use futures::StreamExt;
use promptbatch::model::event::EventKind;
use promptbatch::model::limits::Concurrency;
use promptbatch::model::outcome::Outcome;
use promptbatch::model::output_options::OutputOverrides;
use promptbatch::provider::config::ProviderConfig;
use promptbatch::provider::simulator;
use promptbatch::run::batch::{Batch, Update};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let manifest = folder.path().join("animals.csv");
    let rows = ["cat", "dog", "owl", "fox", "hen", "cow"].map(|animal| format!("a golden {animal},{animal}\n"));
    std::fs::write(&manifest, format!("prompt,animal\n{}", rows.concat()))?;

    let batch = Batch::new(&manifest)
        .out(folder.path().join("animals"))
        .provider(ProviderConfig::new(&simulator::SPEC))
        .limits(|limits| limits.concurrency = Concurrency::Fixed(2.try_into().expect("two is not zero")))
        .style(OutputOverrides { naming: Some("{animal}/{index:03}".parse()?), ..OutputOverrides::default() });

    // Stops the batch after two images.
    let mut running = batch.clone().start()?;
    let mut n_images = 0;
    while let Some(update) = running.next().await {
        match update {
            Update::Begun(counts) => println!("{} images to make", counts.n_unfinished()),
            Update::Happened(event) => {
                if let EventKind::Finished(Outcome::Succeeded(images)) = event.kind {
                    println!("{}", images[0].file_name);
                    n_images += 1;
                    if n_images == 2 {
                        running.stop();
                    }
                }
            }
            _ => (),
        }
    }
    let summary = running.summary().await?;
    println!("stopped with {} of {} images", summary.counts.n_succeeded, summary.counts.n_jobs());

    // Starts the same batch again: paid images are downloaded, and the rest is made.
    let summary = batch.start()?.summary().await?;
    println!("{} images, {} submissions in this run", summary.counts.n_succeeded, summary.incidents.n_submits);
    assert_eq!(summary.counts.n_succeeded, summary.counts.n_jobs());
    Ok(())
}
