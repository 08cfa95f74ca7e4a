//! Where one scenario plays: its folder, its parts, its address on loopback, its random numbers.

use std::cell::Cell;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::parts::Parts;

/// One scenario's own.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) parts: Parts,
    pub(super) folder: PathBuf,
    random: Cell<u64>,
}

impl Stage {
    pub(super) fn new(parts: Parts, folder: PathBuf, seed: u64) -> Self {
        Self { parts, folder, random: Cell::new(seed.wrapping_mul(2).wrapping_add(1)) }
    }

    /// The address of one node; no two processes that run this have the same.
    pub(super) fn address(place: u8) -> Ipv4Addr {
        let [.., high, low] = std::process::id().to_be_bytes();
        Ipv4Addr::new(127, 100 + place, high, low.max(1))
    }

    /// Our program by the name that it stands in for.
    pub(super) fn drop_in(&self) -> Result<PathBuf> {
        let folder = self.folder.join("bin");
        fs::create_dir_all(&folder).context("make a folder for our program")?;
        let link = folder.join("cosmovisor");
        if !link.exists() {
            symlink(&self.parts.ours, &link).context("give our program its name")?;
        }
        Ok(link)
    }

    /// Some time below this, decided by the seed.
    pub(super) fn moment(&self, below: Duration) -> Duration {
        let mut bits = self.random.get();
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        self.random.set(bits);
        Duration::from_micros(bits % u64::try_from(below.as_micros()).unwrap_or(u64::MAX).max(1))
    }
}
