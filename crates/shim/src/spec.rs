//! What is to be launched: everything the shim needs to know, decided by the daemon beforehand.
//! Plain data and its encoding. Must not look anything up: users are numbers, the environment is
//! complete, paths are absolute.

use std::ffi::OsString;
use std::path::PathBuf;

use rustix::process::Resource;

use crate::wire::{Field, Fields, WireError, Writer, required};

/// One launch of one unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// Which run of the unit this is; the daemon gives every launch a number of its own.
    pub run: u64,
    /// The program file.
    pub program: PathBuf,
    /// What the program sees as its own name; the program file if not given.
    pub arg0: Option<OsString>,
    /// The arguments after the name.
    pub arguments: Vec<OsString>,
    /// The whole environment. The shim adds `OMNIVISOR_UNIT`, and `NOTIFY_SOCKET` when asked.
    pub environment: Vec<(OsString, OsString)>,
    /// Where the process starts; the shim's own directory if not given.
    pub working_directory: Option<PathBuf>,
    /// The user it runs as; the shim's own if not given.
    pub user: Option<u32>,
    /// The group it runs as; the shim's own if not given.
    pub group: Option<u32>,
    /// The supplementary groups; the shim's own if not given.
    pub supplementary_groups: Option<Vec<u32>>,
    /// The file mode creation mask; the shim's own if not given.
    pub umask: Option<u32>,
    /// Resource limits that differ from the shim's.
    pub limits: Vec<ResourceLimit>,
    /// The nice value; the shim's own if not given.
    pub nice: Option<i32>,
    /// What the kernel adds to its badness when memory is short; the shim's own if not given.
    pub oom_score_adjust: Option<i32>,
    /// Whether it reads from the shim's standard input instead of from nothing.
    pub inherit_stdin: bool,
    /// Where its output goes.
    pub output: Output,
    /// A cgroup v2 directory to make and enter. Where it cannot be made the unit runs without.
    pub cgroup: Option<PathBuf>,
    /// Lock files that must be held by this unit alone, from before the launch until its tree is
    /// empty: one signer at any moment.
    pub leases: Vec<PathBuf>,
    /// Whether the unit gets a `NOTIFY_SOCKET`.
    pub notify: bool,
    /// How long what the main process leaves behind has between SIGTERM and SIGKILL.
    pub leftover_grace_ms: u64,
}

/// Where a unit's output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// Where the shim's own output goes, untouched.
    #[default]
    Inherit,
    /// Through the shim into rotated files.
    Pump(LogSettings),
}

/// The log file of a unit and when it is rotated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// The file that is written; rotated ones lie beside it.
    pub path: PathBuf,
    /// Rotate when the file is this long; 0 means never.
    pub bytes_max: u64,
    /// How many rotated files are kept; 0 means all.
    pub keep: u32,
    /// Rotate when the file is this old; 0 means never.
    pub rotate_every_seconds: u64,
}

/// One resource limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLimit {
    /// One of [`RESOURCES`], as `prlimit --help` names them: `nofile`, `core`, …
    pub resource: String,
    /// The limit that is enforced; none is unlimited.
    pub soft: Option<u64>,
    /// The ceiling of the soft limit; none is unlimited.
    pub hard: Option<u64>,
}

/// The names of resources that can be limited.
pub const RESOURCES: [(&str, Resource); 16] = [
    ("cpu", Resource::Cpu),
    ("fsize", Resource::Fsize),
    ("data", Resource::Data),
    ("stack", Resource::Stack),
    ("core", Resource::Core),
    ("rss", Resource::Rss),
    ("nproc", Resource::Nproc),
    ("nofile", Resource::Nofile),
    ("memlock", Resource::Memlock),
    ("as", Resource::As),
    ("locks", Resource::Locks),
    ("sigpending", Resource::Sigpending),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
];

impl ResourceLimit {
    pub(crate) fn kind(&self) -> Option<Resource> {
        RESOURCES.iter().find(|(name, _)| *name == self.resource).map(|(_, kind)| *kind)
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::nested();
        writer.text(1, &self.resource);
        for (tag, limit) in [(2, self.soft), (3, self.hard)] {
            if let Some(limit) = limit {
                writer.number(tag, limit);
            }
        }
        writer.into_body()
    }

    fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut limit = Self { resource: String::new(), soft: None, hard: None };
        for field in Fields::new(body) {
            let field = field?;
            match field.tag {
                1 => limit.resource = field.text(),
                2 => limit.soft = Some(field.number()?),
                3 => limit.hard = Some(field.number()?),
                _ => {}
            }
        }
        Ok(limit)
    }
}

impl LogSettings {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::nested();
        writer
            .os(1, &self.path)
            .number(2, self.bytes_max)
            .number(3, u64::from(self.keep))
            .number(4, self.rotate_every_seconds);
        writer.into_body()
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut settings = Self::default();
        let mut path = None;
        for field in Fields::new(body) {
            let field = field?;
            match field.tag {
                1 => path = Some(field.path()),
                2 => settings.bytes_max = field.number()?,
                3 => settings.keep = field.narrow()?,
                4 => settings.rotate_every_seconds = field.number()?,
                _ => {}
            }
        }
        settings.path = required(path, 1)?;
        Ok(settings)
    }
}

impl Spec {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::nested();
        writer.number(1, self.run).os(2, &self.program);
        if let Some(arg0) = &self.arg0 {
            writer.os(3, arg0);
        }
        for argument in &self.arguments {
            writer.os(4, argument);
        }
        for (name, value) in &self.environment {
            writer.os(5, name).os(6, value);
        }
        if let Some(directory) = &self.working_directory {
            writer.os(7, directory);
        }
        for (tag, number) in [(8, self.user), (9, self.group), (12, self.umask)] {
            if let Some(number) = number {
                writer.number(tag, u64::from(number));
            }
        }
        if let Some(groups) = &self.supplementary_groups {
            writer.flag(10, true);
            for group in groups {
                writer.number(11, u64::from(*group));
            }
        }
        for limit in &self.limits {
            writer.bytes(13, &limit.encode());
        }
        for (tag, number) in [(14, self.nice), (15, self.oom_score_adjust)] {
            if let Some(number) = number {
                writer.signed(tag, i64::from(number));
            }
        }
        writer.flag(16, self.inherit_stdin);
        if let Output::Pump(settings) = &self.output {
            writer.bytes(17, &settings.encode());
        }
        if let Some(cgroup) = &self.cgroup {
            writer.os(18, cgroup);
        }
        for lease in &self.leases {
            writer.os(19, lease);
        }
        writer.flag(20, self.notify).number(21, self.leftover_grace_ms);
        writer.into_body()
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut spec = Self::default();
        let (mut run, mut program) = (None, None);
        for field in Fields::new(body) {
            let field = field?;
            match field.tag {
                1 => run = Some(field.number()?),
                2 => program = Some(field.path()),
                _ => spec.take(field)?,
            }
        }
        spec.run = required(run, 1)?;
        spec.program = required(program, 2)?;
        Ok(spec)
    }

    /// Takes one of the fields that may be missing.
    fn take(&mut self, field: Field<'_>) -> Result<(), WireError> {
        match field.tag {
            3 => self.arg0 = Some(field.os()),
            4 => self.arguments.push(field.os()),
            5 => self.environment.push((field.os(), OsString::new())),
            6 => match self.environment.last_mut() {
                Some((_, value)) => *value = field.os(),
                None => return Err(field.bad()),
            },
            7 => self.working_directory = Some(field.path()),
            8 => self.user = Some(field.narrow()?),
            9 => self.group = Some(field.narrow()?),
            10 => self.supplementary_groups = Some(Vec::new()),
            11 => self.supplementary_groups.get_or_insert_default().push(field.narrow()?),
            12 => self.umask = Some(field.narrow()?),
            13 => self.limits.push(ResourceLimit::decode(field.value)?),
            14 => self.nice = Some(field.signed()?),
            15 => self.oom_score_adjust = Some(field.signed()?),
            16 => self.inherit_stdin = field.flag()?,
            17 => self.output = Output::Pump(LogSettings::decode(field.value)?),
            18 => self.cgroup = Some(field.path()),
            19 => self.leases.push(field.path()),
            20 => self.notify = field.flag()?,
            21 => self.leftover_grace_ms = field.number()?,
            _ => {}
        }
        Ok(())
    }
}
