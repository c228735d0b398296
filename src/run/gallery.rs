//! The gallery of a run: its jobs from the ledger on a page, and a thumbnail of every image of theirs beside it.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::driver::clock::Clock;
use crate::driver::images::StoreError;
use crate::driver::images::thumbnails::{Made, Thumbnails, Unmade, name};
use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::RunFile;
use crate::model::outcome::Artifact;
use crate::model::progress::{Chore, Meter, Progress};
use crate::report::gallery::{GalleryWriteError, GalleryWriter, Head};

/// Images that are made small at once: each may take the memory of all its pixels.
const THREADS_MAX: usize = 8;

/// Every job.
pub const ALL: RangeInclusive<u64> = 1..=u64::MAX;

/// Why there is no gallery. Nothing else is touched.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A thumbnail could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The page could not be written.
    #[error(transparent)]
    Write(#[from] GalleryWriteError),
}

/// What a gallery came to.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// The page.
    pub path: PathBuf,
    /// Jobs of the run.
    pub n_jobs: u64,
    /// Jobs that were asked for, as far as there are any.
    pub n_wanted: u64,
    /// The first and the last of those on the page, by their index; none where it is empty.
    pub shown: Option<(u64, u64)>,
    /// Jobs on the page.
    pub n_shown: u64,
    /// Images on the page.
    pub n_images: u64,
    /// Thumbnails that were made just now; the others were there.
    pub n_new: u64,
    /// Thumbnails that nobody needed any more.
    pub n_pruned: u64,
    /// Images without a thumbnail, in manifest order, and why.
    pub without: Vec<(Artifact, Unmade)>,
}

/// Makes the gallery of the run in this folder, of the jobs with these indices, as far as a page has room. Works beside a live run.
pub fn gallery(out: &Path, jobs: &RangeInclusive<u64>, progress: &mut dyn Progress) -> Result<Gallery, GalleryError> {
    let file = RunFile::open_for_reading(out)?;
    let mut gallery = Gallery { path: out.join("gallery.html"), ..Gallery::default() };
    let (mut images, mut needed) = (Vec::new(), HashSet::new());
    let page = file.at_once(|| {
        let (mut page, n_jobs) = begin(&file, out, &gallery.path)?;
        gallery.n_jobs = n_jobs;
        let mut meter = Meter::begin(progress, Chore::Gallery, Some(n_jobs));
        file.each_known(|known| {
            meter.step();
            let artifacts = known.state.artifacts();
            // Those of jobs on other pages of the same run are kept: the next look may be at these.
            needed.extend(artifacts.iter().map(|artifact| key(&name(&artifact.sha256))));
            let index = known.job.index;
            if jobs.contains(&index) {
                gallery.n_wanted += 1;
                if page.write(&known)? {
                    gallery.n_shown += 1;
                    gallery.shown = Some((gallery.shown.map_or(index, |(first, _)| first), index));
                    images.extend_from_slice(artifacts);
                }
            }
            Ok::<_, GalleryError>(())
        })?;
        Ok::<_, GalleryError>(page)
    })?;
    // What takes long holds no ledger open, in which a run may be writing.
    drop(file);
    gallery.n_images = images.len() as u64;
    let thumbnails = Thumbnails::open(out)?;
    make(&thumbnails, &images, &mut gallery, progress)?;
    page.finish(gallery.without.iter().map(|(artifact, _)| artifact))?;
    // The page before this one may have shown them until now.
    gallery.n_pruned = thumbnails.prune(|name| needed.contains(&key(name)))?;
    Ok(gallery)
}

fn begin(file: &RunFile, out: &Path, path: &Path) -> Result<(GalleryWriter, u64), GalleryError> {
    let (provider, columns, counts) = (file.provider()?, file.columns()?, file.counts()?);
    let folder = out.canonicalize().ok().and_then(|out| Some(out.file_name()?.to_string_lossy().into_owned()));
    let head = Head {
        name: folder.as_deref().unwrap_or("promptbatch"),
        provider: provider.split(' ').next().unwrap_or_default(),
        columns: &columns,
        counts,
        made_at: Clock::system().now().wall(),
    };
    Ok((GalleryWriter::create(path, &head)?, counts.n_jobs()))
}

/// So much of a thumbnail's name as tells it from a million others; where it does not, one stays that could go.
fn key(name: &str) -> u64 {
    let digits: String = name.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default()
}

/// Makes the thumbnails on all cores, and notes what came of each.
fn make(
    thumbnails: &Thumbnails,
    images: &[Artifact],
    gallery: &mut Gallery,
    progress: &mut dyn Progress,
) -> Result<(), StoreError> {
    let mut meter = Meter::begin(progress, Chore::Thumbnails, Some(images.len() as u64));
    let n_threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX);
    let next = AtomicUsize::new(0);
    let mut without = Vec::new();
    thread::scope(|scope| {
        let (told, made) = mpsc::channel();
        for _ in 0..n_threads {
            let (told, next) = (told.clone(), &next);
            scope.spawn(move || {
                while let Some((i, image)) = (|i| Some((i, images.get(i)?)))(next.fetch_add(1, Ordering::Relaxed)) {
                    let made = thumbnails.make(image);
                    let is_over = made.is_err();
                    if told.send((i, made)).is_err() || is_over {
                        break;
                    }
                }
            });
        }
        drop(told);
        for (i, made) in made {
            meter.step();
            match made? {
                Ok(Made::New) => gallery.n_new += 1,
                Ok(Made::Before) => (),
                Err(why) => without.push((i, why)),
            }
        }
        Ok::<_, StoreError>(())
    })?;
    without.sort_by_key(|(i, _)| *i);
    gallery.without = without.into_iter().map(|(i, why)| (images[i].clone(), why)).collect();
    Ok(())
}
