//! Settings of a run, each a text under a key of its own.

/// What becomes of a setting when jobs go to another ledger: to that of a shared run and back, or into the merge of several parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingScope {
    /// Of the folder, and not of the run: it stays where it is.
    Folder,
    /// Of the manifest: a merge imports the manifest, which sets it.
    Manifest,
    /// Of the run. Parts have the same value.
    Run,
    /// Price of the run's images. Parts may have different ones, which cannot be merged.
    Price,
    /// Ids of jobs, with spaces: a merge has those of all parts.
    Jobs,
    /// JSON object of entries by name: a merge has those of all parts.
    Names,
    /// Time in milliseconds: a merge has the last one of all parts.
    Time,
    /// Account, by a hash that only its own salt makes comparable: a merge has those of all parts.
    Account,
}

/// Defines the settings, each with its key in a ledger and its scope. What is not in this table does not exist.
macro_rules! settings {
    ($($(#[$doc:meta])+ $name:ident = $key:literal, $scope:ident;)+) => {
        /// Setting of a whole run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Setting {
            $($(#[$doc])+ $name,)+
        }

        impl Setting {
            /// All settings.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// Returns the key under which a ledger keeps the setting.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)+
                }
            }

            /// Returns what becomes of the setting when jobs go to another ledger.
            pub const fn scope(self) -> SettingScope {
                match self {
                    $(Self::$name => SettingScope::$scope,)+
                }
            }
        }
    };
}

settings! {
    /// Provider of the run's tasks, as its name and, if it matters, its address.
    Provider = "provider", Run;
    /// Name of that provider. Ledgers of earlier releases have no such entry.
    ProviderName = "provider_name", Run;
    /// Further columns of the manifest, as a JSON array.
    Columns = "columns", Manifest;
    /// Further columns of all manifests so far, as a JSON array: an earlier table of results may have them.
    ResultsColumns = "results_columns", Manifest;
    /// Fingerprint of the last imported manifest.
    ManifestFingerprint = "manifest", Manifest;
    /// Set if the rows of its jobs are recorded. Ledgers of earlier releases have no such entry.
    Rows = "rows", Manifest;
    /// Part of a manifest that the jobs are, and the fingerprint of the whole; empty for a whole.
    Part = "part", Manifest;
    /// Path of that manifest, absolute; `-` for standard input or a pipe.
    ManifestPath = "manifest_path", Manifest;
    /// Pictures on this disk that requests name, as JSON: the path, the hash and the size of each name.
    Pictures = "pictures", Names;
    /// Price that the manifest names, as JSON; empty for none.
    ManifestPrice = "price", Manifest;
    /// Price that the last run used, as JSON; empty for none.
    PriceUsed = "price_used", Price;
    /// Identities of the providers that rows name, by their names, as JSON.
    RowProviders = "row_providers", Names;
    /// Name of the last description of the provider and the hashes of its fields, as JSON.
    Description = "description", Run;
    /// Output style of the images, as JSON.
    OutputStyle = "style", Run;
    /// Address of the images in object storage; empty for the output folder.
    Images = "images", Run;
    /// Account that owns the tasks of the run, as a salted hash of its token.
    Account = "account", Account;
    /// Salt of that hash.
    AccountSalt = "account_salt", Account;
    /// Accounts of the parts that were merged into the run, as JSON: the salt and the hash of each. Empty once one token is known to be that of all.
    PartAccounts = "part_accounts", Account;
    /// Seed of the order in which pending jobs are handed out; empty for manifest order.
    ShuffleSeed = "shuffle", Manifest;
    /// Revision of the run at the last write of its results.
    ResultsRevision = "results", Folder;
    /// Ids of the jobs whose images are being replaced, with spaces; empty for none.
    Replacing = "replacing", Jobs;
    /// Ids of the jobs that were made again and have no new image yet, with spaces; empty for none.
    Redoing = "redoing", Jobs;
    /// Time of a redo whose end no session has seen, in milliseconds; empty for none.
    Redo = "redo", Time;
    /// Id of this folder at the servers of shared runs, drawn when a run is brought back into it.
    Home = "home", Folder;
    /// Shared run that has the jobs of this folder at present, as JSON; empty for none.
    Lent = "lent", Folder;
}

impl Setting {
    /// Returns whether the setting is one of the run, and not of the folder in which the run is.
    pub const fn is_shared(self) -> bool {
        !matches!(self.scope(), SettingScope::Folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an interrupted redo goes wherever its jobs go.
    #[test]
    fn what_a_redo_leaves_is_of_the_run() {
        for setting in [Setting::Redoing, Setting::Replacing, Setting::Redo] {
            assert!(Setting::ALL.contains(&setting) && setting.is_shared(), "{setting:?}");
        }
    }

    #[test]
    fn no_two_settings_have_one_key() {
        let keys: std::collections::BTreeSet<_> = Setting::ALL.into_iter().map(Setting::key).collect();
        assert_eq!(keys.len(), Setting::ALL.len());
    }
}
