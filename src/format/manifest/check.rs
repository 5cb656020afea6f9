//! The rules that tie the values of a manifest together.
//!
//! Legal although it looks wrong, and therefore not checked: after a WAL recovery `max_doc_id` is too large, and a block can even
//! have `min_doc_id` above `max_doc_id`; the writing forward block's counts mean nothing before its flush; a compacted segment may
//! have gaps in its document ids, or no live row; a persisted segment may have a larger id than the writing one;
//! scalar-index and full-text blocks list some of their columns, or none; `optimize` of several segments can list a higher id before a lower one, in the
//! order of their documents. Counts that zvec takes for several times the rows are put right before ([`recount`](super::recount)).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    DOC_ID_COLUMN, Manifest, PK_COLUMN, first_doc_id,
    proto::{BlockMeta, BlockType, CollectionSchema, DataType, FieldSchema, SegmentMeta},
    row_count,
};

/// A rule that a manifest breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleViolation {
    /// Stable code.
    pub code: &'static str,
    /// The segment it is about.
    pub segment: Option<u32>,
    /// What was found and what the rule is.
    pub detail: String,
}

/// Checks every rule; an empty list means that the manifest is consistent in itself.
///
/// `manifest.empty` and `manifest.incomplete` are those that make zvec 0.8.0 delete every segment when it opens the collection.
/// The others: `manifest.duplicate-segment`, `manifest.segment-order`, `manifest.next-segment-id`,
/// `manifest.writing-block`, `manifest.duplicate-block`, `manifest.block-type`, `manifest.columns`, `manifest.row-count`,
/// `manifest.duplicate-field`, `manifest.field-type`, `manifest.dimension`, `manifest.index`.
pub fn check(manifest: &Manifest) -> Vec<RuleViolation> {
    let mut found = Checker::default();
    if *manifest == Manifest::default() {
        found.add("manifest.empty", None, "the manifest names no schema and no segment");
        return found.violations;
    }
    let no_schema = CollectionSchema::default();
    let schema = manifest.schema.as_ref().unwrap_or(&no_schema);
    if schema.fields.is_empty() {
        found.add("manifest.incomplete", None, "the manifest holds no schema fields: it is cut, or was never finished");
    }
    if manifest.writing_segment_meta.is_none() {
        found.add(
            "manifest.incomplete",
            None,
            "the manifest names no writing segment: it is cut, or was never finished",
        );
    }
    found.schema(schema);
    found.segment_ids(manifest);
    let roles = Roles::of(schema);
    for segment in &manifest.persisted_segment_metas {
        if let Some(block) = segment.writing_forward_block.as_ref().filter(|block| !is_idle(block)) {
            let detail = format!(
                "a persisted segment has a writing forward block ({}) with {} documents",
                block.block_id, block.doc_count
            );
            found.add("manifest.writing-block", Some(segment.segment_id), detail);
        }
        found.segment(segment, &roles);
    }
    if let Some(segment) = &manifest.writing_segment_meta {
        match &segment.writing_forward_block {
            None => found.add(
                "manifest.writing-block",
                Some(segment.segment_id),
                "the writing segment has no forward block",
            ),
            Some(block) if block.block_type != BlockType::Scalar as i32 => {
                let detail = format!(
                    "the writing forward block {} is of type {}, expected SCALAR",
                    block.block_id,
                    type_name(block.block_type)
                );
                found.add("manifest.writing-block", Some(segment.segment_id), detail);
            }
            Some(_) => {}
        }
        found.segment(segment, &roles);
    }
    found.violations
}

/// Whether nothing was written to a writing block. zvec 0.5.1 leaves such a one in the segment that `create_index` or `drop_index` closed;
/// it means nothing there, and later releases take it along.
pub fn is_idle(block: &BlockMeta) -> bool {
    block.block_type == BlockType::Scalar as i32 && block.doc_count == 0
}

/// Which columns a block of each kind may name.
struct Roles<'a> {
    scalars: HashSet<&'a str>,
    vectors: HashSet<&'a str>,
}

impl<'a> Roles<'a> {
    fn of(schema: &'a CollectionSchema) -> Self {
        let (vectors, scalars): (Vec<_>, Vec<_>) = schema.fields.iter().partition(|field| is_vector(field));
        let names = |fields: Vec<&'a FieldSchema>| fields.into_iter().map(|field| field.name.as_str()).collect();
        Self { scalars: names(scalars), vectors: names(vectors) }
    }
}

fn is_vector(field: &FieldSchema) -> bool {
    (DataType::VectorBinary32 as i32..=DataType::SparseVectorFp32 as i32).contains(&field.data_type)
}

fn is_sparse(field: &FieldSchema) -> bool {
    [DataType::SparseVectorFp16 as i32, DataType::SparseVectorFp32 as i32].contains(&field.data_type)
}

fn type_name(block_type: i32) -> String {
    BlockType::try_from(block_type).map_or_else(|_| block_type.to_string(), |known| known.as_str_name().to_owned())
}

#[derive(Default)]
struct Checker {
    violations: Vec<RuleViolation>,
}

impl Checker {
    fn add(&mut self, code: &'static str, segment: Option<u32>, detail: impl Into<String>) {
        self.violations.push(RuleViolation { code, segment, detail: detail.into() });
    }

    fn schema(&mut self, schema: &CollectionSchema) {
        use super::proto::index_params::Params;
        let mut names = HashSet::new();
        for field in &schema.fields {
            let name = &field.name;
            if !names.insert(name) || name == DOC_ID_COLUMN || name == PK_COLUMN {
                self.add("manifest.duplicate-field", None, format!("field name {name:?} is taken twice"));
            }
            if field.data_type == 0 {
                self.add("manifest.field-type", None, format!("field {name:?} has no data type"));
                continue;
            }
            let (vector, dense) = (is_vector(field), is_vector(field) && !is_sparse(field));
            if dense && field.dimension == 0 {
                self.add("manifest.dimension", None, format!("dense vector {name:?} has dimension 0"));
            } else if !dense && field.dimension != 0 {
                let detail = format!("{name:?} is no dense vector but has dimension {}", field.dimension);
                self.add("manifest.dimension", None, detail);
            }
            let params = field.index_params.as_ref().and_then(|params| params.params.as_ref());
            match params {
                None if vector => self.add("manifest.index", None, format!("vector {name:?} has no index parameters")),
                Some(Params::Invert(_) | Params::Fts(_)) if vector => {
                    self.add("manifest.index", None, format!("vector {name:?} has the index of a scalar"));
                }
                Some(Params::Invert(_) | Params::Fts(_)) | None => {}
                Some(_) if vector => {}
                Some(_) => self.add("manifest.index", None, format!("scalar {name:?} has the index of a vector")),
            }
        }
    }

    fn segment_ids(&mut self, manifest: &Manifest) {
        let mut ids = BTreeSet::new();
        let mut last: Option<&SegmentMeta> = None;
        for segment in &manifest.persisted_segment_metas {
            let id = segment.segment_id;
            if !ids.insert(id) {
                self.add("manifest.duplicate-segment", Some(id), format!("segment {id} is persisted twice"));
            }
            self.order(last, segment);
            last = Some(segment);
        }
        if let Some(segment) = &manifest.writing_segment_meta {
            let id = segment.segment_id;
            if !ids.insert(id) {
                self.add("manifest.duplicate-segment", Some(id), format!("segment {id} is both persisted and writing"));
            }
            if first_doc_id(segment).is_some() {
                self.order(last, segment);
            }
        }
        if let Some(highest) = ids.last().filter(|id| manifest.next_segment_id <= **id) {
            let detail = format!("next segment id {} is not above segment {highest}", manifest.next_segment_id);
            self.add("manifest.next-segment-id", None, detail);
        }
    }

    /// Segments stand in the order of their documents: zvec finds a document by its id among them. Of a segment without rows its own id must tell.
    fn order(&mut self, last: Option<&SegmentMeta>, segment: &SegmentMeta) {
        let (Some(last), id) = (last, segment.segment_id) else { return };
        let ascend = match (first_doc_id(last), first_doc_id(segment)) {
            (Some(last), Some(first)) => last < first,
            _ => last.segment_id < id,
        };
        if last.segment_id != id && !ascend {
            let detail = format!("segment {id} follows segment {}, and its documents do not", last.segment_id);
            self.add("manifest.segment-order", Some(id), detail);
        }
    }

    fn segment(&mut self, segment: &SegmentMeta, roles: &Roles<'_>) {
        let id = Some(segment.segment_id);
        let mut block_ids = HashSet::new();
        for block in segment.persisted_blocks.iter().chain(&segment.writing_forward_block) {
            if !block_ids.insert(block.block_id) {
                self.add("manifest.duplicate-block", id, format!("block id {} is taken twice", block.block_id));
            }
            self.block(block, id, roles);
        }
        for name in &segment.indexed_vector_fields {
            if !roles.vectors.contains(name.as_str()) {
                self.add("manifest.columns", id, format!("indexed vector field {name:?} is no vector of the schema"));
            }
        }
        self.row_counts(segment, roles);
    }

    fn block(&mut self, block: &BlockMeta, id: Option<u32>, roles: &Roles<'_>) {
        let number = block.block_id;
        let mut names = HashSet::new();
        for name in &block.columns {
            if !names.insert(name) {
                self.add("manifest.columns", id, format!("block {number} names column {name:?} twice"));
            }
        }
        let known = |name: &str, system: bool| {
            roles.scalars.contains(name) || (system && (name == DOC_ID_COLUMN || name == PK_COLUMN))
        };
        let stranger = match BlockType::try_from(block.block_type) {
            Ok(BlockType::BlockUndefined) => {
                self.add("manifest.block-type", id, format!("block {number} has no type"));
                None
            }
            Ok(BlockType::Scalar) => {
                if block.columns.is_empty() {
                    self.add("manifest.columns", id, format!("forward block {number} has no column"));
                }
                block.columns.iter().find(|name| !known(name, true))
            }
            Ok(BlockType::ScalarIndex | BlockType::FtsIndex) => block.columns.iter().find(|name| !known(name, false)),
            Ok(BlockType::VectorIndex | BlockType::VectorIndexQuantize) => {
                if block.columns.len() != 1 {
                    let detail = format!("vector block {number} has {} columns, expected 1", block.columns.len());
                    self.add("manifest.columns", id, detail);
                }
                block.columns.iter().find(|name| !roles.vectors.contains(name.as_str()))
            }
            // A newer block type: `Assessment` tells of it.
            Err(_) => None,
        };
        if let Some(name) = stranger {
            let kind = type_name(block.block_type);
            let detail =
                format!("block {number} ({kind}) names column {name:?}, which the schema does not have for it");
            self.add("manifest.columns", id, detail);
        }
    }

    /// Every scalar column and every vector column must have as many rows as the segment's row blocks together.
    ///
    /// zvec itself breaks this: `drop_index` of a quantised vector lists the old block beside the new one, although it
    /// has deleted the old block's file (0.1.0 to 0.8.0). Such a collection cannot be opened any more.
    fn row_counts(&mut self, segment: &SegmentMeta, roles: &Roles<'_>) {
        let id = Some(segment.segment_id);
        let mut totals: HashMap<(BlockType, &str), (u64, Vec<u32>)> = HashMap::new();
        for block in &segment.persisted_blocks {
            let Ok(kind) = BlockType::try_from(block.block_type) else { return };
            for column in &block.columns {
                let (rows, blocks) = totals.entry((kind, column)).or_default();
                *rows = rows.saturating_add(u64::from(block.doc_count));
                blocks.push(block.block_id);
            }
        }
        let rows = row_count(segment);
        // Sorted, so that the report does not depend on the hash order.
        let scalars = roles.scalars.iter().map(|name| (*name, BlockType::Scalar));
        let vectors = roles.vectors.iter().map(|name| (*name, BlockType::VectorIndex));
        let columns: BTreeMap<&str, BlockType> =
            scalars.chain([(PK_COLUMN, BlockType::Scalar)]).chain(vectors).collect();
        for (column, kind) in columns {
            let quantised = BlockType::VectorIndexQuantize;
            for (kind, required) in [(kind, true), (quantised, totals.contains_key(&(quantised, column)))] {
                let (found, blocks) = totals.remove(&(kind, column)).unwrap_or_default();
                if required && found != rows {
                    let detail = format!(
                        "the segment has {rows} rows, but {found} of column {column:?} in {} {}",
                        kind.as_str_name(),
                        if blocks.is_empty() {
                            "blocks: there is none".to_owned()
                        } else {
                            format!("blocks {blocks:?}")
                        }
                    );
                    self.add("manifest.row-count", id, detail);
                }
            }
        }
    }
}
