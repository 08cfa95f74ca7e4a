//! A web server on loopback with one file, as plans name it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use serde_json::json;

use super::tool;

/// Answers everybody who asks, whatever for, until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    file: PathBuf,
    done: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start(file: &Path) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on loopback")?;
        let address = listener.local_addr().context("find the server's address")?;
        let done = Arc::new(AtomicBool::new(false));
        let server = Self { address, file: file.to_owned(), done: Arc::clone(&done) };
        let file = file.to_owned();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                // A client that goes away is its own problem.
                let _ = answer(stream, &file);
            }
        });
        Ok(server)
    }

    /// What a plan says of a release that lies here, with this digest or the right one.
    pub(super) fn plan_info(&self, sha256: Option<&str>) -> Result<String> {
        let sha256 = if let Some(sha256) = sha256 {
            sha256.to_owned()
        } else {
            let said = tool(Command::new("sha256sum").arg(&self.file))?;
            said.split(' ').next().context("read a digest")?.to_owned()
        };
        let address = format!("http://{}/release?checksum=sha256:{sha256}", self.address);
        Ok(json!({ "binaries": { "any": address } }).to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, file: &Path) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let wants_body = lines.next().transpose()?.is_some_and(|line| line.starts_with("GET "));
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    if wants_body {
        io::copy(&mut file, &mut stream)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_file_is_served_whole_and_named_with_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("program");
        std::fs::write(&file, "abc").unwrap();
        let server = Server::start(&file).unwrap();
        let mut stream = TcpStream::connect(server.address).unwrap();
        write!(stream, "GET /release HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n") && text.ends_with("\r\n\r\nabc"),
            "{text}"
        );
        let info = server.plan_info(None).unwrap();
        assert!(info.contains("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{info}");
    }
}
