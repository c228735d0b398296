//! Restart intervals of a JPEG scan: processes the steps of a scan, interval by interval between its restart markers.

use std::io::BufRead;

use crate::images::validate::jpeg::bits::{JpegBitReader, JpegFault};
use crate::images::validate::jpeg::frame::{Frame, Grid};
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};

/// Steps of an interval: the next step, and the first step after the interval.
#[derive(Debug)]
pub(super) struct IntervalSteps {
    pub(super) next: usize,
    pub(super) end: usize,
}

/// Calls `read` for each interval of a scan, and returns the code of the marker after the scan. An `interval` of 0
/// means a single interval.
pub(super) fn pass<R: BufRead>(
    walk: &mut StreamValidator<R>,
    frame: &Frame,
    grid: Grid,
    interval: u16,
    mut read: impl FnMut(&mut JpegBitReader<R>, &mut IntervalSteps) -> Result<(), JpegFault>,
) -> Result<u8, ValidationStop> {
    let n_steps = grid.count();
    let interval = if interval == 0 { n_steps } else { interval.into() };
    let mut bits = JpegBitReader::new(walk);
    let mut steps = IntervalSteps { next: 0, end: interval.min(n_steps) };
    let mut nth = 0;
    loop {
        let mut passed = read(&mut bits, &mut steps);
        if steps.end == n_steps {
            let ended = passed.and_then(|()| bits.end());
            return ended.map_err(|fault| bits.told(fault, grid.whole_rows(steps.next), frame.height));
        }
        passed = passed.and_then(|()| bits.restart(nth));
        passed.map_err(|fault| bits.told(fault, grid.whole_rows(steps.next), frame.height))?;
        steps.end = (steps.end + interval).min(n_steps);
        nth += 1;
    }
}
