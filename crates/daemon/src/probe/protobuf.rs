//! Reads single fields of a protobuf message by their numbers.
//!
//! Enough to find a height and a plan in answers of which nothing else is of interest: no generated code, no schema. Total:
//! whatever bytes there are, it ends with a value, with none, or with why they are no message.

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number, as far as it tells one: varints and fixed ones.
    Number(u64),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no protobuf message")]
pub(crate) struct Malformed;

impl<'a> Value<'a> {
    /// The bytes of a text, or of a message.
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The number.
    pub(crate) fn number(self) -> Option<u64> {
        if let Value::Number(number) = self { Some(number) } else { None }
    }
}

/// What stands at the end of a path of field numbers; `None` where a message on the way has no such field, or has
/// something else in its place. Of several, the last counts.
pub(crate) fn find<'a>(message: &'a [u8], path: &[u32]) -> Result<Option<Value<'a>>, Malformed> {
    let mut value = Value::Bytes(message);
    for number in path {
        let Some(message) = value.bytes() else { return Ok(None) };
        match field(message, *number)? {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn field(message: &[u8], wanted: u32) -> Result<Option<Value<'_>>, Malformed> {
    let (mut rest, mut found) = (message, None);
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => Value::Number(fixed(take(&mut rest, 8)?)),
            2 => {
                let len = varint(&mut rest)?;
                Value::Bytes(take(&mut rest, usize::try_from(len).map_err(|_| Malformed)?)?)
            }
            5 => Value::Number(fixed(take(&mut rest, 4)?)),
            // Groups are of a time before the messages that are read here.
            _ => return Err(Malformed),
        };
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0).ok_or(Malformed)?;
        if number == wanted {
            found = Some(value);
        }
    }
    Ok(found)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Malformed> {
    let (taken, left) = rest.split_at_checked(len).ok_or(Malformed)?;
    *rest = left;
    Ok(taken)
}

fn fixed(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Seven bits a byte, lowest first; ten bytes at most, and the bits beyond 64 are none of ours.
fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for place in 0..10 {
        let byte = *take(rest, 1)?.first().ok_or(Malformed)?;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put_varint(out: &mut Vec<u8>, mut number: u64) {
        while number > 0x7f {
            out.push(0x80 | number.to_le_bytes()[0]);
            number >>= 7;
        }
        out.push(number.to_le_bytes()[0]);
    }

    fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
        put_varint(out, u64::from(field) << 3 | 2);
        put_varint(out, bytes.len() as u64);
        out.extend(bytes);
    }

    fn put_number(out: &mut Vec<u8>, field: u32, number: u64) {
        put_varint(out, u64::from(field) << 3);
        put_varint(out, number);
    }

    #[test]
    fn fields_are_found_by_their_numbers() {
        // As protoc writes it: plan { name: "v2", time: {}, height: 300, info: "x" }.
        let message = b"\x0a\x0c\x0a\x02v2\x12\x00\x18\xac\x02\x22\x01x";
        assert_eq!(find(message, &[1, 1]), Ok(Some(Value::Bytes(b"v2"))));
        assert_eq!(find(message, &[1, 2]), Ok(Some(Value::Bytes(b""))));
        assert_eq!(find(message, &[1, 3]), Ok(Some(Value::Number(300))));
        assert_eq!(find(message, &[1, 4]), Ok(Some(Value::Bytes(b"x"))));
        for (path, expected) in [(&[1, 5][..], None), (&[2], None), (&[1, 3, 1], None), (&[1, 2, 1], None)] {
            assert_eq!(find(message, path), Ok(expected), "{path:?}");
        }
        assert_eq!(find(b"", &[1]), Ok(None));
        assert_eq!(
            find(b"\x0d\x01\x02\x00\x00\x11\x01\x00\x00\x00\x00\x00\x00\x00", &[1]),
            Ok(Some(Value::Number(513)))
        );
        assert_eq!(find(b"\x08\x01\x08\x02", &[1]), Ok(Some(Value::Number(2))), "the last one counts");
    }

    #[test]
    fn what_is_no_message_is_told() {
        for bytes in [
            &b"\x0a"[..],
            b"\x0a\x05ab",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0b",
            b"\x00\x01",
            b"<html>",
            b"{\"plan\":null}",
        ] {
            assert_eq!(find(bytes, &[1]), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            path in proptest::collection::vec(0u32..5, 0..4),
        ) {
            let _ = find(&bytes, &path);
        }

        #[test]
        fn what_is_written_is_read_among_other_fields(
            number: u64, text in proptest::collection::vec(any::<u8>(), 0..300), before: u64, field in 2u32..3_000,
        ) {
            let (mut inner, mut outer) = (Vec::new(), Vec::new());
            put_number(&mut inner, 1, before);
            put_number(&mut inner, field, number);
            put_bytes(&mut inner, field + 1, &text);
            put_bytes(&mut outer, field, &inner);
            put_number(&mut outer, 1, before);
            prop_assert_eq!(find(&outer, &[field, field]), Ok(Some(Value::Number(number))));
            prop_assert_eq!(find(&outer, &[field, field + 1]), Ok(Some(Value::Bytes(&text))));
            prop_assert_eq!(find(&outer, &[1]), Ok(Some(Value::Number(before))));
            prop_assert_eq!(find(&outer[..outer.len() - 1], &[field]), Err(Malformed), "torn");
        }
    }
}
