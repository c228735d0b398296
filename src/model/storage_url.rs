//! Address of a place in object storage: `s3://bucket/prefix`, and its like in other clouds.

use std::fmt;
use std::str::FromStr;

/// Length of an address in bytes, at most: keys in object storage have at most 1024 bytes.
const BYTES_MAX: usize = 700;

/// Kind of object storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageKind {
    /// Amazon S3, and all services with its API.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// Folder of a file system, which several machines may share.
    Folder,
}

/// Address of a place in object storage. It has no keys of an account: those are in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageUrl {
    kind: StorageKind,
    /// Scheme, bucket and prefix, without a slash at the end.
    text: String,
    /// Bucket or container; empty for a folder.
    bucket: String,
    /// Storage account of Azure, if the address names it.
    account: Option<String>,
    /// Prefix of the keys, without slashes around it. For a folder, its path without the slash at the beginning.
    prefix: String,
}

/// Reason why a text is no address of object storage. It does not repeat the text, which may contain a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageUrlError {
    /// Text of another form.
    #[error("write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder")]
    Form,
    /// Address with a user or a password.
    #[error(
        "it has a user or a key before the bucket; leave that out, and put keys into the environment (AWS_ACCESS_KEY_ID and its like)"
    )]
    Key,
    /// Address with a query or a fragment.
    #[error(
        "`?` and `#` cannot be part of it; options are in the environment (AWS_REGION, AWS_ENDPOINT_URL and their like)"
    )]
    Query,
    /// Address with a part that cannot be part of a key.
    #[error("its parts cannot be empty, `.` or `..`, and have no control characters and no backslashes")]
    Part,
    /// Address that is too long.
    #[error("it has more than {BYTES_MAX} bytes")]
    Long,
}

impl StorageUrl {
    /// Returns the kind of storage.
    pub const fn kind(&self) -> StorageKind {
        self.kind
    }

    /// Returns the bucket or container; empty for a folder.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the storage account of Azure, if the address names it.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Returns the prefix of the keys, without slashes around it. For a folder, that is its path without the slash at the beginning.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the address of an object with this name.
    pub fn of(&self, name: &str) -> String {
        format!("{}/{name}", self.text)
    }
}

impl fmt::Display for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for StorageUrl {
    type Err = StorageUrlError;

    fn from_str(text: &str) -> Result<Self, StorageUrlError> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(StorageUrlError::Form)?;
        let kind = match scheme {
            "s3" | "s3a" => StorageKind::S3,
            "gs" => StorageKind::Google,
            "az" | "abfs" | "abfss" => StorageKind::Azure,
            "file" => StorageKind::Folder,
            _ => return Err(StorageUrlError::Form),
        };
        if rest.contains(['?', '#']) {
            return Err(StorageUrlError::Query);
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        let (bucket, account) = match host.split_once('@') {
            None => (host, None),
            Some((bucket, host)) if kind == StorageKind::Azure && !bucket.contains(':') => {
                let account = host.strip_suffix(".dfs.core.windows.net");
                let account = account.or_else(|| host.strip_suffix(".blob.core.windows.net"));
                (bucket, Some(account.ok_or(StorageUrlError::Form)?.to_owned()))
            }
            Some(_) => return Err(StorageUrlError::Key),
        };
        let is_folder = kind == StorageKind::Folder;
        if is_folder != bucket.is_empty() || (is_folder && path.is_empty()) || bucket.contains(':') {
            return Err(StorageUrlError::Form);
        }
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_control() || matches!(c, '\\' | '%'))
        };
        if !(path.is_empty() || path.split('/').all(is_part)) || (!is_folder && !is_part(bucket)) {
            return Err(StorageUrlError::Part);
        }
        let scheme = if scheme == "s3a" { "s3" } else { scheme };
        let place = if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") };
        let text = format!("{scheme}://{place}");
        if text.len() > BYTES_MAX {
            return Err(StorageUrlError::Long);
        }
        Ok(Self { kind, text, bucket: bucket.to_owned(), account, prefix: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_users_of_each_cloud_write_them() {
        let read = |text: &str| {
            let url: StorageUrl = text.parse().unwrap();
            (url.kind(), url.bucket().to_owned(), url.prefix().to_owned(), url.of("images/1.png"))
        };
        for (text, kind, bucket, prefix, image) in [
            ("s3://b/a/c/", StorageKind::S3, "b", "a/c", "s3://b/a/c/images/1.png"),
            ("s3a://b", StorageKind::S3, "b", "", "s3://b/images/1.png"),
            (" gs://my.bucket_1/é ", StorageKind::Google, "my.bucket_1", "é", "gs://my.bucket_1/é/images/1.png"),
            ("az://c/p", StorageKind::Azure, "c", "p", "az://c/p/images/1.png"),
            ("file:///mnt/shared", StorageKind::Folder, "", "mnt/shared", "file:///mnt/shared/images/1.png"),
        ] {
            assert_eq!(read(text), (kind, bucket.into(), prefix.into(), image.into()), "{text}");
        }
        let url: StorageUrl = "abfss://c@acc.dfs.core.windows.net/p".parse().unwrap();
        assert_eq!((url.bucket(), url.account(), url.prefix()), ("c", Some("acc"), "p"));
        assert_eq!(url.to_string().parse(), Ok(url));
    }

    /// Goal: nothing is misread, and no key is kept or repeated.
    #[test]
    fn a_text_that_is_no_address_is_refused_and_not_repeated() {
        for (text, error) in [
            ("", StorageUrlError::Form),
            ("out/images", StorageUrlError::Form),
            ("http://bucket/a", StorageUrlError::Form),
            ("s3://", StorageUrlError::Form),
            ("s3:///a", StorageUrlError::Form),
            ("file://host/a", StorageUrlError::Form),
            ("file:///", StorageUrlError::Form),
            ("az://c@elsewhere.example/p", StorageUrlError::Form),
            ("s3://AKIA:hunter2@b/a", StorageUrlError::Key),
            ("s3://AKIA@b/a", StorageUrlError::Key),
            ("az://a:hunter2@c.blob.core.windows.net", StorageUrlError::Key),
            ("s3://b/a?versionId=hunter2", StorageUrlError::Query),
            ("s3://b/a#x", StorageUrlError::Query),
            ("s3://b/../a", StorageUrlError::Part),
            ("s3://b//a", StorageUrlError::Part),
            ("s3://b/a/./c", StorageUrlError::Part),
            ("s3://b/a\u{7}", StorageUrlError::Part),
            ("s3://b/a%2F..", StorageUrlError::Part),
            ("s3://../a", StorageUrlError::Part),
        ] {
            assert_eq!(text.parse::<StorageUrl>(), Err(error.clone()), "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert_eq!(format!("s3://b/{}", "a".repeat(700)).parse::<StorageUrl>(), Err(StorageUrlError::Long));
    }
}
