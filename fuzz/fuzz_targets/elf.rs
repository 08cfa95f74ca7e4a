//! Any bytes as a program: its ELF facts, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = ov_release::parse_elf(bytes);
});
