//! A manifest as far as it decodes: every field with its offset, what is unknown, what is wrong.

use prost::Message;
use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind as FieldKind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

use super::{
    Manifest, descriptor,
    wire::{Content, Irregularity, Node, Walk, WireType, encode_known},
};
use crate::format::{FormatError, Result};

/// A manifest read field by field, damaged and newer ones included.
#[derive(Debug)]
pub struct Dump {
    /// The fields of the manifest message, in file order.
    pub fields: Vec<Node>,
    /// Why decoding stopped, or skipped something; empty if the whole file decodes.
    pub faults: Vec<FormatError>,
    /// Encodings that are legal but never zvec's.
    pub irregularities: Vec<Irregularity>,
    /// Size of the file.
    pub size: u64,
    /// Offset where top-level decoding stopped; `size` if it reached the end.
    pub decoded: u64,
}

/// What in a manifest is beyond this build's knowledge. A flipped bit can look the same: [`Dump::irregularities`] helps to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Assessment {
    /// `version` of the manifest; 0 in every release up to 0.8.0.
    pub version: u32,
    /// Fields that the known schema has no number for.
    pub unknown_fields: Vec<UnknownField>,
    /// Enum values that the known schema has no name for.
    pub unknown_enum_values: Vec<UnknownEnumValue>,
}

/// A field that the known schema lacks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct UnknownField {
    /// Path of the message that holds it; empty for the manifest itself.
    pub path: String,
    /// Field number.
    pub number: u32,
    /// Wire type.
    pub wire_type: WireType,
    /// Offset of its tag.
    pub offset: u64,
    /// Bytes of the value, in hex.
    pub value: String,
}

/// An enum value that the known schema lacks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct UnknownEnumValue {
    /// Path of the field.
    pub path: String,
    /// The number found.
    pub number: i32,
    /// Offset of the field's tag.
    pub offset: u64,
}

/// One field of a flat listing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct DumpRow {
    /// Offset of the tag.
    pub offset: u64,
    /// Bytes from the tag to the end of the value.
    pub len: u64,
    /// Path: `persisted_segment_metas[0].segment_id`; an unknown field is named by its number, `#12`.
    pub path: String,
    /// The value in words; `None` for a nested message, whose fields follow.
    pub value: Option<String>,
}

impl Assessment {
    /// Whether anything here is beyond this build.
    pub fn is_newer(&self) -> bool {
        self.newer().is_some()
    }

    /// The first of it as an error of kind [`Kind::Newer`](crate::format::Kind::Newer).
    pub fn newer(&self) -> Option<FormatError> {
        let (offset, detail) = if self.version != 0 {
            (0, format!("manifest version {}, this build knows version 0", self.version))
        } else if let Some(field) = self.unknown_fields.first() {
            let holder = if field.path.is_empty() { "the manifest" } else { &field.path };
            (field.offset, format!("{holder} has a field {}, which this build does not know", field.number))
        } else {
            let value = self.unknown_enum_values.first()?;
            (value.offset, format!("{} is {}, which this build does not know", value.path, value.number))
        };
        Some(FormatError::newer("manifest.newer", offset, detail))
    }
}

impl Dump {
    /// Reads a manifest as far as it goes. Fails only if this build's own schema does not load.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let message = descriptor()?;
        let mut walk = Walk::default();
        let (fields, decoded) = walk.message(bytes, 0, &message);
        let Walk { faults, irregularities, .. } = walk;
        Ok(Self { fields, faults, irregularities, size: bytes.len() as u64, decoded })
    }

    /// The manifest that the decodable known fields make.
    pub fn manifest(&self) -> Manifest {
        let mut bytes = Vec::new();
        encode_known(&self.fields, &mut bytes);
        // Fails only if this module and the generated types disagree about a field's type.
        Manifest::decode(bytes.as_slice()).unwrap_or_default()
    }

    /// What is beyond this build's knowledge.
    pub fn assessment(&self) -> Assessment {
        let mut found = Assessment::default();
        visit(&self.fields, "", &mut |parent, path, node| match (&node.descriptor, &node.content) {
            (None, Content::Raw(bytes)) => found.unknown_fields.push(UnknownField {
                path: parent.to_owned(),
                number: node.number,
                wire_type: node.wire_type,
                offset: node.offset,
                value: hex(bytes),
            }),
            (Some(field), Content::Enum(number)) if enum_name(field, *number).is_none() => {
                found.unknown_enum_values.push(UnknownEnumValue {
                    path: path.to_owned(),
                    number: *number,
                    offset: node.offset,
                });
            }
            (Some(field), Content::Unsigned(version)) if parent.is_empty() && field.name() == "version" => {
                found.version = u32::try_from(*version).unwrap_or(u32::MAX);
            }
            _ => {}
        });
        found
    }

    /// Every field in file order.
    pub fn rows(&self) -> Vec<DumpRow> {
        let mut rows = Vec::new();
        visit(&self.fields, "", &mut |_, path, node| {
            let value = match &node.content {
                Content::Bool(value) => Some(value.to_string()),
                Content::Signed(value) => Some(value.to_string()),
                Content::Unsigned(value) => Some(value.to_string()),
                Content::Float(value) => Some(value.to_string()),
                Content::Text(text) => Some(format!("{text:?}")),
                Content::Raw(bytes) => Some(hex(bytes)),
                Content::Message(_) => None,
                Content::Enum(number) => {
                    let name = node.descriptor.as_ref().and_then(|field| enum_name(field, *number));
                    Some(name.unwrap_or_else(|| number.to_string()))
                }
            };
            rows.push(DumpRow { offset: node.offset, len: node.len, path: path.to_owned(), value });
        });
        rows
    }

    /// Everything as JSON: the message with its default values spelled out, then what is unknown, odd and wrong.
    pub fn to_json(&self) -> Result<Json> {
        let Assessment { unknown_fields, unknown_enum_values, .. } = self.assessment();
        let faults: Vec<_> =
            self.faults.iter().map(|f| json!({"code": f.code, "offset": f.offset, "detail": f.detail})).collect();
        Ok(json!({
            "manifest": message_json(&self.fields, &descriptor()?),
            "size": self.size,
            "decoded": self.decoded,
            "unknown_fields": unknown_fields,
            "unknown_enum_values": unknown_enum_values,
            "irregularities": self.irregularities,
            "faults": faults,
        }))
    }
}

/// Calls `f(path of the holder, path, node)` for every node, parents first.
fn visit<'a>(nodes: &'a [Node], parent: &str, f: &mut impl FnMut(&str, &str, &'a Node)) {
    let mut seen = std::collections::HashMap::<u32, usize>::new();
    for node in nodes {
        let name = match &node.descriptor {
            Some(field) if field.cardinality() == Cardinality::Repeated => {
                let index = seen.entry(node.number).or_default();
                let name = format!("{}[{index}]", field.name());
                *index = index.saturating_add(1);
                name
            }
            Some(field) => field.name().to_owned(),
            None => format!("#{}", node.number),
        };
        let path = if parent.is_empty() { name } else { format!("{parent}.{name}") };
        f(parent, &path, node);
        if let Content::Message(fields) = &node.content {
            visit(fields, &path, f);
        }
    }
}

fn message_json(nodes: &[Node], message: &MessageDescriptor) -> Map<String, Json> {
    let mut out = Map::new();
    for field in message.fields() {
        let mut values =
            nodes.iter().filter(|node| node.number == field.number()).filter_map(|n| value_json(n, &field));
        let value = if field.cardinality() == Cardinality::Repeated {
            Json::Array(values.collect())
        } else {
            match (values.next_back(), field.kind()) {
                (Some(value), _) => value,
                (None, FieldKind::Message(_)) => continue,
                (None, FieldKind::Bool) => false.into(),
                (None, FieldKind::String) => "".into(),
                (None, FieldKind::Enum(kind)) => enum_json(&kind, 0),
                (None, _) => 0.into(),
            }
        };
        out.insert(field.name().to_owned(), value);
    }
    out
}

/// `None` for a value that could not be decoded; the faults tell of it.
fn value_json(node: &Node, field: &FieldDescriptor) -> Option<Json> {
    Some(match (&node.content, field.kind()) {
        (Content::Bool(value), _) => (*value).into(),
        (Content::Signed(value), _) => (*value).into(),
        (Content::Unsigned(value), _) => (*value).into(),
        (Content::Float(value), _) => float_json(*value),
        (Content::Text(text), _) => text.as_str().into(),
        (Content::Enum(number), FieldKind::Enum(kind)) => enum_json(&kind, *number),
        (Content::Message(fields), FieldKind::Message(message)) => Json::Object(message_json(fields, &message)),
        _ => return None,
    })
}

/// The shortest decimal of `value`; as a string if JSON has no number for it.
fn float_json(value: f32) -> Json {
    let text = value.to_string();
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map_or(Json::String(text), Json::Number)
}

fn enum_json(kind: &EnumDescriptor, number: i32) -> Json {
    kind.get_value(number).map_or_else(|| number.into(), |value| value.name().into())
}

fn enum_name(field: &FieldDescriptor, number: i32) -> Option<String> {
    let FieldKind::Enum(kind) = field.kind() else { return None };
    kind.get_value(number).map(|value| value.name().to_owned())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
