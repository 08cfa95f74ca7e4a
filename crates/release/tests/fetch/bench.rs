//! A place to fetch to: a home on the real disk, the real network, and short patience.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use ov_release::fetch::{
    Address, Cancel, Credentials, FetchError, FetchRequest, HttpTransport, Limits, Patience, PlanInfo, Policy,
    Progress, Silence, Transport, World, fetch, read_plan_info,
};
use ov_release::{Layout, Staged, State, verify};
use ov_sys::{Random, RealClock, RealDisk};
use ov_types::{ReleaseName, Span};

pub(super) const PROGRAM: &str = "node";

pub(super) struct Bench {
    pub(super) folder: tempfile::TempDir,
    pub(super) layout: Layout,
    pub(super) transport: HttpTransport,
    pub(super) cancel: Cancel,
    pub(super) progress: Mutex<Vec<Progress>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        // Loading the machine's certificates takes a while, so that is done once.
        static TRANSPORT: LazyLock<HttpTransport> = LazyLock::new(|| {
            let silence = Silence { connect: Span::from_seconds(5), stall: Span::from_ms(400) };
            HttpTransport::new(silence)
        });
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let transport = TRANSPORT.clone();
        let (cancel, progress) = (Cancel::default(), Mutex::default());
        Self { layout: Layout::of_home(&home), folder, transport, cancel, progress }
    }

    /// A path in a folder for whatever a test needs.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(super) fn fetch(&self, request: &FetchRequest) -> Result<Staged, FetchError> {
        self.fetch_by(&self.transport, request)
    }

    pub(super) fn fetch_by(&self, transport: &dyn Transport, request: &FetchRequest) -> Result<Staged, FetchError> {
        let mut tell = |progress| self.progress.lock().unwrap().push(progress);
        fetch(self.world_of(transport, &mut tell), &self.layout, request)
    }

    pub(super) fn plan_info(&self, text: &str, must_have_checksum: bool) -> Result<PlanInfo, FetchError> {
        let mut tell = |_| {};
        read_plan_info(self.world(&mut tell), text, must_have_checksum, patience())
    }

    pub(super) fn world<'a>(&'a self, progress: &'a mut dyn FnMut(Progress)) -> World<'a> {
        self.world_of(&self.transport, progress)
    }

    fn world_of<'a>(&'a self, transport: &'a dyn Transport, progress: &'a mut dyn FnMut(Progress)) -> World<'a> {
        static NONE: LazyLock<Credentials> = LazyLock::new(Credentials::default);
        let (random, credentials) = (Random::new(1), &*NONE);
        World { disk: &RealDisk, clock: &RealClock, transport, credentials, cancel: &self.cancel, random, progress }
    }

    /// The program of a release that is whole.
    pub(super) fn program(&self, release: &str) -> Vec<u8> {
        let name = ReleaseName::new(release).unwrap();
        let state = verify(&RealDisk, &self.layout, &name).unwrap();
        assert!(matches!(state, State::Complete(_)), "{release} is {}", state.describe());
        std::fs::read(self.layout.directory(&name).join("bin").join(PROGRAM)).unwrap()
    }

    /// What lies in the folder of releases.
    pub(super) fn names(&self) -> Vec<String> {
        names_in(&self.layout.releases)
    }
}

pub(super) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(super) fn patience() -> Patience {
    let pause = Span::from_ms(1);
    Patience { tries: 4, total: Span::from_seconds(60), pause, pause_max: Span::from_ms(20) }
}

/// A request for release v1 at these addresses.
pub(super) fn from(addresses: &[String]) -> FetchRequest {
    FetchRequest {
        name: ReleaseName::new("v1").unwrap(),
        program: format!("bin/{PROGRAM}"),
        inside: None,
        addresses: addresses.iter().map(|address| Address::parse(address).unwrap()).collect(),
        checksum: None,
        sha256: None,
        policy: Policy::default(),
        limits: Limits::default(),
        patience: patience(),
        origin: None,
        additions: Vec::new(),
    }
}

/// An error with all that is beneath it.
pub(super) fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
