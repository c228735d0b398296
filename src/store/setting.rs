//! Settings of a run, each a text under a key of its own.

/// Setting of a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Provider of the run's tasks, as its name and, if it matters, its address.
    Provider,
    /// Name of that provider. Ledgers of earlier releases have no such entry.
    ProviderName,
    /// Further columns of the manifest, as a JSON array.
    Columns,
    /// Further columns of all manifests so far, as a JSON array: an earlier table of results may have them.
    ResultsColumns,
    /// Fingerprint of the last imported manifest.
    ManifestFingerprint,
    /// Set if the rows of its jobs are recorded. Ledgers of earlier releases have no such entry.
    Rows,
    /// Part of a manifest that the jobs are, and the fingerprint of the whole; empty for a whole.
    Part,
    /// Path of that manifest, absolute; `-` for standard input or a pipe.
    ManifestPath,
    /// Pictures on this disk that requests name, as JSON: the path, the hash and the size of each name.
    Pictures,
    /// Price that the manifest names, as JSON; empty for none.
    ManifestPrice,
    /// Price that the last run used, as JSON; empty for none.
    PriceUsed,
    /// Identities of the providers that rows name, by their names, as JSON.
    RowProviders,
    /// Name of the last description of the provider and the hashes of its fields, as JSON.
    Description,
    /// Output style of the images, as JSON.
    OutputStyle,
    /// Address of the images in object storage; empty for the output folder.
    Images,
    /// Account that owns the tasks of the run, as a salted hash of its token.
    Account,
    /// Salt of that hash.
    AccountSalt,
    /// Seed of the order in which pending jobs are handed out; empty for manifest order.
    ShuffleSeed,
    /// Revision of the run at the last write of its results.
    ResultsRevision,
    /// Ids of the jobs whose images are being replaced, with spaces; empty for none.
    Replacing,
    /// Ids of the jobs that were made again and have no new image yet, with spaces; empty for none.
    Redoing,
    /// Time of a redo whose end no session has seen, in milliseconds; empty for none.
    Redo,
    /// Shared run that has the jobs of this folder at present, as JSON; empty for none.
    Lent,
}

impl Setting {
    /// All settings.
    pub const ALL: [Self; 22] = [
        Self::Provider,
        Self::ProviderName,
        Self::Columns,
        Self::ResultsColumns,
        Self::ManifestFingerprint,
        Self::Rows,
        Self::Part,
        Self::ManifestPath,
        Self::Pictures,
        Self::ManifestPrice,
        Self::PriceUsed,
        Self::RowProviders,
        Self::Description,
        Self::OutputStyle,
        Self::Images,
        Self::Account,
        Self::AccountSalt,
        Self::ShuffleSeed,
        Self::ResultsRevision,
        Self::Replacing,
        Self::Redo,
        Self::Lent,
    ];

    /// Returns whether the setting is one of the run, and not of the folder in which the run is.
    pub const fn is_shared(self) -> bool {
        !matches!(self, Self::Lent | Self::ResultsRevision)
    }

    /// Returns the key under which a ledger keeps the setting.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::ProviderName => "provider_name",
            Self::Columns => "columns",
            Self::ResultsColumns => "results_columns",
            Self::ManifestFingerprint => "manifest",
            Self::Rows => "rows",
            Self::Part => "part",
            Self::ManifestPath => "manifest_path",
            Self::Pictures => "pictures",
            Self::ManifestPrice => "price",
            Self::PriceUsed => "price_used",
            Self::RowProviders => "row_providers",
            Self::Description => "description",
            Self::OutputStyle => "style",
            Self::Images => "images",
            Self::Account => "account",
            Self::AccountSalt => "account_salt",
            Self::ShuffleSeed => "shuffle",
            Self::ResultsRevision => "results",
            Self::Replacing => "replacing",
            Self::Redoing => "redoing",
            Self::Redo => "redo",
            Self::Lent => "lent",
        }
    }
}
