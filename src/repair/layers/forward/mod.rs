//! Forward blocks, written anew: what the block still says, ids and keys from the id map, values from the scalar indexes.
//!
//! A forward block has no checksum; the RocksDB directories of id map and scalar index have. Where those are whole and say something else, they are
//! right. Everything is read before anything is written, and the number of rows stays, so that vectors and indexes stay aligned.

mod block;
mod ids;
mod index;
mod report;
mod values;

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};

use roaring::RoaringTreemap;

use crate::{
    engine::{EngineError, FieldKind, Refusal},
    format::{
        forward::{Column, ColumnType, DOC_ID_COLUMN, ScalarType, UID_COLUMN},
        manifest::{
            is_row_block,
            proto::{BlockMeta, BlockType},
        },
    },
    inspect::{
        Findings, SegmentRef, Tree, View,
        deleted::Deleted,
        documents::{BlockReader, Fields, Place, places, segment_doc_ids},
        evidence::twins,
        first_id,
        idmap::IdMap,
        names::{NameKind, classify},
        segments_of,
    },
    report::repair::{Action, DoneAction},
};

use self::{block::Block, ids::Known, report::Telling};
use super::{super::bench::Bench, done};

/// The block that is made anew.
struct Job {
    segment: u32,
    meta: BlockMeta,
    path: PathBuf,
    /// Its first row in the segment.
    first_row: u64,
    /// Whether it holds ids and keys, too.
    is_rows: bool,
    /// The columns that are in force, ids and keys first.
    columns: Vec<Column>,
}

/// Writes a block anew under a new block id.
///
/// # Errors
/// Ids cannot be given to its rows; the ids of a block of added columns cannot be read; the system refuses.
pub fn rebuild(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let Some(mut job) = find(bench, Path::new(&action.path))? else {
        return Ok(done(action, "the manifest does not name it any more"));
    };
    let view = bench.view();
    let mut block = Block::open(&view, &job.path);
    let listed = job.meta.doc_count;
    let rows = rows(bench, &job, &block);
    job.meta.doc_count = rows;
    let range = job.first_row..job.first_row.saturating_add(u64::from(rows));
    let deleted = Deleted::load(&view, &bench.manifest);
    let mut telling = Telling::new(&job, rows, listed);

    block.measure(rows as usize);
    let settled = if job.is_rows {
        let known = known(bench, &view, &job, &deleted);
        let is_foreign = twins::overwritten(&view, &bench.manifest).iter().any(|block| block.path == job.path);
        let stored = if is_foreign { vec![(None, None); rows as usize] } else { block.keys(rows as usize) };
        let mut settled = ids::settle(&stored, &known).map_err(|why| impossible(&job, &why))?;
        settled.foreign |= is_foreign;
        if settled.foreign {
            match elsewhere(&view, &job, rows as usize, &known) {
                Some((path, found, own)) => {
                    (block, settled) = (found, own);
                    telling.found_in(path);
                }
                None => block.forget(),
            }
        }
        telling.settled(&settled);
        settled
    } else {
        let ids = row_ids(bench, &view, &job, &range)?;
        let mut keys = Vec::new();
        if let Some(segment) = segment_of(bench, &job) {
            let rows: RoaringTreemap = range.clone().collect();
            each_name(&view, segment, &rows, &mut |_, _, key| keys.push(key.unwrap_or_default()));
        }
        ids::Settled { ids, keys, ..ids::Settled::default() }
    };
    let gone = deleted.ids() | bench.deleted();
    let written = values::write(bench, &view, &job, &mut block, &settled, &gone, &mut telling)?;

    let (old, segment) = (job.meta.block_id, job.segment);
    let mut meta = BlockMeta { block_id: written, ..job.meta.clone() };
    let stale = (job.meta.min_doc_id, job.meta.max_doc_id, listed);
    let ends = settled.ids.first().zip(settled.ids.last());
    if let Some((first, last)) = ends.filter(|_| job.is_rows) {
        // A damaged id may have widened them.
        (meta.min_doc_id, meta.max_doc_id) = (*first, *last);
        // Blocks of the same rows are known by their range and count.
        let fresh = (meta.min_doc_id, meta.max_doc_id, meta.doc_count);
        if let Some(of) = bench.segment_mut(segment) {
            let same = |other: &&mut BlockMeta| (other.min_doc_id, other.max_doc_id, other.doc_count) == stale;
            for other in of.persisted_blocks.iter_mut().filter(|other| has_rows(other)).filter(same) {
                (other.min_doc_id, other.max_doc_id, other.doc_count) = fresh;
            }
        }
    }
    bench.replace_blocks(
        segment,
        |other| other.block_id == old && other.block_type == BlockType::Scalar as i32,
        vec![meta.clone()],
    );
    if job.is_rows {
        bench.change_rows();
    }
    for row in telling.given_up() {
        if let Some(id) = settled.ids.get(row).filter(|id| !gone.contains(**id)) {
            bench.give_up(*id);
        }
    }
    settled.lost.iter().filter_map(|lost| lost.doc_id).for_each(|id| bench.tell_lost(id));
    let mut report = telling.done(action, &settled, &bench.block_path(segment, &meta), bench.list());
    if action.findings.iter().any(|code| code == "fts.other-text") {
        let count = action.documents.unwrap_or_default();
        report.doubtful.push(format!(
            "the texts of {count} documents are not what the full-text index held of them, and are kept as they read: the old index, which has the \
             words of the right ones, is in the quarantine"
        ));
    }
    Ok(report)
}

/// The rows of the block in another file of the collection: two files may have been taken for each other.
fn elsewhere(view: &View, job: &Job, rows: usize, known: &Known) -> Option<(PathBuf, Block, ids::Settled)> {
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let others = tree.entries.into_iter().map(|entry| entry.path);
    others.filter(|path| classify(path).0 == NameKind::Forward && *path != job.path).find_map(|path| {
        let mut block = Block::open(view, &path);
        block.whole_rows().filter(|held| *held == rows as u64)?;
        block.measure(rows);
        let settled = ids::settle(&block.keys(rows), known).ok()?;
        let right = !settled.foreign && settled.new_ids + settled.new_keys < rows as u64;
        right.then_some((path, block, settled))
    })
}

fn has_rows(block: &BlockMeta) -> bool {
    use BlockType::{Scalar, VectorIndex, VectorIndexQuantize};
    [Scalar, VectorIndex, VectorIndexQuantize].iter().any(|kind| block.block_type == *kind as i32)
}

fn impossible(job: &Job, why: &str) -> EngineError {
    let message = format!("the ids of {}: {why}", job.path.display());
    Refusal::new("repair.impossible", message).into()
}

/// The block of a path, if the draft names it.
fn find(bench: &Bench, path: &Path) -> Result<Option<Job>, EngineError> {
    let schema = bench.schema()?;
    let (fields, _) = Fields::of(&bench.manifest);
    for segment in segments_of(&bench.manifest) {
        let is_it = |block: &&BlockMeta| {
            block.block_type == BlockType::Scalar as i32 && segment.block_path(block).as_deref() == Some(path)
        };
        let Some(meta) = segment.meta.persisted_blocks.iter().find(is_it) else { continue };
        let is_rows = is_row_block(meta);
        let mut first_row = Some(0u64);
        let ignored = Findings::default();
        for (block, places) in segment.row_blocks().zip(places(segment, &fields.scalars, &ignored)) {
            let here = block.block_id == meta.block_id
                || places.iter().any(|place| matches!(place, Place::Extra(extra) if extra.block_id == meta.block_id));
            if here {
                break;
            }
            first_row = first_row.and_then(|row| row.checked_add(block.doc_count.into()));
        }
        let mut columns = Vec::new();
        for name in [DOC_ID_COLUMN, UID_COLUMN].into_iter().filter(|_| is_rows) {
            let scalar = if name == DOC_ID_COLUMN { ScalarType::U64 } else { ScalarType::String };
            columns.push(Column {
                name: name.to_owned(),
                column_type: ColumnType { scalar, array: false },
                nullable: false,
            });
        }
        for name in meta.columns.iter().filter(|name| *name != DOC_ID_COLUMN && *name != UID_COLUMN) {
            let field = schema.position(name).and_then(|at| schema.fields().get(at));
            let column = field.and_then(|field| match &field.kind {
                FieldKind::Scalar { column_type, .. } => {
                    Some(Column { name: name.clone(), column_type: *column_type, nullable: field.nullable })
                }
                FieldKind::Vector(_) => None,
            });
            columns.push(column.ok_or_else(|| {
                let message = format!("{} has a column {name:?}, which the schema does not have", path.display());
                Refusal::new("repair.impossible", message)
            })?);
        }
        let first_row = first_row.unwrap_or(0);
        let (path, meta) = (path.to_owned(), meta.clone());
        return Ok(Some(Job { segment: segment.id(), meta, path, first_row, is_rows, columns }));
    }
    Ok(None)
}

fn segment_of<'a>(bench: &'a Bench, job: &Job) -> Option<SegmentRef<'a>> {
    segments_of(&bench.manifest).into_iter().find(|segment| segment.id() == job.segment)
}

/// How many rows the block has: as the manifest says, unless the file and the blocks beside it agree on another number.
fn rows(bench: &Bench, job: &Job, block: &Block) -> u32 {
    let listed = job.meta.doc_count;
    let held = block.whole_rows().and_then(|rows| u32::try_from(rows).ok());
    let Some(held) = held.filter(|held| *held != listed && job.is_rows) else { return listed };
    let Some(segment) = segment_of(bench, job) else { return listed };
    let range = (job.meta.min_doc_id, job.meta.max_doc_id);
    let beside = segment.meta.persisted_blocks.iter().filter(|other| {
        has_rows(other) && other.block_id != job.meta.block_id && (other.min_doc_id, other.max_doc_id) == range
    });
    let counts: Vec<u32> = beside.map(|other| other.doc_count).collect();
    let say = |rows: u32| counts.iter().filter(|count| **count == rows).count();
    if say(held) > say(listed) { held } else { listed }
}

/// What id map, delete snapshot and the rows around the block say of its ids.
fn known(bench: &Bench, view: &View, job: &Job, deleted: &Deleted) -> Known {
    let range = id_range(bench, view, job);
    let map = IdMap::load(view, &bench.manifest);
    let findings = Findings::default();
    let mut map_sound = map.findings.is_empty();
    let mut entries = BTreeMap::new();
    for (key, id, certain) in map.entries(&findings) {
        map_sound &= certain;
        if range.contains(&id) && entries.insert(id, key).is_some() {
            map_sound = false;
        }
    }
    map_sound &= !findings.any_error();
    let mut ids = deleted.ids();
    ids.remove_range(..range.start);
    ids.remove_range(range.end..);
    Known { range, map: entries, map_sound, deleted: ids, deleted_sound: deleted.findings.is_empty() }
}

/// The ids between those of the nearest rows before and behind the block that can be read; if they leave too few, those that the manifest gives it.
/// Other blocks between these that cannot be read either have their share.
fn id_range(bench: &Bench, view: &View, job: &Job) -> Range<u64> {
    let mut blocks: Vec<(bool, PathBuf, BlockMeta)> = Vec::new();
    for segment in segments_of(&bench.manifest) {
        for block in segment.row_blocks() {
            let own = segment.id() == job.segment && block.block_id == job.meta.block_id;
            blocks.push((own, segment.block_path(block).unwrap_or_default(), block.clone()));
        }
    }
    let own = blocks.iter().position(|(own, ..)| *own).unwrap_or(0);
    // What holds the rows of another block stands elsewhere than its ids say.
    let overwritten = twins::overwritten(view, &bench.manifest);
    let ends = |(_, path, meta): &(bool, PathBuf, BlockMeta)| {
        let is_own = overwritten.iter().all(|block| block.path != *path);
        is_own.then(|| Block::open(view, path).ends(meta.doc_count as usize)).flatten()
    };
    let (before, behind) = blocks.split_at(own.min(blocks.len()));
    let end = first_id(&bench.manifest);
    // The nearest that can be read, and the rows of those that are passed over.
    let nearest = |blocks: &mut dyn Iterator<Item = &(bool, PathBuf, BlockMeta)>| {
        let mut passed = 0u64;
        for block in blocks {
            if let Some(ends) = ends(block) {
                return (passed, Some(ends));
            }
            passed = passed.saturating_add(block.2.doc_count.into());
        }
        (passed, None)
    };
    let (rows_before, last) = nearest(&mut before.iter().rev());
    let (rows_behind, next) = nearest(&mut behind.iter().skip(1));
    let first = last.map_or(0, |(_, last)| last.saturating_add(1)).saturating_add(rows_before);
    let last = next.map_or(end, |(first, _)| first).min(end).saturating_sub(rows_behind).max(first);
    let between = first..last;
    let rows = u64::from(job.meta.doc_count);
    let listed = job.meta.min_doc_id..job.meta.max_doc_id.saturating_add(1).min(end).max(job.meta.min_doc_id);
    let is_inside = between.start <= listed.start && listed.end <= between.end;
    if rows_before.saturating_add(rows_behind) > 0 && is_inside && listed.end - listed.start >= rows {
        return listed;
    }
    if between.end - between.start >= rows {
        return between;
    }
    // The blocks around it are no better. What the manifest says is often wrong after a recovery by zvec, and all that is left.
    listed
}

/// The ids of the rows beside which a block of added columns stands.
fn row_ids(bench: &Bench, view: &View, job: &Job, range: &Range<u64>) -> Result<Vec<u64>, EngineError> {
    let count = range.end.saturating_sub(range.start);
    let mut ids = Vec::new();
    let whole = segment_of(bench, job).is_some_and(|segment| {
        segment_doc_ids(view, segment, range.start, count, &Findings::default(), &mut |_, id| ids.push(id))
    });
    if whole { Ok(ids) } else { Err(impossible(job, "the rows beside it cannot be read")) }
}

/// Opens a block, telling nobody what is wrong with it: that has been found before.
fn open(view: &View, path: &Path) -> Option<BlockReader> {
    BlockReader::open(view, path, 0, &Findings::default())
}

/// Document id and key of some rows of a segment, as far as they can be read.
pub fn each_name(
    view: &View,
    segment: SegmentRef<'_>,
    rows: &RoaringTreemap,
    each: &mut dyn FnMut(u64, Option<u64>, Option<Vec<u8>>),
) {
    let mut first = 0u64;
    for block in segment.row_blocks() {
        let end = first.saturating_add(block.doc_count.into());
        if rows.range_cardinality(first..end) > 0 {
            let mut opened = Block::open(view, &segment.block_path(block).unwrap_or_default());
            opened.measure(block.doc_count as usize);
            opened.each_key(block.doc_count as usize, &mut |at, id, key| {
                let row = first.saturating_add(at as u64);
                if rows.contains(row) {
                    each(row, id, key);
                }
            });
        }
        first = end;
    }
    // Rows that no block has.
    rows.iter().skip_while(|row| *row < first).for_each(|row| each(row, None, None));
}
