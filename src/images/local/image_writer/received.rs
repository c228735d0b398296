//! Complete image in memory, for a store that is not the local folder.

use crate::images::error::StoreError;
use crate::images::local::image_writer::ImageWriter;
use crate::images::local::partial_file::PartialFile;
use crate::images::postprocess::beside;
use crate::images::validate::verdict::Checked;
use crate::model::name::ImageName;
use crate::model::outcome::Fault;

impl ImageWriter {
    /// Returns the complete image in memory, for a store that is not this folder. An image that is long stays in its temporary file until it
    /// [is stored](ReceivedImage::set_stored).
    pub(in crate::images) fn received(mut self) -> Result<Result<ReceivedImage, Fault>, StoreError> {
        let checked = match self.check()? {
            Ok(checked) => checked,
            Err(fault) => return Ok(Err(fault)),
        };
        self.begin();
        if let Some(partial) = &mut self.partial {
            partial.write(&self.gathered)?;
            self.gathered = partial.read()?;
        }
        let beside = self.place.postprocess.sidecar.map(|kind| {
            let text = beside(kind, self.name.origin(), &checked);
            (kind.extension(), text)
        });
        let (bytes, partial) = (std::mem::take(&mut self.gathered), self.partial.take());
        Ok(Ok(ReceivedImage { name: self.name, bytes, checked, beside, partial }))
    }
}

/// Complete image in memory.
#[derive(Debug)]
pub(in crate::images) struct ReceivedImage {
    pub(in crate::images) name: ImageName,
    pub(in crate::images) bytes: Vec<u8>,
    pub(in crate::images) checked: Checked,
    /// Extension and text of the sidecar file.
    pub(in crate::images) beside: Option<(&'static str, String)>,
    /// Temporary file with the same bytes. If the image is not stored after all, a later save can begin with it.
    partial: Option<PartialFile>,
}

impl ReceivedImage {
    /// Removes the temporary file: the image is stored elsewhere.
    pub(in crate::images) fn set_stored(mut self) {
        if let Some(partial) = &mut self.partial {
            partial.let_go();
        }
    }
}
