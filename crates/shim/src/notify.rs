//! The `NOTIFY_SOCKET` of a unit: what it says through sd_notify is handed on to the daemon.
//!
//! The socket lies in the unit's directory. Where its path is too long for a socket address, or the
//! unit runs as somebody who may not enter that directory, it has an abstract name instead. Either
//! way the kernel vouches for the sender. Owns the socket.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, UCred, recvmsg};

use crate::tree;
use crate::unit_dir::UnitDir;

/// The socket in the unit's directory.
pub(crate) const NOTIFY_FILE: &str = "notify.sock";
/// The longest path that fits into a socket address, with its end.
const PATH_BYTES_MAX: usize = 107;
/// systemd's own limit is of this order.
const DATAGRAM_BYTES_MAX: usize = 8192;
/// How many datagrams are read before the shim looks at its other duties.
const TURN_DATAGRAMS_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    address: OsString,
    user: Option<u32>,
}

impl NotifySocket {
    /// Opens the socket for a unit that runs as `user`.
    pub(crate) fn open(directory: &UnitDir, user: Option<u32>) -> io::Result<Self> {
        let path = directory.path().join(NOTIFY_FILE);
        let own = rustix::process::geteuid().as_raw();
        let fits = path.as_os_str().len() <= PATH_BYTES_MAX;
        let (socket, address) = if fits && user.is_none_or(|user| user == own) {
            directory.clear(NOTIFY_FILE)?;
            let socket = UnixDatagram::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            (socket, path.into_os_string())
        } else {
            let name = format!("omnivisor-notify-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name)?;
            (UnixDatagram::bind_addr(&address)?, format!("@{name}").into())
        };
        socket.set_nonblocking(true)?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket, address, user })
    }

    /// The value of `NOTIFY_SOCKET`.
    pub(crate) fn address(&self) -> OsString {
        self.address.clone()
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What was said by those who may speak for the unit.
    pub(crate) fn receive(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        for _ in 0..TURN_DATAGRAMS_MAX {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(4))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let Ok(message) = recvmsg(&self.socket, &mut slices, &mut control, flags) else {
                break;
            };
            let sender = control.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmCredentials(sender) => Some(sender),
                _ => None,
            });
            if sender.is_some_and(|sender| self.may_speak(sender)) {
                let text = buffer.get(..message.bytes).unwrap_or_default();
                texts.push(String::from_utf8_lossy(text).into_owned());
            }
        }
        texts
    }

    fn may_speak(&self, sender: UCred) -> bool {
        let uid = sender.uid.as_raw();
        let known = [Some(rustix::process::geteuid().as_raw()), self.user];
        known.contains(&Some(uid))
            || u32::try_from(sender.pid.as_raw_nonzero().get()).is_ok_and(|pid| tree::is_under(std::process::id(), pid))
    }
}
