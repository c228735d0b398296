//! High-water mark of a ledger, in a file of its own (`run.mark`): how far the ledger had come, so that one that went back in time is
//! known: restored from a backup, copied over by an older one, or without its log.
//!
//! The mark claims an event that the ledger must have, by its number and its checksum. It is written after each commit and before the
//! next one, and never before a commit is durable, so a power loss or a kill in between leaves it behind the ledger and never ahead.
//! It is synced at the end of a session and after every 256 commits: so far behind may a power loss leave it.
//!
//! It also bounds which jobs may have been submitted: `handed_out` is synced before a job at a higher position is handed out. Bounds are
//! reserved ahead, so that this costs a sync for thousands of jobs.
//!
//! Two slots in sectors of their own are written in turn, so that one is whole whatever becomes of a write. A folder that is copied or
//! moved as a whole takes its mark along. One that goes back as a whole, with the mark in it, is not noticed.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::ledger::error::LedgerError;

/// The file, beside `run.db`.
const NAME: &str = "run.mark";

/// Commits that a power loss may take from the mark, though not from the ledger.
const COMMITS_UNSYNCED_MAX: u32 = 256;

/// Positions that are reserved at once.
const RESERVED: u64 = 4096;

/// The bound where it is not known: every pending job may have been submitted.
pub const UNBOUNDED: u64 = u64::MAX;

const MAGIC: &[u8; 8] = b"pbmark1\n";
const SLOT_BYTES: usize = 512;
const FIELD_BYTES: usize = 8 + 8 + 16 + 4 * 8;

/// How far a ledger had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The run, by the number that its ledger drew for itself.
    pub run: [u8; 16],
    /// The number of the last event; 0 for none.
    pub seq: i64,
    /// The checksum of that event.
    pub sum: i64,
    /// Submissions that had been started.
    pub n_submits: u64,
    /// No job at a higher position was ever handed out to be submitted.
    pub handed_out: u64,
}

/// What was found in the place of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// None: a run of an earlier version, or one whose mark was deleted or never finished. The ledger is believed, and gets one.
    None,
    /// This one, with the number of the write that wrote it.
    Mark(Mark, u64),
}

/// The file, open for writing.
#[derive(Debug)]
pub struct MarkFile {
    file: File,
    path: PathBuf,
    mark: Mark,
    /// The number of the last write.
    n_writes: u64,
    n_unsynced: u32,
    /// Whether the last write was done.
    is_written: bool,
}

/// Reads the mark in the folder `out`. A file that holds something else is refused: it is not ours to write over.
pub fn find(out: &Path) -> Result<Found, LedgerError> {
    let path = out.join(NAME);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(3 * SLOT_BYTES as u64).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::None),
        Err(source) => return Err(LedgerError::Io { path, source }),
        Ok(_) => (),
    }
    let slots = bytes.chunks(SLOT_BYTES).filter_map(from_slot);
    match slots.max_by_key(|(_, n_writes)| *n_writes) {
        Some((mark, n_writes)) => Ok(Found::Mark(mark, n_writes)),
        // The first write may have been cut: the file is empty, holds zeros, or its magic is there and the rest is not.
        None if bytes.iter().all(|byte| *byte == 0) || bytes.chunks(SLOT_BYTES).any(|slot| slot.starts_with(MAGIC)) => {
            Ok(Found::None)
        }
        None => Err(LedgerError::Foreign { path }),
    }
}

impl MarkFile {
    /// Opens the mark in the folder `out`, and writes this one in the place of what was found there.
    pub fn open(out: &Path, mark: Mark, found: Found) -> Result<Self, LedgerError> {
        let path = out.join(NAME);
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|source| LedgerError::Io { path: path.clone(), source })?;
        let n_writes = if let Found::Mark(_, n_writes) = found { n_writes } else { 0 };
        let mut mark = Self { file, path, mark, n_writes, n_unsynced: 0, is_written: false };
        // Both slots, as what is in the other one may claim more than this mark does.
        mark.write().and_then(|()| mark.write()).map_err(|source| mark.error(source))?;
        mark.sync()?;
        Ok(mark)
    }

    /// Takes note of a commit that is durable: its last event, and the submissions that it started.
    pub fn advance(&mut self, seq: i64, sum: i64, n_submits: u64) -> Result<(), LedgerError> {
        self.mark = Mark { seq, sum, n_submits: self.mark.n_submits + n_submits, ..self.mark };
        self.n_unsynced += 1;
        // A write that fails leaves the mark behind, which is allowed; one that goes on failing is told by the sync.
        let written = self.write();
        if self.n_unsynced < COMMITS_UNSYNCED_MAX {
            return Ok(());
        }
        written.map_err(|source| self.error(source))?;
        self.sync()
    }

    /// Makes sure that the bound covers this position before a job there is handed out. It is synced when this returns.
    pub fn reserve(&mut self, position: u64) -> Result<(), LedgerError> {
        if position <= self.mark.handed_out {
            return Ok(());
        }
        let before = self.mark.handed_out;
        self.mark.handed_out = position.saturating_add(RESERVED);
        let written = self.write().map_err(|source| self.error(source)).and_then(|()| self.sync());
        if written.is_err() {
            self.mark.handed_out = before;
        }
        written
    }

    fn write(&mut self) -> io::Result<()> {
        self.n_writes += 1;
        let at = (self.n_writes % 2) * SLOT_BYTES as u64;
        let written = write_at(&mut self.file, &to_slot(&self.mark, self.n_writes), at);
        self.is_written = written.is_ok();
        written
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        self.file.sync_data().map_err(|source| self.error(source))?;
        self.n_unsynced = 0;
        Ok(())
    }

    fn error(&self, source: io::Error) -> LedgerError {
        let path = self.path.clone();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => LedgerError::Full { path },
            _ => LedgerError::Io { path, source },
        }
    }
}

impl Drop for MarkFile {
    fn drop(&mut self) {
        // If either fails, the mark is behind, which is allowed.
        let is_written = self.is_written || self.write().is_ok();
        if is_written && self.n_unsynced > 0 {
            let _ = self.sync();
        }
    }
}

#[cfg(unix)]
fn write_at(file: &mut File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(not(unix))]
fn write_at(file: &mut File, bytes: &[u8], at: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};

    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

fn to_slot(mark: &Mark, n_writes: u64) -> [u8; SLOT_BYTES] {
    let Mark { run, seq, sum, n_submits, handed_out } = mark;
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&n_writes.to_le_bytes());
    bytes.extend_from_slice(run);
    for number in [seq.to_le_bytes(), sum.to_le_bytes(), n_submits.to_le_bytes(), handed_out.to_le_bytes()] {
        bytes.extend_from_slice(&number);
    }
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    let mut slot = [0; SLOT_BYTES];
    slot[..bytes.len()].copy_from_slice(&bytes);
    slot
}

/// The mark in a slot and the number of its write; nothing where it is not whole.
fn from_slot(slot: &[u8]) -> Option<(Mark, u64)> {
    let (fields, rest) = slot.split_at_checked(FIELD_BYTES)?;
    let crc = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?);
    if !fields.starts_with(MAGIC) || crc32fast::hash(fields) != crc {
        return None;
    }
    let number = |at: usize| fields[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let mark = Mark {
        run: fields[16..32].try_into().ok()?,
        seq: number(32)?.cast_signed(),
        sum: number(40)?.cast_signed(),
        n_submits: number(48)?,
        handed_out: number(56)?,
    };
    Some((mark, number(8)?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mark(seq: i64) -> Mark {
        Mark { run: [7; 16], seq, sum: -seq, n_submits: 3, handed_out: 0 }
    }

    #[test]
    fn a_mark_comes_back_as_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()).unwrap(), Found::None);
        let mut file = MarkFile::open(folder.path(), mark(5), Found::None).unwrap();
        file.advance(9, -2, 4).unwrap();
        let there = |seq, sum, n_submits, handed_out| Mark { run: [7; 16], seq, sum, n_submits, handed_out };
        assert!(matches!(find(folder.path()).unwrap(), Found::Mark(found, 3) if found == there(9, -2, 7, 0)));
        file.reserve(10).unwrap();
        file.reserve(4000).unwrap();
        drop(file);
        let found = find(folder.path()).unwrap();
        assert_eq!(found, Found::Mark(there(9, -2, 7, 10 + RESERVED), 4), "reserved once for both");
        // An older one takes its place, and the slot that is not written next does not bring the newer one back.
        drop(MarkFile::open(folder.path(), mark(1), found).unwrap());
        assert_eq!(find(folder.path()).unwrap(), Found::Mark(mark(1), 6));
    }

    /// Goal: one slot is whole whatever becomes of the write of the other. Method: spoil each byte of the later slot in turn.
    #[test]
    fn a_spoiled_slot_leaves_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut file = MarkFile::open(folder.path(), mark(5), Found::None).unwrap();
        file.advance(6, -6, 0).unwrap();
        drop(file);
        let whole = fs::read(&path).unwrap();
        let Found::Mark(last, n_writes) = find(folder.path()).unwrap() else { panic!("there is one") };
        let later = usize::try_from(n_writes % 2).unwrap() * SLOT_BYTES;
        for byte in 0..FIELD_BYTES + 4 {
            let mut spoiled = whole.clone();
            spoiled[later + byte] ^= 0x10;
            fs::write(&path, spoiled).unwrap();
            let Found::Mark(found, n) = find(folder.path()).unwrap() else { panic!("byte {byte}") };
            assert_eq!((found.run, n + 1), (last.run, n_writes), "byte {byte}");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_a_cut_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let whole = to_slot(&mark(5), 1);
        for (bytes, is_ours) in
            [(&b""[..], true), (&[0; 512], true), (&whole[..20], true), (b"a note of mine", false), (b"pbmark", false)]
        {
            fs::write(folder.path().join(NAME), bytes).unwrap();
            match find(folder.path()) {
                Ok(found) => assert!(is_ours && found == Found::None, "{bytes:?}"),
                Err(error) => assert!(!is_ours && matches!(error, LedgerError::Foreign { .. }), "{error}"),
            }
        }
    }
}
