//! An image on its way in: gathered, checked, and written aside.

use std::fs::File;
use std::sync::Arc;

use crate::driver::images::bad_output;
use crate::driver::images::check::{CheckLimits, Checked, inspect, recognised};
use crate::driver::images::error::StoreError;
use crate::driver::images::making::{beside, convert, jpeg_head_bytes, tag, tag_head};
use crate::driver::images::partial::Partial;
use crate::driver::images::place::{Beside, Named, Place};
use crate::model::name::ImageName;
use crate::model::outcome::{Fault, ImageFormat};
use crate::model::part::Validator;

/// What is gathered of a body before it goes to the disk. Many images are shorter, and touch it only when they are whole.
const PIECE_BYTES_MAX: usize = 256 << 10;

/// As much of the beginning as tells formats apart.
const HEAD_BYTES: u64 = 64;

/// A file is not begun with less: what is written into an image has its place behind its header.
const BEGIN_BYTES: usize = 512;

/// The same of what is no image as far as can be seen.
const UNKNOWN_BEGIN_BYTES: usize = 66 << 10;

/// Some of an image gathered in memory, and what came before that in a partial file.
#[derive(Debug)]
pub(super) struct Incoming {
    place: Arc<Place>,
    name: ImageName,
    gathered: Vec<u8>,
    partial: Option<Partial>,
    /// What it was found to be, once all of it is here.
    checked: Option<Checked>,
    head: Head,
    /// By what its rest can be asked for, and how long it is: then what has come is kept if it breaks off.
    host: Option<(Validator, Option<u64>)>,
    /// Bytes that are ours, which no limit on what comes in is about; all of them, when the image was made anew.
    n_own_bytes: u64,
}

/// What is known of an image by its first bytes.
#[derive(Clone, Copy, Debug)]
enum Head {
    /// None has been looked at.
    Unseen,
    /// They are of this format, or of none.
    Seen(Option<ImageFormat>),
}

impl Incoming {
    pub(super) fn new(place: Arc<Place>, name: ImageName, host: Option<(Validator, Option<u64>)>) -> Self {
        let (gathered, head) = (Vec::new(), Head::Unseen);
        Self { place, name, gathered, partial: None, checked: None, head, host, n_own_bytes: 0 }
    }

    /// An image of which so many bytes came before; `None` if they are not here any more.
    pub(super) fn resumed(
        place: Arc<Place>,
        name: ImageName,
        host: Option<(Validator, Option<u64>)>,
        n_before: u64,
    ) -> Result<Option<Self>, StoreError> {
        let Some((mut partial, n_own_bytes)) = place.go_on(&name, n_before)? else { return Ok(None) };
        let head = Head::Seen(recognised(&partial.head(HEAD_BYTES)?));
        Ok(Some(Self { partial: Some(partial), head, n_own_bytes, ..Self::new(place, name, host) }))
    }

    /// Takes in the next bytes. True if what is gathered has to be [flushed](Self::flush) first of all.
    pub(super) fn take(&mut self, piece: &[u8]) -> bool {
        self.gathered.extend_from_slice(piece);
        self.gathered.len() >= PIECE_BYTES_MAX
    }

    /// Whether some of it is in a file, as it is too long to be kept in memory.
    pub(super) const fn is_long(&self) -> bool {
        self.partial.is_some()
    }

    /// Whether some of it is gathered that would be lost if the process ended now, and could be kept.
    pub(super) fn has_to_keep(&self) -> bool {
        let bytes_min = match self.head {
            Head::Seen(_) => 1,
            Head::Unseen => match recognised(&self.gathered) {
                Some(ImageFormat::Png | ImageFormat::WebP) => BEGIN_BYTES,
                Some(ImageFormat::Jpeg) => BEGIN_BYTES.max(jpeg_head_bytes(&self.gathered)),
                None => UNKNOWN_BEGIN_BYTES,
            },
        };
        self.host.is_some() && self.gathered.len() >= bytes_min
    }

    /// Nothing of it is kept: its bytes are not those of an image.
    pub(super) fn let_go(&mut self) {
        self.host = None;
        if let Some(partial) = &mut self.partial {
            partial.let_go();
        }
    }

    /// Looks at its first bytes, which are all gathered, and writes into them what can be written there.
    fn begin(&mut self) -> Option<ImageFormat> {
        if let Head::Seen(format) = self.head {
            return format;
        }
        let (making, format) = (self.place.making, recognised(&self.gathered));
        if let Some(format) = format
            && making.has_metadata
            && making.conversion(format).is_none()
        {
            let n_before = self.gathered.len();
            tag_head(format, &mut self.gathered, self.name.origin());
            self.n_own_bytes = (self.gathered.len() - n_before) as u64;
        }
        self.head = Head::Seen(format);
        format
    }

    /// Whether something is to be made of it for which all of it is needed.
    pub(super) fn is_to_be_made(&mut self) -> bool {
        let making = self.place.making;
        let is_tagged_whole = |format| making.has_metadata && format == ImageFormat::WebP;
        self.begin().is_some_and(|format| making.conversion(format).is_some() || is_tagged_whole(format))
    }

    /// All of it is here: makes of it what is wanted, if it is an image.
    pub(super) fn make(&mut self) -> Result<Result<(), Fault>, StoreError> {
        let mut format = match self.check()? {
            Ok(checked) => checked.format,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Some(partial) = &mut self.partial {
            self.gathered = partial.read()?;
        }
        // What is made of it is not what came.
        (self.partial, self.host) = (None, None);
        let conversion = self.place.making.conversion(format);
        if let Some((made, to)) = conversion.and_then(|to| Some((convert(&self.gathered, format, to)?, to.to))) {
            (self.gathered, format) = (made, to);
        }
        if self.place.making.has_metadata {
            tag(format, &mut self.gathered, self.name.origin());
        }
        (self.checked, self.n_own_bytes) = (None, self.gathered.len() as u64);
        Ok(Ok(()))
    }

    /// Writes what is gathered.
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

    /// All of it is here: finds out what it is. The fault is that it is no image.
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
            // What fits in memory is checked there, so that an error page never touches the disk.
            None => inspect(self.gathered.as_slice(), limits).expect("a slice cannot fail to be read"),
            Some(partial) => partial.inspect(limits)?,
        };
        self.checked = found.as_ref().ok().copied();
        if found.is_err() {
            self.let_go();
        }
        Ok(found.map_err(|why| bad_output(&why)))
    }

    /// Writes it aside, if it is an image.
    pub(super) fn write(mut self) -> Result<Result<Written, Fault>, StoreError> {
        let checked = match self.check()? {
            Ok(checked) => checked,
            Err(fault) => return Ok(Err(fault)),
        };
        if !self.is_long() {
            // It is written once, and named at once.
            self.host = None;
        }
        self.flush()?;
        let partial = self.partial.expect("what is flushed is in a file");
        let beside = match self.place.making.sidecar {
            None => None,
            Some(sidecar) => {
                let text = beside(sidecar, self.name.origin(), &checked);
                Some(self.place.begin_beside(&self.name, sidecar.extension(), text)?)
            }
        };
        Ok(Ok(Written { place: self.place, name: self.name, partial, beside, checked }))
    }
}

/// A whole image in a partial file.
#[derive(Debug)]
pub(super) struct Written {
    place: Arc<Place>,
    name: ImageName,
    pub(super) partial: Partial,
    beside: Option<Beside>,
    checked: Checked,
}

impl Written {
    /// The files that have to last before it gets its name.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        std::iter::once(&self.partial.file).chain(self.beside.iter().map(|beside| &beside.partial.file))
    }

    /// Gives it its name, now that its bytes last.
    pub(super) fn put(self) -> Result<(Named, Checked), StoreError> {
        let named = self.place.put(self.partial, &self.name, &self.checked)?;
        if let Some(beside) = self.beside {
            self.place.put_beside(beside, &self.name, &named)?;
        }
        self.place.kept.forget(&self.name.partial());
        Ok((named, self.checked))
    }
}
