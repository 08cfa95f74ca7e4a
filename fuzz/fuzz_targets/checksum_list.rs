//! Any text as a list of checksums: what is found is for the file that was looked for, or for any.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_release::fetch::find_checksum;

fuzz_target!(|text: &str| {
    let found = find_checksum(text, &["node.zip".to_owned()]);
    if let Some(found) = found {
        let digits = found.to_string().split_once(':').map(|(_, digits)| digits.to_owned()).unwrap_or_default();
        assert!(text.to_lowercase().contains(&digits), "{digits}");
    }
});
