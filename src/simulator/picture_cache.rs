//! Cache of drawn pictures: a real image host does not draw an image that it has.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::simulator::picture::Picture;

/// PNG files of drawn pictures.
#[derive(Debug)]
pub(super) struct PictureCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<Picture, Vec<u8>>,
    n_bytes: usize,
}

impl PictureCache {
    /// Creates an empty cache for `bytes_max` bytes of files.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// Returns the file of a picture; `None` if the cache does not contain it.
    pub(super) fn find(&self, picture: Picture) -> Option<Vec<u8>> {
        self.lock().files.get(&picture).cloned()
    }

    /// Stores a file. If the space is used up, all other files are dropped, because future requests are unknown.
    pub(super) fn keep(&self, picture: Picture, file: &[u8]) {
        if file.len() > self.bytes_max {
            return;
        }
        let mut kept = self.lock();
        if kept.n_bytes + file.len() > self.bytes_max {
            *kept = Kept::default();
        }
        kept.n_bytes += file.len();
        if let Some(same) = kept.files.insert(picture, file.to_owned()) {
            kept.n_bytes -= same.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Size;

    fn picture(seed: u64) -> Picture {
        Picture::new(seed, Size { width: 8, height: 8 })
    }

    #[test]
    fn what_is_kept_is_found_and_never_more_than_there_is_room_for() {
        let gallery = PictureCache::new(100);
        for seed in 0..10 {
            assert_eq!(gallery.find(picture(seed)), None);
            gallery.keep(picture(seed), &[1; 30]);
            gallery.keep(picture(seed), &[1; 30]);
            assert_eq!(gallery.find(picture(seed)), Some(vec![1; 30]));
            let n_found = (0..10).filter(|seed| gallery.find(picture(*seed)).is_some()).count();
            assert_eq!((n_found, gallery.lock().n_bytes), (n_found.min(3), n_found * 30));
        }
    }

    #[test]
    fn without_room_nothing_is_kept_and_nothing_else_goes() {
        let gallery = PictureCache::new(0);
        gallery.keep(picture(1), &[1]);
        assert_eq!(gallery.find(picture(1)), None);
        let gallery = PictureCache::new(10);
        gallery.keep(picture(1), &[1; 10]);
        gallery.keep(picture(2), &[1; 11]);
        assert_eq!(gallery.find(picture(1)), Some(vec![1; 10]));
    }
}
