//! Disk model that keeps only synced data: after a crash, unsynced data may be present, missing or partial.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::trace::Op;

/// Number of bytes that a disk writes at once or not at all.
const SECTOR_BYTES: usize = 512;

/// State after a crash: folders (no bytes) and files, by path.
pub type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Treatment of all unsynced data at a crash.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Lost,
    Kept,
    /// Random choice for each sector, each length and each name. The value is the seed.
    Drawn(u64),
}

/// State of the disk: synced data, and pending changes.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: Vec<File>,
    /// Names that survive a crash, and names that the program sees.
    kept: BTreeMap<PathBuf, Entry>,
    seen: BTreeMap<PathBuf, Entry>,
    /// Changes to names that no sync has reached yet, in order.
    pending: Vec<Change>,
}

#[derive(Clone, Debug, Default)]
struct File {
    kept: Vec<u8>,
    pending: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File(usize),
}

#[derive(Clone, Debug)]
struct Change {
    path: PathBuf,
    entry: Option<Entry>,
    /// New name of a rename: the old name is not removed before the new one exists.
    after: Option<PathBuf>,
}

impl Disk {
    /// Creates a disk on which these files are fully synced.
    pub fn holding(image: &Image) -> Self {
        let mut disk = Self::default();
        for (path, bytes) in image {
            let entry = match bytes {
                None => Entry::Folder,
                Some(bytes) => {
                    disk.files.push(File { kept: bytes.clone(), pending: vec![] });
                    Entry::File(disk.files.len() - 1)
                }
            };
            disk.kept.insert(path.clone(), entry);
        }
        disk.seen = disk.kept.clone();
        disk
    }

    /// Applies an operation of the program.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(path) if self.seen.contains_key(path) => (),
            Op::Create(path) => {
                self.files.push(File::default());
                self.name(path, Some(Entry::File(self.files.len() - 1)), None);
            }
            Op::Folder(path) => self.name(path, Some(Entry::Folder), None),
            Op::Write { path, at, bytes } => {
                if let Some(file) = self.file(path) {
                    file.pending.push(Piece::Bytes(*at, bytes.clone()));
                }
            }
            Op::Truncate(path, n) => {
                if let Some(file) = self.file(path) {
                    file.pending.push(Piece::Length(*n));
                }
            }
            Op::Sync(path) => self.sync(path),
            Op::SyncAll => {
                self.kept = self.seen.clone();
                self.pending.clear();
                for file in &mut self.files {
                    file.sync();
                }
            }
            Op::Link(from, to) => {
                let entry = self.seen[from];
                self.name(to, Some(entry), None);
            }
            Op::Rename(from, to) => {
                let entry = self.seen[from];
                self.name(to, Some(entry), None);
                self.name(from, None, Some(to.clone()));
            }
            Op::Remove(path) => self.name(path, None, None),
        }
    }

    fn name(&mut self, path: &Path, entry: Option<Entry>, after: Option<PathBuf>) {
        match entry {
            Some(entry) => drop(self.seen.insert(path.to_owned(), entry)),
            None => drop(self.seen.remove(path)),
        }
        self.pending.push(Change { path: path.to_owned(), entry, after });
    }

    /// Returns the file of this name. Returns `None` for a file that has lost its name.
    fn file(&mut self, path: &Path) -> Option<&mut File> {
        match self.seen.get(path) {
            Some(Entry::File(n)) => Some(&mut self.files[*n]),
            Some(Entry::Folder) | None => None,
        }
    }

    fn sync(&mut self, path: &Path) {
        if let Some(file) = self.file(path) {
            file.sync();
            return;
        }
        // The sync of a folder keeps the names in it. The half of a rename in another folder is kept only with the
        // first half.
        let changes = std::mem::take(&mut self.pending);
        let (in_it, others): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.path.parent() == Some(path));
        let needed: Vec<_> = in_it.iter().filter_map(|change| change.after.clone()).collect();
        for change in
            others.iter().filter(|change| change.entry.is_some() && needed.contains(&change.path)).chain(&in_it)
        {
            set(&mut self.kept, change);
        }
        self.pending = others;
        for change in &mut self.pending {
            // A change no longer waits for a name that is kept by now.
            change.after.take_if(|first| in_it.iter().any(|kept| kept.path == *first && kept.entry.is_some()));
        }
    }

    /// Reports whether no change is pending.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.files.iter().all(|file| file.pending.is_empty())
    }

    /// Returns the state of the disk after a crash at this moment.
    pub fn crash(&self, fate: Fate) -> Image {
        let mut rng = Rng::with_seed(if let Fate::Drawn(seed) = fate { seed } else { 0 });
        // Each image has its own probability, so that some lose a little and some lose nearly everything.
        let odds = rng.f64();
        let mut draw = || match fate {
            Fate::Lost => false,
            Fate::Kept => true,
            Fate::Drawn(_) => rng.f64() < odds,
        };
        let mut names = self.kept.clone();
        let mut kept_new = vec![];
        for change in &self.pending {
            let may_be = change.after.as_ref().is_none_or(|first| kept_new.contains(first));
            if may_be && draw() {
                set(&mut names, change);
                kept_new.push(change.path.clone());
            }
        }
        let mut image = Image::new();
        for (path, entry) in &names {
            // A name without its folder is unreachable.
            let is_reachable = path
                .ancestors()
                .skip(1)
                .all(|above| above.as_os_str().is_empty() || names.get(above) == Some(&Entry::Folder));
            if is_reachable {
                let bytes = match entry {
                    Entry::Folder => None,
                    Entry::File(n) => Some(self.files[*n].bytes(|_| draw())),
                };
                image.insert(path.clone(), bytes);
            }
        }
        image
    }
}

fn set(names: &mut BTreeMap<PathBuf, Entry>, change: &Change) {
    match change.entry {
        Some(entry) => drop(names.insert(change.path.clone(), entry)),
        None => drop(names.remove(&change.path)),
    }
}

impl File {
    fn sync(&mut self) {
        self.kept = self.bytes(|_| true);
        self.pending.clear();
    }

    /// Returns the synced bytes, with those later pieces that were kept.
    fn bytes(&self, mut is_kept: impl FnMut(&Piece) -> bool) -> Vec<u8> {
        let mut all = self.kept.clone();
        for piece in &self.pending {
            match piece {
                Piece::Length(n) if is_kept(piece) => all.resize(usize::try_from(*n).unwrap(), 0),
                Piece::Length(_) => (),
                Piece::Bytes(at, bytes) => {
                    let mut at = usize::try_from(*at).unwrap();
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let (sector, after) = rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
                        if is_kept(piece) {
                            all.resize(all.len().max(at + sector.len()), 0);
                            all[at..at + sector.len()].copy_from_slice(sector);
                        }
                        (at, rest) = (at + sector.len(), after);
                    }
                }
            }
        }
        all
    }
}
