//! Pure. The fields of protobuf messages.
//!
//! A message is a sequence of fields, each with a number and a value. A reader skips the fields that it
//! does not know, so messages of a newer runtime are read too.

use std::borrow::Cow;

/// The maximum number of bytes of a varint with 64 bits.
const MAX_VARINT: usize = 10;

/// The wire types, of which each says how long a value is.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The message ends in the middle of a field.
    #[error("a message ends in the middle of a field")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    LongNumber,
    /// A field has a wire type that is unknown, such as that of the groups of old versions.
    #[error("a field has the wire type {0}")]
    UnknownType(u64),
    /// A field has a number that no field can have.
    #[error("a field has the number {0}")]
    BadNumber(u64),
}

/// The value of a field, as far as the wire tells its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// A number.
    Number(u64),
    /// A text, bytes or an inner message.
    Bytes(&'a [u8]),
}

impl<'a> FieldValue<'a> {
    /// Returns the number; 0, the default, for a value of another type.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            FieldValue::Number(number) => number,
            FieldValue::Bytes(_) => 0,
        }
    }

    /// Returns the bytes; none for a number.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            FieldValue::Number(_) => &[],
            FieldValue::Bytes(bytes) => bytes,
        }
    }

    /// Returns the text. Bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes())
    }
}

/// Reads the fields of a message in their order. An error is the last item.
#[derive(Debug, Clone)]
pub struct FieldReader<'a> {
    rest: &'a [u8],
}

impl<'a> FieldReader<'a> {
    /// A reader of that message.
    #[must_use]
    pub fn new(message: &'a [u8]) -> FieldReader<'a> {
        FieldReader { rest: message }
    }

    fn field(&mut self) -> Result<(u64, FieldValue<'a>), FieldError> {
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || u32::try_from(key).is_err() {
            return Err(FieldError::BadNumber(number));
        }
        let value = match key & 7 {
            VARINT => FieldValue::Number(self.varint()?),
            FIXED_64 => FieldValue::Number(u64::from_le_bytes(self.array()?)),
            FIXED_32 => FieldValue::Number(u32::from_le_bytes(self.array()?).into()),
            LENGTH_DELIMITED => {
                let length = self.varint()?;
                FieldValue::Bytes(self.take(length)?)
            }
            unknown => return Err(FieldError::UnknownType(unknown)),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, FieldError> {
        let mut number = 0;
        for at in 0..MAX_VARINT {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * at);
            if shifted >> (7 * at) != bits {
                return Err(FieldError::LongNumber);
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(FieldError::LongNumber)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], FieldError> {
        let length = usize::try_from(length).map_err(|_| FieldError::Truncated)?;
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(FieldError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], FieldError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(FieldError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

impl<'a> Iterator for FieldReader<'a> {
    type Item = Result<(u64, FieldValue<'a>), FieldError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Writes the fields of a message. A value that is the default of its type takes no room, as in every
/// message of proto3.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldWriter {
    bytes: Vec<u8>,
}

impl FieldWriter {
    /// Adds a number.
    #[must_use]
    pub fn number(mut self, field: u32, number: u64) -> FieldWriter {
        if number != 0 {
            self.varint(u64::from(field) << 3 | VARINT);
            self.varint(number);
        }
        self
    }

    /// Adds bytes, a text or an inner message.
    #[must_use]
    pub fn bytes(self, field: u32, bytes: impl AsRef<[u8]>) -> FieldWriter {
        match bytes.as_ref().is_empty() {
            true => self,
            false => self.item(field, bytes),
        }
    }

    /// Adds an item of a list, which may be empty.
    #[must_use]
    pub fn item(mut self, field: u32, item: impl AsRef<[u8]>) -> FieldWriter {
        let item = item.as_ref();
        self.varint(u64::from(field) << 3 | LENGTH_DELIMITED);
        self.varint(u64::try_from(item.len()).unwrap_or_default());
        self.bytes.extend_from_slice(item);
        self
    }

    /// Returns the message.
    #[must_use]
    pub fn message(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    fn read(message: &[u8]) -> Result<Vec<(u64, FieldValue<'_>)>, FieldError> {
        FieldReader::new(message).collect()
    }

    #[test]
    fn fields_are_those_of_the_encoding_guide_of_protobuf() {
        // https://protobuf.dev/programming-guides/encoding: 150, "testing", and an inner message.
        assert_eq!(
            read(&[0x08, 0x96, 0x01]),
            Ok(vec![(1, FieldValue::Number(150))])
        );
        let text = b"\x12\x07testing";
        assert_eq!(read(text), Ok(vec![(2, FieldValue::Bytes(b"testing"))]));
        assert_eq!(FieldWriter::default().bytes(2, "testing").message(), text);
        assert_eq!(
            FieldWriter::default().number(1, 150).message(),
            [0x08, 0x96, 0x01]
        );
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        for (bytes, error) in [
            (&b"\x08"[..], FieldError::Truncated),
            (b"\x08\x80", FieldError::Truncated),
            (b"\x12\x05four", FieldError::Truncated),
            (
                b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                FieldError::Truncated,
            ),
            (b"\x09\x00\x00", FieldError::Truncated),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                FieldError::LongNumber,
            ),
            (
                b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                FieldError::LongNumber,
            ),
            (b"\x0b", FieldError::UnknownType(3)),
            (b"\x00\x00", FieldError::BadNumber(0)),
        ] {
            assert_eq!(read(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn a_field_after_a_bad_one_is_not_read() {
        let mut fields = FieldReader::new(b"\x0b\x08\x01");
        assert!(fields.next().is_some_and(|field| field.is_err()));
        assert_eq!(fields.next(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_its_order(
            fields in prop::collection::vec((1_u32..1 << 29, any::<u64>(), prop::collection::vec(any::<u8>(), 0..20)), 0..10),
        ) {
            let mut writer = FieldWriter::default();
            let mut expected = Vec::new();
            for (field, number, bytes) in &fields {
                writer = writer.number(*field, *number).item(*field, bytes);
                if *number != 0 {
                    expected.push((u64::from(*field), FieldValue::Number(*number)));
                }
                expected.push((u64::from(*field), FieldValue::Bytes(bytes)));
            }
            let message = writer.message();
            prop_assert_eq!(read(&message), Ok(expected));
        }

        #[test]
        fn no_bytes_make_a_reader_panic_or_go_on_for_ever(bytes: Vec<u8>) {
            prop_assert!(FieldReader::new(&bytes).count() <= bytes.len());
        }
    }
}
