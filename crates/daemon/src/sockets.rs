//! TCP sockets of this machine, as `/proc` shows them: who listens, who is connected, and whose they are.
//!
//! Looks, and sends nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ov_sys::Disk;

const TABLE_BYTES_MAX: u64 = 16 << 20;

/// What a socket does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It waits for others to connect.
    Listening,
    /// Somebody is connected.
    Connected,
}

impl Doing {
    fn code(self) -> &'static str {
        match self {
            Doing::Connected => "01",
            Doing::Listening => "0A",
        }
    }
}

/// Whether whoever listens there is whom a probe of that address reaches.
pub(crate) fn answers_for(listening: SocketAddr, probed: SocketAddr) -> bool {
    let ip = listening.ip().to_canonical();
    listening.port() == probed.port() && (ip == probed.ip() || ip.is_unspecified())
}

/// The own addresses of the sockets that do this, with their inodes.
pub(crate) fn sockets(disk: &dyn Disk, doing: Doing) -> Vec<(SocketAddr, u64)> {
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = disk.read(Path::new(table), TABLE_BYTES_MAX).unwrap_or_default();
        sockets.extend(String::from_utf8_lossy(&text).lines().filter_map(|line| socket(line, doing)));
    }
    sockets
}

/// Understands a line of `/proc/net/tcp` that is about a socket which does this.
fn socket(line: &str, doing: Doing) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (host, port) = fields.get(1)?.rsplit_once(':')?;
    let address = SocketAddr::new(host_in_hex(host)?, u16::from_str_radix(port, 16).ok()?);
    (*fields.get(3)? == doing.code()).then_some((address, fields.get(9)?.parse().ok()?))
}

/// The kernel prints each four bytes of an address as one number of this machine.
fn host_in_hex(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..text.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let v4 = <[u8; 4]>::try_from(bytes.as_slice()).map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes.as_slice()).map(|bytes| Ipv6Addr::from(bytes).into())).ok()
}

/// The inodes of all sockets that these processes hold.
pub(crate) fn sockets_of(disk: &dyn Disk, pids: &BTreeSet<u32>) -> BTreeSet<u64> {
    let mut sockets = BTreeSet::new();
    for pid in pids {
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        for name in disk.list(&folder).unwrap_or_default() {
            let link = disk.read_link(&folder.join(name)).unwrap_or_default();
            let inode: Option<u64> =
                link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            sockets.extend(inode);
        }
    }
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_others() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 48216 1 0 100";
        assert_eq!(socket(line, Doing::Listening), Some(("127.0.0.1:8080".parse().unwrap(), 48216)));
        let six = line.replace("0100007F:", "00000000000000000000000001000000:");
        assert_eq!(socket(&six, Doing::Listening), Some(("[::1]:8080".parse().unwrap(), 48216)));
        let connected = line.replace(" 0A ", " 01 ");
        assert_eq!(socket(&connected, Doing::Listening), None);
        assert_eq!(socket(&connected, Doing::Connected), socket(line, Doing::Listening));
        assert_eq!(socket(line, Doing::Connected), None);
        assert_eq!(socket("  sl  local_address rem_address   st tx_queue rx_queue", Doing::Listening), None);
        assert_eq!(socket("", Doing::Listening), None);
    }

    #[test]
    fn who_listens_on_another_address_takes_nothing_away() {
        let answers = |one: &str, other: &str| answers_for(one.parse().unwrap(), other.parse().unwrap());
        assert!(answers("127.0.0.1:80", "127.0.0.1:80"));
        assert!(answers("0.0.0.0:80", "127.0.0.1:80") && answers("[::]:80", "127.0.0.1:80"));
        assert!(!answers("127.0.0.2:80", "127.0.0.1:80") && !answers("127.0.0.1:81", "127.0.0.1:80"));
    }
}
