//! Stopped anywhere: what is found is nothing or a whole release, and fetching again ends where fetching once would
//! have.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ov_release::fetch::{
    Answer, Ask, Body, Cancel, CrashPoint, Credentials, FetchError, FetchRequest, Transport, TransportError, World,
    fetch,
};
use ov_release::{Digest, Layout, Staged, State, state, verify};
use ov_sys::sim_disk::{Fault, failing_everywhere, stopped_everywhere};
use ov_sys::{Disk, Random, SimClock, SimDisk};
use ov_types::{Lasting, Moment};

use super::archives::{directory, file, link, tar_of, zip_of};
use super::bench::{Bench, from, names_in};

/// Serves one file in parts, and breaks off in the middle of every answer that begins at its beginning.
#[derive(Debug)]
struct Breaking {
    bytes: Vec<u8>,
    clock: SimClock,
}

impl Transport for Breaking {
    fn get(&self, ask: &Ask<'_>, _: &Cancel) -> Result<Answer, TransportError> {
        let range = ask.headers.iter().find(|(name, _)| *name == "range").map(|(_, value)| value);
        let from = range.map_or(0, |range| range[6..range.len() - 1].parse().unwrap());
        let len = self.bytes.len();
        let mut headers = vec![("etag".to_owned(), "\"1\"".to_owned())];
        let (status, end) = if from == 0 {
            headers.push(("content-length".to_owned(), len.to_string()));
            (200, len / 2)
        } else {
            headers.push(("content-range".to_owned(), format!("bytes {from}-{}/{len}", len - 1)));
            (206, len)
        };
        let parts = self.bytes[from..end].chunks(len / 3).map(<[u8]>::to_vec).collect();
        Ok(Answer { status, headers, body: Box::new(Parts { parts, is_broken: end < len }) })
    }

    fn pause(&self, pause_ms: u64, _: &Cancel) {
        self.clock.advance(pause_ms);
    }
}

struct Parts {
    parts: VecDeque<Vec<u8>>,
    is_broken: bool,
}

impl Body for Parts {
    fn next(&mut self, _: &Cancel) -> Result<Option<Vec<u8>>, TransportError> {
        match self.parts.pop_front() {
            None if self.is_broken => Err(TransportError::Broken { why: "it was cut".to_owned() }),
            part => Ok(part),
        }
    }
}

struct Case {
    transport: Breaking,
    request: FetchRequest,
    layout: Layout,
}

impl Case {
    fn new(suffix: &str, bytes: Vec<u8>) -> Self {
        let clock = SimClock::new(Moment { monotonic_ms: 1, wall_ms: 5 });
        let request = from(&[format!("https://a.example/node{suffix}?checksum={}", Digest::of(&bytes))]);
        Self { transport: Breaking { bytes, clock }, request, layout: Layout::of_home(Path::new("/home")) }
    }

    fn all() -> [Self; 3] {
        let program = b"program".repeat(90);
        let items = [directory("lib"), file("node", &program), file("lib/a.so", b"library"), link("b", "lib/a.so")];
        [Self::new("", program.clone()), Self::new(".tar", tar_of(&items)), Self::new(".zip", zip_of(&items))]
    }

    fn fetch(&self, disk: &SimDisk) -> Result<Staged, FetchError> {
        fetch_by(disk, &self.transport, &self.transport.clock, &self.layout, &self.request)
    }

    fn is_whole(&self, disk: &SimDisk) -> bool {
        matches!(verify(disk, &self.layout, &self.request.name).unwrap(), State::Complete(_))
    }

    /// What the cheap look calls complete has every byte.
    fn check(&self, disk: &SimDisk) {
        if matches!(state(disk, &self.layout, &self.request.name).unwrap(), State::Complete(_)) {
            assert!(self.is_whole(disk));
        }
    }

    fn finally(&self, disk: &SimDisk) {
        assert!(self.is_whole(disk));
        assert_eq!(disk.list(&self.layout.releases).unwrap(), ["v1", "v1.release.json"]);
    }
}

fn fetch_by(
    disk: &SimDisk,
    transport: &dyn Transport,
    clock: &SimClock,
    layout: &Layout,
    request: &FetchRequest,
) -> Result<Staged, FetchError> {
    let (credentials, cancel, random) = (&Credentials::default(), &Cancel::default(), Random::new(1));
    let progress = &mut |_| {};
    fetch(World { disk, clock, transport, credentials, cancel, random, progress }, layout, request)
}

fn empty() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.make_directory(Path::new("/home"), 0o755).unwrap();
    disk.sync_file_system(Path::new("/")).unwrap();
    disk
}

#[test]
fn a_fetch_that_is_stopped_anywhere_can_be_gone_on_with() {
    for case in Case::all() {
        let act = |disk: &SimDisk| case.fetch(disk).map(drop);
        stopped_everywhere(&empty(), act, |disk| case.check(disk), |disk| case.finally(disk));
    }
}

#[test]
fn a_disk_that_fails_anywhere_fails_the_fetch_and_not_the_next_one() {
    for case in Case::all() {
        let act = |disk: &SimDisk| {
            let fetched = case.fetch(disk).map(drop);
            assert!(fetched.as_ref().err().is_none_or(|error| error.lasting() == Lasting::Transient), "{fetched:?}");
            fetched
        };
        failing_everywhere(&empty(), act, |disk| case.check(disk), |disk| case.finally(disk));
    }
}

#[test]
fn on_a_full_disk_nothing_is_left_that_holds_the_room() {
    for case in Case::all() {
        let disk = empty();
        disk.plant(Path::new("/home/big"), &vec![0; 1 << 20], 0o644).unwrap();
        let len = case.transport.bytes.len() as u64;
        // Room for the margin and a part of the download.
        disk.set_capacity(Some((17 << 20) + len / 2));
        let error = case.fetch(&disk).unwrap_err();
        assert!(matches!(error, FetchError::Download { .. }) && error.lasting() == Lasting::Transient, "{error:?}");
        disk.set_capacity(None);
        case.fetch(&disk).unwrap();
        case.finally(&disk);
    }
}

/// Two addresses of different files, and nothing that says which of them is right. The first breaks off, and is gone
/// until it is back.
#[derive(Debug)]
struct TwoFiles {
    is_back: AtomicBool,
    clock: SimClock,
}

impl TwoFiles {
    const LEN: usize = 900;

    fn bytes(url: &str) -> Vec<u8> {
        vec![if url.ends_with("/first") { b'1' } else { b'2' }; Self::LEN]
    }
}

impl Transport for TwoFiles {
    fn get(&self, ask: &Ask<'_>, _: &Cancel) -> Result<Answer, TransportError> {
        let range = ask.headers.iter().find(|(name, _)| *name == "range").map(|(_, value)| value);
        let from: usize = range.map_or(0, |range| range[6..range.len() - 1].parse().unwrap());
        let is_back = self.is_back.load(Ordering::Relaxed);
        let is_broken = !is_back && ask.url.ends_with("/first");
        let end = if is_broken { 200 } else { Self::LEN };
        let (status, length) = match from {
            0 => (200, ("content-length", Self::LEN.to_string())),
            _ if is_broken => (404, ("content-length", "0".to_owned())),
            _ => (206, ("content-range", format!("bytes {from}-{}/{}", Self::LEN - 1, Self::LEN))),
        };
        let headers = [length, ("etag", "\"1\"".to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let parts = Self::bytes(ask.url)[from.min(end)..end].chunks(100).map(<[u8]>::to_vec).collect();
        Ok(Answer { status, headers, body: Box::new(Parts { parts, is_broken }) })
    }

    fn pause(&self, pause_ms: u64, _: &Cancel) {
        self.clock.advance(pause_ms);
    }
}

#[test]
fn bytes_of_two_addresses_never_come_together() {
    let addresses = ["https://a.example/first".to_owned(), "https://a.example/second".to_owned()];
    let (request, layout) = (from(&addresses), Layout::of_home(Path::new("/home")));
    let clock = SimClock::new(Moment { monotonic_ms: 1, wall_ms: 5 });
    let transport = TwoFiles { is_back: AtomicBool::new(false), clock };
    let fetch_from = |disk: &SimDisk, is_back| {
        transport.is_back.store(is_back, Ordering::Relaxed);
        fetch_by(disk, &transport, &transport.clock, &layout, &request)
    };
    let start = empty();
    let whole = start.fork();
    fetch_from(&whole, false).unwrap();
    for operation in start.operations() + 1..=whole.operations() {
        for seed in 0..4 {
            let disk = start.fork();
            disk.fail_at(operation, if seed == 0 { Fault::Kill } else { Fault::PowerCut });
            assert!(fetch_from(&disk, false).is_err());
            match seed {
                0 => disk.kill(),
                _ => disk.crash(seed * 1_000 + operation),
            }
            fetch_from(&disk, true).unwrap();
            let program = disk.read(Path::new("/home/releases/v1/bin/node"), 10_000).unwrap();
            let is_one = addresses.iter().any(|url| program == TwoFiles::bytes(url));
            assert!(is_one, "operation {operation}, seed {seed}: {}", String::from_utf8_lossy(&program));
        }
    }
}

/// Where the process that is to die finds its folder.
const CHILD: &str = "OV_TEST_FETCH_FOLDER";
/// More than lies between two notes.
const LARGE_BYTES: usize = 18 << 20;

#[test]
fn the_program_can_be_killed_at_every_point() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let bench = Bench::new();
        let layout = Layout::of_home(Path::new(&folder));
        let bench = Bench { layout, ..bench };
        let source = Path::new(&folder).join("source").display().to_string();
        bench.fetch(&from(&[source])).unwrap();
        return;
    }
    for point in CrashPoint::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut source = std::fs::File::create(folder.path().join("source")).unwrap();
        source.write_all(&vec![7; LARGE_BYTES]).unwrap();
        let run = |crash_at: Option<&str>| {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "fetch::crash::the_program_can_be_killed_at_every_point"]);
            // Who is killed tidies nothing up.
            command.env(CHILD, folder.path()).env("TMPDIR", folder.path()).stdout(std::process::Stdio::null());
            command.envs(crash_at.map(|point| (ov_sys::crash_point::VARIABLE, point)));
            command.status().unwrap()
        };
        assert_eq!(run(Some(point.name())).signal(), Some(9), "{} was not reached", point.name());
        assert!(run(None).success(), "after {}", point.name());
        let releases = folder.path().join("releases");
        assert_eq!(names_in(&releases), ["v1", "v1.release.json"], "{}", point.name());
        assert_eq!(std::fs::metadata(releases.join("v1/bin/node")).unwrap().len(), LARGE_BYTES as u64);
    }
}
