//! Single fields of protobuf messages.

use crate::leveldb::Bytes;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Number(u64),
    Text(&'a [u8]),
    Other,
}

/// The last value of a field that is a number, 0 if there is none; `None` if this is no message.
pub(super) fn number(message: &[u8], field: u64) -> Option<u64> {
    let mut number = 0;
    each(message, |there, value| match value {
        Value::Number(value) if there == field => number = value,
        _ => {}
    })?;
    Some(number)
}

/// The last value of a field that is a message itself; `None` if there is none, or this is no message.
pub(super) fn message(message: &[u8], field: u64) -> Option<&[u8]> {
    let mut found = None;
    each(message, |there, value| match value {
        Value::Text(inner) if there == field => found = Some(inner),
        _ => {}
    })?;
    found
}

fn each<'a>(message: &'a [u8], mut look: impl FnMut(u64, Value<'a>)) -> Option<()> {
    let mut bytes = Bytes(message);
    while !bytes.is_empty() {
        let tag = bytes.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(bytes.varint()?),
            1 => bytes.take(8).map(|_| Value::Other)?,
            2 => Value::Text(bytes.text()?),
            5 => bytes.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        look(tag >> 3, value);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_found_among_others() {
        let bytes = [0x08, 1, 0x12, 2, 0x08, 9, 0x1d, 0, 0, 0, 0, 0x10, 0x96, 0x01, 0x08, 7];
        assert_eq!(number(&bytes, 1), Some(7), "the last one counts");
        assert_eq!(number(&bytes, 2), Some(150));
        assert_eq!(number(&bytes, 9), Some(0));
        assert_eq!(message(&bytes, 2).and_then(|inner| number(inner, 1)), Some(9));
        assert_eq!(message(&bytes, 1), None);
        assert_eq!(number(&bytes[..5], 1), None);
        assert_eq!(number(b"{\"height\":1}", 2), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), field in 0_u64..20) {
            let _ = (number(&bytes, field), message(&bytes, field));
        }
    }
}
