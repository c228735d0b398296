//! Pictures on this disk as data URIs: read when a request leaves, and never in memory all at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::spawn_blocking;

use crate::model::escape::escape;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::picture::{PICTURE_BYTES_MAX, SourcePicture, hex, is_local, media_type};
use crate::model::request::Request;

/// Pictures that are in memory at once, in KiB. A request takes several times as much on its way.
const KIB_MAX: u32 = 32 << 10;

/// Pictures of a run, by their names in requests.
#[derive(Debug)]
pub struct PictureFiles {
    known: BTreeMap<String, SourcePicture>,
    memory: Semaphore,
}

impl Default for PictureFiles {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl PictureFiles {
    /// Creates the pictures of a run.
    pub fn new(known: BTreeMap<String, SourcePicture>) -> Self {
        Self { known, memory: Semaphore::new(KIB_MAX as usize) }
    }

    /// Returns the request with its pictures as data URIs, and a permit to hold while it is in memory. `None` if it names none.
    ///
    /// A picture that is missing or has changed is a fault, before anything is sent.
    pub(super) async fn attach(&self, request: &Request) -> Result<Option<(Request, SemaphorePermit<'_>)>, Fault> {
        let names: Vec<_> = request.image_url.iter().filter(|source| is_local(source)).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let invalid = |text: String| Fault::new(FaultKind::InvalidRequest, text);
        let mut n_kib: u64 = 0;
        for name in names {
            let known = self.known.get(name);
            let known =
                known.ok_or_else(|| invalid(format!("the picture {} is not known to this run", escape(name))))?;
            n_kib += known.n_bytes.div_ceil(1024);
        }
        let n_kib = u32::try_from(n_kib).unwrap_or(KIB_MAX).min(KIB_MAX);
        let permit = self.memory.acquire_many(n_kib).await.map_err(|_| invalid("no memory is left".to_owned()))?;
        let mut request = request.clone();
        for source in request.image_url.iter_mut().filter(|source| is_local(source)) {
            let Some(picture) = self.known.get(source).cloned() else { continue };
            let read = spawn_blocking(move || data_uri(&picture.path, &picture.sha256)).await;
            let uri = read.unwrap_or_else(|error| Err(error.to_string()));
            *source = uri.map_err(|what| invalid(format!("the picture {} {what}", escape(source))))?;
        }
        Ok(Some((request, permit)))
    }
}

/// Reads a picture, whose content must be the one that was checked.
fn data_uri(path: &Path, sha256: &str) -> Result<String, String> {
    let n_bytes = fs::metadata(path).map_err(|error| format!("could not be read: {error}"))?.len();
    let bytes = if n_bytes > PICTURE_BYTES_MAX { Ok(Vec::new()) } else { fs::read(path) };
    let bytes = bytes.map_err(|error| format!("could not be read: {error}"))?;
    if hex(&Sha256::digest(&bytes)) != sha256 {
        return Err(
            "has changed since the run began; put the old file back, or give the new one another name".to_owned()
        );
    }
    let media_type = media_type(&bytes).ok_or("is of no known kind")?;
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    fn pictures(folder: &Path) -> PictureFiles {
        let sha256 = hex(&Sha256::digest(PNG));
        let picture = SourcePicture { path: folder.join("a.png"), sha256, n_bytes: PNG.len() as u64 };
        PictureFiles::new([("ref/a.png".to_owned(), picture)].into())
    }

    fn request(sources: &[&str]) -> Request {
        Request { image_url: sources.iter().map(|source| (*source).to_owned()).collect(), ..Request::default() }
    }

    /// Goal: what leaves is the picture that was checked, among other sources in their order, and the request of the job stays as it is.
    #[tokio::test]
    async fn a_picture_becomes_a_data_uri() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("a.png"), PNG).expect("it can be written");
        let pictures = pictures(folder.path());
        let wanted = request(&["https://a/b.png", "ref/a.png", "data:image/png;base64,AA"]);
        let (sent, permit) = pictures.attach(&wanted).await.expect("it is there").expect("it has a picture");
        let uri = "data:image/png;base64,iVBORw0KGgo=";
        assert_eq!(sent, request(&["https://a/b.png", uri, "data:image/png;base64,AA"]));
        assert_eq!(pictures.memory.available_permits(), KIB_MAX as usize - 1);
        drop(permit);
        assert!(pictures.attach(&request(&["https://a/b.png"])).await.expect("nothing is read").is_none());
    }

    /// Goal: nothing is sent if the picture is another one. Method: each way in which it can differ.
    #[tokio::test]
    async fn another_picture_is_a_fault() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("a.png");
        let pictures = pictures(folder.path());
        let told = async |name: &str| pictures.attach(&request(&[name])).await.expect_err("it is another one").message;
        assert!(told("ref/a.png").await.starts_with("the picture ref/a.png could not be read: "));
        let too_many = usize::try_from(PICTURE_BYTES_MAX).expect("some megabytes") + 1;
        for bytes in [&b""[..], b"\x89PNG\r\n\x1a\r", &vec![0; too_many]] {
            fs::write(&path, bytes).expect("it can be written");
            assert!(told("ref/a.png").await.contains("has changed since the run began"));
        }
        assert!(told("ref/b.png").await.contains("is not known to this run"));
    }

    /// Goal: the memory is bounded however many requests leave. Method: pictures of half of it; the third one waits for a permit.
    #[tokio::test]
    async fn the_pictures_in_memory_are_limited() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("a.png"), PNG).expect("it can be written");
        let mut pictures = pictures(folder.path());
        pictures.known.values_mut().for_each(|picture| picture.n_bytes = u64::from(KIB_MAX) * 512);
        let wanted = request(&["ref/a.png"]);
        let first = pictures.attach(&wanted).await.expect("it is there");
        let _second = pictures.attach(&wanted).await.expect("it is there");
        assert_eq!(pictures.memory.available_permits(), 0, "a third one waits");
        let mut third = std::pin::pin!(pictures.attach(&wanted));
        assert!(futures::FutureExt::now_or_never(third.as_mut()).is_none());
        drop(first);
        assert!(third.await.expect("it is there").is_some());
    }
}
