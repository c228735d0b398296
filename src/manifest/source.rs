//! Source of a manifest: its file and the options that change its meaning.

use std::path::PathBuf;

use crate::manifest::formats::format::Format;
use crate::manifest::formats::of_path;
use crate::manifest::input::encoding::Encoding;
use crate::manifest::syntax::Syntax;
use crate::model::partition::Partition;
use crate::model::request_limits::{ProviderLookup, RequestLimits};

/// Manifest file and the options that change its meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Path of the file, or `-` for standard input. The file may be compressed with gzip.
    pub path: PathBuf,
    /// Format of the file. `None` means the format that the file extension names.
    pub format: Option<&'static dyn Format>,
    /// Encoding of the file. `None` means UTF-8, or the encoding that is detected from the file's bytes.
    pub encoding: Option<Encoding>,
    /// Name of the sheet of a workbook. `None` means the first visible one.
    pub sheet: Option<String>,
    /// Name of the table column or object key that holds the prompt. `None` means `prompt`.
    pub prompt_column: Option<String>,
    /// Name of the table column or object key that holds the id. `None` means `id`.
    pub id_column: Option<String>,
    /// Pairs of a column's name and the field that it holds, or `width` or `height`.
    pub mapped_columns: Vec<(String, String)>,
    /// Names of columns that are only passed through, whatever their names mean.
    pub carried_columns: Vec<String>,
    /// Names of columns by which the user chooses jobs. What they mean needs no warning.
    pub choosing_columns: Vec<String>,
    /// Reads all texts as they are, even if they look damaged or made for another program.
    pub is_verbatim: bool,
    /// Syntax of the texts. It replaces the one in the manifest, but not an entry's own. `None` keeps the manifest's setting.
    pub syntax: Option<Syntax>,
    /// Puts the remainder of a division in the place of every seed that is above the limit.
    pub is_folding_seeds: bool,
    /// Leaves out the entries whose jobs have the same requests as those of an earlier entry.
    pub is_unique: bool,
    /// Part of the manifest to read: the jobs of other parts only take their indexes. `None` means the whole.
    pub partition: Option<Partition>,
    /// Pairs of field and value. They override the manifest's defaults, but not an entry's own fields. The last pair of a field wins.
    pub overrides: Vec<(String, String)>,
    /// Model of the entries for which nothing else names a model. `None` means no default.
    pub default_model: Option<String>,
    /// Documented limits of the provider; what is outside them causes a warning. `None` means no limits.
    pub limits: Option<&'static RequestLimits>,
    /// Providers that rows may name; `None` refuses every row that names one.
    pub providers: Option<ProviderLookup>,
    /// Limit on the jobs that lists make. `None` means 10,000. Entries that make one job each are not limited.
    pub jobs_max: Option<u64>,
    /// Seed of the shuffled work order. It replaces the seed in the manifest. `None` keeps the manifest's setting.
    pub shuffle: Option<u64>,
    /// Folders whose files the manifest may name, in addition to its own folder.
    /// The own folder of a pipe or of standard input is the working directory.
    pub allowed_folders: Vec<PathBuf>,
}

impl Source {
    /// Returns the format that the user named, or that the path shows. A folder has one format.
    pub(super) fn format(&self) -> Option<&'static dyn Format> {
        self.format.filter(|_| !self.path.is_dir()).or_else(|| of_path(&self.path))
    }

    /// Computes the fingerprint from the hash of the file and the hash of the list files.
    pub(super) fn fingerprint(&self, digest: blake3::Hash, lists: Option<blake3::Hash>) -> [u8; 32] {
        // Leaves out the limits, the allowed folders and the choice, because they do not change what the jobs are.
        let Self { path: _, format: _, encoding, prompt_column, id_column, overrides, default_model, .. } = self;
        let Self {
            limits: _,
            providers: _,
            jobs_max: _,
            shuffle,
            allowed_folders: _,
            mapped_columns,
            carried_columns,
            ..
        } = self;
        let Self { is_verbatim, syntax, is_unique, is_folding_seeds, sheet, partition, .. } = self;
        let format = self.format().map_or("", Format::name);
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: Option<&str>| {
            // Length of each part precedes the part, so that two adjacent parts cannot be confused. `u64::MAX` marks an absent part.
            hasher.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
            hasher.update(text.unwrap_or_default().as_bytes());
        };
        // Since 3, the ledger has the row of each job.
        add(Some("promptbatch manifest 3"));
        add(Some(format));
        add(encoding.map(Encoding::name));
        add(prompt_column.as_deref());
        add(id_column.as_deref());
        add(default_model.as_deref());
        for (field, value) in overrides {
            add(Some(field));
            add(Some(value));
        }
        if let Some(seed) = shuffle {
            add(Some("shuffle"));
            add(Some(&seed.to_string()));
        }
        for (column, field) in mapped_columns {
            add(Some("map"));
            add(Some(column));
            add(Some(field));
        }
        for column in carried_columns {
            add(Some("carry"));
            add(Some(column));
        }
        let flags = [(is_verbatim, "verbatim"), (is_unique, "unique"), (is_folding_seeds, "fold-seeds")];
        flags.iter().filter(|(is_set, _)| **is_set).for_each(|(_, name)| add(Some(name)));
        if let Some(syntax) = syntax {
            add(Some("syntax"));
            add(Some(syntax.name()));
        }
        if let Some(sheet) = sheet {
            add(Some("sheet"));
            add(Some(sheet));
        }
        if let Some(partition) = partition {
            add(Some("partition"));
            add(Some(&partition.to_string()));
        }
        hasher.update(digest.as_bytes());
        if let Some(lists) = lists {
            hasher.update(lists.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}
