//! HMAC-SHA256 (RFC 2104), by which a receiver knows that a message is ours.

use std::fmt::Write;

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};

/// The signature of `message`, in hexadecimal.
pub(super) fn sign(secret: &[u8], message: &[u8]) -> String {
    let signature = hmac::sign(&Key::new(HMAC_SHA256, secret), message);
    signature.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test cases 1, 2 and 6 of RFC 4231.
    #[test]
    fn signatures_are_those_of_the_standard() {
        for (secret, message, expected) in [
            (&[0x0b; 20][..], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(sign(secret, message), expected);
        }
    }
}
