//! Compound file, the container of older Office files: its streams, read by name.

/// First bytes of a compound file.
pub(super) const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Numbers from here on are no sectors.
const SECTORS_END: u32 = 0xffff_fffa;

const HEADER_BYTES: usize = 512;
const ENTRY_BYTES: usize = 128;
const SMALL_SECTOR_BYTES: usize = 64;

/// Length from which a stream has sectors of its own.
const SMALL_STREAM_MAX: usize = 4096;

/// Compound file with its table of sectors.
pub(super) struct CompoundFile<'a> {
    bytes: &'a [u8],
    sector_bytes: usize,
    /// Sector behind each sector.
    next: Vec<u32>,
}

/// Stream of a compound file: its first sector, and its length.
#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    n_bytes: usize,
}

impl<'a> CompoundFile<'a> {
    /// Opens the file; `None` if it is damaged, or something else.
    pub(super) fn open(bytes: &'a [u8]) -> Option<Self> {
        let shift = usize::from(number16(bytes, 30)?);
        if !bytes.starts_with(MAGIC) || !matches!(shift, 9 | 12) || bytes.len() < HEADER_BYTES {
            return None;
        }
        let mut file = Self { bytes, sector_bytes: 1 << shift, next: Vec::new() };
        let mut tables: Vec<u32> = numbers(&bytes[76..HEADER_BYTES]).collect();
        let (mut more, mut n_left) = (number32(bytes, 68)?, file.n_sectors());
        while more < SECTORS_END && n_left > 0 {
            tables.extend(numbers(file.sector(more)?));
            more = tables.pop()?;
            n_left -= 1;
        }
        let is_sector = |id: &u32| *id < SECTORS_END;
        for id in tables.into_iter().filter(is_sector).take(file.n_sectors()) {
            let table: Vec<_> = numbers(file.sector(id)?).collect();
            file.next.extend(table);
        }
        Some(file)
    }

    /// Returns the bytes of the first of these streams that the file has.
    pub(super) fn stream(&self, names: &[&str]) -> Option<Vec<u8>> {
        let directory = self.chain(number32(self.bytes, 48)?)?;
        let find = |is_it: &dyn Fn(&str) -> bool| {
            let mut entries = directory.chunks_exact(ENTRY_BYTES);
            entries.find_map(|entry| Some(entry_of(entry)).filter(|_| is_it(&name_of(entry))))?
        };
        let Entry { start, n_bytes } = names.iter().find_map(|name| find(&|other| other.eq_ignore_ascii_case(name)))?;
        if n_bytes >= SMALL_STREAM_MAX {
            return prefix(self.chain(start)?, n_bytes);
        }
        let root = entry_of(directory.get(..ENTRY_BYTES)?)?;
        let small = self.chain(root.start)?;
        let next: Vec<u32> = numbers(&self.chain(number32(self.bytes, 60)?)?).collect();
        let sector = |id: u32| {
            let begin = (id as usize).checked_mul(SMALL_SECTOR_BYTES)?;
            Some(&small[begin.min(small.len())..begin.saturating_add(SMALL_SECTOR_BYTES).min(small.len())])
        };
        prefix(joined(start, &next, sector)?, n_bytes)
    }

    fn n_sectors(&self) -> usize {
        self.bytes.len() / self.sector_bytes
    }

    /// Returns a sector. The last one of a file may be short.
    fn sector(&self, id: u32) -> Option<&'a [u8]> {
        let begin = (id as usize).checked_add(1)?.checked_mul(self.sector_bytes)?;
        let end = begin.checked_add(self.sector_bytes)?.min(self.bytes.len());
        self.bytes.get(begin..end)
    }

    fn chain(&self, start: u32) -> Option<Vec<u8>> {
        joined(start, &self.next, |id| self.sector(id))
    }
}

/// Joins the sectors of a chain; `None` if it leads outside, or in a circle.
fn joined<'a>(start: u32, next: &[u32], sector: impl Fn(u32) -> Option<&'a [u8]>) -> Option<Vec<u8>> {
    let (mut bytes, mut id) = (Vec::new(), start);
    for _ in 0..=next.len() {
        if id >= SECTORS_END {
            return Some(bytes);
        }
        bytes.extend_from_slice(sector(id)?);
        id = *next.get(id as usize)?;
    }
    None
}

fn prefix(mut bytes: Vec<u8>, n_bytes: usize) -> Option<Vec<u8>> {
    (bytes.len() >= n_bytes).then(|| {
        bytes.truncate(n_bytes);
        bytes
    })
}

fn name_of(entry: &[u8]) -> String {
    let n_bytes = usize::from(number16(entry, 64).unwrap_or(0)).min(64).saturating_sub(2);
    let units: Vec<u16> = (0..n_bytes).step_by(2).filter_map(|at| number16(entry, at)).collect();
    String::from_utf16_lossy(&units)
}

fn entry_of(entry: &[u8]) -> Option<Entry> {
    Some(Entry { start: number32(entry, 116)?, n_bytes: number32(entry, 120)? as usize })
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Returns the 16-bit number at a place; `None` beyond the end.
pub(super) fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Returns the 32-bit number at a place; `None` beyond the end.
pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Returns the floating-point number at a place; `None` beyond the end.
pub(super) fn number64(bytes: &[u8], at: usize) -> Option<f64> {
    Some(f64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
