//! `config`, `show-upgrade-info` and `show-manual-upgrades`: what is set, and what is planned.

use std::io;

use ov_chains::cosmos::{self, told};
use ov_sys::{Disk as _, RealDisk};

use super::Scene;
use super::schedule;
use crate::drop_in::{self, Call, Complaint};

const PLAN_BYTES_MAX: u64 = 1 << 20;

/// `config`.
pub(super) fn config(call: &Call) -> Result<(), Complaint> {
    drop_in::write(cosmos::shown(&Scene::of(call)?.settings).as_bytes())
}

/// `show-upgrade-info`: the plan file as it is.
pub(super) fn upgrade_info(call: &Call) -> Result<(), Complaint> {
    let path = Scene::of(call)?.settings.plan_file();
    let mut bytes = RealDisk.read(&path, PLAN_BYTES_MAX).map_err(|error| {
        let why = told("open", &path, &error);
        Complaint::new(match error.kind() {
            io::ErrorKind::NotFound => format!("upgrade-info.json not found at {}: {why}", path.display()),
            _ => format!("failed to read upgrade-info.json: {why}"),
        })
    })?;
    bytes.push(b'\n');
    drop_in::write(&bytes)
}

/// `show-manual-upgrades`: the schedule of scheduled upgrades, by rising height.
pub(super) fn manual_upgrades(call: &Call) -> Result<(), Complaint> {
    let schedule = schedule::read(&Scene::of(call)?.settings)?;
    drop_in::write(format!("{}\n", schedule.to_text()).as_bytes())
}
