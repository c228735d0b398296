//! Keeps what standard input says in an unnamed file, since a manifest is read more than once.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// A reader of what standard input has said, from its beginning.
#[derive(Debug)]
pub(super) struct Spooled {
    file: Arc<File>,
    offset: u64,
}

/// A process has one standard input, and it says what it says once.
static SAID: Mutex<Option<Arc<File>>> = Mutex::new(None);

impl Spooled {
    /// Waits for the end of standard input when it is asked for the first time.
    pub(super) fn standard_input() -> io::Result<Self> {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &*said {
            Some(file) => Arc::clone(file),
            None => Arc::clone(said.insert(Arc::new(spool(io::stdin().lock())?))),
        };
        Ok(Self { file, offset: 0 })
    }

    /// How long it is.
    pub(super) fn n_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

fn spool(mut input: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    Ok(file)
}

impl Read for Spooled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.file.read_at(buffer, self.offset)?;
        self.offset += n_bytes as u64;
        Ok(n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: two readers do not move each other on. Method: read the second one in the middle of the first.
    #[test]
    fn what_is_spooled_is_read_as_often_as_wanted() {
        let said = "prompt\n猫\n".repeat(10_000);
        let file = Arc::new(spool(said.as_bytes()).expect("a temporary file can be written"));
        let reader = || Spooled { file: Arc::clone(&file), offset: 0 };
        let (mut first, mut read) = (reader(), String::new());
        let mut head = [0; 6];
        first.read_exact(&mut head).expect("there is that much");
        assert_eq!(io::read_to_string(reader()).expect("it can be read"), said);
        first.read_to_string(&mut read).expect("it can be read");
        assert_eq!(format!("prompt{read}"), said);
        assert_eq!(reader().n_bytes().ok(), Some(said.len() as u64));
    }
}
