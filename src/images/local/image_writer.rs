//! Image being received: gathered in memory, checked, and written to a temporary file.

#[cfg(feature = "cloud")]
mod received;

use std::fs::File;
use std::sync::Arc;

use crate::images::error::StoreError;
use crate::images::local::output_dir::{OutputDir, RenamedFile, SidecarFile};
use crate::images::local::partial_file::PartialFile;
use crate::images::postprocess::{beside, convert, jpeg_head_bytes, tag, tag_head};
use crate::images::validate::verdict::{CheckLimits, Checked};
use crate::images::validate::{inspect, recognised};
use crate::model::name::ImageName;
use crate::model::outcome::{Fault, ImageFormat};
use crate::model::partial_download::Validator;

/// Maximum number of bytes gathered in memory before a write to disk. Many images are shorter, and reach the disk only
/// when they are complete.
const PIECE_BYTES_MAX: usize = 256 << 10;

/// Number of leading bytes that are enough to distinguish the formats.
const HEAD_BYTES: u64 = 64;

/// Minimum number of bytes for a new temporary file. Metadata is inserted after the image's header, which must be in memory.
const BEGIN_BYTES: usize = 512;

/// Minimum number of bytes for a new temporary file, if the format is unknown so far.
const UNKNOWN_BEGIN_BYTES: usize = 66 << 10;

/// Image whose latest bytes are in memory, and whose earlier bytes are in a temporary file.
#[derive(Debug)]
pub(in crate::images) struct ImageWriter {
    place: Arc<OutputDir>,
    name: ImageName,
    gathered: Vec<u8>,
    partial: Option<PartialFile>,
    /// Result of the check, once all bytes are present.
    checked: Option<Checked>,
    head: FormatProbe,
    /// HTTP validator for a request of the remaining bytes, and the total length in bytes. If set, received bytes are
    /// kept when the connection breaks.
    host: Option<(Validator, Option<u64>)>,
    /// Number of bytes added by this program. The limit on received bytes excludes them. After post-processing, all
    /// bytes count as added.
    n_own_bytes: u64,
}

/// Result of the format recognition by the first bytes.
#[derive(Clone, Copy, Debug)]
enum FormatProbe {
    /// First bytes not examined yet.
    Unseen,
    /// First bytes examined: their format, or `None` for an unknown format.
    Seen(Option<ImageFormat>),
}

impl ImageWriter {
    pub(super) fn new(place: Arc<OutputDir>, name: ImageName, host: Option<(Validator, Option<u64>)>) -> Self {
        let (gathered, head) = (Vec::new(), FormatProbe::Unseen);
        Self { place, name, gathered, partial: None, checked: None, head, host, n_own_bytes: 0 }
    }

    /// Resumes an image after its first `n_before` bytes. `None` if these bytes are no longer on disk.
    pub(super) fn resumed(
        place: Arc<OutputDir>,
        name: ImageName,
        host: Option<(Validator, Option<u64>)>,
        n_before: u64,
    ) -> Result<Option<Self>, StoreError> {
        let Some((mut partial, n_own_bytes)) = place.go_on(&name, n_before)? else { return Ok(None) };
        let head = FormatProbe::Seen(recognised(&partial.head(HEAD_BYTES)?));
        Ok(Some(Self { partial: Some(partial), head, n_own_bytes, ..Self::new(place, name, host) }))
    }

    /// Appends the next bytes in memory. Returns `true` if the gathered bytes have to be [flushed](Self::flush) first.
    pub(super) fn take(&mut self, piece: &[u8]) -> bool {
        self.gathered.extend_from_slice(piece);
        self.gathered.len() >= PIECE_BYTES_MAX
    }

    /// Returns whether some bytes are in a temporary file, because the image is too long for memory.
    pub(super) const fn is_long(&self) -> bool {
        self.partial.is_some()
    }

    /// Returns whether memory holds bytes that an end of the process would lose and that a flush could keep.
    pub(super) fn has_to_keep(&self) -> bool {
        let bytes_min = match self.head {
            FormatProbe::Seen(_) => 1,
            FormatProbe::Unseen => match recognised(&self.gathered) {
                Some(ImageFormat::Png | ImageFormat::WebP) => BEGIN_BYTES,
                Some(ImageFormat::Jpeg) => BEGIN_BYTES.max(jpeg_head_bytes(&self.gathered)),
                None => UNKNOWN_BEGIN_BYTES,
            },
        };
        self.host.is_some() && self.gathered.len() >= bytes_min
    }

    /// Stops keeping received bytes for a resumed download: they are not bytes of an image.
    pub(super) fn let_go(&mut self) {
        self.host = None;
        if let Some(partial) = &mut self.partial {
            partial.let_go();
        }
    }

    /// Recognises the format by the first bytes, which are all in memory. Inserts the metadata that belongs there.
    fn begin(&mut self) -> Option<ImageFormat> {
        if let FormatProbe::Seen(format) = self.head {
            return format;
        }
        let (postprocess, format) = (self.place.postprocess, recognised(&self.gathered));
        if let Some(format) = format
            && postprocess.has_metadata
            && postprocess.conversion(format).is_none()
        {
            let n_before = self.gathered.len();
            tag_head(format, &mut self.gathered, self.name.origin());
            self.n_own_bytes = (self.gathered.len() - n_before) as u64;
        }
        self.head = FormatProbe::Seen(format);
        format
    }

    /// Returns whether post-processing needs all bytes of the image.
    pub(super) fn is_to_be_made(&mut self) -> bool {
        let postprocess = self.place.postprocess;
        let is_tagged_whole = |format| postprocess.has_metadata && format == ImageFormat::WebP;
        self.begin().is_some_and(|format| postprocess.conversion(format).is_some() || is_tagged_whole(format))
    }

    /// Post-processes the complete image, if its bytes are an image.
    pub(super) fn make(&mut self) -> Result<Result<(), Fault>, StoreError> {
        let mut format = match self.check()? {
            Ok(checked) => checked.format,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Some(partial) = &mut self.partial {
            self.gathered = partial.read()?;
        }
        // The processed bytes differ from the received bytes, so no part is kept for a resumed download.
        (self.partial, self.host) = (None, None);
        let conversion = self.place.postprocess.conversion(format);
        if let Some((made, to)) = conversion.and_then(|to| Some((convert(&self.gathered, format, to)?, to.to))) {
            (self.gathered, format) = (made, to);
        }
        if self.place.postprocess.has_metadata {
            tag(format, &mut self.gathered, self.name.origin());
        }
        (self.checked, self.n_own_bytes) = (None, self.gathered.len() as u64);
        Ok(Ok(()))
    }

    /// Writes the gathered bytes to the temporary file.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        let partial = if let Some(partial) = self.partial.take() {
            partial
        } else {
            self.begin();
            let mut partial = self.place.begin(&self.name)?;
            if let Some((validator, bytes_total)) = &self.host {
                let label = self.place.label(&self.name, validator.clone(), *bytes_total, self.n_own_bytes);
                partial.keep(label, &self.place.kept, self.name.partial());
            }
            partial
        };
        self.partial.insert(partial).write(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }

    /// Checks the complete image. Returns a fault if the bytes are not an image.
    pub(super) fn check(&mut self) -> Result<Result<Checked, Fault>, StoreError> {
        if let Some(checked) = self.checked {
            return Ok(Ok(checked));
        }
        if self.is_long() {
            self.flush()?;
        }
        self.begin();
        let limits = self.place.limits;
        let limits = &CheckLimits { bytes_max: limits.bytes_max.saturating_add(self.n_own_bytes), ..limits };
        let found = match &mut self.partial {
            // An image that fits in memory is checked there, so that an error page never reaches the disk.
            None => inspect(self.gathered.as_slice(), limits).expect("a slice cannot fail to be read"),
            Some(partial) => partial.inspect(limits)?,
        };
        self.checked = found.as_ref().ok().copied();
        if found.is_err() {
            self.let_go();
        }
        Ok(found.map_err(|why| why.fault()))
    }

    /// Writes the image and its sidecar file to temporary files, if the bytes are an image.
    pub(super) fn write(mut self) -> Result<Result<StagedImage, Fault>, StoreError> {
        let checked = match self.check()? {
            Ok(checked) => checked,
            Err(fault) => return Ok(Err(fault)),
        };
        if !self.is_long() {
            // The file is written once and renamed at once, so no journal is needed.
            self.host = None;
        }
        self.flush()?;
        let partial = self.partial.expect("what is flushed is in a file");
        let beside = match self.place.postprocess.sidecar {
            None => None,
            Some(sidecar) => {
                let text = beside(sidecar, self.name.origin(), &checked);
                Some(self.place.begin_beside(&self.name, sidecar.extension(), text)?)
            }
        };
        Ok(Ok(StagedImage { place: self.place, name: self.name, partial, beside, checked }))
    }
}

/// Complete image in a temporary file.
#[derive(Debug)]
pub(super) struct StagedImage {
    place: Arc<OutputDir>,
    name: ImageName,
    pub(super) partial: PartialFile,
    beside: Option<SidecarFile>,
    checked: Checked,
}

impl StagedImage {
    /// Returns the files that must be durable before the image receives its final name.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        std::iter::once(&self.partial)
            .chain(self.beside.iter().map(|beside| &beside.partial))
            .map(|partial| partial.temp.file())
    }

    /// Renames the image and its sidecar file to their final names, after their bytes are durable.
    pub(super) fn put(self) -> Result<(RenamedFile, Checked), StoreError> {
        let named = self.place.put(self.partial, &self.name, &self.checked)?;
        if let Some(beside) = self.beside {
            self.place.put_beside(beside, &self.name, &named)?;
        }
        self.place.kept.forget(&self.name.partial());
        Ok((named, self.checked))
    }
}
