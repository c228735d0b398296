//! What a file system can do for us: sync everything at once, and give a name only if it is free.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// So many files are worth a sync of everything. Fewer are synced one by one, which leaves alone what other programs wrote.
const TOGETHER_MIN: usize = 8;

/// Files that are synced at the same time where each is synced for itself. A journal takes them together.
const THREADS_MAX: usize = 8;

/// A sync of everything that takes longer has other programs' data to write.
const TOGETHER_SPAN_MAX: Duration = Duration::from_millis(100);

/// After such a one, it is left alone for so many times as long: a busy neighbour costs a run a tenth of its time at most.
const PAUSE: u32 = 10;

/// The file system of the images.
#[derive(Debug)]
pub(crate) struct FileSystem {
    /// A folder in it, open, where all of it can be synced at once and errors are told.
    whole: Option<File>,
    paused_until: Option<Instant>,
}

impl FileSystem {
    /// The one that this folder is in.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { whole: File::open(folder).ok().filter(system::can_sync_whole), paused_until: None }
    }

    /// Makes the bytes of these files last, and says of each whether they will.
    pub(crate) fn sync(&mut self, files: &[&File]) -> Vec<io::Result<()>> {
        if files.len() >= TOGETHER_MIN && self.sync_whole() {
            return files.iter().map(|_| Ok(())).collect();
        }
        if let [file] = files {
            return vec![file.sync_all()];
        }
        let share = files.len().div_ceil(THREADS_MAX).max(1);
        thread::scope(|scope| {
            let sync = |files: &[&File]| files.iter().map(|file| file.sync_all()).collect::<Vec<_>>();
            let threads: Vec<_> = files.chunks(share).map(|files| scope.spawn(move || sync(files))).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("a sync does not panic")).collect()
        })
    }

    /// Whether everything that was written is synced. An error may be that of any file: each is asked for its own then.
    fn sync_whole(&mut self) -> bool {
        let Some(whole) = &self.whole else { return false };
        let began = Instant::now();
        if self.paused_until.is_some_and(|moment| began < moment) {
            return false;
        }
        let is_synced = system::sync_whole(whole).is_ok();
        let span = began.elapsed();
        self.paused_until = (span > TOGETHER_SPAN_MAX).then(|| began + span * PAUSE);
        is_synced
    }
}

pub(super) use system::rename_new;

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{self, File};
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, RenameFlags, fstatfs, renameat_with, syncfs};

    /// Kernels before this one sync everything and keep the errors for themselves.
    const ERRORS_SINCE: (u32, u32) = (5, 8);

    /// ext2 to ext4, XFS, btrfs and tmpfs, by the numbers that the kernel gives them. Of a network's or a program's file system nobody
    /// can say what `syncfs` does.
    const KNOWN: [i64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994];

    #[expect(clippy::useless_conversion, reason = "the number has another type on other processors")]
    pub(super) fn can_sync_whole(folder: &File) -> bool {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        version(&release).is_some_and(|version| version >= ERRORS_SINCE)
            && fstatfs(folder).is_ok_and(|found| KNOWN.contains(&i64::from(found.f_type)))
    }

    pub(super) fn sync_whole(folder: &File) -> io::Result<()> {
        Ok(syncfs(folder)?)
    }

    /// Renames a file, unless the new name is taken.
    pub(in crate::driver::images) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    /// The first two numbers of `6.1.0-rc1`.
    fn version(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn kernels_that_tell_of_errors_are_told_apart() {
            for (release, expected) in [
                ("5.7.19-generic\n", Some((5, 7))),
                ("5.8.0", Some((5, 8))),
                ("6.18.44-fc", Some((6, 18))),
                ("", None),
                ("x", None),
            ] {
                assert_eq!(version(release), expected, "{release:?}");
            }
            assert!(version("5.10.0") >= Some(ERRORS_SINCE) && version("4.19.0") < Some(ERRORS_SINCE));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) const fn can_sync_whole(_folder: &File) -> bool {
        false
    }

    pub(super) fn sync_whole(_folder: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Renames a file, unless the new name is taken.
    pub(in crate::driver::images) fn rename_new(_from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(n: usize) -> Vec<File> {
        (0..n).map(|_| tempfile::tempfile().unwrap()).collect()
    }

    #[test]
    fn every_file_is_answered_for_whatever_their_number() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(40);
        let files: Vec<&File> = files.iter().collect();
        for whole in [None, File::open(folder.path()).ok()] {
            let mut file_system = FileSystem { whole, paused_until: None };
            for n in [0, 1, 2, 7, 8, 9, 17, 40] {
                let answers = file_system.sync(&files[..n]);
                assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), n);
            }
        }
    }

    /// Goal: a sync of everything that fails, or may not be tried, is nobody's fault. Method: one that always fails, as it is asked of
    /// a file that is no folder of a disk, and one that is paused.
    #[cfg(target_os = "linux")]
    #[test]
    fn where_everything_cannot_be_synced_each_file_is() {
        let failing = File::open("/dev/null").ok();
        let paused_until = Some(Instant::now() + Duration::from_secs(3600));
        let mut paused = FileSystem { whole: File::open(".").ok(), paused_until };
        assert!(!paused.sync_whole());
        assert_eq!(paused.paused_until, paused_until);
        let files = files(9);
        let files: Vec<&File> = files.iter().collect();
        for mut file_system in [FileSystem { whole: failing, paused_until: None }, paused] {
            assert!(file_system.sync(&files).iter().all(Result::is_ok));
        }
    }

    /// A process's own file system has no disk to be synced to, and nobody knows what it would do.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_unknown_file_system_is_never_synced_as_a_whole() {
        assert!(FileSystem::of(Path::new("/proc")).whole.is_none());
        assert!(FileSystem::of(Path::new("/no/such/folder")).whole.is_none());
    }
}
