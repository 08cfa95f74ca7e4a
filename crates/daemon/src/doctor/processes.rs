//! Other processes of this machine: rival supervisors, holders of locks, listeners on ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ov_chains::shape::{HeightProbe, Probe};

use super::host::PROC_BYTES_MAX;
use super::{DoctorInput, Verdict};

/// More processes than this are not looked at.
const PROCESSES_MAX: usize = 50_000;
/// Supervisors that would launch the same node.
const RIVALS: [&str; 4] = ["cosmovisor", "visor", "vegavisor", "zilliqad"];

/// All processes, with their parents.
fn parents(input: &DoctorInput<'_>) -> BTreeMap<u32, u32> {
    let names = input.disk.list(Path::new("/proc")).unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.to_str()?.parse().ok()).take(PROCESSES_MAX);
    pids.filter_map(|pid: u32| Some((pid, ov_sys::host::process_facts(pid).ok()??.parent))).collect()
}

/// Our processes and everything that descends from them: also the shims of this home when their daemon is down.
pub(super) fn family(input: &DoctorInput<'_>) -> BTreeSet<u32> {
    let parents = parents(input);
    let mut family: BTreeSet<u32> = input.own.iter().copied().collect();
    family.extend(parents.keys().filter(|pid| is_shim(input, **pid)));
    loop {
        let children: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| family.contains(parent) && !family.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if children.is_empty() {
            return family;
        }
        family.extend(children);
    }
}

/// Whether the process is a shim of this home: `omnivisor shim --dir <home>/.omnivisor/units/<unit>`.
fn is_shim(input: &DoctorInput<'_>, pid: u32) -> bool {
    let words = command_line(input, pid);
    let directory = words.iter().skip_while(|word| *word != "--dir").nth(1);
    directory.is_some_and(|directory| Path::new(directory).starts_with(&input.shape.layout.state))
}

/// The words of a process's command line; none for kernel threads and those that are gone.
pub(super) fn command_line(input: &DoctorInput<'_>, pid: u32) -> Vec<String> {
    let bytes = input.disk.read(Path::new(&format!("/proc/{pid}/cmdline")), PROC_BYTES_MAX).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

pub(super) fn supervisor(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let home = &input.shape.layout.home;
    let family = family(input);
    let rivals: Vec<Verdict> = parents(input)
        .into_keys()
        .filter(|pid| !family.contains(pid))
        .filter_map(|pid| rival(input, pid, home))
        .map(|(pid, name)| {
            let message = format!("process {pid} is a {name} for the same home: two supervisors, two nodes, one key");
            Verdict::error(home.display(), message, format!("stop and disable {name}"))
        })
        .collect();
    if rivals.is_empty() { vec![Verdict::good(home.display(), "no other supervisor is seen")] } else { rivals }
}

/// Whether the process is another supervisor of this home, and its name.
fn rival(input: &DoctorInput<'_>, pid: u32, home: &Path) -> Option<(u32, String)> {
    let words = command_line(input, pid);
    let name = Path::new(words.first()?).file_name()?.to_str()?.to_owned();
    if !RIVALS.contains(&name.as_str()) || is_this_program(input, pid) {
        return None;
    }
    // Readable for its own user and root alone; else the command line has to do.
    let environment = input.disk.read(Path::new(&format!("/proc/{pid}/environ")), PROC_BYTES_MAX).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let of_home = |path: &str| Path::new(path) == home;
    let in_words = words.iter().any(|word| of_home(word.rsplit_once('=').map_or(word.as_str(), |(_, path)| path)));
    let in_variables = variables.any(|variable| variable.split_once('=').is_some_and(|(_, path)| of_home(path)));
    (in_words || in_variables).then_some((pid, name))
}

/// Whether the process is an omnivisor that goes by one of those names.
fn is_this_program(input: &DoctorInput<'_>, pid: u32) -> bool {
    let program = |pid: &str| input.disk.read_link(&Path::new("/proc").join(pid).join("exe")).ok();
    program(&pid.to_string()).is_some_and(|path| Some(path) == program("self"))
}

pub(super) fn ports(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let wanted = local_ports(input);
    if wanted.is_empty() {
        return Vec::new();
    }
    let seen = listeners(input);
    let sockets = sockets_of(input, &family(input));
    // Whoever came or went meanwhile could not be recognised: a unit that keeps ending is no stranger.
    let stayed = listeners(input);
    let listeners: Vec<(SocketAddr, u64)> = seen.into_iter().filter(|listener| stayed.contains(listener)).collect();
    let judged = wanted.into_iter().map(|(door, who)| {
        let subject = format!("port {} of {who}", door.port());
        let inodes: Vec<u64> =
            listeners.iter().filter(|(there, _)| answers_for(*there, door)).map(|(_, inode)| *inode).collect();
        if inodes.is_empty() {
            Verdict::good(subject, "nobody listens")
        } else if inodes.iter().any(|inode| sockets.contains(inode)) {
            Verdict::good(subject, "it is ours")
        } else {
            let message = "somebody else listens there: the probe would ask a stranger";
            Verdict::error(subject, message, "stop that process, or let the node use another port")
        }
    });
    judged.collect()
}

/// Whether whoever listens there is whom a probe of that address reaches.
fn answers_for(listening: SocketAddr, probed: SocketAddr) -> bool {
    let ip = listening.ip().to_canonical();
    listening.port() == probed.port() && (ip == probed.ip() || ip.is_unspecified())
}

/// The addresses of this machine that are probed, and for whom.
fn local_ports(input: &DoctorInput<'_>) -> BTreeMap<SocketAddr, String> {
    let mut ports = BTreeMap::new();
    let mut note = |probe: Option<&Probe>, who: &str| {
        let port = match probe {
            Some(Probe::Tcp { address }) => local_port(address),
            Some(Probe::Http { url, .. }) => port_of_url(url),
            _ => None,
        };
        ports.extend(port.map(|port| (port, who.to_owned())));
    };
    for (unit, shape) in &input.shape.units {
        note(shape.readiness.as_ref().map(|readiness| &readiness.probe), unit.as_str());
        note(shape.health.as_ref().map(|health| &health.probe), unit.as_str());
    }
    if let Some(HeightProbe::Http { url, .. }) = &input.shape.probes.height {
        ports.extend(port_of_url(url).map(|port| (port, "the height probe".to_owned())));
    }
    ports
}

fn port_of_url(url: &str) -> Option<SocketAddr> {
    let uri: hyper::Uri = url.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    local_port(&format!("{}:{port}", uri.host()?))
}

fn local_port(address: &str) -> Option<SocketAddr> {
    if let Some(port) = address.strip_prefix("localhost:") {
        return Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into());
    }
    address.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback())
}

/// The addresses that are listened on, with the inodes of their sockets.
fn listeners(input: &DoctorInput<'_>) -> Vec<(SocketAddr, u64)> {
    let mut listeners = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = input.disk.read(Path::new(table), 16 * PROC_BYTES_MAX).unwrap_or_default();
        listeners.extend(String::from_utf8_lossy(&text).lines().filter_map(listener));
    }
    listeners
}

/// Understands a line of `/proc/net/tcp` that is about a listening socket.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTENING: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (host, port) = fields.get(1)?.rsplit_once(':')?;
    let address = SocketAddr::new(host_in_hex(host)?, u16::from_str_radix(port, 16).ok()?);
    (*fields.get(3)? == LISTENING).then_some((address, fields.get(9)?.parse().ok()?))
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
fn sockets_of(input: &DoctorInput<'_>, pids: &BTreeSet<u32>) -> BTreeSet<u64> {
    let mut sockets = BTreeSet::new();
    for pid in pids {
        let folder = PathBuf::from(format!("/proc/{pid}/fd"));
        for name in input.disk.list(&folder).unwrap_or_default() {
            let link = input.disk.read_link(&folder.join(name)).unwrap_or_default();
            let inode: Option<u64> =
                link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            sockets.extend(inode);
        }
    }
    sockets
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_others() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 48216 1 0 100";
        assert_eq!(listener(line), Some(("127.0.0.1:8080".parse().unwrap(), 48216)));
        let six = line.replace("0100007F:", "00000000000000000000000001000000:");
        assert_eq!(listener(&six), Some(("[::1]:8080".parse().unwrap(), 48216)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener("  sl  local_address rem_address   st tx_queue rx_queue"), None);
        assert_eq!(listener(""), None);
    }

    #[test]
    fn only_ports_of_this_machine_count() {
        let address = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        assert_eq!(port_of_url("http://127.0.0.1:26657/status"), address("127.0.0.1:26657"));
        assert_eq!(port_of_url("http://localhost/"), address("127.0.0.1:80"));
        assert_eq!(port_of_url("https://[::1]/"), address("[::1]:443"));
        assert_eq!(port_of_url("http://192.0.2.1:80/"), None);
        assert_eq!(local_port("localhost:9090"), address("127.0.0.1:9090"));
        assert_eq!(local_port("node.example:9090"), None);
    }

    #[test]
    fn who_listens_on_another_address_takes_nothing_away() {
        let answers = |one: &str, other: &str| answers_for(one.parse().unwrap(), other.parse().unwrap());
        assert!(answers("127.0.0.1:80", "127.0.0.1:80"));
        assert!(answers("0.0.0.0:80", "127.0.0.1:80") && answers("[::]:80", "127.0.0.1:80"));
        assert!(!answers("127.0.0.2:80", "127.0.0.1:80") && !answers("127.0.0.1:81", "127.0.0.1:80"));
    }
}
