//! Shared content of a ledger in memory: outlives its writers and readers, as a file outlives a process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::memory::content::Content;

/// Content of a ledger in memory. Clones share one content.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedContent {
    content: Arc<Mutex<Content>>,
    lock: Arc<Mutex<bool>>,
}

impl SharedContent {
    pub(super) fn new(content: Content) -> Self {
        Self { content: Arc::new(Mutex::new(content)), lock: Arc::default() }
    }

    pub(super) fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the writer's lock; `None` if another writer has it.
    pub(super) fn lock(&self) -> Option<WriterLock> {
        let mut is_locked = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_locked {
            return None;
        }
        *is_locked = true;
        Some(WriterLock(self.lock.clone()))
    }

    pub(super) fn is_locked(&self) -> bool {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lock of a writer, which ends with it.
#[derive(Debug)]
pub(super) struct WriterLock(Arc<Mutex<bool>>);

impl Drop for WriterLock {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }
}
