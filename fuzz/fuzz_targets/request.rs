//! Any bytes as the bodies of the control API that carry most: read or refused, and what is read is written the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_types::api::{NewPlan, NewRelease, RestoreSnapshot};
use ov_types::{Event, Record};

fn there_and_back<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let text = serde_json::to_vec(&value).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<T>(&text).ok(), Some(value));
    }
}

fuzz_target!(|bytes: &[u8]| {
    there_and_back::<NewPlan>(bytes);
    there_and_back::<NewRelease>(bytes);
    there_and_back::<RestoreSnapshot>(bytes);
    there_and_back::<Record>(bytes);
    // An event of a newer version is read as unknown, so it need not come back the same.
    let _ = serde_json::from_slice::<Event>(bytes);
});
