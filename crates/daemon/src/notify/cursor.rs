//! Up to which event a webhook was told, kept over restarts.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ov_sys::{Disk, durable};
use serde::{Deserialize, Serialize};

/// The version of the file. A newer minor is read; another major is not.
const FORMAT: (u16, u16) = (1, 0);
const BYTES_MAX: u64 = 4096;

/// The file: `{"format":"1.0","index":17}`.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    format: String,
    index: u64,
}

/// The file of one webhook.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Cursor {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: &Path, webhook: &str) -> Self {
        Self { disk, path: folder.join(format!("{}.json", file_name(webhook))) }
    }

    /// The last event that is settled; `None` for a webhook that was never told anything.
    pub(super) async fn load(&self) -> io::Result<Option<u64>> {
        let Self { disk, path } = self.clone();
        on_thread(move || match disk.read(&path, BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => parse(&bytes?).map(Some).map_err(|why| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {why}", path.display()))
            }),
        })
        .await
    }

    /// Notes that everything up to this event is settled.
    pub(super) async fn save(&self, index: u64) -> io::Result<()> {
        let Self { disk, path } = self.clone();
        on_thread(move || {
            if let Some(folder) = path.parent() {
                durable::make_directories(disk.as_ref(), folder, 0o700)?;
            }
            let kept = Kept { format: format!("{}.{}", FORMAT.0, FORMAT.1), index };
            durable::replace(disk.as_ref(), &path, &serde_json::to_vec(&kept)?, 0o600)
        })
        .await
    }
}

fn parse(bytes: &[u8]) -> Result<u64, String> {
    let kept: Kept = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let major = kept.format.split_once('.').and_then(|(major, _)| major.parse::<u16>().ok());
    if major == Some(FORMAT.0) { Ok(kept.index) } else { Err(format!("its format {} is unknown", kept.format)) }
}

/// The webhook's name as one component of a path; different names stay different.
fn file_name(webhook: &str) -> String {
    let mut name = String::new();
    for byte in webhook.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02x}");
        }
    }
    name
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;

    #[tokio::test]
    async fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("webhooks");
        let cursor = Cursor::new(Arc::new(RealDisk), &below, "chat / ops");
        assert_eq!(cursor.load().await.unwrap(), None);
        cursor.save(17).await.unwrap();
        assert_eq!(cursor.load().await.unwrap(), Some(17));
        assert_eq!(RealDisk.list(&below).unwrap(), ["chat%20%2f%20ops.json"]);
        std::fs::write(below.join("chat%20%2f%20ops.json"), "{\"format\":\"2.0\",\"index\":1}").unwrap();
        assert!(cursor.load().await.unwrap_err().to_string().ends_with("is damaged: its format 2.0 is unknown"));
    }

    #[test]
    fn a_newer_minor_is_read_and_rubbish_is_not() {
        assert_eq!(parse(br#"{"format":"1.7","index":3,"more":true}"#), Ok(3));
        for rubbish in [&b""[..], b"{", b"17", br#"{"index":3}"#, br#"{"format":"x","index":3}"#] {
            assert!(parse(rubbish).is_err());
        }
    }
}
