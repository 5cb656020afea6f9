//! The entry of a segment in a manifest, from what is in its directory.

use std::collections::BTreeSet;

use roaring::RoaringTreemap;

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN},
        manifest::proto::{
            BlockMeta, BlockType, CollectionSchema, DataType, FieldSchema, SegmentMeta, index_params::Params,
        },
        proxima::IndexKind,
        schema_file::SchemaFile,
    },
    inspect::{
        documents,
        evidence::{Forward, Found, Vectors, vector},
    },
};

/// A segment's entry.
pub struct Built {
    /// The entry, without a writing block.
    pub meta: SegmentMeta,
    /// Ids of its rows.
    pub ids: RoaringTreemap,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Whether a field is a vector.
pub fn is_vector(field: &FieldSchema) -> bool {
    DataType::try_from(field.data_type).is_ok_and(documents::is_vector)
}

/// Builds the entry of a segment. Where files compete, those that `before` names are taken, then the sound ones, then the newer ones.
pub fn build(found: &Found, schema: &CollectionSchema, before: Option<&SegmentMeta>) -> Built {
    let mut notes = Vec::new();
    let log = found.log();
    let named = |kind: BlockType, block: u32| {
        before.is_some_and(|meta| {
            meta.persisted_blocks.iter().any(|listed| listed.block_type == kind as i32 && listed.block_id == block)
        })
    };
    // The rows of a block whose log is there come back from the log.
    let forwards: Vec<&Forward> = found.forwards.iter().filter(|file| log.is_none_or(|log| file.block < log)).collect();
    let mut candidates: Vec<&Forward> = forwards.iter().copied().filter(|file| file.is_row_block()).collect();
    candidates.sort_by_key(|file| (!named(BlockType::Scalar, file.block), !file.sound, std::cmp::Reverse(file.block)));
    let mut ids = RoaringTreemap::new();
    let mut rows: Vec<(&Forward, u32)> = Vec::new();
    for file in candidates {
        let count = file.rows.and_then(|rows| u32::try_from(rows).ok());
        let (Some(count), Some(_)) = (count, file.ids.min()) else {
            notes.push(format!("{} is left out: its rows cannot be counted", file.path.display()));
            continue;
        };
        if ids.is_disjoint(&file.ids) {
            ids |= &file.ids;
            rows.push((file, count));
        } else if !file.ids.is_subset(&ids) {
            notes.push(format!(
                "{} is left out: some of its documents are in another block, {} are not",
                file.path.display(),
                (&file.ids - &ids).len()
            ));
        }
    }
    for file in forwards.iter().filter(|file| file.columns.is_empty()) {
        notes.push(format!("{} is left out: it cannot be opened", file.path.display()));
    }
    rows.sort_by_key(|(file, _)| file.ids.min());
    let scalars: Vec<&FieldSchema> = schema.fields.iter().filter(|field| !is_vector(field)).collect();
    let mut blocks = Vec::new();
    index_blocks(found, &scalars, before, &mut blocks);
    let mut row_blocks: Vec<BlockMeta> = rows.iter().map(|(file, count)| row_block(file, *count, &scalars)).collect();
    let mut extras = Vec::new();
    for field in &scalars {
        for (at, file) in extra_files(&forwards, &rows, &field.name) {
            let Some(row) = row_blocks.get_mut(at) else { continue };
            row.columns.retain(|column| *column != field.name);
            extras.push(BlockMeta { block_id: file.block, columns: vec![field.name.clone()], ..row.clone() });
        }
    }
    blocks.extend(row_blocks.iter().cloned());
    let mut built = Vec::new();
    for field in schema.fields.iter().filter(|field| is_vector(field)) {
        let mut complete = true;
        for (kind, quantised) in [(BlockType::VectorIndex, false), (BlockType::VectorIndexQuantize, true)] {
            let files: Vec<&Vectors> =
                found.vectors.iter().filter(|file| file.column == field.name && file.quantised == quantised).collect();
            let preferred = files.iter().copied().filter(|file| named(kind, file.block)).collect::<Vec<_>>();
            let flushed =
                files.iter().copied().filter(|file| log.is_none_or(|log| file.block < log)).collect::<Vec<_>>();
            let counts: Vec<u64> = row_blocks.iter().map(|block| u64::from(block.doc_count)).collect();
            let cover = [&preferred, &flushed, &files].into_iter().find_map(|files| cover(files, &counts, true));
            let cover = cover
                .or_else(|| [&preferred, &flushed, &files].into_iter().find_map(|files| cover_loose(files, &counts)));
            for (file, range) in cover.unwrap_or_default() {
                let covered = row_blocks.get(range).unwrap_or_default();
                let (Some(first), Some(last)) = (covered.first(), covered.last()) else { continue };
                blocks.push(BlockMeta {
                    block_id: file.block,
                    block_type: kind as i32,
                    min_doc_id: first.min_doc_id,
                    max_doc_id: last.max_doc_id,
                    doc_count: covered.iter().map(|block| block.doc_count).sum(),
                    columns: vec![field.name.clone()],
                });
                complete &= is_built(field, file);
            }
        }
        if complete && (is_flat(field) || !row_blocks.is_empty()) {
            built.push(field.name.clone());
        }
    }
    blocks.extend(extras);
    built.sort();
    let meta = SegmentMeta {
        segment_id: found.id,
        persisted_blocks: blocks,
        writing_forward_block: None,
        indexed_vector_fields: built,
    };
    Built { meta, ids, notes }
}

/// The columns of a row block that hold for it.
fn row_block(file: &Forward, doc_count: u32, scalars: &[&FieldSchema]) -> BlockMeta {
    let live = file.columns.iter().map(|column| &column.name).filter(|name| {
        *name == DOC_ID_COLUMN || *name == UID_COLUMN || scalars.iter().any(|field| field.name == **name)
    });
    BlockMeta {
        block_id: file.block,
        block_type: BlockType::Scalar as i32,
        min_doc_id: file.ids.min().unwrap_or(0),
        max_doc_id: file.ids.max().unwrap_or(0),
        doc_count,
        columns: live.cloned().collect(),
    }
}

/// The blocks of an added or altered column, with the row block that each stands beside: the newest set that fits.
fn extra_files<'a>(forwards: &[&'a Forward], rows: &[(&Forward, u32)], name: &str) -> Vec<(usize, &'a Forward)> {
    let mut files = forwards.iter().copied().filter(|file| !file.is_row_block() && file.has(name)).rev();
    let mut set = Vec::new();
    for (at, (_, count)) in rows.iter().enumerate().rev() {
        match files.find(|file| file.rows == Some(u64::from(*count))) {
            Some(file) => set.push((at, file)),
            None => return Vec::new(),
        }
    }
    set.reverse();
    set
}

fn index_blocks(found: &Found, scalars: &[&FieldSchema], before: Option<&SegmentMeta>, blocks: &mut Vec<BlockMeta>) {
    let params = |field: &FieldSchema| field.index_params.as_ref().and_then(|index| index.params.clone());
    let is_inverted = |field: &&&FieldSchema| matches!(params(field), Some(Params::Invert(_)));
    let inverted: Vec<String> = scalars.iter().filter(is_inverted).map(|field| field.name.clone()).collect();
    let texts = scalars.iter().any(|field| matches!(params(field), Some(Params::Fts(_))));
    let mut add = |kind: BlockType, on_disk: &[u32], columns: Vec<String>| {
        let listed =
            before.iter().flat_map(|meta| &meta.persisted_blocks).find(|block| block.block_type == kind as i32);
        let listed = listed.map(|block| block.block_id).filter(|block| on_disk.contains(block));
        let Some(block_id) = listed.or(on_disk.last().copied()) else { return };
        blocks.push(BlockMeta { block_id, block_type: kind as i32, columns, ..BlockMeta::default() });
    };
    if !inverted.is_empty() {
        add(BlockType::ScalarIndex, &found.scalar_indexes, inverted);
    }
    if texts {
        add(BlockType::FtsIndex, &found.fts_indexes, Vec::new());
    }
}

type Cover<'a> = Vec<(&'a Vectors, std::ops::Range<usize>)>;

/// Vector files, oldest first, that together hold the rows of all row blocks: the shortest run that ends with the newest, else the longest that begins
/// with the oldest.
fn cover<'a>(files: &[&'a Vectors], counts: &[u64], exact: bool) -> Option<Cover<'a>> {
    let suffixes = (0..files.len()).rev().filter_map(|start| files.get(start..));
    let prefixes = (1..files.len()).rev().filter_map(|end| files.get(..end));
    suffixes.chain(prefixes).find_map(|run| assign(run, counts, exact))
}

/// The same where rows without vector are left out at the end of files.
fn cover_loose<'a>(files: &[&'a Vectors], counts: &[u64]) -> Option<Cover<'a>> {
    let all = assign(files, counts, false);
    all.or_else(|| cover(files, counts, false))
}

fn assign<'a>(files: &[&'a Vectors], counts: &[u64], exact: bool) -> Option<Cover<'a>> {
    let mut at = 0;
    let mut assigned = Vec::with_capacity(files.len());
    for (place, file) in files.iter().enumerate() {
        let start = at;
        let rows = file.facts.as_ref().map(|facts| facts.rows);
        let mut sum = 0u64;
        // A file that cannot be opened is taken for one of a single row block; the last file takes what is left.
        let last = place + 1 == files.len();
        while at < counts.len() && (at == start || rows.is_some_and(|rows| sum < rows) || (!exact && last)) {
            sum = sum.saturating_add(counts.get(at).copied().unwrap_or(0));
            at += 1;
        }
        if at == start || (exact && rows.is_some_and(|rows| rows != sum)) || rows.is_some_and(|rows| rows > sum) {
            return None;
        }
        assigned.push((*file, start..at));
    }
    (at == counts.len() && !files.is_empty()).then_some(assigned)
}

fn declared(field: &FieldSchema) -> Option<(Option<IndexKind>, bool)> {
    let single = CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
    let written = SchemaFile::from_manifest(&single).ok()?.vectors.pop()?;
    let (_, quantize) = vector::base(&written.index);
    let kind = vector::kind_of(&written.index, written.data_type.is_sparse());
    Some((kind, quantize != crate::format::schema_file::Quantize::Undefined))
}

fn is_flat(field: &FieldSchema) -> bool {
    declared(field).is_some_and(|(kind, _)| kind.is_none())
}

/// Whether a file is what the field's index asks for: beside codes the full vectors stay flat.
fn is_built(field: &FieldSchema, file: &Vectors) -> bool {
    let Some((Some(kind), quantised)) = declared(field) else { return true };
    let expected = if quantised { file.quantised } else { !file.quantised };
    !expected || file.facts.as_ref().is_some_and(|facts| facts.kind == kind)
}

/// The id of the next forward block of a segment, which names its log: that of a log that is there, or one that nothing has.
pub fn writing_block(found: &Found) -> u32 {
    let flushed: BTreeSet<u32> = found.forwards.iter().map(|file| file.block).collect();
    let log =
        found.logs.iter().filter(|(block, records)| *records > 0 || !flushed.contains(block)).map(|(block, _)| *block);
    match (log.max(), found.highest_block()) {
        (Some(block), _) => block,
        (None, _) if found.forwards.is_empty() && found.vectors.is_empty() => 0,
        (None, highest) => highest.map_or(0, |block| block.saturating_add(1)),
    }
}
