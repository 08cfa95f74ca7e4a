//! Any bytes as the plan file that a node writes: a plan, or a reason why there is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_daemon::scout::{Sighting, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Sighting::Found(plan) = parse(bytes) {
        // What becomes the name of a folder is safe as one.
        assert!(!plan.release.as_str().contains('/') && !plan.release.as_str().starts_with('.'));
    }
});
