//! Images of another size than their request asked for: how many, and the first of them.

use crate::model::phase::JobRecord;
use crate::model::request::Size;

/// Images of a run that do not have the size that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OtherSizes {
    /// Number of these images.
    pub n: u64,
    /// First of them; `None` if there are none.
    pub first: Option<OtherSize>,
}

/// Image that does not have the size that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherSize {
    /// Index of the job.
    pub index: u64,
    /// Size in the request.
    pub asked: Size,
    /// Size of the image.
    pub received: Size,
}

impl OtherSizes {
    /// Counts the images of a job.
    pub(super) fn add(&mut self, known: &JobRecord) {
        let Some(asked) = known.job.request.size else { return };
        for artifact in known.state.artifacts() {
            let received = Size { width: artifact.width, height: artifact.height };
            if received != asked {
                self.n += 1;
                self.first.get_or_insert(OtherSize { index: known.job.index, asked, received });
            }
        }
    }
}
