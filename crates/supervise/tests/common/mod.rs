//! A unit in a directory of its own, with a real shim, for the tests of this crate.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ov_supervise::{ExitStatus, LogSettings, Output, Shim, ShimEvent, ShimProgram, ShimState, Spec};
use ov_types::UnitName;
use tokio::sync::mpsc;

/// No test waits longer for anything.
pub(crate) const BOUND: Duration = Duration::from_secs(30);
pub(crate) const SIGTERM: i32 = 15;
pub(crate) const SIGKILL: i32 = 9;

pub(crate) fn program() -> ShimProgram {
    ShimProgram {
        program: env!("CARGO_BIN_EXE_ov-shim-for-tests").into(),
        arguments: Vec::new(),
        inherit_stdin: false,
        inherit_output: false,
    }
}

/// A daemon's view of one unit.
pub(crate) struct Unit {
    pub(crate) shim: Shim,
    pub(crate) state: ShimState,
    pub(crate) events: mpsc::Receiver<(UnitName, ShimEvent)>,
}

impl Unit {
    pub(crate) async fn open(directory: &Path) -> Self {
        Self::open_with(directory, &program()).await
    }

    pub(crate) async fn open_with(directory: &Path, program: &ShimProgram) -> Self {
        let (sender, events) = mpsc::channel(64);
        let name = UnitName::new("main").unwrap();
        let (shim, state) = Shim::open(name, directory, program, sender).await.unwrap();
        Self { shim, state, events }
    }

    pub(crate) async fn event(&mut self) -> ShimEvent {
        tokio::time::timeout(BOUND, self.events.recv()).await.expect("an event in time").expect("an open channel").1
    }

    /// The next event that is not of the kinds in between.
    pub(crate) async fn until(&mut self, is_meant: impl Fn(&ShimEvent) -> bool) -> ShimEvent {
        loop {
            let event = self.event().await;
            if is_meant(&event) {
                return event;
            }
        }
    }

    pub(crate) async fn launch(&mut self, spec: Spec) -> u32 {
        let run = spec.run;
        self.shim.launch(spec).await.unwrap();
        match self.event().await {
            ShimEvent::Launched { run: launched, pid } if launched == run => pid,
            other => panic!("not launched: {other:?}"),
        }
    }

    pub(crate) async fn exited(&mut self) -> ExitStatus {
        match self.until(|event| matches!(event, ShimEvent::Exited { .. })).await {
            ShimEvent::Exited { status, .. } => status,
            other => panic!("not exited: {other:?}"),
        }
    }

    pub(crate) async fn empty(&mut self) {
        self.until(|event| matches!(event, ShimEvent::Empty { .. })).await;
    }

    /// Ends whatever runs, and the shim. Tests leave nothing behind.
    pub(crate) async fn finish(self) {
        let Self { shim, mut events, .. } = self;
        shim.stop(SIGKILL, Duration::ZERO, ov_supervise::Scope::Group).await.unwrap();
        let quit = async {
            while shim.quit().await.is_err() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            while events.recv().await.is_some() {}
        };
        tokio::time::timeout(BOUND, quit).await.expect("the shim ends");
    }
}

/// A shell script as a unit.
pub(crate) fn script(run: u64, text: &str) -> Spec {
    Spec {
        run,
        program: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".into(), text.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        leftover_grace_ms: 2_000,
        ..Spec::default()
    }
}

pub(crate) fn pumped(spec: Spec, path: PathBuf) -> Spec {
    Spec { output: Output::Pump(LogSettings { path, ..LogSettings::default() }), ..spec }
}

/// Waits until something is there.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < BOUND, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for a file with a whole line, which scripts write when they are ready.
pub(crate) async fn line(path: &Path) -> String {
    let look = || std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'));
    wait_for(&path.display().to_string(), look).await.trim_end().to_owned()
}

/// Whether a process runs, and does not only wait to be reaped.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

pub(crate) fn kill(pid: u32, signal: i32) {
    let status = std::process::Command::new("/bin/sh").args(["-c", &format!("kill -{signal} {pid}")]).status().unwrap();
    assert!(status.success());
}
