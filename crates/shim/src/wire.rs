//! Frames and fields: the byte level of the protocol between daemon and shim.
//!
//! A frame is a `u32` length and a body of at most [`FRAME_BYTES_MAX`]; a body is a `u16` kind and
//! fields; a field is a `u16` tag, a `u32` length and its value. All numbers are little-endian.
//! A reader skips the tags and kinds that it does not know, so that a daemon and a shim of
//! different age understand each other. Owns no state. Decoding must never panic.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// The longest body that is sent or accepted.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireError {
    /// The body ends inside a field.
    Truncated,
    /// The announced length is above [`FRAME_BYTES_MAX`].
    TooLong { bytes: usize },
    /// A field has a value that it cannot have.
    BadField { tag: u16 },
    /// A field without which the message means nothing is not there.
    MissingField { tag: u16 },
    /// The message is of a kind that this program does not know.
    UnknownKind { kind: u16 },
}

impl fmt::Display for WireError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(formatter, "read a message that ends inside a field"),
            Self::TooLong { bytes } => {
                write!(formatter, "accept a message of {bytes} bytes (the most is {FRAME_BYTES_MAX})")
            }
            Self::BadField { tag } => write!(formatter, "understand field {tag} of a message"),
            Self::MissingField { tag } => write!(formatter, "find field {tag} of a message"),
            Self::UnknownKind { kind } => write!(formatter, "understand a message of kind {kind}"),
        }
    }
}

impl std::error::Error for WireError {}

/// Builds one body.
#[derive(Debug)]
pub(crate) struct Writer {
    body: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(kind: u16) -> Self {
        Self { body: kind.to_le_bytes().to_vec() }
    }

    /// The fields of a value inside another one: a body without a kind.
    pub(crate) fn nested() -> Self {
        Self { body: Vec::new() }
    }

    pub(crate) fn bytes(&mut self, tag: u16, value: &[u8]) -> &mut Self {
        // A value of 4 GiB cannot pass `frame`, so that a length cut short here is never sent.
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.body.extend_from_slice(&tag.to_le_bytes());
        self.body.extend_from_slice(&length.to_le_bytes());
        self.body.extend_from_slice(value);
        self
    }

    pub(crate) fn number(&mut self, tag: u16, value: u64) -> &mut Self {
        self.bytes(tag, &value.to_le_bytes())
    }

    pub(crate) fn signed(&mut self, tag: u16, value: i64) -> &mut Self {
        self.bytes(tag, &value.to_le_bytes())
    }

    pub(crate) fn flag(&mut self, tag: u16, value: bool) -> &mut Self {
        self.number(tag, u64::from(value))
    }

    pub(crate) fn text(&mut self, tag: u16, value: &str) -> &mut Self {
        self.bytes(tag, value.as_bytes())
    }

    pub(crate) fn os(&mut self, tag: u16, value: impl AsRef<OsStr>) -> &mut Self {
        self.bytes(tag, value.as_ref().as_bytes())
    }

    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The body with its length before it, ready to be sent.
    pub(crate) fn into_frame(self) -> Result<Vec<u8>, WireError> {
        let bytes = self.body.len();
        match u32::try_from(bytes) {
            Ok(length) if bytes <= FRAME_BYTES_MAX => Ok([&length.to_le_bytes(), self.body.as_slice()].concat()),
            _ => Err(WireError::TooLong { bytes }),
        }
    }
}

/// One field of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) tag: u16,
    pub(crate) value: &'a [u8],
}

impl Field<'_> {
    pub(crate) fn bad(&self) -> WireError {
        WireError::BadField { tag: self.tag }
    }

    pub(crate) fn number(&self) -> Result<u64, WireError> {
        self.value.try_into().map(u64::from_le_bytes).map_err(|_| self.bad())
    }

    /// A number that must fit a smaller type.
    pub(crate) fn narrow<T: TryFrom<u64>>(&self) -> Result<T, WireError> {
        T::try_from(self.number()?).map_err(|_| self.bad())
    }

    pub(crate) fn signed(&self) -> Result<i32, WireError> {
        let value = self.value.try_into().map(i64::from_le_bytes).map_err(|_| self.bad())?;
        i32::try_from(value).map_err(|_| self.bad())
    }

    pub(crate) fn flag(&self) -> Result<bool, WireError> {
        self.number().map(|value| value != 0)
    }

    /// Text is for people: what is not UTF-8 in it is replaced, not refused.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.value).into_owned()
    }

    pub(crate) fn os(&self) -> OsString {
        OsString::from_vec(self.value.to_vec())
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(self.os())
    }
}

/// Goes over the fields of a body.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = take_field(self.rest);
        // After an error nothing that follows can be trusted: the iteration ends.
        self.rest = field.as_ref().map_or(&[], |(_, rest)| rest);
        Some(field.map(|(field, _)| field).ok_or(WireError::Truncated))
    }
}

fn take_field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((Field { tag: u16::from_le_bytes(*tag), value }, rest))
}

/// Splits a body into its kind and its fields.
pub(crate) fn open_body(body: &[u8]) -> Result<(u16, Fields<'_>), WireError> {
    let (kind, rest) = body.split_first_chunk().ok_or(WireError::Truncated)?;
    Ok((u16::from_le_bytes(*kind), Fields::new(rest)))
}

/// The first whole body in `bytes` and the number of bytes it took, if it has arrived whole.
pub fn split_frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, WireError> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(WireError::TooLong { bytes: length });
    }
    Ok(rest.get(..length).map(|body| (body, length + 4)))
}

/// The value of a field that must have been there.
pub(crate) fn required<T>(value: Option<T>, tag: u16) -> Result<T, WireError> {
    value.ok_or(WireError::MissingField { tag })
}
