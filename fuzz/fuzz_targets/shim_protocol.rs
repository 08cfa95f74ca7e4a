//! Any bytes on a shim's socket, in both directions: understood or refused, and what is understood is said the same
//! way again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_shim::{Message, Request, split_frame};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((body, length))) = split_frame(bytes) {
        assert!(body.len() <= length && length <= bytes.len());
    }
    let _ = Message::from_body(bytes);
    if let Ok(request) = Request::from_body(bytes) {
        // What is longer than a frame may be is refused by the sender, not by the reader.
        let Ok(frame) = request.to_frame() else { return };
        let (body, _) = split_frame(&frame).ok().flatten().expect("our own frame is whole");
        assert_eq!(Request::from_body(body).ok(), Some(request));
    }
});
