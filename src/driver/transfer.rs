//! One image from its host to our disk: gone on with as long as it progresses, over any number of connections.

use tokio::time::Instant;

use crate::driver::Hands;
use crate::driver::images::StoreError;
use crate::driver::meter::Meter;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind, Url};
use crate::model::part::Part;
use crate::provider::Download;

/// A connection that brings at least so many bytes is worth another one, also when it breaks off; so is one that brings this part of the
/// image.
const GAIN_BYTES_MIN: u64 = 1024;
const GAIN_PARTS: u64 = 1000;

/// Connections in a row that may bring less, but something.
const SMALL_GAINS_MAX: u32 = 5;

/// Fetches an image, or what is missing of it. The outer error is our own disk's.
pub async fn image(
    hands: &Hands,
    meter: &Meter,
    name: &ImageName,
    url: &Url,
) -> Result<Result<Artifact, Fault>, StoreError> {
    let mut part = hands.store.part(name).await;
    let (mut n_small, mut has_restarted) = (0, false);
    loop {
        let n_before = part.as_ref().map_or(0, |part| part.n_bytes);
        let download = match open(hands, meter, url, part.as_ref()).await {
            Ok(download) => download,
            Err(fault) => return Ok(Err(fault)),
        };
        let is_resumed = download.n_before > 0;
        let fault = match hands.store.save(name.clone(), meter.counted(download)).await? {
            Ok(artifact) => return Ok(Ok(artifact)),
            Err(fault) => fault,
        };
        part = hands.store.part(name).await;
        match &part {
            // What was put together is no image, or cannot be put together: that may be the fault of the parts.
            None if is_resumed && !has_restarted => has_restarted = true,
            Some(part) if fault.kind == FaultKind::Transient && part.n_bytes > n_before => {
                let is_small = part.n_bytes - n_before < gain_min(part);
                n_small = if is_small { n_small + 1 } else { 0 };
                if n_small > SMALL_GAINS_MAX {
                    return Ok(Err(fault));
                }
            }
            Some(_) | None => return Ok(Err(fault)),
        }
    }
}

/// Begins to fetch what is missing. Of an image that is all here nothing is.
async fn open(hands: &Hands, meter: &Meter, url: &Url, part: Option<&Part>) -> Result<Download<'static>, Fault> {
    if let Some(Part { n_bytes, bytes_total, validator }) = part.filter(|part| part.is_whole()) {
        let (n_before, validator, body) = (*n_bytes, Some(validator.clone()), Box::pin(futures::stream::empty()));
        return Ok(Download { n_before, bytes_total: *bytes_total, validator, body });
    }
    let asked_at = Instant::now();
    let opened = hands.provider.download(url, part).await;
    if opened.is_err() {
        meter.broke_off(asked_at);
    }
    opened
}

/// How much a connection has to bring.
fn gain_min(part: &Part) -> u64 {
    GAIN_BYTES_MIN.max(part.bytes_total.unwrap_or(0) / GAIN_PARTS)
}
