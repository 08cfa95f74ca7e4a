//! What runs beside the making of blocks: readiness and watchdog messages, the leak, the flood, and
//! further processes. Each is started once and then left alone.

use crate::error::Error;
use crate::pattern::Pattern;
use crate::shared::{Event, Shared};
use crate::switches::Switches;
use crate::{child, notify, output};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const MEBIBYTE: usize = 1024 * 1024;

/// Starts everything that the switches ask for at start.
pub(crate) fn start(home: &Path, shared: &Arc<Shared>, switches: &Switches) -> Result<(), Error> {
    for number in 1..=switches.children {
        child::spawn_lingering(home, &format!("child-{number}"), switches.helpers_ignore_term)?;
    }
    if switches.detach {
        child::spawn_detached(home, switches.helpers_ignore_term)?;
    }
    for _ in 0..switches.hoppers {
        child::spawn_hopper(home, switches.hopping_ms)?;
    }
    if let Some(address) = &switches.signer_listens {
        await_signer(address)?;
    }
    if switches.leak_mib_per_second > 0 {
        let (rate, most) = (switches.leak_mib_per_second, switches.leak_mib_max);
        thread::spawn(move || leak(rate, most));
    }
    if switches.flood_bytes > 0 {
        let (shared, switches) = (Arc::clone(shared), switches.clone());
        thread::spawn(move || flood(&shared, &switches));
    }
    Ok(())
}

/// Listens for a signer, and keeps whoever connects for as long as the node lives.
fn await_signer(address: &str) -> Result<(), Error> {
    let failed = |source| Error::Network { action: "listen on", address: address.to_owned(), source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    thread::spawn(move || {
        let mut signers = Vec::new();
        while let Ok((signer, _)) = listener.accept() {
            signers.push(signer);
        }
    });
    Ok(())
}

/// Says READY after the delay, then pings the watchdog for as long as the node does not hang.
pub(crate) fn announce(shared: &Arc<Shared>, switches: &Switches) {
    let (shared, delay) = (Arc::clone(shared), Duration::from_millis(switches.ready_delay_ms));
    let notifies = switches.notify;
    thread::spawn(move || {
        sleep(delay);
        shared.set_ready();
        if !notifies {
            return;
        }
        notify::send(&format!("READY=1\nSTATUS=version {} is ready", shared.version));
        let Some(pace) = notify::watchdog_pace() else { return };
        loop {
            sleep(pace);
            if !shared.hung() {
                notify::send("WATCHDOG=1");
            }
        }
    });
}

fn leak(mib_per_second: u64, mib_max: u64) {
    let pause = Duration::from_secs(1) / u32::try_from(mib_per_second).unwrap_or(u32::MAX);
    let mut leaked: Vec<Vec<u8>> = Vec::new();
    while (leaked.len() as u64) < mib_max {
        // Not zeroes: the kernel gives those for free.
        leaked.push(vec![1; MEBIBYTE]);
        sleep(pause);
    }
    std::mem::forget(leaked);
}

fn flood(shared: &Shared, switches: &Switches) {
    let pattern = Pattern::new(switches.flood_newlines);
    let pace = switches.flood_bytes_per_second;
    // Small pieces when paced, else as large as a pipe takes at once.
    let piece = if pace == 0 { MEBIBYTE } else { usize::try_from(pace / 50).unwrap_or(MEBIBYTE).clamp(1, MEBIBYTE) };
    let mut buffer = vec![0; piece];
    let began = Instant::now();
    let mut written = 0;
    while written < switches.flood_bytes {
        let length = usize::try_from(switches.flood_bytes - written).map_or(piece, |rest| rest.min(piece));
        pattern.fill(written, &mut buffer[..length]);
        output::write(&buffer[..length]);
        written += length as u64;
        let due_us = written.saturating_mul(1_000_000).checked_div(pace).unwrap_or(0);
        sleep(Duration::from_micros(due_us).saturating_sub(began.elapsed()));
    }
    if let Some(code) = switches.flood_exit {
        shared.wake(Event::FloodDone(code));
    }
}
