//! Confinement of list files to the manifest's folder and the folders that the user allows, with links resolved.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::diagnostics::{Issue, wrong};
use crate::model::escape::escape;

/// System folders whose files are no texts: their contents depend on the process that reads them.
const OF_THE_SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Folders in which list files are allowed.
#[derive(Debug)]
pub(crate) struct AllowedFolders {
    /// Real paths of the folders, with links resolved.
    roots: Vec<PathBuf>,
}

/// Reason why a file may not be read.
#[derive(Debug)]
pub(crate) enum FolderError {
    /// File outside all folders. The real path is set only if the file exists.
    Outside(Option<PathBuf>),
    /// File that does not exist or cannot be accessed.
    Unreadable(io::Error),
}

impl AllowedFolders {
    /// Resolves the manifest's own folder and the folders that the user allows. A missing folder allows nothing.
    pub(crate) fn new(own: &Path, allowed: &[PathBuf]) -> Self {
        let own = if own.as_os_str().is_empty() { Path::new(".") } else { own };
        let roots = std::iter::once(own).chain(allowed.iter().map(PathBuf::as_path));
        Self { roots: roots.filter_map(|folder| fs::canonicalize(folder).ok()).collect() }
    }

    /// Returns the real path of the file if it is in one of the folders. A path elsewhere gives `Outside`, whether a file exists or not.
    pub(crate) fn find(&self, path: &Path) -> Result<PathBuf, FolderError> {
        let error = match fs::canonicalize(path) {
            Ok(real) if self.holds(&real) => return Ok(real),
            Ok(real) => return Err(FolderError::Outside(Some(real))),
            Err(error) => error,
        };
        // The folder of a bare name is the working directory.
        let folder_of =
            |folder: &Path| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
        let there = path.ancestors().skip(1).find_map(|folder| fs::canonicalize(folder_of(folder)).ok());
        // Treats a link without a target as outside, because its target may be outside.
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        match there {
            Some(folder) if self.holds(&folder) && !is_link => Err(FolderError::Unreadable(error)),
            Some(_) | None => Err(FolderError::Outside(None)),
        }
    }

    fn holds(&self, real: &Path) -> bool {
        let is_of_the_system = |path: &Path| OF_THE_SYSTEM.iter().any(|folder| path.starts_with(folder));
        let holds = |root: &&PathBuf| real.starts_with(root) && (!is_of_the_system(real) || is_of_the_system(root));
        self.roots.iter().any(|root| holds(&root))
    }
}

/// Creates the mistake for a file outside the folders.
pub(crate) fn outside(what: &str, real: Option<&Path>) -> Issue {
    let (leads, folder) = match real.and_then(|real| Some((real, real.parent()?))) {
        Some((real, folder)) => {
            (format!(" ({})", escape(&real.display().to_string())), escape(&folder.display().to_string()))
        }
        None => (String::new(), "DIR".to_owned()),
    };
    let what = format!("{what} is outside the manifest's folder{leads}");
    wrong(
        what,
        format!("copy it beside the manifest, or allow its folder if you trust the manifest: --allow-files {folder}"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(folders: &AllowedFolders, path: &Path) -> &'static str {
        match folders.find(path) {
            Ok(_) => "found",
            Err(FolderError::Outside(Some(_))) => "outside",
            Err(FolderError::Outside(None)) => "outside, unseen",
            Err(FolderError::Unreadable(_)) => "missing",
        }
    }

    /// Goal: no name leads out of the folder. Method: each form of a name, in a folder next to another one with a secret.
    #[test]
    fn only_what_is_in_the_folders_is_found() {
        let all = tempfile::tempdir().expect("a temporary folder can be made");
        let (own, other) = (all.path().join("own"), all.path().join("own-and-more"));
        for folder in [&own.join("sub"), &other] {
            fs::create_dir_all(folder).expect("a folder can be made there");
            fs::write(folder.join("a.txt"), "x").expect("a file can be written there");
        }
        for (target, link) in [
            ("../own-and-more/a.txt", "out.txt"),
            ("sub/a.txt", "in.txt"),
            ("../own-and-more", "dir"),
            ("/nowhere", "dead"),
            ("loop", "loop"),
        ] {
            symlink(target, own.join(link)).expect("a link can be made there");
        }
        symlink(&own, all.path().join("alias")).expect("a link can be made there");
        let absolute = |path: &Path| path.display().to_string();
        for (name, expected) in [
            ("sub/a.txt", "found"),
            ("./sub/../sub/a.txt", "found"),
            ("in.txt", "found"),
            ("sub", "found"),
            ("../own/sub/a.txt", "found"),
            (&absolute(&own.join("sub/a.txt")), "found"),
            (&absolute(&all.path().join("alias/sub/a.txt")), "found"),
            ("b.txt", "missing"),
            ("nowhere/../../b.txt", "missing"),
            ("~/a.txt", "missing"),
            ("\\\\server\\share\\a.txt", "missing"),
            ("C:\\a.txt", "missing"),
            ("..\\own-and-more\\a.txt", "missing"),
            ("out.txt", "outside"),
            ("dir/a.txt", "outside"),
            ("dir/b.txt", "outside, unseen"),
            ("dead", "outside, unseen"),
            ("loop", "outside, unseen"),
            ("..", "outside"),
            ("../own-and-more/a.txt", "outside"),
            ("../own-and-more/b.txt", "outside, unseen"),
            ("sub/../../own-and-more/a.txt", "outside"),
            (&absolute(&other.join("a.txt")), "outside"),
            ("/proc/self/environ", "outside"),
            ("//server/share/a.txt", "outside, unseen"),
            ("/nowhere/a.txt", "outside, unseen"),
        ] {
            assert_eq!(found(&AllowedFolders::new(&own, &[]), &own.join(name)), expected, "{name}");
        }
        let allowing = AllowedFolders::new(&own, &[other.clone(), all.path().join("nowhere")]);
        for (name, expected) in
            [("out.txt", "found"), ("dir/a.txt", "found"), ("dir/b.txt", "missing"), ("..", "outside")]
        {
            assert_eq!(found(&allowing, &own.join(name)), expected, "{name}");
        }
    }

    #[test]
    fn what_the_system_tells_of_a_process_is_no_list() {
        let root = AllowedFolders::new(Path::new("/"), &[]);
        assert_eq!(found(&root, Path::new("/proc/self/environ")), "outside");
        assert_eq!(found(&root, Path::new("/dev/null")), "outside");
        assert_eq!(found(&root, Path::new("/etc")), "found");
        assert_eq!(found(&AllowedFolders::new(Path::new("/"), &["/dev".into()]), Path::new("/dev/null")), "found");
    }
}
