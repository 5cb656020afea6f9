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

use super::{
    cover,
    rows::{self, Around, Row, Rows},
};

/// A segment's entry.
pub struct Built {
    /// The entry, without a writing block.
    pub meta: SegmentMeta,
    /// Ids of its rows.
    pub ids: RoaringTreemap,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// What was taken for a row block that is gone.
    pub gone: Vec<String>,
}

/// Whether a field is a vector.
pub fn is_vector(field: &FieldSchema) -> bool {
    DataType::try_from(field.data_type).is_ok_and(documents::is_vector)
}

/// Builds the entry of a segment. Where files compete, those that `before` names are taken, then the sound ones, then the newer ones. With
/// `around`, files that should be there and are not are named, too, so that what they held is made anew from what else there is.
pub fn build(found: &Found, schema: &CollectionSchema, before: Option<&SegmentMeta>, around: Option<&Around>) -> Built {
    let log = rows::log(found);
    let named = |kind: BlockType, block: u32| {
        before.is_some_and(|meta| {
            meta.persisted_blocks.iter().any(|listed| listed.block_type == kind as i32 && listed.block_id == block)
        })
    };
    // The rows of a block whose log is there come back from the log.
    let forwards: Vec<&Forward> = found.forwards.iter().filter(|file| log.is_none_or(|log| file.block < log)).collect();
    let mut rows = rows::settle(found, &|block| named(BlockType::Scalar, block), around);
    let scalars: Vec<&FieldSchema> = schema.fields.iter().filter(|field| !is_vector(field)).collect();
    let mut blocks = Vec::new();
    index_blocks(found, &scalars, before, &mut rows, around.is_some(), &mut blocks);
    let mut row_blocks: Vec<BlockMeta> = rows.list.iter().map(|row| row_block(row, &scalars)).collect();
    let mut extras = Vec::new();
    let mut without = Vec::new();
    for field in &scalars {
        for (at, file) in extra_files(&forwards, &rows.list, &field.name, around.is_some(), &mut rows.notes) {
            let Some(row) = row_blocks.get_mut(at) else { continue };
            row.columns.retain(|column| *column != field.name);
            let extra = BlockMeta { columns: vec![field.name.clone()], ..row.clone() };
            match file {
                Some(file) => extras.push(BlockMeta { block_id: file.block, ..extra }),
                None => without.push(extra),
            }
        }
    }
    // Files that are gone get a number, and are made anew as far as anything tells their values.
    extras.extend(without.into_iter().map(|extra| BlockMeta { block_id: rows.free_block(None), ..extra }));
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
            let whole = [&preferred, &flushed, &files].into_iter().find_map(|files| cover::exact(files, &rows.list));
            let pieces = whole.unwrap_or_else(|| {
                let files = if flushed.is_empty() { &files } else { &flushed };
                cover::loose(files, &rows.list)
            });
            // Without any file the column is not quantised yet, or was not.
            let missing = pieces.iter().filter(|piece| piece.file.is_none()).count();
            if (quantised && missing == pieces.len()) || (around.is_none() && missing > 0) {
                continue;
            }
            for piece in pieces {
                let covered = row_blocks.get(piece.rows).unwrap_or_default();
                let (Some(first), Some(last)) = (covered.first(), covered.last()) else { continue };
                let block_id = match piece.file {
                    Some(file) => file.block,
                    None => rows.free_block(Some(first.block_id)),
                };
                blocks.push(BlockMeta {
                    block_id,
                    block_type: kind as i32,
                    min_doc_id: first.min_doc_id,
                    max_doc_id: last.max_doc_id,
                    doc_count: covered.iter().map(|block| block.doc_count).sum(),
                    columns: vec![field.name.clone()],
                });
                complete &= is_built(field, quantised, piece.file);
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
    Built { meta, ids: rows.ids, notes: rows.notes, gone: rows.gone }
}

/// The entry of a row block, with the columns that hold for it.
fn row_block(row: &Row<'_>, scalars: &[&FieldSchema]) -> BlockMeta {
    let columns = match row.file {
        Some(file) => {
            let live = file.columns.iter().map(|column| &column.name).filter(|name| {
                *name == DOC_ID_COLUMN || *name == UID_COLUMN || scalars.iter().any(|field| field.name == **name)
            });
            live.cloned().collect()
        }
        None => {
            let system = [DOC_ID_COLUMN.to_owned(), UID_COLUMN.to_owned()];
            system.into_iter().chain(scalars.iter().map(|field| field.name.clone())).collect()
        }
    };
    BlockMeta {
        block_id: row.block,
        block_type: BlockType::Scalar as i32,
        min_doc_id: row.first,
        max_doc_id: row.last,
        doc_count: row.count,
        columns,
    }
}

/// The blocks of an added or altered column, with the row block that each stands beside: the newest set that fits. With `gaps`, a row block that has no
/// such column itself gets a place without a file where one is gone.
fn extra_files<'a>(
    forwards: &[&'a Forward],
    rows: &[Row<'_>],
    name: &str,
    gaps: bool,
    notes: &mut Vec<String>,
) -> Vec<(usize, Option<&'a Forward>)> {
    let files: Vec<&Forward> = forwards.iter().copied().filter(|file| !file.is_row_block() && file.has(name)).collect();
    let mut newest = files.iter().rev();
    let whole: Option<Vec<_>> = rows
        .iter()
        .enumerate()
        .rev()
        .map(|(at, row)| newest.find(|file| file.rows == Some(row.rows())).map(|file| (at, Some(*file))))
        .collect();
    if let Some(mut set) = whole {
        set.reverse();
        return set;
    }
    // Rows that were written since the column was added have it in their own block.
    let lacks: Vec<(usize, &Row<'_>)> =
        rows.iter().enumerate().filter(|(_, row)| row.file.is_some_and(|file| !file.has(name))).collect();
    if files.is_empty() || lacks.is_empty() || !gaps {
        return Vec::new();
    }
    let fits = |file: &&&Forward, row: &Row<'_>| file.rows == Some(row.rows());
    let mut forth = files.iter();
    let first: Vec<_> = lacks.iter().map(|(at, row)| (*at, matched(&mut forth, |file| fits(file, row)))).collect();
    let mut back = files.iter().rev();
    let mut last: Vec<_> =
        lacks.iter().rev().map(|(at, row)| (*at, matched(&mut back, |file| fits(file, row)))).collect();
    last.reverse();
    let block = |set: &[(usize, Option<&Forward>)]| -> Vec<Option<u32>> {
        set.iter().map(|(_, file)| file.map(|file| file.block)).collect()
    };
    if block(&first) != block(&last) {
        notes.push(format!(
            "which rows the files of column {name} belong to: one of them is gone, and others have as many rows"
        ));
    }
    last
}

/// The next file that fits; none is passed over if there is none.
fn matched<'f, 'a: 'f>(
    files: &mut (impl Iterator<Item = &'f &'a Forward> + Clone),
    fits: impl Fn(&&&Forward) -> bool,
) -> Option<&'a Forward> {
    let mut ahead = files.clone();
    let found = ahead.find(|file| fits(file)).copied()?;
    *files = ahead;
    Some(found)
}

/// The entries of the indexes. Without a manifest one that is not there is named all the same, and built from the rows.
fn index_blocks(
    found: &Found,
    scalars: &[&FieldSchema],
    before: Option<&SegmentMeta>,
    rows: &mut Rows<'_>,
    make: bool,
    blocks: &mut Vec<BlockMeta>,
) {
    let params = |field: &FieldSchema| field.index_params.as_ref().and_then(|index| index.params.clone());
    let is_inverted = |field: &&&FieldSchema| matches!(params(field), Some(Params::Invert(_)));
    let inverted: Vec<String> = scalars.iter().filter(is_inverted).map(|field| field.name.clone()).collect();
    let texts = scalars.iter().any(|field| matches!(params(field), Some(Params::Fts(_))));
    let mut add = |kind: BlockType, on_disk: &[u32], columns: Vec<String>| {
        let listed =
            before.iter().flat_map(|meta| &meta.persisted_blocks).find(|block| block.block_type == kind as i32);
        let listed = listed.map(|block| block.block_id).filter(|block| on_disk.contains(block));
        let there = listed.or(on_disk.last().copied());
        let Some(block_id) = there.or_else(|| make.then(|| rows.free_block(None))) else { return };
        blocks.push(BlockMeta { block_id, block_type: kind as i32, columns, ..BlockMeta::default() });
    };
    if !inverted.is_empty() {
        add(BlockType::ScalarIndex, &found.scalar_indexes, inverted);
    }
    if texts {
        add(BlockType::FtsIndex, &found.fts_indexes, Vec::new());
    }
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

/// Whether a file is what the field's index asks for: beside codes the full vectors stay flat. A file that is made anew is flat.
fn is_built(field: &FieldSchema, quantised: bool, file: Option<&Vectors>) -> bool {
    let Some((Some(kind), codes)) = declared(field) else { return true };
    codes != quantised || file.and_then(|file| file.facts.as_ref()).is_some_and(|facts| facts.kind == kind)
}

/// The id of the next forward block of a segment, which names its log: that of a log that is there, or one that nothing has, on disk or in `meta`.
pub fn writing_block(found: &Found, meta: &SegmentMeta) -> u32 {
    let flushed: BTreeSet<u32> = found.forwards.iter().map(|file| file.block).collect();
    let log =
        found.logs.iter().filter(|(block, records)| *records > 0 || !flushed.contains(block)).map(|(block, _)| *block);
    let listed = meta.persisted_blocks.iter().map(|block| block.block_id).max();
    match (log.max(), found.highest_block().max(listed)) {
        (Some(block), _) => block,
        (None, _) if found.forwards.is_empty() && found.vectors.is_empty() => 0,
        (None, highest) => highest.map_or(0, |block| block.saturating_add(1)),
    }
}
