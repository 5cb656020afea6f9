//! Protobuf wire format to a tree of fields with byte offsets, past damage as far as it goes.
//!
//! A nested message has its length in front, so a fault inside it does not end the reading of what encloses it.

use prost::encoding::{encode_key, encode_varint, encoded_len_varint};
use prost_reflect::{Cardinality, FieldDescriptor, Kind as FieldKind, MessageDescriptor};

use crate::format::{FormatError, Kind, Result, cursor::Cursor};

/// Most fields that a tree holds; a real manifest needs a dozen per block. A tree takes some 50 times the file's size.
const MAX_FIELDS: usize = 1 << 20;
/// Most faults and irregularities that are collected; random bytes have no end of them.
const MAX_REMARKS: usize = 1000;
const CUT: &str = "manifest.truncated";

/// How a field's value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WireType {
    /// 0: varint.
    Varint,
    /// 1: eight bytes.
    Fixed64,
    /// 2: length and bytes.
    Bytes,
    /// 5: four bytes.
    Fixed32,
}

impl WireType {
    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Varint => "varint",
            Self::Fixed64 => "fixed64",
            Self::Bytes => "bytes",
            Self::Fixed32 => "fixed32",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Varint => 0,
            Self::Fixed64 => 1,
            Self::Bytes => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// One field as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Offset of its tag.
    pub offset: u64,
    /// Bytes from the tag to the end of the value.
    pub len: u64,
    /// Field number.
    pub number: u32,
    /// Wire type.
    pub wire_type: WireType,
    /// The field of that number in the known schema; `None` if there is none.
    pub descriptor: Option<FieldDescriptor>,
    /// The value.
    pub content: Content,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// `bool`.
    Bool(bool),
    /// `int32`.
    Signed(i32),
    /// `uint32` or `uint64`.
    Unsigned(u64),
    /// Enum, by number.
    Enum(i32),
    /// `float`.
    Float(f32),
    /// `string`.
    Text(String),
    /// Nested message.
    Message(Vec<Node>),
    /// Value bytes (without the length) of an unknown field, or of a known one that cannot be decoded.
    Raw(Vec<u8>),
}

/// An encoding that a reader accepts but zvec never writes: a trace of damage, or of another writer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Irregularity {
    /// Where.
    pub offset: u64,
    /// What.
    pub detail: String,
}

/// What reading the bytes gave.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub faults: Vec<FormatError>,
    pub irregularities: Vec<Irregularity>,
    fields: usize,
}

impl Walk {
    /// Reads `bytes`, which begin at `base`, as a message; returns the fields and the offset where reading stopped.
    pub fn message(&mut self, bytes: &[u8], base: u64, descriptor: &MessageDescriptor) -> (Vec<Node>, u64) {
        let mut cursor = Cursor::new(bytes, base, CUT);
        let mut nodes: Vec<Node> = Vec::new();
        while !cursor.is_empty() {
            let start = cursor.offset();
            match self.field(&mut cursor, descriptor) {
                Ok(node) => {
                    self.order(&nodes, &node);
                    nodes.push(node);
                }
                Err(fault) => {
                    self.fault(fault);
                    return (nodes, start);
                }
            }
        }
        (nodes, cursor.offset())
    }

    fn field(&mut self, cursor: &mut Cursor<'_>, message: &MessageDescriptor) -> Result<Node> {
        let offset = cursor.offset();
        self.fields = self.fields.saturating_add(1);
        if self.fields > MAX_FIELDS {
            let detail = format!("more than {MAX_FIELDS} fields");
            return Err(FormatError::unsupported("manifest.too-large", offset, detail));
        }
        let tag = self.varint(cursor)?;
        let number = u32::try_from(tag >> 3).unwrap_or(0);
        if number == 0 || number > (1 << 29) - 1 {
            return Err(malformed(offset, format!("tag {tag:#x} holds field number {}", tag >> 3)));
        }
        let wire_type = match tag & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Bytes,
            5 => WireType::Fixed32,
            other => {
                let detail =
                    format!("field {number} of {} has wire type {other}, which no zvec writes", message.name());
                return Err(FormatError::malformed("manifest.wire-type", offset, detail));
            }
        };
        let descriptor = message.get_field(number);
        let content = match &descriptor {
            Some(field) if wire_type_of(&field.kind()) == Some(wire_type) => self.known(cursor, offset, field)?,
            Some(field) => {
                let detail = format!(
                    "{} has wire type {}, expected {}",
                    field.name(),
                    wire_type.number(),
                    wire_type_of(&field.kind()).map_or(0, WireType::number)
                );
                self.fault(FormatError::malformed("manifest.wire-type", offset, detail));
                Content::Raw(self.raw(cursor, wire_type)?)
            }
            None => Content::Raw(self.raw(cursor, wire_type)?),
        };
        Ok(Node { offset, len: cursor.offset().saturating_sub(offset), number, wire_type, descriptor, content })
    }

    fn known(&mut self, cursor: &mut Cursor<'_>, offset: u64, field: &FieldDescriptor) -> Result<Content> {
        let content = match field.kind() {
            FieldKind::Message(message) => {
                let len = cursor.varint()?;
                let base = cursor.offset();
                let bytes = match cursor.bytes(usize::try_from(len).unwrap_or(usize::MAX)) {
                    Ok(bytes) => bytes,
                    // A file that is cut in this message still holds the message's beginning.
                    Err(cut) if cursor.is_empty() => return Err(cut),
                    Err(cut) => {
                        self.fault(cut);
                        cursor.rest()
                    }
                };
                return Ok(Content::Message(self.message(bytes, base, &message).0));
            }
            FieldKind::String => {
                let bytes = cursor.varint_bytes()?;
                match std::str::from_utf8(bytes) {
                    Ok(text) => Content::Text(text.to_owned()),
                    Err(error) => {
                        let at = cursor.offset().saturating_sub(bytes.len() as u64);
                        let at = at.saturating_add(error.valid_up_to() as u64);
                        let detail = format!("{} is not UTF-8", field.name());
                        self.fault(FormatError::malformed("manifest.utf8", at, detail));
                        Content::Raw(bytes.to_vec())
                    }
                }
            }
            FieldKind::Float => Content::Float(cursor.f32()?),
            FieldKind::Bool => {
                let value = self.varint(cursor)?;
                if value > 1 {
                    self.odd(offset, format!("{} is the bool {value}", field.name()));
                }
                Content::Bool(value != 0)
            }
            // Protobuf keeps the low 32 bits of a longer varint; so does zvec.
            kind @ (FieldKind::Int32 | FieldKind::Enum(_)) => {
                let value = self.varint(cursor)?;
                let low = value as u32 as i32;
                if i64::from(low) as u64 != value {
                    self.odd(offset, format!("{} is {value:#x}, more than 32 bits", field.name()));
                }
                if kind == FieldKind::Int32 { Content::Signed(low) } else { Content::Enum(low) }
            }
            FieldKind::Uint32 => {
                let value = self.varint(cursor)?;
                if value > u64::from(u32::MAX) {
                    self.odd(offset, format!("{} is {value:#x}, more than 32 bits", field.name()));
                }
                Content::Unsigned(u64::from(value as u32))
            }
            FieldKind::Uint64 => Content::Unsigned(self.varint(cursor)?),
            other => {
                let detail = format!("{} is of kind {other:?}, which this build does not read", field.name());
                return Err(FormatError::unsupported("manifest.descriptor", offset, detail));
            }
        };
        if field.cardinality() != Cardinality::Repeated && is_default(&content) {
            self.odd(offset, format!("{} is written although it has its default value", field.name()));
        }
        Ok(content)
    }

    fn raw(&mut self, cursor: &mut Cursor<'_>, wire_type: WireType) -> Result<Vec<u8>> {
        Ok(match wire_type {
            WireType::Varint => {
                let mut bytes = Vec::new();
                encode_varint(self.varint(cursor)?, &mut bytes);
                bytes
            }
            WireType::Fixed64 => cursor.bytes(8)?.to_vec(),
            WireType::Fixed32 => cursor.bytes(4)?.to_vec(),
            WireType::Bytes => cursor.varint_bytes()?.to_vec(),
        })
    }

    fn varint(&mut self, cursor: &mut Cursor<'_>) -> Result<u64> {
        let start = cursor.offset();
        let value = cursor.varint().map_err(|error| match error.kind {
            Kind::Malformed => FormatError { code: "manifest.malformed", ..error },
            _ => error,
        })?;
        let taken = cursor.offset().saturating_sub(start);
        if taken > encoded_len_varint(value) as u64 {
            self.odd(start, format!("varint {value} takes {taken} bytes"));
        }
        Ok(value)
    }

    /// Remarks on where `node` stands after its siblings.
    fn order(&mut self, siblings: &[Node], node: &Node) {
        let Some(last) = siblings.last() else { return };
        let name = node.descriptor.as_ref().map_or_else(|| format!("field {}", node.number), |d| d.name().to_owned());
        let repeats = node.descriptor.as_ref().is_some_and(|d| d.cardinality() == Cardinality::Repeated);
        let one_of =
            |n: &Node| n.descriptor.as_ref().and_then(FieldDescriptor::containing_oneof).map(|o| o.name().to_owned());
        if node.number < last.number {
            self.odd(node.offset, format!("{name} follows field {}", last.number));
        } else if node.number == last.number && node.descriptor.is_some() && !repeats {
            self.odd(node.offset, format!("{name} occurs twice"));
        } else if one_of(node).is_some() && one_of(node) == one_of(last) {
            self.odd(node.offset, format!("{name} and field {} exclude each other", last.number));
        }
    }

    fn fault(&mut self, fault: FormatError) {
        if self.faults.len() < MAX_REMARKS {
            self.faults.push(fault);
        }
    }

    fn odd(&mut self, offset: u64, detail: String) {
        if self.irregularities.len() < MAX_REMARKS {
            self.irregularities.push(Irregularity { offset, detail });
        }
    }
}

fn malformed(offset: u64, detail: String) -> FormatError {
    FormatError::malformed("manifest.malformed", offset, detail)
}

fn wire_type_of(kind: &FieldKind) -> Option<WireType> {
    Some(match kind {
        FieldKind::Message(_) | FieldKind::String | FieldKind::Bytes => WireType::Bytes,
        FieldKind::Float | FieldKind::Fixed32 | FieldKind::Sfixed32 => WireType::Fixed32,
        FieldKind::Double | FieldKind::Fixed64 | FieldKind::Sfixed64 => WireType::Fixed64,
        _ => WireType::Varint,
    })
}

fn is_default(content: &Content) -> bool {
    match content {
        Content::Bool(value) => !value,
        Content::Signed(value) | Content::Enum(value) => *value == 0,
        Content::Unsigned(value) => *value == 0,
        Content::Float(value) => value.to_bits() == 0,
        Content::Text(text) => text.is_empty(),
        Content::Message(_) | Content::Raw(_) => false,
    }
}

/// Encodes the decodable known fields of a tree again: what is left of a damaged manifest, without its faults.
pub(super) fn encode_known(nodes: &[Node], out: &mut Vec<u8>) {
    use prost::encoding::WireType as Wire;
    for node in nodes.iter().filter(|node| node.descriptor.is_some()) {
        let varint = |value: u64, out: &mut Vec<u8>| {
            encode_key(node.number, Wire::Varint, out);
            encode_varint(value, out);
        };
        let bytes = |bytes: &[u8], out: &mut Vec<u8>| {
            encode_key(node.number, Wire::LengthDelimited, out);
            encode_varint(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        };
        match &node.content {
            Content::Bool(value) => varint(u64::from(*value), out),
            Content::Signed(value) | Content::Enum(value) => varint(i64::from(*value) as u64, out),
            Content::Unsigned(value) => varint(*value, out),
            Content::Float(value) => {
                encode_key(node.number, Wire::ThirtyTwoBit, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Content::Text(text) => bytes(text.as_bytes(), out),
            Content::Message(fields) => {
                let mut inner = Vec::new();
                encode_known(fields, &mut inner);
                bytes(&inner, out);
            }
            Content::Raw(_) => {}
        }
    }
}
