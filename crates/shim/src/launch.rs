//! Starting the process of a unit: from a [`Spec`] to a pid, or to the stage that failed.
//!
//! Everything that allocates or can be slow is prepared before the fork; between fork and exec only
//! system calls are made. Owns nothing afterwards: the process belongs to whoever reaps it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::execve;
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Resource, Rlimit, Uid};

use crate::spec::Spec;

/// The environment variable that marks every process of a unit: `<unit directory>:<run>`.
pub const UNIT_VARIABLE: &str = "OMNIVISOR_UNIT";

/// Which part of a launch failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Processes of an earlier run, whose shim died, still live.
    Orphans,
    /// A lease is held by somebody else.
    Lease,
    /// The run could not be recorded.
    Record,
    /// The log or the notify socket could not be set up, or pipes ran out.
    Output,
    /// What was asked for cannot be expressed: an unknown resource, a NUL in a path.
    Specification,
    /// Setting the oom score adjustment.
    OomScore,
    /// Setting the nice value.
    Nice,
    /// Setting resource limits.
    Limits,
    /// Setting groups.
    Groups,
    /// Setting the user.
    User,
    /// Entering the working directory.
    WorkingDirectory,
    /// Handing over the leases or cleaning the signal mask.
    Handover,
    /// Executing the program.
    Execute,
}

impl Stage {
    const ALL: [Self; 13] = [
        Self::Orphans,
        Self::Lease,
        Self::Record,
        Self::Output,
        Self::Specification,
        Self::OomScore,
        Self::Nice,
        Self::Limits,
        Self::Groups,
        Self::User,
        Self::WorkingDirectory,
        Self::Handover,
        Self::Execute,
    ];

    /// The word for it on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orphans => "orphans",
            Self::Lease => "lease",
            Self::Record => "record",
            Self::Output => "output",
            Self::Specification => "specification",
            Self::OomScore => "oom-score",
            Self::Nice => "nice",
            Self::Limits => "limits",
            Self::Groups => "groups",
            Self::User => "user",
            Self::WorkingDirectory => "working-directory",
            Self::Handover => "handover",
            Self::Execute => "execute",
        }
    }
}

/// Why a launch failed.
#[derive(Debug)]
pub(crate) struct LaunchError {
    pub(crate) stage: Stage,
    pub(crate) message: String,
}

impl LaunchError {
    pub(crate) fn new(stage: Stage, what: impl AsRef<Path>, error: &io::Error) -> Self {
        Self { stage, message: format!("`{}`: {error}", what.as_ref().display()) }
    }
}

/// What the shim adds to a spec.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The pipe of the log pump.
    pub(crate) output: Option<OwnedFd>,
    /// Variables on top of those of the spec.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// Locks that the process inherits, so that they outlive a shim that is killed.
    pub(crate) leases: Arc<Vec<OwnedFd>>,
}

/// What the child does between fork and exec, and the exec itself, all of it prepared.
struct Steps {
    program: CString,
    arguments: Vec<CString>,
    /// `NAME=VALUE` each.
    environment: Vec<CString>,
    oom_score_adjust: Option<Vec<u8>>,
    nice: Option<i32>,
    limits: Vec<(Resource, Rlimit)>,
    umask: Option<u32>,
    groups: Option<Vec<Gid>>,
    group: Option<Gid>,
    user: Option<Uid>,
    working_directory: Option<CString>,
    leases: Arc<Vec<OwnedFd>>,
    /// Gets the number of the stage that failed.
    report: OwnedFd,
}

/// Starts the process. When this returns, the program has been executed.
pub(crate) fn spawn(spec: &Spec, mut surroundings: Surroundings) -> Result<u32, LaunchError> {
    let (report_reader, report) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| LaunchError::new(Stage::Output, "pipe", &error.into()))?;
    let mut command = Command::new(&spec.program);
    command.process_group(0).stdin(if spec.inherit_stdin { Stdio::inherit() } else { Stdio::null() });
    if let Some(output) = surroundings.output.take() {
        let second = output.try_clone().map_err(|error| LaunchError::new(Stage::Output, "pipe", &error))?;
        command.stdout(output).stderr(second);
    }
    let Surroundings { environment, leases, .. } = surroundings;
    let steps = Steps::prepare(spec, &environment, leases, report)?;
    run_between_fork_and_exec(&mut command, steps);
    let spawned = command.spawn();
    // Closes our end of the report.
    drop(command);
    spawned.map(|child| child.id()).map_err(|error| {
        let mut stage = [0];
        let stage = match File::from(report_reader).read_exact(&mut stage) {
            Ok(()) => Stage::ALL.get(usize::from(stage[0])).copied(),
            Err(_) => None,
        };
        let stage = stage.unwrap_or(Stage::Execute);
        let what = match stage {
            Stage::WorkingDirectory => spec.working_directory.as_deref(),
            _ => None,
        };
        LaunchError::new(stage, what.unwrap_or(&spec.program), &error)
    })
}

#[expect(unsafe_code, reason = "nothing else can set limits, groups and user before the exec")]
fn run_between_fork_and_exec(command: &mut Command, steps: Steps) {
    // SAFETY: `Steps::run` only makes system calls on data prepared before the fork, but for the two
    // lists of pointers that the exec wants; the shim has one thread, so that no other can have left
    // the allocator, or anything else, half done. No handler is installed: signals only get their default back,
    // since whoever started the daemon may have ignored some, as `nohup` does. Two of them cannot be ignored at all.
    unsafe {
        command.pre_exec(move || {
            for ignored in Signal::iterator() {
                let _ = signal(ignored, SigHandler::SigDfl);
            }
            steps.run()
        });
    }
}

impl Steps {
    fn prepare(
        spec: &Spec,
        added: &[(&'static str, OsString)],
        leases: Arc<Vec<OwnedFd>>,
        report: OwnedFd,
    ) -> Result<Self, LaunchError> {
        let mut limits = Vec::with_capacity(spec.limits.len());
        for limit in &spec.limits {
            let Some(resource) = limit.kind() else {
                let message = format!("there is no resource `{}`", limit.resource);
                return Err(LaunchError { stage: Stage::Specification, message });
            };
            limits.push((resource, Rlimit { current: limit.soft, maximum: limit.hard }));
        }
        let working_directory = spec.working_directory.as_ref().map(|directory| c_text(directory.as_os_str()));
        // A later variable of a name takes the place of an earlier one.
        let mut environment: BTreeMap<&OsStr, &OsStr> = BTreeMap::new();
        environment.extend(spec.environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())));
        environment.extend(added.iter().map(|(name, value)| (OsStr::new(name), value.as_os_str())));
        let variable = |(name, value): (&OsStr, &OsStr)| {
            let mut text = name.to_owned();
            text.push("=");
            text.push(value);
            c_text(&text)
        };
        let program = spec.program.as_os_str();
        let words = std::iter::once(spec.arg0.as_deref().unwrap_or(program));
        let words = words.chain(spec.arguments.iter().map(OsString::as_os_str));
        // Another user must not keep the groups of root by omission.
        let none = Vec::new();
        let drops_root = spec.user.is_some() && rustix::process::geteuid().is_root();
        let groups = spec.supplementary_groups.as_ref().or(drops_root.then_some(&none));
        Ok(Self {
            program: c_text(program)?,
            arguments: words.map(c_text).collect::<Result<_, _>>()?,
            environment: environment.into_iter().map(variable).collect::<Result<_, _>>()?,
            oom_score_adjust: spec.oom_score_adjust.map(|adjust| adjust.to_string().into_bytes()),
            nice: spec.nice,
            limits,
            umask: spec.umask,
            groups: groups.map(|groups| groups.iter().map(|group| Gid::from_raw(*group)).collect()),
            group: spec.group.map(Gid::from_raw),
            user: spec.user.map(Uid::from_raw),
            working_directory: working_directory.transpose()?,
            leases,
            report,
        })
    }

    fn run(&self) -> io::Result<()> {
        self.run_all().map_err(|(stage, error)| {
            let number = Stage::ALL.iter().position(|known| *known == stage).unwrap_or(usize::MAX);
            // Without the report the failure is still told, only not of which stage it was.
            let _ = rustix::io::write(&self.report, &[u8::try_from(number).unwrap_or(u8::MAX)]);
            error.into()
        })
    }

    /// What needs privileges comes before they are given up. The exec is our own: the standard library's has a shell
    /// read what the kernel does not take for a program, such as one for another machine.
    fn run_all(&self) -> Result<(), (Stage, rustix::io::Errno)> {
        let at = |stage: Stage| move |error| (stage, error);
        if let Some(adjust) = &self.oom_score_adjust {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::open(c"/proc/self/oom_score_adj", flags, Mode::empty())
                .and_then(|file| rustix::io::write(file, adjust))
                .map_err(at(Stage::OomScore))?;
        }
        if let Some(nice) = self.nice {
            rustix::process::setpriority_process(None, nice).map_err(at(Stage::Nice))?;
        }
        for (resource, limit) in &self.limits {
            rustix::process::setrlimit(*resource, *limit).map_err(at(Stage::Limits))?;
        }
        if let Some(groups) = &self.groups {
            rustix::thread::set_thread_groups(groups).map_err(at(Stage::Groups))?;
        }
        if let Some(group) = self.group {
            rustix::thread::set_thread_res_gid(group, group, group).map_err(at(Stage::Groups))?;
        }
        if let Some(user) = self.user {
            rustix::thread::set_thread_res_uid(user, user, user).map_err(at(Stage::User))?;
        }
        if let Some(umask) = self.umask {
            rustix::process::umask(Mode::from_raw_mode(umask & 0o777));
        }
        // As the user it will be: a directory that only root can enter is no use to the program.
        if let Some(directory) = &self.working_directory {
            rustix::process::chdir(directory.as_c_str()).map_err(at(Stage::WorkingDirectory))?;
        }
        for lease in self.leases.iter() {
            rustix::io::fcntl_setfd(lease.as_fd(), FdFlags::empty()).map_err(at(Stage::Handover))?;
        }
        let at = |stage: Stage| move |error| (stage, rustix::io::Errno::from_raw_os_error(error as i32));
        SigSet::empty().thread_set_mask().map_err(at(Stage::Handover))?;
        let executed: Result<Infallible, nix::Error> = execve(&self.program, &self.arguments, &self.environment);
        executed.map(drop).map_err(at(Stage::Execute))
    }
}

fn c_text(text: &OsStr) -> Result<CString, LaunchError> {
    CString::new(text.as_bytes()).map_err(|error| LaunchError::new(Stage::Specification, text, &error.into()))
}
