//! Gallery of a run: a page with its jobs from the ledger, and a thumbnail of each of their images.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::driver::clock::Clock;
use crate::images::error::StoreError;
use crate::images::thumbnails::{Made, ThumbnailError, Thumbnails, name};
use crate::model::outcome::Artifact;
use crate::model::progress::{Meter, Operation, Progress};
use crate::report::gallery::{GalleryWriteError, GalleryWriter, Head};
use crate::run::place;
use crate::store::error::LedgerError;
use crate::store::settings::ReadSettings;
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, stores};

/// Images scaled down at once; each may need the memory of all its pixels.
const THREADS_MAX: usize = 8;

/// Index range that selects every job.
pub const ALL: RangeInclusive<u64> = 1..=u64::MAX;

/// Reason why no gallery was made. No other file is changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// Ledger that could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Thumbnail that could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Page that could not be written.
    #[error(transparent)]
    Write(#[from] GalleryWriteError),
}

/// Result of making a gallery.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// Path of the page.
    pub path: PathBuf,
    /// Jobs of the run.
    pub n_jobs: u64,
    /// Jobs that were requested and exist.
    pub n_wanted: u64,
    /// Indexes of the first and the last requested job on the page; `None` if the page is empty.
    pub shown: Option<(u64, u64)>,
    /// Jobs on the page.
    pub n_shown: u64,
    /// Images on the page.
    pub n_images: u64,
    /// Thumbnails that were made by this call; the others existed.
    pub n_new: u64,
    /// Thumbnails that were removed, because no job needs them.
    pub n_pruned: u64,
    /// Images without a thumbnail, in manifest order, with the reason.
    pub without: Vec<(Artifact, ThumbnailError)>,
}

/// Makes the gallery of the run in the folder `out`, for the jobs with these indexes. Jobs beyond the capacity of a page are
/// left out. Works during a live run.
pub fn gallery(out: &Path, jobs: &RangeInclusive<u64>, progress: &mut dyn Progress) -> Result<Gallery, GalleryError> {
    let run = stores::open_for_reading(out)?;
    let mut gallery = Gallery { path: out.join("gallery.html"), ..Gallery::default() };
    let (mut images, mut needed) = (Vec::new(), HashSet::new());
    let page = run.in_snapshot(|| {
        let (mut page, n_jobs) = begin(&*run, out, &gallery.path)?;
        gallery.n_jobs = n_jobs;
        let mut meter = Meter::begin(progress, Operation::Gallery, Some(n_jobs));
        run.for_each_job(JobSet::InManifest, |record| {
            meter.step();
            let artifacts = record.state.artifacts();
            // Thumbnails of jobs on other pages of the run are kept, because the next call may show those jobs.
            needed.extend(artifacts.iter().map(|artifact| key(&name(&artifact.sha256))));
            let index = record.job.index;
            if jobs.contains(&index) {
                gallery.n_wanted += 1;
                if page.write(&record)? {
                    gallery.n_shown += 1;
                    gallery.shown = Some((gallery.shown.map_or(index, |(first, _)| first), index));
                    images.extend_from_slice(artifacts);
                }
            }
            Ok::<_, GalleryError>(())
        })?;
        Ok::<_, GalleryError>(page)
    })?;
    let saved = place::saved::<GalleryError>(out, &*run)?;
    // Closes the ledger before the slow part, because a run may be writing to it.
    drop(run);
    gallery.n_images = images.len() as u64;
    let thumbnails = Thumbnails::open(out, saved)?;
    make(&thumbnails, &images, &mut gallery, progress)?;
    page.finish(gallery.without.iter().map(|(artifact, _)| artifact))?;
    // Prunes last: the previous page may have shown these thumbnails until now.
    gallery.n_pruned = thumbnails.prune(|name| needed.contains(&key(name)))?;
    Ok(gallery)
}

fn begin(run: &dyn RunReader, out: &Path, path: &Path) -> Result<(GalleryWriter, u64), GalleryError> {
    let (provider, columns, counts) = (run.provider_name()?, run.columns()?, run.counts()?);
    let place = run.images()?;
    let folder = out.canonicalize().ok().and_then(|out| Some(out.file_name()?.to_string_lossy().into_owned()));
    let head = Head {
        name: folder.as_deref().unwrap_or("promptbatch"),
        provider: &provider,
        columns: &columns,
        counts,
        place: place.as_ref(),
        made_at: Clock::system().now().wall(),
    };
    Ok((GalleryWriter::create(path, &head)?, counts.n_jobs()))
}

/// Returns a part of a thumbnail's name that distinguishes it from a million others. A collision only keeps a thumbnail too
/// long.
fn key(name: &str) -> u64 {
    let digits: String = name.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default()
}

/// Makes the thumbnails on all cores, and records the result of each.
fn make(
    thumbnails: &Thumbnails,
    images: &[Artifact],
    gallery: &mut Gallery,
    progress: &mut dyn Progress,
) -> Result<(), StoreError> {
    let mut meter = Meter::begin(progress, Operation::Thumbnails, Some(images.len() as u64));
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
