//! Transfer of one image from its host to disk, resumed over any number of connections while it progresses.

use tokio::time::Instant;

use crate::driver::context::DriverContext;
use crate::driver::meter::DownloadMeter;
use crate::images::error::StoreError;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind, Url};
use crate::model::partial_download::PartialDownload;
use crate::provider::Download;

/// Minimum progress that justifies another connection after a broken one. The larger value counts: `GAIN_BYTES_MIN`
/// bytes, or the length of the image divided by `GAIN_PARTS`.
const GAIN_BYTES_MIN: u64 = 1024;
const GAIN_PARTS: u64 = 1000;

/// Maximum number of consecutive connections whose progress is below that minimum, but not zero.
const SMALL_GAINS_MAX: u32 = 5;

/// Downloads an image, or its missing bytes. The outer error is a failure of the image store.
pub(super) async fn image(
    context: &DriverContext,
    meter: &DownloadMeter,
    name: &ImageName,
    url: &Url,
) -> Result<Result<Artifact, Fault>, StoreError> {
    let mut part = context.store.partial(name).await;
    let (mut n_small, mut has_restarted) = (0, false);
    loop {
        let n_before = part.as_ref().map_or(0, |part| part.n_bytes);
        let download = match open(context, meter, url, part.as_ref()).await {
            Ok(download) => download,
            Err(fault) => return Ok(Err(fault)),
        };
        let is_resumed = download.n_before > 0;
        let fault = match context.store.save(name.clone(), meter.counted(download)).await? {
            Ok(artifact) => return Ok(Ok(artifact)),
            Err(fault) => fault,
        };
        part = context.store.partial(name).await;
        match &part {
            // The joined bytes are not an image, or cannot be joined. The earlier bytes may be at fault.
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

/// Requests the missing bytes. A complete image has none, so no request is sent.
async fn open(
    context: &DriverContext,
    meter: &DownloadMeter,
    url: &Url,
    part: Option<&PartialDownload>,
) -> Result<Download<'static>, Fault> {
    if let Some(PartialDownload { n_bytes, bytes_total, validator }) = part.filter(|part| part.is_whole()) {
        let (n_before, validator, body) = (*n_bytes, Some(validator.clone()), Box::pin(futures::stream::empty()));
        return Ok(Download { n_before, bytes_total: *bytes_total, validator, body });
    }
    let asked_at = Instant::now();
    let opened = context.provider.download(url, part).await;
    if opened.is_err() {
        meter.broke_off(asked_at);
    }
    opened
}

/// Returns the minimum progress of a connection, in bytes.
fn gain_min(part: &PartialDownload) -> u64 {
    GAIN_BYTES_MIN.max(part.bytes_total.unwrap_or(0) / GAIN_PARTS)
}
