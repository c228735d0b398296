//! Chores, which are work of our own that may take long, told step by step to whoever shows it. Here nobody asks what time it is, and nothing is shown.

/// Work of our own that may take long, and in what it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// A manifest is read and checked: its bytes.
    Check,
    /// A manifest is compared with the jobs of a ledger: its jobs.
    Compare,
    /// A manifest is taken into a ledger: its jobs.
    Import,
    /// What was read is put in order: nobody counts that.
    Sort,
    /// The results are written: jobs.
    Results,
    /// Images are held against their records: jobs that have some.
    Verify,
    /// Files are looked for that belong to no job: files.
    Strays,
    /// The gallery's page is written: jobs.
    Gallery,
    /// Thumbnails are made: images.
    Thumbnails,
    /// Images are exported: jobs that have some.
    Export,
}

/// One who is told how far a chore is.
pub trait Progress: Send {
    /// A chore begins; of how much, if that is known. One that follows another without an end in between goes on from that.
    fn begin(&mut self, chore: Chore, n_total: Option<u64>);

    /// So much of it is done.
    fn at(&mut self, n_done: u64);

    /// It is over, whether it came to its end or not.
    fn end(&mut self);
}

/// Nobody looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unseen;

impl Progress for Unseen {
    fn begin(&mut self, _: Chore, _: Option<u64>) {}
    fn at(&mut self, _: u64) {}
    fn end(&mut self) {}
}

/// Steps of a light chore that are told as one: a row costs less than a look at the clock is worth.
const STEPS: u32 = 256;

/// A chore under way. It is over when this goes, also where an error cuts it short.
pub struct Meter<'a> {
    progress: &'a mut dyn Progress,
    steps_max: u32,
    n_steps: u32,
    n_done: u64,
}

impl<'a> Meter<'a> {
    /// Begins.
    pub fn begin(progress: &'a mut dyn Progress, chore: Chore, n_total: Option<u64>) -> Self {
        progress.begin(chore, n_total);
        let steps_max = match chore {
            Chore::Check
            | Chore::Compare
            | Chore::Import
            | Chore::Sort
            | Chore::Results
            | Chore::Strays
            | Chore::Gallery => STEPS,
            // An image may be large, and its disk slow.
            Chore::Verify | Chore::Thumbnails | Chore::Export => 1,
        };
        Self { progress, steps_max, n_steps: 0, n_done: 0 }
    }

    /// What was counted is done, and another chore follows from it.
    pub fn turn_to(&mut self, chore: Chore) {
        self.progress.begin(chore, None);
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.at(self.n_done + 1);
    }

    /// So much is done in all, one step further on.
    pub fn at(&mut self, n_done: u64) {
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
        fn begin(&mut self, chore: Chore, n_total: Option<u64>) {
            self.0.push(format!("{chore:?} {n_total:?}"));
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
        let mut meter = Meter::begin(&mut told, Chore::Import, Some(600));
        (0..600).for_each(|_| meter.step());
        meter.turn_to(Chore::Sort);
        drop(meter);
        let mut meter = Meter::begin(&mut told, Chore::Verify, None);
        (0..2).for_each(|_| meter.step());
        drop(meter);
        assert_eq!(told.0, ["Import Some(600)", "256", "512", "Sort None", "end", "Verify None", "1", "2", "end"]);
    }
}
