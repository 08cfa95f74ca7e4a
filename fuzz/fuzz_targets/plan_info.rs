//! Any text as a plan's information: refused, or an address for this platform is, or not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_release::fetch::{PlanInfo, Written};

fuzz_target!(|text: &str| {
    match PlanInfo::read(text, true) {
        Ok(Written::Here(info)) => drop(info.address_for("linux/amd64")),
        Ok(Written::At(address)) => assert!(address.checksum().is_some()),
        Err(error) => drop(error.to_string()),
    }
});
