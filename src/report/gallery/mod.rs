//! HTML gallery of a run: one self-contained page, except for the images, which are separate files next to it.
//!
//! Text from outside is never markup. Jobs are JSON data blocks, and the script of the page shows them as text. The
//! content security policy allows this one script, this one style sheet, images, and nothing else.

mod row;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::fsio::atomic_file::{AtomicFile, first};
use crate::fsio::owned_file;
use crate::model::counts::StatusCounts;
use crate::model::outcome::Artifact;
use crate::model::phase::JobRecord;
use crate::model::storage_url::StorageUrl;
use crate::model::time::Timestamp;
use crate::report::gallery::row::PaceRow;
use crate::report::value::hex;

/// Maximum number of jobs on one page: a browser can still filter them between two key strokes.
pub(crate) const JOBS_MAX: u64 = 100_000;

/// Maximum size of all jobs on one page, in bytes. A browser reads all of them at once.
const BYTES_MAX: u64 = 96 << 20;

/// Size of a data block in bytes, exceeded by at most one row. Every block is a text of moderate length, independent of
/// the next.
const BLOCK_BYTES: u64 = 1 << 20;

const TEMPLATE: &str = include_str!("page.html");

const STYLE: &str = concat!(include_str!("page.css"), include_str!("parts.css"), include_str!("matrix.css"));

const SCRIPT: &str = concat!(
    "'use strict';\n(() => {\n",
    include_str!("words.js"),
    include_str!("dom.js"),
    include_str!("jobs.js"),
    include_str!("facets.js"),
    include_str!("grid.js"),
    include_str!("detail.js"),
    include_str!("compare.js"),
    include_str!("side.js"),
    include_str!("matrix.js"),
    include_str!("failed.js"),
    include_str!("charts.js"),
    include_str!("page.js"),
    "})();\n",
);

/// Mark in the head of every page.
const GENERATOR: &str = r#"<meta name="generator" content="promptbatch">"#;

/// Checks that the file at this path may be replaced by a gallery: it is missing, empty, or a gallery.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    owned_file::check(path, |head| String::from_utf8_lossy(head).contains(GENERATOR))
}

/// Data about the run as a whole, shown on the page.
#[derive(Clone, Debug)]
pub(crate) struct Head<'a> {
    /// Name of the run: its folder.
    pub name: &'a str,
    /// Provider of the tasks.
    pub provider: &'a str,
    /// Further columns of the manifest.
    pub columns: &'a [String],
    /// Numbers of jobs by status, including jobs that are not on this page.
    pub counts: StatusCounts,
    /// Place of the images in object storage; `None` for the folder of the page.
    pub place: Option<&'a StorageUrl>,
    /// Time at which the page was made.
    pub made_at: Timestamp,
}

#[derive(Serialize)]
struct HeadData<'a> {
    name: &'a str,
    provider: &'a str,
    columns: &'a [String],
    jobs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    made: i64,
}

/// Writes the page to any writer, job by job. [`GalleryWriter`] writes it to a file.
pub(crate) struct GalleryPage<W: Write> {
    out: W,
    columns: Vec<String>,
    n_jobs: u64,
    n_bytes: u64,
    block_bytes: u64,
}

impl<W: Write> GalleryPage<W> {
    /// Writes everything that comes before the jobs.
    pub(crate) fn new(mut out: W, head: &Head<'_>) -> io::Result<Self> {
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; img-src 'self' file:; base-uri 'none'; form-action 'none'",
            integrity(SCRIPT),
            integrity(STYLE)
        );
        let [before, between, behind, _] = parts();
        write!(out, "{before}{policy}{between}{STYLE}{behind}")?;
        let Head { name, provider, columns, counts, place, made_at } = *head;
        let place = place.map(ToString::to_string);
        let data = HeadData { name, provider, columns, jobs: counts.n_jobs(), place, made: made_at.millis() };
        write_block(&mut out, "head", &inert(&data)?)?;
        Ok(Self { out, columns: columns.to_owned(), n_jobs: 0, n_bytes: 0, block_bytes: 0 })
    }

    /// Adds one job. Returns `false`, and writes nothing, if the page is full.
    pub(crate) fn write(&mut self, record: &JobRecord) -> io::Result<bool> {
        if self.n_jobs == JOBS_MAX || self.n_bytes >= BYTES_MAX {
            return Ok(false);
        }
        let row = inert(&PaceRow::new(record, &self.columns))?;
        self.out.write_all(if self.block_bytes == 0 { BLOCK_BEGIN } else { ",\n" }.as_bytes())?;
        self.out.write_all(row.as_bytes())?;
        let n_bytes = row.len() as u64 + 2;
        self.n_jobs += 1;
        self.n_bytes += n_bytes;
        self.block_bytes += n_bytes;
        if self.block_bytes >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(true)
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.block_bytes = 0;
        self.out.write_all(BLOCK_END.as_bytes())
    }

    /// Writes everything that comes after the jobs, and returns the writer. `without` lists the images that have no
    /// thumbnail.
    pub(crate) fn finish<'a>(mut self, without: impl IntoIterator<Item = &'a Artifact>) -> io::Result<W> {
        if self.block_bytes > 0 {
            self.end_block()?;
        }
        let without: Vec<String> = without.into_iter().map(|artifact| hex(&artifact.sha256)).collect();
        write_block(&mut self.out, "without", &inert(&without)?)?;
        let [_, _, _, end] = parts();
        write!(self.out, "<script>{SCRIPT}</script>{end}")?;
        self.out.flush()?;
        Ok(self.out)
    }
}

const BLOCK_BEGIN: &str = "<script type=\"application/json\" class=\"jobs\">[\n";
const BLOCK_END: &str = "\n]</script>\n";

fn write_block(out: &mut impl Write, id: &str, json: &str) -> io::Result<()> {
    writeln!(out, "<script type=\"application/json\" id=\"{id}\">{json}</script>")
}

/// Splits the template at the gaps for the policy, the style sheet and the data.
fn parts() -> [&'static str; 4] {
    let mut parts = TEMPLATE.split("@@");
    std::array::from_fn(|_| parts.next().expect("the template has three gaps"))
}

/// Serializes a value as JSON that every parser reads identically and that cannot end a script element. `<` is escaped,
/// so that it starts neither a tag nor a comment. U+2028 and U+2029, which only some parsers treat as line ends, are
/// escaped too.
fn inert(value: &impl Serialize) -> io::Result<String> {
    let json = serde_json::to_string(value)?;
    let mut inert = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find(['<', '\u{2028}', '\u{2029}']) {
        let (before, from) = rest.split_at(at);
        let c = from.chars().next().expect("it was found");
        inert.push_str(before);
        inert.push_str(match c {
            '<' => "\\u003c",
            '\u{2028}' => "\\u2028",
            _ => "\\u2029",
        });
        rest = &from[c.len_utf8()..];
    }
    inert.push_str(rest);
    Ok(inert)
}

/// Returns the hash by which the policy identifies an inline element.
fn integrity(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(Sha256::digest(text)))
}

/// Writes `gallery.html` to a temporary file and renames it at the end. Dropping the writer earlier leaves no file.
pub(crate) struct GalleryWriter {
    page: GalleryPage<io::BufWriter<AtomicFile>>,
    path: PathBuf,
}

impl GalleryWriter {
    /// Creates the temporary file, and starts the page of a run.
    pub(crate) fn create(path: &Path, head: &Head<'_>) -> Result<Self, GalleryWriteError> {
        let file = check(path).and_then(|()| AtomicFile::create(path));
        let page = file.and_then(|file| GalleryPage::new(io::BufWriter::new(file), head));
        Ok(Self { page: page.map_err(error_at(path))?, path: path.to_owned() })
    }

    /// Adds one job. Returns `false`, and writes nothing, if the page is full.
    pub(crate) fn write(&mut self, record: &JobRecord) -> Result<bool, GalleryWriteError> {
        self.page.write(record).map_err(error_at(&self.path))
    }

    /// Lists the images that have no thumbnail, syncs the file and renames it into place.
    pub(crate) fn finish<'a>(self, without: impl IntoIterator<Item = &'a Artifact>) -> Result<(), GalleryWriteError> {
        let finished = self.page.finish(without).and_then(|buffer| buffer.into_inner().map_err(io::Error::from));
        finished.and_then(AtomicFile::finish).map_err(error_at(&self.path))
    }
}

/// Error while writing the gallery. The gallery can be written again from the ledger at any time.
#[derive(Debug, thiserror::Error)]
#[error("could not write {}: {cause}; nothing is lost, {}write it again with `promptbatch gallery`", path.display(), first(cause.kind()))]
pub struct GalleryWriteError {
    /// Path of the gallery.
    pub path: PathBuf,
    /// Error from the operating system.
    pub cause: io::Error,
}

fn error_at(path: &Path) -> impl FnOnce(io::Error) -> GalleryWriteError {
    move |cause| GalleryWriteError { path: path.to_owned(), cause }
}
