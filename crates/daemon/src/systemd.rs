//! What we tell the service manager that started us, and what it may tell nobody else.
//!
//! Speaks the datagrams of `sd_notify(3)`. Without `NOTIFY_SOCKET` everything here does nothing, timers included.
//! Owns one socket that never blocks: a manager that does not read must not hold the node. It reads the environment
//! once and never changes it; whoever starts a unit leaves out [`NOT_FOR_UNITS`].

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Variables that are meant for us alone: a unit that inherited them would speak in our name.
pub const NOT_FOR_UNITS: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// How much longer a long stop asks for, each time.
const EXTENSION: Duration = Duration::from_secs(30);
/// How often it asks: several times within the extension, because one datagram may be lost.
const EXTENSION_EVERY: Duration = Duration::from_secs(10);

/// The service manager above us, if there is one.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog_every: Option<Duration>,
}

impl ServiceManager {
    /// The one our environment names.
    pub fn from_environment() -> io::Result<Self> {
        Self::new(
            env::var_os("NOTIFY_SOCKET").as_deref(),
            env::var_os("WATCHDOG_USEC").as_deref(),
            env::var_os("WATCHDOG_PID").as_deref(),
        )
    }

    fn new(socket: Option<&OsStr>, watchdog_us: Option<&OsStr>, watchdog_pid: Option<&OsStr>) -> io::Result<Self> {
        let socket = socket.filter(|path| !path.is_empty()).map(connect).transpose()?;
        // A watchdog that is meant for another process reaches us through a shell in between.
        let is_ours = watchdog_pid.is_none_or(|pid| pid == OsStr::new(&std::process::id().to_string()));
        let interval_us = watchdog_us.and_then(OsStr::to_str).and_then(|text| text.parse::<u64>().ok());
        let watchdog_every = interval_us.filter(|us| is_ours && *us > 0).map(|us| Duration::from_micros(us) / 2);
        Ok(Self { watchdog_every: watchdog_every.filter(|_| socket.is_some()), socket })
    }

    /// The node is under care, and what `systemctl status` shows.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&[("READY", "1"), ("STATUS", status)])
    }

    /// One line for `systemctl status`.
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.send(&[("STATUS", status)])
    }

    /// The configuration is being read again; [`ServiceManager::ready`] ends it.
    pub fn reloading(&self) -> io::Result<()> {
        // The manager compares this with its own reading of the very same clock.
        let now = clock_gettime(ClockId::Monotonic);
        let now_us = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&[("RELOADING", "1"), ("MONOTONIC_USEC", &now_us.to_string())])
    }

    /// The daemon ends.
    pub fn stopping(&self, status: &str) -> io::Result<()> {
        self.send(&[("STOPPING", "1"), ("STATUS", status)])
    }

    /// How often [`ServiceManager::alive`] is expected: half of what the manager allows. `None` when it does not ask.
    pub fn watchdog_every(&self) -> Option<Duration> {
        self.watchdog_every
    }

    /// A sign of life, to be sent from the task that looks after the node, so that it proves something.
    pub fn alive(&self) -> io::Result<()> {
        self.send(&[("WATCHDOG", "1")])
    }

    /// Carries on with a long start or stop while the manager is asked for patience.
    pub async fn patiently<F: Future>(&self, work: F) -> F::Output {
        if self.socket.is_none() {
            return work.await;
        }
        tokio::select! {
            output = work => output,
            never = self.ask_for_patience() => match never {},
        }
    }

    async fn ask_for_patience(&self) -> Infallible {
        loop {
            // What cannot be delivered now is asked again soon; there is nobody else to tell.
            let _ = self.send(&[("EXTEND_TIMEOUT_USEC", &EXTENSION.as_micros().to_string())]);
            tokio::time::sleep(EXTENSION_EVERY).await;
        }
    }

    fn send(&self, lines: &[(&str, &str)]) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let mut message = String::new();
        for (name, value) in lines {
            // A line end within a value would begin an assignment of its own.
            let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(message, "{name}={value}");
        }
        socket.send(message.as_bytes()).map(drop)
    }
}

/// Removes what is meant for us alone from the environment a unit will get.
pub fn for_units(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    environment.into_iter().filter(|(name, _)| !NOT_FOR_UNITS.iter().any(|ours| name == ours)).collect()
}

fn connect(path: &OsStr) -> io::Result<UnixDatagram> {
    let address = match path.as_bytes() {
        // A name that is in no file system.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Listener {
        socket: UnixDatagram,
        manager: ServiceManager,
        _folder: tempfile::TempDir,
    }

    fn listener() -> Listener {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let manager = ServiceManager::new(Some(path.as_os_str()), None, None).unwrap();
        Listener { socket, manager, _folder: folder }
    }

    impl Listener {
        fn next(&self) -> String {
            let mut buffer = [0; 1024];
            let length = self.socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        }
    }

    #[test]
    fn each_message_is_what_the_manager_expects() {
        let listener = listener();
        listener.manager.ready("node `a`\nREADY=0").unwrap();
        assert_eq!(listener.next(), "READY=1\nSTATUS=node `a` READY=0\n");
        listener.manager.stopping("units stop").unwrap();
        assert_eq!(listener.next(), "STOPPING=1\nSTATUS=units stop\n");
        listener.manager.alive().unwrap();
        assert_eq!(listener.next(), "WATCHDOG=1\n");
        listener.manager.reloading().unwrap();
        let message = listener.next();
        let time = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        assert!(time.parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn without_a_socket_nothing_happens() {
        let manager = ServiceManager::new(None, Some(OsStr::new("1000000")), None).unwrap();
        assert_eq!(manager.watchdog_every(), None);
        manager.ready("fine").unwrap();
    }

    #[test]
    fn the_watchdog_is_fed_twice_per_interval_and_only_if_it_is_ours() {
        let listener = listener();
        let address = listener.socket.local_addr().unwrap();
        let path = address.as_pathname().unwrap().as_os_str();
        let every = |us: &str, pid: Option<&str>| {
            ServiceManager::new(Some(path), Some(OsStr::new(us)), pid.map(OsStr::new)).unwrap().watchdog_every()
        };
        assert_eq!(every("3000000", None), Some(Duration::from_millis(1500)));
        assert_eq!(every("3000000", Some(&std::process::id().to_string())), Some(Duration::from_millis(1500)));
        assert_eq!(every("3000000", Some("1")), None);
        assert_eq!(every("soon", None), None);
    }

    #[test]
    fn names_outside_the_file_system_are_reached() {
        let name = format!("omnivisor-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let manager = ServiceManager::new(Some(OsStr::new(&format!("@{name}"))), None, None).unwrap();
        manager.status("here").unwrap();
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STATUS=here\n");
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody() {
        let listener = listener();
        let full = (0..100_000).find_map(|_| listener.manager.alive().err());
        assert_eq!(full.unwrap().kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_stop_asks_for_patience_again_and_again() {
        let listener = listener();
        let output = listener.manager.patiently(async {
            tokio::time::sleep(EXTENSION_EVERY * 2 + Duration::from_secs(1)).await;
            7
        });
        assert_eq!(output.await, 7);
        for _ in 0..3 {
            assert_eq!(listener.next(), "EXTEND_TIMEOUT_USEC=30000000\n");
        }
    }

    #[test]
    fn units_inherit_everything_else() {
        let environment = [("PATH", "/bin"), ("NOTIFY_SOCKET", "/run/x"), ("WATCHDOG_USEC", "1")];
        let kept = for_units(environment.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(kept, [("PATH".into(), "/bin".into())]);
    }
}
