//! Just enough of protobuf's wire format to read what a filter passes to the host.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'b> {
    /// A number of the types `int32` to `uint64`, `bool` and `enum`.
    Varint(u64),
    /// Bytes, text or a message.
    Bytes(&'b [u8]),
    /// Eight or four bytes.
    Fixed,
}

/// The top-level fields of a message with their numbers, in order, or `None` if the bytes are not one.
pub(crate) fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Varint(take_varint(&mut bytes)?),
            1 => {
                take(&mut bytes, 8)?;
                Value::Fixed
            }
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            5 => {
                take(&mut bytes, 4)?;
                Value::Fixed
            }
            _ => return None,
        };
        if tag >> 3 == 0 {
            return None;
        }
        fields.push((tag >> 3, value));
    }
    Some(fields)
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_what_is_no_message_is_told() {
        assert_eq!(fields(b""), Some(vec![]));
        assert_eq!(
            fields(b"\x0a\x02\x0a\x00"),
            Some(vec![(1, Value::Bytes(b"\x0a\x00"))])
        );
        assert_eq!(
            fields(b"\x10\x96\x01\x0d1234\x0a\x01a"),
            Some(vec![
                (2, Value::Varint(150)),
                (1, Value::Fixed),
                (1, Value::Bytes(b"a"))
            ])
        );
        assert_eq!(fields(b"grpc-backend"), None);
        assert_eq!(fields(b"\x0a\x05ab"), None);
        assert_eq!(fields(b"\x00\x01"), None);
        assert_eq!(
            fields(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            None
        );
    }
}
