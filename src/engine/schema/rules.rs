//! What zvec 0.8.0 lets be created: the rules of a collection and of scalar fields. Those of vectors are in `vector_rules`.
//!
//! Each was found by asking zvec: `testdata/schema_rules.jsonl` holds its answers, and a test compares them with these.
//!
//! ```text
//! collection  name of 1 to 256 bytes of text; 1 to 1024 scalars and vectors together with at most 5 vectors; names unique
//! scalar      any type, nullable or not; INVERT with any option on any type; FTS on STRING
//! ```

use std::collections::HashSet;

use crate::format::schema_file::{ScalarIndex, ScalarType, SchemaFile};

use super::super::{Refusal, names};
use super::{fts_rules, vector_rules};

/// Below this, zvec refuses every change of the schema of a collection, `max_doc_count_per_segment` being too small. It opens the
/// collection and writes to it all the same.
pub const MIN_DOC_COUNT_OF_ZVEC: u64 = 1000;
/// Bytes of a collection's name.
const MAX_COLLECTION_NAME: usize = 256;
/// Scalar fields.
const MAX_SCALARS: usize = 1024;
/// Vector fields.
const MAX_VECTORS: usize = 5;

/// Refuses what zvec refuses to create.
pub(super) fn check(file: &SchemaFile) -> Result<(), Refusal> {
    if let Some(fault) = names::text_fault(file.name.as_bytes(), MAX_COLLECTION_NAME) {
        return Err(Refusal::new("schema.collection-name", format!("the collection's name {:?} {fault}", file.name)));
    }
    check_counts(file)?;
    let mut taken = HashSet::new();
    let all = file.fields.iter().map(|field| &field.name).chain(file.vectors.iter().map(|vector| &vector.name));
    for name in all {
        if let Some(fault) = names::field_fault(name) {
            return Err(Refusal::new("schema.field-name", format!("the field name {name:?} {fault}")));
        }
        if !taken.insert(name) {
            return Err(Refusal::new("schema.duplicate-name", format!("two fields are named {name:?}")));
        }
    }
    for field in &file.fields {
        if let Some(ScalarIndex::Fts { tokenizer_name, filters, extra_params }) = &field.index {
            if field.data_type != ScalarType::String {
                let detail =
                    format!("field {:?}: an FTS index is for STRING, not {:?}", field.name, field.data_type.to_proto());
                return Err(Refusal::new("schema.index-type", detail));
            }
            fts_rules::check(tokenizer_name, filters, extra_params).map_err(|fault| {
                Refusal::new("schema.fts", format!("field {:?}: its FTS index cannot be: {fault}", field.name))
            })?;
        }
    }
    file.vectors.iter().try_for_each(vector_rules::check)
}

fn check_counts(file: &SchemaFile) -> Result<(), Refusal> {
    if file.fields.is_empty() && file.vectors.is_empty() {
        return Err(Refusal::new("schema.no-field", "the schema has no field"));
    }
    for (what, count, most) in [("scalar", file.fields.len(), MAX_SCALARS), ("vector", file.vectors.len(), MAX_VECTORS)]
    {
        if count > most {
            let detail = format!("the schema has {count} {what} fields, at most {most} are allowed");
            return Err(Refusal::new("schema.too-many-fields", detail));
        }
    }
    if file.max_doc_count_per_segment == 0 {
        return Err(Refusal::new(
            "schema.segment-size",
            "max_doc_count_per_segment is 0, no segment could hold a document",
        ));
    }
    Ok(())
}
