//! Second names of images that others will replace, and the removal of their first names.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::fsio::temp_file::{TempFile, remove};
use crate::images::error::{StoreError, at};
use crate::images::local::folders::{Folders, sync_folder};
use crate::images::verify::{is_of_task, kept_names};
use crate::model::event::ReplacedImage;
use crate::model::outcome::{Artifact, TaskId};
use crate::model::output_options::Sidecar;

/// Gives an image its second name, and returns that. `is_kept` says whether a file is the image already.
pub(super) fn keep(out: &Path, artifact: &Artifact, is_kept: impl Fn(&Artifact) -> bool) -> Result<String, StoreError> {
    let folders = Folders::open(out)?;
    let from = out.join(&artifact.file_name);
    for name in kept_names(&artifact.file_name) {
        let to = out.join(&name);
        let folder = folders.make_ready(folder_of(&name))?;
        if is_kept(&Artifact { file_name: name.clone(), ..artifact.clone() }) || is_named(&from, &to)? {
            sync_folder(&folder)?;
            return Ok(name);
        }
    }
    unreachable!("there are more numbers than files")
}

/// Gives a file another name; a copy of it where the file system has no hard links. Returns `false` if that name exists.
fn is_named(from: &Path, to: &Path) -> Result<bool, StoreError> {
    match fs::hard_link(from, to) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        // Any other cause is reported by the copy.
        Err(_) => (),
    }
    let mut copy = TempFile::create_anew(to.with_extension("partial")).map_err(at("write", to))?;
    io::copy(&mut File::open(from).map_err(at("read", from))?, &mut copy).map_err(at("write", to))?;
    copy.sync().and_then(|()| copy.rename_new(to)).map_err(at("write", to))
}

/// Gives a kept image its first name again, unless a file has it.
pub(super) fn give_back(out: &Path, image: &ReplacedImage) -> Result<(), StoreError> {
    let folder = Folders::open(out)?.make_ready(folder_of(&image.artifact.file_name))?;
    is_named(&out.join(&image.kept_as), &out.join(&image.artifact.file_name))?;
    sync_folder(&folder)
}

/// Removes the first name of a kept image, and moves its sidecar file for machines.
pub(super) fn release(out: &Path, image: &ReplacedImage, task: Option<&TaskId>) -> Result<(), StoreError> {
    // A folder that is a symbolic link is refused: nothing outside is removed.
    let folders = Folders::open(out)?;
    let folder = folders.make_ready(folder_of(&image.artifact.file_name))?;
    let kept_in = folders.make_ready(folder_of(&image.kept_as))?;
    let [sidecar, kept] = [&image.artifact.file_name, &image.kept_as]
        .map(|name| out.join(name).with_extension(Sidecar::Json.extension()));
    let is_file = fs::symlink_metadata(&sidecar).is_ok_and(|found| found.is_file());
    // A file that has the other name is the user's.
    let is_free = fs::symlink_metadata(&kept).is_err();
    if is_file && is_free && is_of_task(&fs::read(&sidecar).map_err(at("read", &sidecar))?, task) {
        fs::rename(&sidecar, &kept).map_err(at("move", &sidecar))?;
        sync_folder(&kept_in)?;
    }
    let path = out.join(&image.artifact.file_name);
    remove(&path).map_err(at("remove", &path))?;
    sync_folder(&folder)
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}
