//! Other processes of this machine: rival supervisors, holders of locks, listeners on ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ov_chains::shape::{HeightProbe, Probe};

use super::host::PROC_BYTES_MAX;
use super::{DoctorInput, Verdict};
use crate::family::{command_line, family, parents};
use crate::sockets::{Doing, answers_for, sockets, sockets_of};

/// Supervisors that would launch the same node.
const RIVALS: [&str; 4] = ["cosmovisor", "visor", "vegavisor", "zilliqad"];

/// Our processes and everything that descends from them.
pub(super) fn family_of(input: &DoctorInput<'_>) -> BTreeSet<u32> {
    family(input.disk, &input.shape.layout.state, input.own)
}

pub(super) fn supervisor(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let home = &input.shape.layout.home;
    let family = family_of(input);
    let rivals: Vec<Verdict> = parents(input.disk)
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
    let words = command_line(input.disk, pid);
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
    let seen = sockets(input.disk, Doing::Listening);
    let held = sockets_of(input.disk, &family_of(input));
    // Whoever came or went meanwhile could not be recognised: a unit that keeps ending is no stranger.
    let stayed = sockets(input.disk, Doing::Listening);
    let listeners: Vec<(SocketAddr, u64)> = seen.into_iter().filter(|listener| stayed.contains(listener)).collect();
    let judged = wanted.into_iter().map(|(door, who)| {
        let subject = format!("port {} of {who}", door.port());
        let inodes: Vec<u64> =
            listeners.iter().filter(|(there, _)| answers_for(*there, door)).map(|(_, inode)| *inode).collect();
        if inodes.is_empty() {
            Verdict::good(subject, "nobody listens")
        } else if inodes.iter().any(|inode| held.contains(inode)) {
            Verdict::good(subject, "it is ours")
        } else {
            let message = "somebody else listens there: the probe would ask a stranger";
            Verdict::error(subject, message, "stop that process, or let the node use another port")
        }
    });
    judged.collect()
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
    for probe in &input.shape.probes.height {
        let port = match probe {
            HeightProbe::Http { url, .. } => port_of_url(url),
            HeightProbe::Grpc { call, .. } => local_port(&call.address),
            HeightProbe::Exec { .. } | HeightProbe::File { .. } => None,
        };
        ports.extend(port.map(|port| (port, "the height probe".to_owned())));
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

#[cfg(test)]
mod unit_tests {
    use super::*;

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
}
