//! Any bytes as a sign state: refused, or the same again from the numbers alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_vault::sign_state::parse;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = parse(bytes) {
        let text = format!("{{\"height\":\"{}\",\"round\":{},\"step\":{}}}", state.height, state.round, state.step);
        assert_eq!(parse(text.as_bytes()).ok(), Some(state));
    }
});
