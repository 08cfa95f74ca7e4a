//! The end of every program that runs beside us. In a test program of its own, because nothing starts afterwards.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use ov_sys::process::{Ending, Program, end_all, run};

#[test]
fn nothing_that_runs_is_left_and_nothing_starts_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", ready.display());
    let program = Program { timeout: Duration::from_secs(600), ..Program::new("/bin/sh").arguments(["-c", &script]) };
    let again = program.clone();
    let runner = std::thread::spawn(move || run(&program));
    let deadline = Instant::now() + Duration::from_secs(60);
    let child: u32 = loop {
        match std::fs::read_to_string(&ready) {
            Ok(text) => break text.trim().parse().unwrap(),
            Err(_) => assert!(Instant::now() < deadline, "the program did not start"),
        }
        std::thread::yield_now();
    };
    end_all();
    assert_eq!(runner.join().unwrap().unwrap().ending, Ending::Signaled(9));
    while ov_sys::host::process_facts(child).unwrap().is_some_and(|facts| !facts.zombie) {
        assert!(Instant::now() < deadline, "its child still runs");
        std::thread::yield_now();
    }
    assert_eq!(run(&again).unwrap_err().kind(), ErrorKind::Interrupted);
}
