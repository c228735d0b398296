//! Progress of long operations, reported step by step to a display; no function here reads a clock or shows anything.

/// Long operation of this program, and the unit in which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Reads and checks a manifest; counted in bytes of it.
    Check,
    /// Compares a manifest with the jobs of a ledger; counted in jobs of the manifest.
    Compare,
    /// Imports a manifest into a ledger; counted in jobs of the manifest.
    Import,
    /// Sorts the data that was read; not counted.
    Sort,
    /// Writes the results; counted in jobs.
    Results,
    /// Checks images against their records; counted in jobs that have images.
    Verify,
    /// Searches for files that belong to no job; counted in files.
    Untracked,
    /// Writes the page of the gallery; counted in jobs.
    Gallery,
    /// Makes thumbnails; counted in images.
    Thumbnails,
    /// Exports images; counted in jobs that have images.
    Export,
}

/// Receiver of the progress of operations.
pub trait Progress: Send {
    /// Begins an operation of `n_total` steps; `None` means that the total is unknown. An operation that follows another one without an end
    /// in between continues it.
    fn begin(&mut self, operation: Operation, n_total: Option<u64>);

    /// Reports that `n_done` steps are done in all.
    fn at(&mut self, n_done: u64);

    /// Ends the operation, whether it is complete or not.
    fn end(&mut self);
}

/// Receiver that ignores all progress.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&mut self, _: Operation, _: Option<u64>) {}
    fn at(&mut self, _: u64) {}
    fn end(&mut self) {}
}

/// Steps of a light operation reported as one: a row costs less than a look at the clock is worth.
const STEPS: u32 = 256;

/// Operation under way. Dropping it ends the operation, also where an error cuts it short.
pub(crate) struct Meter<'a> {
    progress: &'a mut dyn Progress,
    steps_max: u32,
    n_steps: u32,
    n_done: u64,
}

impl<'a> Meter<'a> {
    /// Begins an operation of `n_total` steps; `None` means that the total is unknown.
    pub(crate) fn begin(progress: &'a mut dyn Progress, operation: Operation, n_total: Option<u64>) -> Self {
        progress.begin(operation, n_total);
        let steps_max = match operation {
            Operation::Check
            | Operation::Compare
            | Operation::Import
            | Operation::Sort
            | Operation::Results
            | Operation::Untracked
            | Operation::Gallery => STEPS,
            // An image may be large, and its disk slow.
            Operation::Verify | Operation::Thumbnails | Operation::Export => 1,
        };
        Self { progress, steps_max, n_steps: 0, n_done: 0 }
    }

    /// Begins another operation that follows from the counted one.
    pub(crate) fn turn_to(&mut self, operation: Operation) {
        self.progress.begin(operation, None);
    }

    /// Counts one more step.
    pub(crate) fn step(&mut self) {
        self.at(self.n_done + 1);
    }

    /// Sets the number of steps done to `n_done`, and counts that as one step.
    pub(crate) fn at(&mut self, n_done: u64) {
        self.n_done = n_done;
        self.n_steps += 1;
        if self.n_steps == self.steps_max {
            self.n_steps = 0;
            self.progress.at(n_done);
        }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        self.progress.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Told(Vec<String>);

    impl Progress for Told {
        fn begin(&mut self, operation: Operation, n_total: Option<u64>) {
            self.0.push(format!("{operation:?} {n_total:?}"));
        }
        fn at(&mut self, n_done: u64) {
            self.0.push(n_done.to_string());
        }
        fn end(&mut self) {
            self.0.push("end".into());
        }
    }

    #[test]
    fn light_steps_are_told_now_and_then_and_heavy_ones_each() {
        let mut told = Told::default();
        let mut meter = Meter::begin(&mut told, Operation::Import, Some(600));
        (0..600).for_each(|_| meter.step());
        meter.turn_to(Operation::Sort);
        drop(meter);
        let mut meter = Meter::begin(&mut told, Operation::Verify, None);
        (0..2).for_each(|_| meter.step());
        drop(meter);
        assert_eq!(told.0, ["Import Some(600)", "256", "512", "Sort None", "end", "Verify None", "1", "2", "end"]);
    }
}
