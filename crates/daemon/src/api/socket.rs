//! Where the API listens: the control socket in the node's home, and a TCP address for metrics.
//!
//! It must not decide who is served; that is [`super::server`]'s.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ov_sys::Disk;
use rustix::fs::{Mode, OFlags};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

/// The name of the control socket, in the state directory.
const SOCKET_NAME: &str = "control.sock";

/// The longest path a socket's address can hold, without the zero byte that ends it.
const ADDRESS_BYTES_MAX: usize = 107;

/// Only the owner may connect. The peer's user is checked as well.
const PRIVATE: u32 = 0o600;

/// Why the API cannot be served.
#[derive(Debug, Error)]
pub enum SocketError {
    /// A socket that an earlier daemon left behind cannot be removed.
    #[error("remove the old control socket {}", path.display())]
    Remove {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The control socket cannot be made.
    #[error("listen on the control socket {}", path.display())]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address for metrics cannot be listened on.
    #[error("listen on {address} for metrics")]
    Metrics {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Open sockets that nobody is served on yet.
#[derive(Debug)]
pub struct Listeners {
    pub(super) control: UnixListener,
    pub(super) metrics: Option<TcpListener>,
}

impl Listeners {
    /// Opens the control socket in the state directory, in the place of one that an earlier daemon left behind, and
    /// the address for metrics if there is one.
    ///
    /// The caller holds the node's lock: that is what makes an existing socket an old one.
    pub async fn open(disk: &dyn Disk, state: &Path, metrics: Option<SocketAddr>) -> Result<Self, SocketError> {
        let control = open_control(disk, state)?;
        let metrics = match metrics {
            None => None,
            Some(address) => {
                let opened = TcpListener::bind(address).await;
                Some(opened.map_err(|source| SocketError::Metrics { address, source })?)
            }
        };
        Ok(Self { control, metrics })
    }

    /// The address at which metrics are served on TCP.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }
}

fn open_control(disk: &dyn Disk, state: &Path) -> Result<UnixListener, SocketError> {
    let path = state.join(SOCKET_NAME);
    match disk.remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(SocketError::Remove { path, source }),
    }
    listen(disk, state, &path).map_err(|source| SocketError::Listen { path, source })
}

fn listen(disk: &dyn Disk, state: &Path, path: &Path) -> io::Result<UnixListener> {
    let listener = if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
        UnixListener::bind(path)?
    } else {
        let directory: OwnedFd =
            rustix::fs::open(state, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        UnixListener::bind(format!("/proc/self/fd/{}/{SOCKET_NAME}", directory.as_raw_fd()))?
    };
    disk.set_mode(path, PRIVATE)?;
    Ok(listener)
}
