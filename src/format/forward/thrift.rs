//! Thrift's compact protocol, read into a tree with a bound: just enough to check a Parquet footer and page headers before
//! the Parquet crate allocates by what they say.

use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// More items than any footer of a forward block has.
const MAX_ITEMS: usize = 1 << 20;
const MAX_DEPTH: usize = 12;
const MALFORMED: &str = "forward.bad-thrift";

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item<'a> {
    /// Bool.
    Bool(bool),
    /// Integer of any width.
    Int(i64),
    /// Binary or string.
    Bytes(&'a [u8]),
    /// List or set.
    List(Vec<Item<'a>>),
    /// Struct.
    Struct(Struct<'a>),
    /// Anything that no check looks at.
    Other,
}

/// A struct: its fields by id, in stored order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Struct<'a> {
    fields: Vec<(i16, Item<'a>)>,
}

impl<'a> Struct<'a> {
    /// Reads the struct at the cursor. A struct that the bytes do not hold entirely is an error of kind `Truncated`.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Self> {
        let mut left = MAX_ITEMS;
        read_struct(cursor, MAX_DEPTH, &mut left)
    }

    fn get(&self, id: i16) -> Option<&Item<'a>> {
        self.fields.iter().find(|(found, _)| *found == id).map(|(_, item)| item)
    }

    /// An integer field.
    pub(super) fn int(&self, id: i16) -> Option<i64> {
        match self.get(id) {
            Some(Item::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A binary field.
    pub(super) fn bytes(&self, id: i16) -> Option<&'a [u8]> {
        match self.get(id) {
            Some(Item::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A struct field.
    pub(super) fn structure(&self, id: i16) -> Option<&Struct<'a>> {
        match self.get(id) {
            Some(Item::Struct(inner)) => Some(inner),
            _ => None,
        }
    }

    /// The structs in a list field; `None` if there is no such list or if it holds anything else.
    pub(super) fn structures(&self, id: i16) -> Option<Vec<&Struct<'a>>> {
        let Some(Item::List(items)) = self.get(id) else { return None };
        let mut structures = Vec::with_capacity(items.len());
        for item in items {
            let Item::Struct(inner) = item else { return None };
            structures.push(inner);
        }
        Some(structures)
    }

    /// Whether the same field occurs twice: the crate would take the other one.
    pub(super) fn repeats(&self) -> bool {
        let mut ids: Vec<i16> = self.fields.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
            || self.fields.iter().any(|(_, item)| item.repeats())
    }
}

impl Item<'_> {
    fn repeats(&self) -> bool {
        match self {
            Self::Struct(inner) => inner.repeats(),
            Self::List(items) => items.iter().any(Self::repeats),
            _ => false,
        }
    }
}

fn read_struct<'a>(cursor: &mut Cursor<'a>, depth: usize, left: &mut usize) -> Result<Struct<'a>> {
    let mut fields = Vec::new();
    let mut id = 0i16;
    loop {
        let at = cursor.offset();
        let header = cursor.u8()?;
        if header & 0x0f == 0 {
            return Ok(Struct { fields });
        }
        let delta = i16::from(header >> 4);
        let next = if delta > 0 { id.checked_add(delta) } else { i16::try_from(zigzag(cursor)?).ok() };
        id = next.ok_or_else(|| FormatError::malformed(MALFORMED, at, "a field id beyond 16 bits"))?;
        let item = match header & 0x0f {
            1 => Item::Bool(true),
            2 => Item::Bool(false),
            kind => read_item(cursor, kind, depth, left)?,
        };
        fields.push((id, item));
    }
}

fn read_item<'a>(cursor: &mut Cursor<'a>, kind: u8, depth: usize, left: &mut usize) -> Result<Item<'a>> {
    let at = cursor.offset();
    let fault = |detail: String| FormatError::malformed(MALFORMED, at, detail);
    *left = left.checked_sub(1).ok_or_else(|| fault(format!("more than {MAX_ITEMS} values")))?;
    let inner = depth.checked_sub(1).ok_or_else(|| fault(format!("values nested deeper than {MAX_DEPTH}")))?;
    Ok(match kind {
        1 | 2 => Item::Bool(cursor.u8()? == 1),
        3 => Item::Int(i64::from(cursor.u8()?.cast_signed())),
        4..=6 => Item::Int(zigzag(cursor)?),
        7 => {
            cursor.skip(8)?;
            Item::Other
        }
        8 => Item::Bytes(cursor.varint_bytes()?),
        9 | 10 => {
            let header = cursor.u8()?;
            let count = if header >> 4 == 15 { cursor.varint()? } else { u64::from(header >> 4) };
            // Every element takes a byte at least, so a count beyond the bytes fails before it costs memory.
            if count > cursor.remaining() as u64 {
                let detail = format!("a list of {count} elements, {} bytes left", cursor.remaining());
                return Err(FormatError::truncated(MALFORMED, at, detail));
            }
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(read_item(cursor, header & 0x0f, inner, left)?);
            }
            Item::List(items)
        }
        12 => Item::Struct(read_struct(cursor, inner, left)?),
        13 => {
            cursor.skip(16)?;
            Item::Other
        }
        _ => return Err(fault(format!("a value of the unknown or unused type {kind}"))),
    })
}

fn zigzag(cursor: &mut Cursor) -> Result<i64> {
    let value = cursor.varint()?;
    Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Kind;

    fn read(bytes: &[u8]) -> Result<Struct<'_>> {
        Struct::read(&mut Cursor::new(bytes, 0, "forward.truncated"))
    }

    #[test]
    fn known_bytes() {
        // 1: i32 -1, 2: [struct { 1: i64 64 }], 4: "ab", 5: true
        let bytes = [0x15, 0x01, 0x19, 0x1c, 0x16, 0x80, 0x01, 0x00, 0x28, 0x02, b'a', b'b', 0x11, 0x00];
        let item = read(&bytes).unwrap();
        assert_eq!((item.int(1), item.bytes(4)), (Some(-1), Some(&b"ab"[..])));
        assert_eq!(item.structures(2).unwrap()[0].int(1), Some(64));
        assert_eq!((item.int(4), item.structures(1), item.structure(2)), (None, None, None));
        assert_eq!(item.get(5), Some(&Item::Bool(true)));
        assert!(!item.repeats());
        assert_eq!(read(&bytes[..9]).unwrap_err().kind, Kind::Truncated);
        assert!(read(&[0x15, 1, 0x05, 2, 3, 0]).unwrap().repeats(), "field 1 twice, the second time by its full id");
    }

    #[test]
    fn hostile_counts_and_depths_end_early() {
        assert!(read(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]).is_err());
        assert_eq!(read(&[0x1c; 100]).unwrap_err().code, MALFORMED);
        assert_eq!(read(&[0x1b, 0]).unwrap_err().code, MALFORMED, "Parquet has no maps");
        assert!(read(&[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(item) = read(&bytes) { let _ = item.repeats(); }
        }
    }
}
