//! Any text as an address in a plan: refused, or a place whose text shows no secret of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_release::fetch::{Address, Clause};

fuzz_target!(|text: &str| {
    match Address::parse(text) {
        Ok(address) => {
            assert!(address.local_path().is_none_or(std::path::Path::is_absolute));
            let _ = (address.to_string(), address.kind());
        }
        Err(error) => drop(error.to_string()),
    }
    let _ = Clause::parse(text);
});
