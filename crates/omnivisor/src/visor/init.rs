//! `init`: a new home with the original's files, byte for byte. What exists is not touched.

use std::path::Path;

use ov_chains::cosmos::told;
use ov_chains::vega::{CONFIG_FILE, RUN_CONFIG_FILE, config_text, run_config_texts};
use ov_sys::{RealDisk, durable};

use super::grammar::{WITH_DATA_NODE, flavour_of, home};
use super::log::Log;
use crate::drop_in::{Call, Complaint};

const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o600;

/// `init`.
pub(super) fn init(call: &Call) -> Result<(), Complaint> {
    let home = home(call)?;
    let flavour = flavour_of(call)?;
    let log = Log::named("root");
    if durable::exists(&RealDisk, &home).map_err(|error| Complaint::file("", "stat", &home, &error))? {
        return Err(Complaint::new(format!("home folder \"{}\" already exists", home.display())));
    }
    let texts = run_config_texts(flavour, call.is_on(WITH_DATA_NODE));
    for (place, (name, text)) in texts.iter().enumerate() {
        log.info(&if place == 0 {
            format!("Initiating {name} folder")
        } else {
            format!("Initiating {name} upgrade folder")
        });
        let folder = home.join(name);
        durable::make_directories(&RealDisk, &folder, FOLDER_MODE)
            .map_err(|error| failed(&format!("failed to create {name:?} folder"), "mkdir", &folder, &error))?;
        write(&format!("failed to write example config file for {name:?}"), &folder.join(RUN_CONFIG_FILE), text)?;
    }
    log.info("Saving default config file");
    write("failed to write config to file", &home.join(CONFIG_FILE), &config_text(flavour))
}

fn write(what: &str, file: &Path, text: &str) -> Result<(), Complaint> {
    durable::replace(&RealDisk, file, text.as_bytes(), FILE_MODE)
        .map_err(|error| failed(&format!("{what}: couldn't write file"), "open", file, &error))
}

fn failed(what: &str, tried: &str, path: &Path, error: &std::io::Error) -> Complaint {
    Complaint::new(format!("{what}: {}", told(tried, path, error)))
}
