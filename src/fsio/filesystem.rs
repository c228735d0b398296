//! File system operations: syncs all files at once, and renames a file only to a free name.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Minimum number of files for a sync of the whole file system. Fewer files are synced one by one, which does not write
/// other programs' data.
const TOGETHER_MIN: usize = 8;

/// Maximum number of files synced in parallel, if each file is synced separately. The journal of the file system
/// commits them together.
const THREADS_MAX: usize = 8;

/// Longest normal sync of the whole file system. A longer sync has to write other programs' data.
const TOGETHER_SPAN_MAX: Duration = Duration::from_millis(100);

/// Pause after a slow sync of the whole file system, as a multiple of its duration. Other busy programs thus cost a run
/// at most a tenth of its time.
const PAUSE: u32 = 10;

/// File system of the images.
#[derive(Debug)]
pub(crate) struct FileSystem {
    /// Open folder in the file system. `None` if the whole file system cannot be synced at once, or such a sync reports no errors.
    whole: Option<File>,
    paused_until: Option<Instant>,
}

impl FileSystem {
    /// Returns the file system that contains `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { whole: File::open(folder).ok().filter(system::can_sync_whole), paused_until: None }
    }

    /// Syncs the files to disk. Returns one result per file, in the same order.
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

    /// Syncs all written data and returns whether this succeeded. An error may belong to any file, so each file is then synced separately.
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

pub(crate) use system::rename_new;

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{self, File};
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, RenameFlags, fstatfs, renameat_with, syncfs};

    /// First kernel version whose `syncfs` reports errors. Earlier kernels sync all data but do not report errors.
    const ERRORS_SINCE: (u32, u32) = (5, 8);

    /// Magic numbers that the kernel gives ext2 to ext4, XFS, btrfs and tmpfs. On network and user-space file systems,
    /// the effect of `syncfs` is unknown.
    const KNOWN: [i64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994];

    #[expect(clippy::useless_conversion, reason = "the type of `f_type` differs between processor architectures")]
    pub(super) fn can_sync_whole(folder: &File) -> bool {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        version(&release).is_some_and(|version| version >= ERRORS_SINCE)
            && fstatfs(folder).is_ok_and(|found| KNOWN.contains(&i64::from(found.f_type)))
    }

    pub(super) fn sync_whole(folder: &File) -> io::Result<()> {
        Ok(syncfs(folder)?)
    }

    /// Renames a file, unless the new name exists.
    pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    /// Parses the first two numbers of a release such as `6.1.0-rc1`.
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

    /// Renames a file, unless the new name exists. Unsupported outside Linux.
    pub fn rename_new(_from: &Path, _to: &Path) -> io::Result<()> {
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

    /// Goal: a sync of the whole file system that fails or is paused causes no error. Method: a sync of `/dev/null`,
    /// which is not a folder of a disk and always fails, and a paused sync.
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

    /// The file system `/proc` has no disk to sync to, and the effect of `syncfs` on it is unknown.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_unknown_file_system_is_never_synced_as_a_whole() {
        assert!(FileSystem::of(Path::new("/proc")).whole.is_none());
        assert!(FileSystem::of(Path::new("/no/such/folder")).whole.is_none());
    }
}
