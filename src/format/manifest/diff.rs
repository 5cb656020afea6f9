//! What changed from one manifest to another, in human terms.

use std::collections::BTreeMap;

use super::{
    Manifest,
    proto::{BlockMeta, BlockType, DataType, FieldSchema, SegmentMeta},
};

/// One difference. `before` is `None` for what was added, `after` for what was removed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Change {
    /// What it is about: `schema.field title`, `segment 2.block 5.doc_count`.
    pub path: String,
    /// Value in the first manifest.
    pub before: Option<String>,
    /// Value in the second manifest.
    pub after: Option<String>,
}

/// Lists the differences, schema first. Segments, blocks and fields are matched by id or name, not by position; of things that
/// occur twice under one id (damage) the last counts.
pub fn diff(before: &Manifest, after: &Manifest) -> Vec<Change> {
    // Of a manifest that names a thing twice the two could not be told apart below.
    if before == after {
        return Vec::new();
    }
    let mut changes = Changes::default();
    let (a, b) = (before, after);
    changes.value("version", &a.version, &b.version);
    changes.value("enable_mmap", &a.enable_mmap, &b.enable_mmap);
    let (no_a, no_b) = Default::default();
    let (schema_a, schema_b) = (a.schema.as_ref().unwrap_or(&no_a), b.schema.as_ref().unwrap_or(&no_b));
    changes.value("schema.name", &schema_a.name, &schema_b.name);
    let (max_a, max_b) = (schema_a.max_doc_count_per_segment, schema_b.max_doc_count_per_segment);
    changes.value("schema.max_doc_count_per_segment", &max_a, &max_b);
    changes.fields(&schema_a.fields, &schema_b.fields);
    changes.segments(&roles(a), &roles(b));
    changes.value("id_map_path_suffix", &a.id_map_path_suffix, &b.id_map_path_suffix);
    changes.value("delete_snapshot_path_suffix", &a.delete_snapshot_path_suffix, &b.delete_snapshot_path_suffix);
    changes.value("next_segment_id", &a.next_segment_id, &b.next_segment_id);
    changes.list
}

type Segments<'a> = BTreeMap<u32, (&'static str, &'a SegmentMeta)>;

fn roles(manifest: &Manifest) -> Segments<'_> {
    let persisted = manifest.persisted_segment_metas.iter().map(|segment| ("persisted", segment));
    let writing = manifest.writing_segment_meta.iter().map(|segment| ("writing", segment));
    persisted.chain(writing).map(|(role, segment)| (segment.segment_id, (role, segment))).collect()
}

fn blocks(segment: &SegmentMeta) -> BTreeMap<u32, (&'static str, &BlockMeta)> {
    let persisted = segment.persisted_blocks.iter().map(|block| ("persisted", block));
    let writing = segment.writing_forward_block.iter().map(|block| ("writing", block));
    persisted.chain(writing).map(|(role, block)| (block.block_id, (role, block))).collect()
}

#[derive(Default)]
struct Changes {
    list: Vec<Change>,
}

impl Changes {
    fn push(&mut self, path: impl Into<String>, before: Option<String>, after: Option<String>) {
        self.list.push(Change { path: path.into(), before, after });
    }

    fn value<T: PartialEq + ToString + ?Sized>(&mut self, path: &str, before: &T, after: &T) {
        if before != after {
            self.push(path, Some(before.to_string()), Some(after.to_string()));
        }
    }

    fn fields(&mut self, before: &[FieldSchema], after: &[FieldSchema]) {
        let find = |fields: &[FieldSchema], name: &str| fields.iter().rposition(|field| field.name == name);
        for field in before {
            let path = format!("schema.field {}", field.name);
            match find(after, &field.name).and_then(|index| after.get(index)) {
                None => self.push(path, Some(describe_field(field)), None),
                Some(other) => {
                    self.value(&format!("{path}.data_type"), &type_name(field), &type_name(other));
                    self.value(&format!("{path}.dimension"), &field.dimension, &other.dimension);
                    self.value(&format!("{path}.nullable"), &field.nullable, &other.nullable);
                    self.value(&format!("{path}.index"), &describe_index(field), &describe_index(other));
                }
            }
        }
        for field in after.iter().filter(|field| find(before, &field.name).is_none()) {
            self.push(format!("schema.field {}", field.name), None, Some(describe_field(field)));
        }
        let order = |fields: &[FieldSchema], others: &[FieldSchema]| {
            let kept = fields.iter().filter(|field| find(others, &field.name).is_some());
            kept.map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        self.value("schema.field order", &order(before, after), &order(after, before));
    }

    fn segments(&mut self, before: &Segments<'_>, after: &Segments<'_>) {
        for (id, (role, segment)) in before {
            let path = format!("segment {id}");
            match after.get(id) {
                None => self.push(path, Some(describe_segment(role, segment)), None),
                Some((other_role, other)) => {
                    self.value(&format!("{path}.role"), *role, *other_role);
                    self.blocks(&path, segment, other);
                    let (a, b) = (segment.indexed_vector_fields.join(", "), other.indexed_vector_fields.join(", "));
                    self.value(&format!("{path}.indexed_vector_fields"), &a, &b);
                }
            }
        }
        for (id, (role, segment)) in after.iter().filter(|(id, _)| !before.contains_key(id)) {
            self.push(format!("segment {id}"), None, Some(describe_segment(role, segment)));
        }
    }

    fn blocks(&mut self, path: &str, before: &SegmentMeta, after: &SegmentMeta) {
        let (before, after) = (blocks(before), blocks(after));
        for (id, (role, block)) in &before {
            let path = format!("{path}.block {id}");
            match after.get(id) {
                None => self.push(path, Some(describe_block(role, block)), None),
                Some((other_role, other)) => {
                    self.value(&format!("{path}.role"), *role, *other_role);
                    self.value(&format!("{path}.type"), &block_type(block), &block_type(other));
                    self.value(&format!("{path}.min_doc_id"), &block.min_doc_id, &other.min_doc_id);
                    self.value(&format!("{path}.max_doc_id"), &block.max_doc_id, &other.max_doc_id);
                    self.value(&format!("{path}.doc_count"), &block.doc_count, &other.doc_count);
                    self.value(&format!("{path}.columns"), &block.columns.join(", "), &other.columns.join(", "));
                }
            }
        }
        for (id, (role, block)) in after.iter().filter(|(id, _)| !before.contains_key(id)) {
            self.push(format!("{path}.block {id}"), None, Some(describe_block(role, block)));
        }
    }
}

fn type_name(field: &FieldSchema) -> String {
    DataType::try_from(field.data_type).map_or_else(|_| field.data_type.to_string(), |t| t.as_str_name().to_owned())
}

fn block_type(block: &BlockMeta) -> String {
    BlockType::try_from(block.block_type).map_or_else(|_| block.block_type.to_string(), |t| t.as_str_name().to_owned())
}

fn describe_field(field: &FieldSchema) -> String {
    let dimension = if field.dimension == 0 { String::new() } else { format!(" dimension {}", field.dimension) };
    let nullable = if field.nullable { " nullable" } else { "" };
    format!("{}{dimension}{nullable}, index {}", type_name(field), describe_index(field))
}

fn describe_index(field: &FieldSchema) -> String {
    crate::format::schema_file::describe_index(field)
}

fn describe_segment(role: &str, segment: &SegmentMeta) -> String {
    let rows = super::row_count(segment);
    format!("{role}, {} blocks, {rows} rows", segment.persisted_blocks.len())
}

fn describe_block(role: &str, block: &BlockMeta) -> String {
    let columns = block.columns.join(", ");
    let (kind, min, max, count) = (block_type(block), block.min_doc_id, block.max_doc_id, block.doc_count);
    match role {
        "writing" => format!("{role} {kind} [{columns}], next document {min}"),
        _ => format!("{role} {kind} [{columns}], documents {min}..={max}, {count} rows"),
    }
}
