//! A witness of what a validator has signed: it looks at the sign state again and again, and never forgets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

const LOOK: Duration = Duration::from_millis(5);

/// What was signed last: height, round and step, in the order in which they only ever rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Signed {
    pub(super) height: u64,
    round: u64,
    step: u64,
}

/// Looks on until it is asked.
#[derive(Debug)]
pub(super) struct Witness {
    file: PathBuf,
    done: Arc<AtomicBool>,
    looking: Option<JoinHandle<Result<Signed>>>,
}

impl Witness {
    pub(super) fn watch(file: PathBuf) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let looking = {
            let (file, done) = (file.clone(), Arc::clone(&done));
            std::thread::spawn(move || look_on(&file, &done))
        };
        Self { file, done, looking: Some(looking) }
    }

    /// What is signed now.
    pub(super) fn now(&self) -> Result<Signed> {
        read(&self.file)
    }

    /// Ends the watch: fails if the sign state ever went back, or was never seen.
    pub(super) fn ask(mut self) -> Result<Signed> {
        self.done.store(true, Ordering::Relaxed);
        let looking = self.looking.take().context("ask the witness twice")?;
        let Ok(highest) = looking.join() else { bail!("hear the witness") };
        let (highest, now) = (highest?, read(&self.file)?);
        ensure!(now >= highest, "see the sign state go up only: {highest:?}, then {now:?}");
        ensure!(now.height > 0, "see anything signed");
        Ok(now)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

fn look_on(file: &Path, done: &AtomicBool) -> Result<Signed> {
    let mut highest = Signed::default();
    while !done.load(Ordering::Relaxed) {
        // The node replaces the file by a rename: what can be read is whole.
        if let Ok(now) = read(file) {
            ensure!(now >= highest, "see the sign state go up only: {highest:?}, then {now:?}");
            highest = now;
        }
        std::thread::sleep(LOOK);
    }
    Ok(highest)
}

fn read(file: &Path) -> Result<Signed> {
    let bytes = std::fs::read(file).context("read the sign state")?;
    let value: Value = serde_json::from_slice(&bytes).context("understand the sign state")?;
    let plain = |key: &str| value[key].as_u64().with_context(|| format!("find the {key} of the sign state"));
    let height = super::rpc::number(&value["height"]).context("find the height of the sign state")?;
    Ok(Signed { height, round: plain("round")?, step: plain("step")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::wait_until;

    fn write(file: &Path, height: u64, step: u64) {
        let beside = file.with_extension("new");
        std::fs::write(&beside, format!(r#"{{"height":"{height}","round":0,"step":{step}}}"#)).unwrap();
        std::fs::rename(beside, file).unwrap();
    }

    #[test]
    fn what_goes_back_is_seen_even_if_it_rises_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        write(&file, 7, 3);
        let good = Witness::watch(file.clone());
        std::thread::sleep(2 * LOOK);
        write(&file, 8, 1);
        assert_eq!(good.now().unwrap(), Signed { height: 8, round: 0, step: 1 });
        assert_eq!(good.ask().unwrap().height, 8);

        let mut bad = Witness::watch(file.clone());
        std::thread::sleep(4 * LOOK);
        write(&file, 6, 3);
        let looking = bad.looking.take().unwrap();
        wait_until("the witness to see it", Duration::from_secs(10), || looking.is_finished()).unwrap();
        write(&file, 9, 1);
        bad.looking = Some(looking);
        assert!(bad.ask().is_err());
    }
}
