//! High-water mark of a ledger, in a separate file (`run.mark`): detects a ledger that went back in time.
//!
//! A ledger goes back in time if it is restored from a backup, or overwritten by an older copy. So does a ledger without its
//! log.
//!
//! The watermark claims an event that the ledger must have, by number and checksum. It is written after each commit and before
//! the next. It is never written before a commit is durable. A power loss or a kill in between leaves it behind the ledger and
//! never ahead. It is synced at the end of a session and after every 256 commits. A power loss may leave it that far behind.
//!
//! The watermark also bounds the jobs that may have been submitted. The bound `handed_out` is synced before a job at a higher
//! position is handed out. Bounds are reserved ahead, so thousands of jobs cost one sync.
//!
//! Two slots in separate sectors are written in turn, so one is whole whatever happens to a write. A folder that is copied or
//! moved as a whole keeps its watermark. A folder that goes back as a whole, watermark included, is not detected.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::store::error::LedgerError;

/// File name, in the folder of `run.db`.
const NAME: &str = "run.mark";

/// Commits that a power loss may remove from the watermark, though not from the ledger.
const COMMITS_UNSYNCED_MAX: u32 = 256;

/// Positions reserved at once.
const RESERVED: u64 = 4096;

/// Bound if none is known: every pending job may have been submitted.
pub(super) const UNBOUNDED: u64 = u64::MAX;

const MAGIC: &[u8; 8] = b"pbmark1\n";
const SLOT_BYTES: usize = 512;
const FIELD_BYTES: usize = 8 + 8 + 16 + 4 * 8;

/// Watermark: how far a ledger had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watermark {
    /// Identity of the run: the random number that its ledger generated.
    pub run: [u8; 16],
    /// Number of the last event; 0 for none.
    pub seq: i64,
    /// Checksum of the last event.
    pub sum: i64,
    /// Submissions started up to that event.
    pub n_submits: u64,
    /// Highest reserved position: no job at a higher one was ever handed out for submission.
    pub handed_out: u64,
}

/// Content found in the watermark file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredWatermark {
    /// Watermark absent: an earlier version made the run, or the watermark was deleted or never finished. The ledger is
    /// trusted, and gets a watermark.
    None,
    /// Watermark present, with the number of the write that wrote it.
    Mark(Watermark, u64),
}

/// Watermark file, open for writing.
#[derive(Debug)]
pub(super) struct WatermarkFile {
    file: File,
    path: PathBuf,
    mark: Watermark,
    /// Number of the last write.
    n_writes: u64,
    n_unsynced: u32,
    /// Records whether the last write succeeded.
    is_written: bool,
}

/// Reads the watermark in the folder `out`. A file with other content is refused, because this program must not overwrite it.
pub(super) fn find(out: &Path) -> Result<StoredWatermark, LedgerError> {
    let path = out.join(NAME);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(3 * SLOT_BYTES as u64).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(StoredWatermark::None),
        Err(source) => return Err(LedgerError::Io { path, source }),
        Ok(_) => (),
    }
    let slots = bytes.chunks(SLOT_BYTES).filter_map(from_slot);
    match slots.max_by_key(|(_, n_writes)| *n_writes) {
        Some((mark, n_writes)) => Ok(StoredWatermark::Mark(mark, n_writes)),
        // Accepts a cut first write: the file is empty, holds zeros, or has its magic bytes and not the rest.
        None if bytes.iter().all(|byte| *byte == 0) || bytes.chunks(SLOT_BYTES).any(|slot| slot.starts_with(MAGIC)) => {
            Ok(StoredWatermark::None)
        }
        None => Err(LedgerError::Foreign { path }),
    }
}

impl WatermarkFile {
    /// Opens the watermark file in the folder `out`, and replaces the watermark found there with this one.
    pub(super) fn open(out: &Path, mark: Watermark, found: StoredWatermark) -> Result<Self, LedgerError> {
        let path = out.join(NAME);
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|source| LedgerError::Io { path: path.clone(), source })?;
        let n_writes = if let StoredWatermark::Mark(_, n_writes) = found { n_writes } else { 0 };
        let mut mark = Self { file, path, mark, n_writes, n_unsynced: 0, is_written: false };
        // Both slots are written, because the other one may claim more than this watermark does.
        mark.write().and_then(|()| mark.write()).map_err(|source| mark.error(source))?;
        mark.sync()?;
        Ok(mark)
    }

    /// Advances the watermark to a durable commit: to its last event, and by the submissions that it started.
    pub(super) fn advance(&mut self, seq: i64, sum: i64, n_submits: u64) -> Result<(), LedgerError> {
        self.advance_to(seq, sum, self.mark.n_submits + n_submits)
    }

    /// Advances the watermark to a durable commit: to its last event, and to this number of submissions.
    pub(super) fn advance_to(&mut self, seq: i64, sum: i64, n_submits: u64) -> Result<(), LedgerError> {
        self.mark = Watermark { seq, sum, n_submits, ..self.mark };
        self.n_unsynced += 1;
        // Failed writes leave the watermark behind, which is allowed. The sync reports writes that keep failing.
        let written = self.write();
        if self.n_unsynced < COMMITS_UNSYNCED_MAX {
            return Ok(());
        }
        written.map_err(|source| self.error(source))?;
        self.sync()
    }

    /// Raises the bound to cover this position, before a job there is handed out. The bound is synced on return.
    pub(super) fn reserve(&mut self, position: u64) -> Result<(), LedgerError> {
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

impl Drop for WatermarkFile {
    fn drop(&mut self) {
        // Failure leaves the watermark behind, which is allowed.
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

fn to_slot(mark: &Watermark, n_writes: u64) -> [u8; SLOT_BYTES] {
    let Watermark { run, seq, sum, n_submits, handed_out } = mark;
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

/// Parses the watermark in a slot, and the number of its write; `None` if the slot is not whole.
fn from_slot(slot: &[u8]) -> Option<(Watermark, u64)> {
    let (fields, rest) = slot.split_at_checked(FIELD_BYTES)?;
    let crc = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?);
    if !fields.starts_with(MAGIC) || crc32fast::hash(fields) != crc {
        return None;
    }
    let number = |at: usize| fields[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let mark = Watermark {
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

    fn mark(seq: i64) -> Watermark {
        Watermark { run: [7; 16], seq, sum: -seq, n_submits: 3, handed_out: 0 }
    }

    #[test]
    fn a_mark_comes_back_as_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()).unwrap(), StoredWatermark::None);
        let mut file = WatermarkFile::open(folder.path(), mark(5), StoredWatermark::None).unwrap();
        file.advance(9, -2, 4).unwrap();
        let there = |seq, sum, n_submits, handed_out| Watermark { run: [7; 16], seq, sum, n_submits, handed_out };
        assert!(matches!(find(folder.path()).unwrap(), StoredWatermark::Mark(found, 3) if found == there(9, -2, 7, 0)));
        file.reserve(10).unwrap();
        file.reserve(4000).unwrap();
        drop(file);
        let found = find(folder.path()).unwrap();
        assert_eq!(found, StoredWatermark::Mark(there(9, -2, 7, 10 + RESERVED), 4), "reserved once for both");
        // Replaces the newer watermark by an older one. The slot that is not written next does not bring the newer one back.
        drop(WatermarkFile::open(folder.path(), mark(1), found).unwrap());
        assert_eq!(find(folder.path()).unwrap(), StoredWatermark::Mark(mark(1), 6));
    }

    /// Goal: one slot is whole whatever happens to the write of the other. Method: damage each byte of the later slot in turn.
    #[test]
    fn a_spoiled_slot_leaves_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut file = WatermarkFile::open(folder.path(), mark(5), StoredWatermark::None).unwrap();
        file.advance(6, -6, 0).unwrap();
        drop(file);
        let whole = fs::read(&path).unwrap();
        let StoredWatermark::Mark(last, n_writes) = find(folder.path()).unwrap() else { panic!("there is one") };
        let later = usize::try_from(n_writes % 2).unwrap() * SLOT_BYTES;
        for byte in 0..FIELD_BYTES + 4 {
            let mut spoiled = whole.clone();
            spoiled[later + byte] ^= 0x10;
            fs::write(&path, spoiled).unwrap();
            let StoredWatermark::Mark(found, n) = find(folder.path()).unwrap() else { panic!("byte {byte}") };
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
                Ok(found) => assert!(is_ours && found == StoredWatermark::None, "{bytes:?}"),
                Err(error) => assert!(!is_ours && matches!(error, LedgerError::Foreign { .. }), "{error}"),
            }
        }
    }
}
