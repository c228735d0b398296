//! An image on its way in: gathered, checked, and written aside.

use std::sync::Arc;

use crate::driver::images::bad_output;
use crate::driver::images::check::{Checked, inspect};
use crate::driver::images::error::StoreError;
use crate::driver::images::place::{Named, Partial, Place};
use crate::model::name::ImageName;
use crate::model::outcome::Fault;

/// What is gathered of a body before it goes to the disk. Many images are shorter, and touch it only when they are whole.
const PIECE_BYTES_MAX: usize = 256 << 10;

/// Some of an image gathered in memory, and what came before that in a partial file.
#[derive(Debug)]
pub(super) struct Incoming {
    place: Arc<Place>,
    name: ImageName,
    gathered: Vec<u8>,
    partial: Option<Partial>,
    /// What it was found to be, once all of it is here.
    checked: Option<Checked>,
}

impl Incoming {
    pub(super) const fn new(place: Arc<Place>, name: ImageName) -> Self {
        Self { place, name, gathered: Vec::new(), partial: None, checked: None }
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

    /// Writes what is gathered.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        let partial = match self.partial.take() {
            Some(partial) => partial,
            None => self.place.begin(&self.name)?,
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
        let limits = &self.place.limits;
        let found = match &mut self.partial {
            // What fits in memory is checked there, so that an error page never touches the disk.
            None => inspect(self.gathered.as_slice(), limits).expect("a slice cannot fail to be read"),
            Some(partial) => partial.inspect(limits)?,
        };
        self.checked = found.as_ref().ok().copied();
        Ok(found.map_err(|why| bad_output(&why)))
    }

    /// Writes it aside, if it is an image.
    pub(super) fn write(mut self) -> Result<Result<Written, Fault>, StoreError> {
        let checked = match self.check()? {
            Ok(checked) => checked,
            Err(fault) => return Ok(Err(fault)),
        };
        self.flush()?;
        let partial = self.partial.expect("what is flushed is in a file");
        Ok(Ok(Written { place: self.place, name: self.name, partial, checked }))
    }
}

/// A whole image in a partial file.
#[derive(Debug)]
pub(super) struct Written {
    place: Arc<Place>,
    name: ImageName,
    pub(super) partial: Partial,
    checked: Checked,
}

impl Written {
    /// Gives it its name, now that its bytes last.
    pub(super) fn put(self) -> Result<(Named, Checked), StoreError> {
        let named = self.place.put(self.partial, &self.name, &self.checked)?;
        Ok((named, self.checked))
    }
}
