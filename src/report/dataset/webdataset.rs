//! Tar shards for `webdataset`: the files of a sample are adjacent and share a key without dots.
//!
//! The names of these files differ after the first dot. The same samples give the same bytes, on every machine and at
//! every time.

use std::io::{self, Write};

use tar::{Builder, Header};

use crate::model::job::JobId;
use crate::model::outcome::ImageFormat;
use crate::report::dataset::column_form::{ColumnForm, FormedRecord};
use crate::report::dataset::record::Record;

/// Size of the blocks of a tar archive.
const BLOCK_BYTES: u64 = 512;

/// Writes one tar shard.
pub(crate) struct TarShard<W: Write> {
    tar: Builder<W>,
    bytes: u64,
}

/// Returns the key of the `nth` (from 1) image of a job. The key is the job's own id, which no edit of the manifest
/// changes. It fits the shortest kind of name that a tar archive has.
pub(crate) fn key(job: JobId, nth: usize) -> String {
    if nth > 1 { format!("{job}-{nth}") } else { job.to_string() }
}

impl<W: Write> TarShard<W> {
    /// Creates an empty shard.
    pub(crate) fn new(out: W) -> Self {
        Self { tar: Builder::new(out), bytes: 2 * BLOCK_BYTES }
    }

    /// Adds an image, its record in these forms, and its caption.
    pub(crate) fn add(
        &mut self,
        key: &str,
        (image, format): (&[u8], ImageFormat),
        record: &Record<'_>,
        forms: &[ColumnForm],
    ) -> io::Result<()> {
        self.file(key, format.extension(), image)?;
        self.file(key, "json", &serde_json::to_vec(&FormedRecord(record, forms))?)?;
        self.file(key, "txt", record.caption().as_bytes())
    }

    fn file(&mut self, key: &str, extension: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(format!("{key}.{extension}"))?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.bytes += BLOCK_BYTES + (bytes.len() as u64).next_multiple_of(BLOCK_BYTES);
        self.tar.append(&header, bytes)
    }

    /// Returns the size in bytes that the shard would have if it ended here.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the archive, and returns the writer.
    pub(crate) fn finish(self) -> io::Result<W> {
        self.tar.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::report::dataset::column_form::forms_of_shards;
    use crate::report::dataset::record::Columns;
    use crate::report::fixtures::{artifact, known};

    fn shard() -> Vec<u8> {
        let columns = Columns::new("modelscope", &[], "prompt").unwrap();
        let forms = forms_of_shards(&columns, &[]);
        let mut shard = TarShard::new(Vec::new());
        for (n, prompt) in [(1, "a cat"), (2, "一只猫 🐈\nand \"more\"")] {
            let (known, image) = (known(prompt, &[]), artifact("images/a.b.png"));
            let format = if n == 1 { ImageFormat::Png } else { ImageFormat::Jpeg };
            let bytes = vec![7; 500 + n];
            shard.add(&key(known.job.id, n), (&bytes, format), &columns.record(&known, &image), &forms).unwrap();
        }
        let bytes = shard.bytes();
        let written = shard.finish().unwrap();
        assert_eq!(written.len() as u64, bytes);
        written
    }

    #[test]
    fn samples_follow_each_other_under_keys_without_dots() {
        let bytes = shard();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut files = vec![];
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let fixed = (header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap());
            assert_eq!(fixed, (0, 0, 0, 0o644));
            assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))));
            let mut content = vec![];
            entry.read_to_end(&mut content).unwrap();
            files.push((entry.path().unwrap().to_str().unwrap().to_owned(), content));
        }
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let key = "07070707070707070707";
        let expected = [".png", ".json", ".txt", "-2.jpg", "-2.json", "-2.txt"].map(|end| format!("{key}{end}"));
        assert_eq!(names, expected);
        assert_eq!(files[5].1, "一只猫 🐈\nand \"more\"".as_bytes());
        let json: serde_json::Value = serde_json::from_slice(&files[4].1).unwrap();
        assert_eq!((&json["prompt"], &json["seed"]), (&"一只猫 🐈\nand \"more\"".into(), &7.into()));
    }

    /// Goal: the same samples give the same bytes on every machine and at every time. Method: compare with a stored
    /// hash.
    #[test]
    fn a_shard_is_the_same_bytes_for_ever() {
        assert_eq!(shard(), shard());
        let hash = blake3::hash(&shard()).to_hex();
        insta::assert_snapshot!(&hash[..16], @"5fed6486db3a06d1");
    }
}
