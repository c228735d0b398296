//! External merge sort of pairs of hashes: sorts any number of them in the memory of half a million.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// Limit on the pairs in memory, 16 bytes each.
pub(super) const RUN_MAX: usize = 1 << 19;

/// Two numbers that are sorted together, such as the hash of an id and the hash of its prompt.
pub(super) type Pair = (u64, u64);

/// Pairs so far.
#[derive(Debug)]
pub(super) struct HashRuns {
    run_max: usize,
    run: Vec<Pair>,
    /// Sorted runs on disk, in unnamed temporary files that are deleted with this value.
    runs: Vec<File>,
}

impl HashRuns {
    pub(super) const fn new(run_max: usize) -> Self {
        Self { run_max, run: Vec::new(), runs: Vec::new() }
    }

    /// Adds a pair, unless the last one was equal.
    pub(super) fn add(&mut self, pair: Pair) {
        if self.run.last() == Some(&pair) {
            return;
        }
        self.run.push(pair);
        if self.run.len().is_multiple_of(self.run_max) {
            self.run.sort_unstable();
            // Keeps the run in memory if the disk is full.
            if let Ok(file) = written(&self.run) {
                self.runs.push(file);
                self.run.clear();
            }
        }
    }

    /// Yields all pairs in ascending order. Equal pairs may occur several times.
    pub(super) fn sorted(mut self) -> io::Result<impl Iterator<Item = io::Result<Pair>>> {
        self.run.sort_unstable();
        let mut runs: Vec<Box<dyn Iterator<Item = io::Result<Pair>>>> = vec![Box::new(self.run.into_iter().map(Ok))];
        for mut file in self.runs {
            file.rewind()?;
            runs.push(Box::new(pairs(BufReader::new(file))));
        }
        let mut next = BinaryHeap::new();
        for (n, run) in (0..).zip(&mut runs) {
            next.extend(run.next().transpose()?.map(|pair| Reverse((pair, n))));
        }
        Ok(std::iter::from_fn(move || {
            let Reverse((pair, n)) = next.pop()?;
            let run: &mut Box<_> = &mut runs[n];
            match run.next().transpose() {
                Ok(following) => next.extend(following.map(|pair| Reverse((pair, n)))),
                Err(error) => return Some(Err(error)),
            }
            Some(Ok(pair))
        }))
    }
}

fn written(run: &[Pair]) -> io::Result<File> {
    let mut out = BufWriter::new(tempfile::tempfile()?);
    for (one, other) in run {
        out.write_all(&one.to_ne_bytes())?;
        out.write_all(&other.to_ne_bytes())?;
    }
    Ok(out.into_inner()?)
}

fn pairs(mut input: BufReader<File>) -> impl Iterator<Item = io::Result<Pair>> {
    std::iter::from_fn(move || {
        let mut bytes = [[0; 8]; 2];
        match input.read_exact(bytes.as_flattened_mut()) {
            Ok(()) => Some(Ok(bytes.map(u64::from_ne_bytes).into())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    })
}
