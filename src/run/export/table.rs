//! Tables of an image folder, one per split: written when all images are in place, because their columns depend on all rows.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::fsio::temp_file::TempFile;
use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::report::dataset::column_form::ColumnForm;
use crate::report::dataset::column_use::ColumnUse;
use crate::report::dataset::metadata::{Metadata, TableFormat};
use crate::report::dataset::record::{Columns, Record};
use crate::report::dataset::split::Splits;
use crate::report::value::hex;
use crate::run::export::error::{ExportError, at};
use crate::run::export::temp_file::{create, remove, settle, sync_names, synced};
use crate::run::export::writer::ExportContext;

/// Tables of all splits.
pub(super) struct MetadataTables<'a> {
    used: ColumnUse<'a>,
    open: Vec<Option<Table>>,
}

type Table = Metadata<HashingWriter>;

impl<'a> MetadataTables<'a> {
    /// Creates the tables of `n_splits` splits, without any file.
    pub(super) fn new(columns: &'a Columns, n_splits: usize) -> Self {
        Self { used: ColumnUse::new(columns, n_splits), open: (0..n_splits).map(|_| None).collect() }
    }

    /// Notes which columns an image has values in. All images are noted before the first is written.
    pub(super) fn note(&mut self, split: usize, record: &Record<'_>) {
        self.used.add(split, record);
    }

    /// Returns the forms of the columns for the images that were noted.
    pub(super) fn forms(&self, format: TableFormat) -> Vec<ColumnForm> {
        self.used.forms_of_table(format)
    }

    /// Writes the row of an image, which is at `place` relative to the table.
    fn write(
        &mut self,
        work: &ExportContext<'_>,
        (known, artifact): (&JobRecord, &Artifact),
        (split, place): (usize, &str),
    ) -> Result<(), ExportError> {
        let (dir, format) = (&work.options.dir, work.options.metadata);
        let table = match &mut self.open[split] {
            Some(table) => table,
            none => {
                let out = create(dir, &format!("{split}.{}", format.file_name()))?;
                let hashed = HashingWriter { out, hasher: blake3::Hasher::new() };
                none.insert(Metadata::new(hashed, format, work.columns, work.forms.clone()).map_err(at(dir))?)
            }
        };
        table.write(&work.columns.record(known, artifact).at(place)).map_err(at(dir))
    }

    /// Writes the row of an image, if the image was taken.
    pub(super) fn tabulate(
        &mut self,
        work: &ExportContext<'_>,
        known: &JobRecord,
        nth: usize,
        artifact: &Artifact,
    ) -> Result<(), ExportError> {
        let Some(had) = work.state.find(known.job.id, nth)? else { return Ok(()) };
        let Some((stem, extension)) = had.place.filter(|_| work.seen.contains(had.row)) else { return Ok(()) };
        let (split, prefix) = work.split_of(known);
        // Makes the name relative to the table, which is in the folder of its split.
        let below = stem.strip_prefix(&format!("{prefix}/")).unwrap_or(&stem);
        self.write(work, (known, artifact), (split, &format!("{below}.{extension}")))
    }

    /// Completes the tables, as temporary files.
    pub(super) fn written(&mut self, work: &ExportContext<'_>) -> Result<Vec<WrittenTable>, ExportError> {
        let (dir, format) = (&work.options.dir, work.options.metadata);
        let splits = work.splits.iter().flat_map(Splits::names);
        let written = splits.zip(&mut self.open).map(|(split, table)| {
            let name = format!("{split}/{}", format.file_name());
            let file = match table.take() {
                Some(metadata) => {
                    let HashingWriter { out, hasher } = metadata.finish().map_err(at(dir))?;
                    Some((synced(out)?, hex(hasher.finalize().as_bytes())))
                }
                None => None,
            };
            Ok(WrittenTable { split: split.to_owned(), name, file })
        });
        written.collect()
    }

    /// Puts each table in place if its content is new.
    /// Returns the number of tables that the user has edited, and that stay as they are.
    pub(super) fn settle(&mut self, work: &ExportContext<'_>) -> Result<u64, ExportError> {
        let mut n_kept = 0;
        let dir = &work.options.dir;
        for WrittenTable { split, name, file } in self.written(work)? {
            let (key, path) = (format!("table {split}"), dir.join(name));
            let recorded = work.state.setting(&key)?;
            let Some((file, hash)) = file else {
                match own_hash(&path, recorded.as_deref())? {
                    FoundTable::Edited => n_kept += 1,
                    FoundTable::Own(_) | FoundTable::Missing => remove(&path)?,
                }
                continue;
            };
            let found = match own_hash(&path, recorded.as_deref())? {
                FoundTable::Own(found) if found == hash => continue,
                FoundTable::Own(found) => format!("{found} {hash}"),
                FoundTable::Missing => hash.clone(),
                FoundTable::Edited if recorded.as_deref() == Some(&hash) => continue,
                FoundTable::Edited => {
                    n_kept += 1;
                    continue;
                }
            };
            // A crash in between leaves one of the two.
            work.state.set(&key, &found)?;
            settle(file, &path)?;
            sync_names(&dir.join(split))?;
            work.state.set(&key, &hash)?;
        }
        Ok(n_kept)
    }
}

/// Complete table of a split.
pub(super) struct WrittenTable {
    split: String,
    /// Name of the table, below the dataset's folder.
    pub(super) name: String,
    /// Temporary file, and the hash of its content; `None` if the split has no image.
    pub(super) file: Option<(TempFile, String)>,
}

/// File at the place of a table.
enum FoundTable {
    Missing,
    /// Table that an export wrote, with this hash.
    Own(String),
    /// Table that the user has edited.
    Edited,
}

/// Compares the file at the place of a table with the hashes of what exports wrote there. A link or a folder counts as missing.
fn own_hash(path: &Path, recorded: Option<&str>) -> Result<FoundTable, ExportError> {
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return Ok(FoundTable::Missing);
    }
    let mut hasher = blake3::Hasher::new();
    File::open(path).and_then(|file| hasher.update_reader(file).map(drop)).map_err(at(path))?;
    let hash = hex(hasher.finalize().as_bytes());
    let is_own = recorded.is_none_or(|recorded| recorded.split(' ').any(|own| own == hash));
    Ok(if is_own { FoundTable::Own(hash) } else { FoundTable::Edited })
}

/// File that is hashed while it is written.
struct HashingWriter {
    out: BufWriter<TempFile>,
    hasher: blake3::Hasher,
}

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
