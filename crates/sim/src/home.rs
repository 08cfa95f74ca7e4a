//! The node's home on the simulated disk: where things lie, what is in them at first, and how to look at them without
//! disturbing anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ov_chains::NodeShape;
use ov_release::{CurrentRelease, Layout, Source, StageRequest, State};
use ov_sys::Random;
use ov_sys::disk::Disk;
use ov_sys::sim_disk::SimDisk;
use ov_sys::{Clock, SimClock, durable};
use ov_types::ReleaseName;
use ov_vault::sign_state::{self, OnDisk};
use ov_vault::{Custody, Machine};

use crate::{Lawful, Nature, Program, Violation};

const HOME: &str = "/home/node";
const CONFIG: &str = include_str!("omnivisor.toml");
/// What some nodes have besides: a unit that lives and dies with main.
const PARTNER: &str = include_str!("partner.toml");
/// Releases there are programs for.
pub(crate) const LEVELS: u64 = 6;

/// A home on a disk.
#[derive(Debug, Clone)]
pub struct Home {
    /// The disk.
    pub disk: SimDisk,
    /// The clocks.
    pub clock: SimClock,
    /// The node, as its configuration describes it.
    pub shape: Arc<NodeShape>,
    /// What the programs behave like, by level.
    pub natures: Vec<Nature>,
}

/// Anything that goes wrong before the world begins is a fault of the simulator.
pub(crate) fn unexpected(error: impl std::fmt::Display) -> Violation {
    Violation::new(format!("the world could not be made: {error}"))
}

impl Home {
    /// A home with one release, which never ran. Main of some has a partner.
    pub fn new(random: &mut Random, clock: SimClock, has_partner: bool) -> Lawful<Self> {
        let disk = SimDisk::new(random.number());
        disk.set_can_reflink(random.chance(1, 2));
        disk.set_can_exchange(random.chance(2, 3));
        let mut natures = vec![Nature::Good, Nature::Good];
        natures.extend((2..=LEVELS).map(|_| Nature::draw(random)));
        for directory in ["/bin", "/home", HOME, "/home/node/config", "/home/node/bin", "/home/node/data"] {
            disk.make_directory(Path::new(directory), 0o755).map_err(unexpected)?;
        }
        disk.make_directory(Path::new("/home/node/sources"), 0o755).map_err(unexpected)?;
        disk.make_directory(Path::new("/home/node/releases"), 0o755).map_err(unexpected)?;
        let plant = |path: String, bytes: &[u8], mode| disk.plant(Path::new(&path), bytes, mode).map_err(unexpected);
        plant("/bin/sh".to_owned(), b"#!/bin/sh\n", 0o755)?;
        let together = ("[unit.main]\n", "[unit.main]\ntogether = \"pair\"\n");
        let paired = || CONFIG.replacen(together.0, together.1, 1) + PARTNER;
        let config = if has_partner { paired() } else { CONFIG.to_owned() };
        plant(format!("{HOME}/omnivisor.toml"), config.as_bytes(), 0o644)?;
        plant(format!("{HOME}/config/key.json"), b"secret", 0o600)?;
        plant(format!("{HOME}/bin/helper"), b"#!/bin/sh\n", 0o755)?;
        for (level, nature) in (0..).zip(&natures).skip(1) {
            plant(format!("{HOME}/sources/v{level}"), &Program { level, nature: *nature }.bytes(), 0o755)?;
        }
        let mut shape = ov_chains::load(&disk, Path::new(HOME), None).map_err(unexpected)?;
        // Without a hook the step has nothing to do, and its records are written all the same.
        shape.engine.upgrade.migrate = random.chance(1, 2);
        if random.chance(1, 2) {
            // Shorter than the graces of the units, which the configuration does not let anybody say.
            shape.engine.upgrade.stop_within_ms = 3_000;
        }
        let home = Self { disk, clock, shape: Arc::new(shape), natures };
        home.place_first_release(random.chance(1, 4))?;
        home.disk.sync_file_system(Path::new(HOME)).map_err(unexpected)?;
        Ok(home)
    }

    fn place_first_release(&self, by_hand: bool) -> Lawful {
        let (disk, layout, name) = (&self.disk, self.layout(), release(1));
        if by_hand {
            self.place_by_hand(1).map_err(unexpected)?;
            return disk.make_link(Path::new("releases/v1"), &layout.current).map_err(unexpected);
        }
        let source = Source::File(self.source(1));
        let program = Some("bin/node".to_owned());
        let now_ms = self.clock.now().wall_ms;
        let request = StageRequest {
            name: name.clone(),
            source,
            program,
            sha256: None,
            origin: None,
            additions: Vec::new(),
            now_ms,
        };
        ov_release::stage(disk, &layout, &request).map_err(unexpected)?;
        ov_release::switch(disk, &layout, &name).map(drop).map_err(unexpected)
    }

    /// Lays a release where it belongs, as a person would: not in one step, and without a sync.
    pub fn place_by_hand(&self, level: u64) -> std::io::Result<()> {
        let folder = self.layout().directory(&release(level));
        if durable::exists(&self.disk, &folder)? {
            return Ok(());
        }
        self.disk.make_directory(&folder, 0o755)?;
        self.disk.make_directory(&folder.join("bin"), 0o755)?;
        let mut writer = self.disk.create(&folder.join("bin/node"), 0o755)?;
        writer.write_all(&self.program(level).bytes())
    }

    /// Clocks are set and machines boot again and again; here somebody says at once that it is the same machine. A note
    /// that cannot be written leaves it in doubt, and the doctor says so.
    pub fn confirm_machine(&self) {
        let layout = &self.shape.layout;
        let custody = Custody::of(&Machine::this(), self.clock.now());
        let _ = durable::make_directories(&self.disk, &layout.state, 0o700);
        let _ = ov_vault::custody::write(&self.disk, &layout.custody(), &custody);
    }

    /// The program of a level.
    pub fn program(&self, level: u64) -> Program {
        let nature = usize::try_from(level).ok().and_then(|level| self.natures.get(level));
        Program { level, nature: nature.copied().unwrap_or(Nature::Good) }
    }

    /// Where releases lie.
    pub fn layout(&self) -> Layout {
        ov_daemon::steps::release_layout(&self.shape)
    }

    /// The file a release can be staged from.
    pub fn source(&self, level: u64) -> PathBuf {
        self.shape.layout.home.join(format!("sources/v{level}"))
    }

    /// The same home on a copy of the disk, to look at without counting operations or meeting faults.
    #[must_use]
    pub fn aside(&self) -> Self {
        let disk = self.disk.fork();
        disk.kill();
        Self { disk, ..self.clone() }
    }

    /// What `current` says.
    pub fn current(&self) -> Lawful<CurrentRelease> {
        ov_release::current(&self.disk, &self.layout()).map_err(|error| Violation::new(format!("{error:?}")))
    }

    /// How whole a release is.
    pub fn state(&self, name: &ReleaseName) -> Lawful<State> {
        ov_release::state(&self.disk, &self.layout(), name).map_err(|error| Violation::new(format!("{error:?}")))
    }

    /// A file in the data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.shape.layout.data.join(name)
    }

    /// What the validator has signed, as its file says.
    pub fn sign_state(&self) -> Lawful<OnDisk> {
        sign_state::read(&self.disk, &self.data("sign_state.json"))
            .map_err(|error| Violation::new(format!("the sign state cannot be read: {error:?}")))
    }

    /// The format of the data.
    pub fn format(&self) -> std::io::Result<u64> {
        match self.disk.read(&self.data("format"), 64) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).trim().parse().unwrap_or(u64::MAX)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// The name of the release of a level.
#[expect(clippy::expect_used, reason = "a letter and a number are a name")]
pub(crate) fn release(level: u64) -> ReleaseName {
    ReleaseName::new(format!("v{level}")).expect("a name")
}

/// The level of a release.
pub(crate) fn level(name: &ReleaseName) -> u64 {
    name.as_str().strip_prefix('v').and_then(|level| level.parse().ok()).unwrap_or(0)
}
