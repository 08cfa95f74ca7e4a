//! Any bytes as what lies in a state folder: the record of a run, the note of where a key is used, events. Refused, or
//! read without an end to it.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ov_sys::RealDisk;

/// The readers take files, so there is one folder for all inputs.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("omnivisor-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder of our own");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let (record, custody) = (FOLDER.join(ov_shim::RECORD_FILE), FOLDER.join("custody.json"));
    std::fs::write(&record, bytes).expect("a file of our own");
    std::fs::write(&custody, bytes).expect("a file of our own");
    let _ = ov_shim::read_record(&FOLDER);
    let _ = ov_vault::custody::read(&RealDisk, &custody);
    for line in bytes.split(|byte| *byte == b'\n') {
        let _ = serde_json::from_slice::<ov_types::Event>(line);
    }
});
