//! A document as the WAL carries it: the payload of one record.
//!
//! ```text
//! u32 pk length, pk | f32 score | u64 document id | u32 operation | u32 number of fields
//! per field: u32 name length, name | u8 tag | value
//!
//! operation  0 INSERT, 1 UPSERT, 2 UPDATE, 3 DELETE
//! tag   0 null, no bytes      1 bool (u8)    2 i32    3 u32    4 i64    5 u64    6 f32    7 f64
//!       8 bytes: u32 length, bytes (STRING, BINARY)
//!       9..18 arrays: u32 count, raw elements   9 bool  10 i8  11 i16  12 i32  13 i64  14 u32  15 u64  16 f16  17 f32  18 f64
//!      19 array of bytes: u32 count, per element u32 length, bytes
//!      20 sparse f32: u32 count, u32 indices, u32 count, f32 values       21 sparse f16 likewise
//! ```
//!
//! INSERT and UPSERT records have document id 0: replay assigns the next one. UPDATE and DELETE name the *old* document; an
//! UPDATE carries the whole merged document. A delete by filter has an empty pk. A field that is absent and one with
//! tag 0 are both null. zvec writes the fields in hash order. Everything is little endian.

use half::f16;

use super::{FormatError, Result, cursor::Cursor, value::Value};

const CUT: &str = "document.truncated";
/// Bytes of the smallest document: empty pk, no fields.
pub const MIN_LEN: usize = 24;
/// Highest value tag of the known releases.
const MAX_TAG: u8 = 21;

/// One WAL document.
#[derive(Debug, Clone, PartialEq)]
pub struct WalDoc {
    /// Primary key; UTF-8 as far as zvec's own API goes.
    pub pk: Vec<u8>,
    /// Score; 0 in everything that zvec writes.
    pub score: f32,
    /// Document id: the old one for UPDATE and DELETE, else 0.
    pub doc_id: u64,
    /// What to do with it.
    pub op: Op,
    /// Fields in stored order; `Value::Null` for tag 0.
    pub fields: Vec<(String, Value)>,
}

/// A WAL operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// New document.
    Insert,
    /// New document, or a new version of it.
    Upsert,
    /// New version of an existing document.
    Update,
    /// Deletion.
    Delete,
    /// A number above 3. zvec 0.8.0 skips such a record.
    Unknown(u32),
}

impl Op {
    /// From the stored number.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Insert,
            1 => Self::Upsert,
            2 => Self::Update,
            3 => Self::Delete,
            other => Self::Unknown(other),
        }
    }

    /// The stored number.
    pub fn number(self) -> u32 {
        match self {
            Self::Insert => 0,
            Self::Upsert => 1,
            Self::Update => 2,
            Self::Delete => 3,
            Self::Unknown(other) => other,
        }
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Insert => f.write_str("INSERT"),
            Self::Upsert => f.write_str("UPSERT"),
            Self::Update => f.write_str("UPDATE"),
            Self::Delete => f.write_str("DELETE"),
            Self::Unknown(other) => write!(f, "operation {other}"),
        }
    }
}

/// Decodes a payload that begins at file offset `base` and must be used up exactly.
///
/// Codes: `document.truncated`, `document.trailing-bytes`, `document.name`, `document.bool`, `document.sparse`,
/// `document.tag`, and `document.newer` for a value tag just above the known ones.
pub fn decode(payload: &[u8], base: u64) -> Result<WalDoc> {
    let mut fields = Vec::new();
    let Head { pk, score, doc_id, op } =
        decode_each(payload, base, |name, value| fields.push((name.to_owned(), value)))?;
    Ok(WalDoc { pk: pk.to_vec(), score, doc_id, op, fields })
}

/// The same, with each field, in stored order, given to `field` as it is decoded. Codes as [`decode`].
pub fn decode_each(payload: &[u8], base: u64, mut field: impl FnMut(&str, Value)) -> Result<Head<'_>> {
    let mut cursor = Cursor::new(payload, base, CUT);
    let head = head(&mut cursor)?;
    let count = cursor.u32()?;
    for _ in 0..count {
        let at = cursor.offset();
        let name = std::str::from_utf8(cursor.u32_bytes()?)
            .map_err(|_| FormatError::malformed("document.name", at, "a field name is not UTF-8"))?;
        field(name, value(&mut cursor, name)?);
    }
    if !cursor.is_empty() {
        let detail = format!("{} bytes follow the last of {count} fields", cursor.remaining());
        return Err(FormatError::malformed("document.trailing-bytes", cursor.offset(), detail));
    }
    Ok(head)
}

/// What stands before a document's fields; see [`WalDoc`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "as in WalDoc")]
pub struct Head<'a> {
    pub pk: &'a [u8],
    pub score: f32,
    pub doc_id: u64,
    pub op: Op,
}

/// Decodes no more than key, id and operation of a payload that begins at file offset `base`. Code: `document.truncated`.
pub fn decode_head(payload: &[u8], base: u64) -> Result<Head<'_>> {
    head(&mut Cursor::new(payload, base, CUT))
}

fn head<'a>(cursor: &mut Cursor<'a>) -> Result<Head<'a>> {
    let pk = cursor.u32_bytes()?;
    let score = cursor.f32()?;
    let doc_id = cursor.u64()?;
    Ok(Head { pk, score, doc_id, op: Op::from_number(cursor.u32()?) })
}

fn value(cursor: &mut Cursor<'_>, name: &str) -> Result<Value> {
    let at = cursor.offset();
    Ok(match cursor.u8()? {
        0 => Value::Null,
        1 => Value::Bool(bool_of(cursor.u8()?, at.saturating_add(1), name)?),
        2 => Value::I32(cursor.i32()?),
        3 => Value::U32(cursor.u32()?),
        4 => Value::I64(cursor.i64()?),
        5 => Value::U64(cursor.u64()?),
        6 => Value::F32(cursor.f32()?),
        7 => Value::F64(cursor.f64()?),
        8 => Value::Bytes(cursor.u32_bytes()?.to_vec()),
        9 => {
            let bytes = cursor.u32_bytes()?;
            let first = cursor.offset().saturating_sub(bytes.len() as u64);
            let flags = bytes.iter().zip(first..).map(|(byte, at)| bool_of(*byte, at, name));
            Value::Bools(flags.collect::<Result<_>>()?)
        }
        10 => Value::I8s(array(cursor, i8::from_le_bytes)?),
        11 => Value::I16s(array(cursor, i16::from_le_bytes)?),
        12 => Value::I32s(array(cursor, i32::from_le_bytes)?),
        13 => Value::I64s(array(cursor, i64::from_le_bytes)?),
        14 => Value::U32s(array(cursor, u32::from_le_bytes)?),
        15 => Value::U64s(array(cursor, u64::from_le_bytes)?),
        16 => Value::F16s(array(cursor, f16::from_le_bytes)?),
        17 => Value::F32s(array(cursor, f32::from_le_bytes)?),
        18 => Value::F64s(array(cursor, f64::from_le_bytes)?),
        19 => {
            let count = cursor.u32()?;
            let mut strings = Vec::new();
            for _ in 0..count {
                strings.push(cursor.u32_bytes()?.to_vec());
            }
            Value::ByteStrings(strings)
        }
        20 => Value::SparseF32(sparse(cursor, name, f32::from_le_bytes)?),
        21 => Value::SparseF16(sparse(cursor, name, f16::from_le_bytes)?),
        tag if tag <= 2 * MAX_TAG => {
            let detail = format!("field {name:?} has value tag {tag}, this build knows 0 to {MAX_TAG}");
            return Err(FormatError::newer("document.newer", at, detail));
        }
        tag => {
            let detail = format!("field {name:?} has value tag {tag}, expected 0 to {MAX_TAG}");
            return Err(FormatError::malformed("document.tag", at, detail));
        }
    })
}

fn bool_of(byte: u8, at: u64, name: &str) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => {
            let detail = format!("a bool of field {name:?} is {other}, expected 0 or 1");
            Err(FormatError::malformed("document.bool", at, detail))
        }
    }
}

fn array<T, const N: usize>(cursor: &mut Cursor<'_>, element: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    let count = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
    let (elements, _) = cursor.elements(count, N)?.as_chunks::<N>();
    Ok(elements.iter().map(|bytes| element(*bytes)).collect())
}

fn sparse<T, const N: usize>(
    cursor: &mut Cursor<'_>,
    name: &str,
    element: impl Fn([u8; N]) -> T,
) -> Result<Vec<(u32, T)>> {
    let at = cursor.offset();
    let indices = array(cursor, u32::from_le_bytes)?;
    let values = array(cursor, element)?;
    if indices.len() != values.len() {
        let detail = format!("sparse field {name:?} has {} indices and {} values", indices.len(), values.len());
        return Err(FormatError::malformed("document.sparse", at, detail));
    }
    Ok(indices.into_iter().zip(values).collect())
}

/// Encodes a document; the inverse of [`decode`], byte for byte. Fails with `document.too-large` if a length exceeds 32 bits.
pub fn encode(doc: &WalDoc) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let head = Head { pk: &doc.pk, score: doc.score, doc_id: doc.doc_id, op: doc.op };
    encode_parts(&mut out, head, doc.fields.iter().map(|(name, value)| (name.as_str(), value)))?;
    Ok(out)
}

/// Appends what [`encode`] makes of a document that is given in parts. After an error `out` ends with a part of it.
pub fn encode_parts<'v>(
    out: &mut Vec<u8>,
    head: Head<'_>,
    fields: impl Iterator<Item = (&'v str, &'v Value)> + Clone,
) -> Result<()> {
    put_bytes(out, head.pk)?;
    out.extend(head.score.to_le_bytes());
    out.extend(head.doc_id.to_le_bytes());
    out.extend(head.op.number().to_le_bytes());
    put_len(out, fields.clone().count())?;
    for (name, value) in fields {
        put_bytes(out, name.as_bytes())?;
        put_value(out, value)?;
    }
    Ok(())
}

/// Bytes that a field of this name takes in a document.
pub fn field_len(name: &str, value: &Value) -> u64 {
    // Lengths of what is in memory; their sum is far below 2^64.
    let array = |count: usize, size: u64| (count as u64).saturating_mul(size).saturating_add(4);
    let value = match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::I32(_) | Value::U32(_) | Value::F32(_) => 4,
        Value::I64(_) | Value::U64(_) | Value::F64(_) => 8,
        Value::Bytes(v) => array(v.len(), 1),
        Value::Bools(v) => array(v.len(), 1),
        Value::I8s(v) => array(v.len(), 1),
        Value::I16s(v) => array(v.len(), 2),
        Value::F16s(v) => array(v.len(), 2),
        Value::I32s(v) => array(v.len(), 4),
        Value::U32s(v) => array(v.len(), 4),
        Value::F32s(v) => array(v.len(), 4),
        Value::I64s(v) => array(v.len(), 8),
        Value::U64s(v) => array(v.len(), 8),
        Value::F64s(v) => array(v.len(), 8),
        Value::ByteStrings(v) => v.iter().fold(4, |sum: u64, bytes| sum.saturating_add(array(bytes.len(), 1))),
        Value::SparseF32(v) => array(v.len(), 8).saturating_add(4),
        Value::SparseF16(v) => array(v.len(), 6).saturating_add(4),
    };
    array(name.len(), 1).saturating_add(1).saturating_add(value)
}

fn put_value(out: &mut Vec<u8>, value: &Value) -> Result<()> {
    out.push(type_tag(value));
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::I32(v) => out.extend(v.to_le_bytes()),
        Value::U32(v) => out.extend(v.to_le_bytes()),
        Value::I64(v) => out.extend(v.to_le_bytes()),
        Value::U64(v) => out.extend(v.to_le_bytes()),
        Value::F32(v) => out.extend(v.to_le_bytes()),
        Value::F64(v) => out.extend(v.to_le_bytes()),
        Value::Bytes(v) => put_bytes(out, v)?,
        Value::Bools(v) => put_array(out, v, |v| [u8::from(*v)])?,
        Value::I8s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::I16s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::I32s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::I64s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::U32s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::U64s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::F16s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::F32s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::F64s(v) => put_array(out, v, |v| v.to_le_bytes())?,
        Value::ByteStrings(v) => {
            put_len(out, v.len())?;
            for bytes in v {
                put_bytes(out, bytes)?;
            }
        }
        Value::SparseF32(v) => {
            put_array(out, v, |(index, _)| index.to_le_bytes())?;
            put_array(out, v, |(_, value)| value.to_le_bytes())?;
        }
        Value::SparseF16(v) => {
            put_array(out, v, |(index, _)| index.to_le_bytes())?;
            put_array(out, v, |(_, value)| value.to_le_bytes())?;
        }
    }
    Ok(())
}

/// The number of a value's type in a log.
pub fn type_tag(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::I32(_) => 2,
        Value::U32(_) => 3,
        Value::I64(_) => 4,
        Value::U64(_) => 5,
        Value::F32(_) => 6,
        Value::F64(_) => 7,
        Value::Bytes(_) => 8,
        Value::Bools(_) => 9,
        Value::I8s(_) => 10,
        Value::I16s(_) => 11,
        Value::I32s(_) => 12,
        Value::I64s(_) => 13,
        Value::U32s(_) => 14,
        Value::U64s(_) => 15,
        Value::F16s(_) => 16,
        Value::F32s(_) => 17,
        Value::F64s(_) => 18,
        Value::ByteStrings(_) => 19,
        Value::SparseF32(_) => 20,
        Value::SparseF16(_) => 21,
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) -> Result<()> {
    let len = u32::try_from(len).map_err(|_| {
        FormatError::malformed("document.too-large", out.len() as u64, format!("{len} elements, a u32 counts them"))
    })?;
    out.extend(len.to_le_bytes());
    Ok(())
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    put_len(out, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

fn put_array<T, const N: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Result<()> {
    put_len(out, values.len())?;
    let start = out.len();
    out.resize(start.saturating_add(values.len().saturating_mul(N)), 0);
    let (slots, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<N>();
    slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = bytes(value));
    Ok(())
}

#[cfg(test)]
pub(in crate::format) mod tests;
