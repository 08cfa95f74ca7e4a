//! READY, STOPPING and WATCHDOG to whoever asked for them through `NOTIFY_SOCKET`.

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Sends one message; without a socket, or with one that nobody reads, nothing happens.
pub(crate) fn send(message: &str) {
    if let Some(address) = env::var_os("NOTIFY_SOCKET").and_then(|name| address(&name))
        && let Ok(socket) = UnixDatagram::unbound()
    {
        // A node does not fail because nobody listens.
        let _ = socket.send_to_addr(message.as_bytes(), &address);
    }
}

/// Half the time after which a watchdog that heard nothing acts, if one watches this process.
pub(crate) fn watchdog_pace() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let for_this_process = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let limit = number("WATCHDOG_USEC").filter(|limit| *limit > 0 && for_this_process)?;
    Some(Duration::from_micros(limit) / 2)
}

fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(name).ok(),
    }
}
