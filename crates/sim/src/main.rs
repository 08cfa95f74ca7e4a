//! Runs simulated lives: `cargo xtask sim`. Two seeds at a time on two cores; a failing one is told with the command
//! that replays it.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ov_sim::{Failure, Tally, run_seed};

const USAGE: &str = "usage: sim [--seeds <count>] [--from <seed>] [--seed <seed>]";

struct Wanted {
    from: u64,
    count: u64,
}

fn main() -> ExitCode {
    let wanted = match parse(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => {
            say(&format!("sim: {why}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    // A panic is a failure of its seed, and told with it.
    std::panic::set_hook(Box::new(|_| {}));
    let (tally, failures) = run(&wanted);
    print(&tally.to_string());
    let missing = if wanted.count >= 1_000 { tally.missing() } else { Vec::new() };
    if !missing.is_empty() {
        say(&format!("never happened: {}", missing.join(", ")));
    }
    for failure in &failures {
        say(&failure.to_string());
    }
    say(&format!("{} seeds, {} failures", wanted.count, failures.len()));
    if failures.is_empty() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { from: 0, count: 2_000 };
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        let value = value.ok_or_else(|| format!("`{name}` needs a number"))?;
        match name.as_str() {
            "--seeds" => wanted.count = value,
            "--from" => wanted.from = value,
            "--seed" => wanted = Wanted { from: value, count: 1 },
            _ => return Err(format!("`{name}` is not known")),
        }
    }
    Ok(wanted)
}

/// The first failures, and everything counted.
fn run(wanted: &Wanted) -> (Tally, Vec<Failure>) {
    const FAILURES_MAX: usize = 5;
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let all = Mutex::new((Tally::default(), Vec::new()));
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= wanted.count {
                return;
            }
            let lived = run_seed(wanted.from + number);
            let Ok(mut all) = all.lock() else { return };
            match lived {
                Ok(tally) => all.0.add(&tally),
                Err(failure) => all.1.push(failure),
            }
            stop.store(all.1.len() >= FAILURES_MAX, Ordering::Relaxed);
            drop(all);
            progress(number + 1, wanted.count);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
    all.into_inner().unwrap_or_default()
}

/// One line that is written over, on a terminal only.
#[expect(clippy::print_stderr, reason = "a program that talks to its user")]
fn progress(done: u64, count: u64) {
    use std::io::IsTerminal as _;
    const WIDTH: u64 = 40;
    if done.is_multiple_of(50) && std::io::stderr().is_terminal() {
        let full = usize::try_from(done * WIDTH / count.max(1)).unwrap_or(0);
        eprint!("\r[{:<40}] {done}/{count} ", "#".repeat(full));
    }
}

#[expect(clippy::print_stderr, reason = "a program that talks to its user")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "a program whose result goes to stdout")]
fn print(text: &str) {
    print!("{text}");
}
