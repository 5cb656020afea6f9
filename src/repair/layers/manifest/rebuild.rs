//! A manifest made whole from the segment directories.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringTreemap;

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN},
        manifest::{
            Manifest,
            proto::{BlockMeta, BlockType, CollectionSchema, SegmentMeta},
            row_count, sort_segments,
        },
        proxima::IndexKind,
        rocks::Db,
    },
    inspect::{
        Findings, Tree, View,
        deleted::Deleted,
        evidence::{self, Found, records},
        idmap::{DatabaseDir, IdMap},
        names,
    },
    vfs::FileType,
};

use super::{
    copied,
    rows::Around,
    schema::{Evidence, Hint, merge},
    segment::{self, Built, is_vector},
};

/// A manifest that was made from files.
pub struct Rebuilt {
    /// What it says.
    pub manifest: Manifest,
    /// What had to be assumed, and what was left out.
    pub assumed: Vec<String>,
    /// The writing segment, if there is none on disk and it is to be made.
    pub makes: Option<u32>,
}

/// Makes a manifest; `None` if neither files nor hints tell a single field.
pub fn rebuild(view: &View, tree: &Tree, hints: &[Hint], copies: &[Manifest]) -> Option<Rebuilt> {
    let mut segments: Vec<Found> =
        evidence::segment_ids(tree).into_iter().map(|id| evidence::look(view, tree, id)).collect();
    let highest = segments.iter().map(|found| found.id).max();
    let left_out = leave_out_copies(view, &mut segments);
    let fallback = view.root().file_name().and_then(|name| name.to_str()).unwrap_or("collection");
    let mut files = Vec::new();
    let mut manifest = Manifest {
        delete_snapshot_path_suffix: snapshot(view, tree, &mut files),
        id_map_path_suffix: id_map(view, tree, &mut files),
        ..Manifest::default()
    };
    let around = Around::of(view, &manifest);
    let overwritten = copied::forget(view, &mut segments, &around);
    let deleted = around.deleted.clone();
    let arounds: Vec<Around> = segments.iter().map(|found| around.beside(rows_beside(&segments, found.id))).collect();
    let evidence = Evidence::read(view, &segments, &arounds);
    let merged = merge(&evidence, hints, fallback);
    let mut assumed = merged.assumed;
    let schema = merged.schema;
    if schema.fields.is_empty() {
        return None;
    }
    if segments.iter().all(|found| found.logs.is_empty()) {
        assumed.push("there was no log: what was written since the last flush would be lost with it".to_owned());
    }
    let enable_mmap = enable_mmap(&segments).or(copies.first().map(|copy| copy.enable_mmap)).unwrap_or_else(|| {
        assumed.push("forward blocks in Arrow IPC files".to_owned());
        true
    });
    assumed.extend(files.into_iter().chain(left_out).chain(overwritten));
    (manifest.schema, manifest.enable_mmap) = (Some(schema.clone()), enable_mmap);

    let before = |id: u32| {
        let listed = copies.iter().flat_map(crate::inspect::segments_of);
        listed.into_iter().find(|segment| segment.id() == id).map(|segment| segment.meta.clone())
    };
    let mut built: BTreeMap<u32, Built> = segments
        .iter()
        .zip(&arounds)
        .map(|(found, around)| (found.id, segment::build(found, &schema, before(found.id).as_ref(), Some(around))))
        .collect();
    let needed = needed(&segments, &built, &deleted, &mut assumed);
    let writing = writing(&segments, &built, &needed);
    let mut rows = RoaringTreemap::new();
    let mut writing_meta = None;
    for found in &segments {
        let is_writing = writing == Some(found.id);
        if !is_writing && !needed.contains(&found.id) {
            continue;
        }
        let Some(Built { mut meta, ids, notes, gone }) = built.remove(&found.id) else { continue };
        assumed.extend(notes.into_iter().chain(gone).chain(unlogged(found, &meta)));
        rows |= ids;
        if is_writing {
            meta.writing_forward_block = Some(open_block(&schema, segment::writing_block(found, &meta), 0));
            writing_meta = Some(meta);
        } else {
            manifest.persisted_segment_metas.push(meta);
        }
    }
    assumed.extend(unaccounted(view, &manifest, &rows, &deleted));
    let log = segments.iter().find(|found| writing == Some(found.id)).and_then(Found::log);
    let next = next_id(view, &manifest, &rows, &deleted, log.is_some());
    let mut makes = None;
    let mut writing_meta = match writing_meta {
        Some(meta) => meta,
        None => {
            let id = highest.map_or(0, |id| id.saturating_add(1));
            makes = Some(id);
            let indexed_vector_fields = Vec::new();
            SegmentMeta {
                segment_id: id,
                writing_forward_block: Some(open_block(&schema, 0, 0)),
                indexed_vector_fields,
                ..SegmentMeta::default()
            }
        }
    };
    if let Some(block) = &mut writing_meta.writing_forward_block {
        block.min_doc_id = next;
    }
    manifest.next_segment_id = highest.max(Some(writing_meta.segment_id)).map_or(1, |id| id.saturating_add(1));
    manifest.writing_segment_meta = Some(writing_meta);
    // The rows of a block that is gone get the ids between those of its neighbours.
    sort_segments(&mut manifest);
    Some(Rebuilt { manifest, assumed, makes })
}

/// Ids between those of the rows that nothing knows. A sound id map would name their documents; without one they may have been deleted, and merged away.
fn unaccounted(view: &View, manifest: &Manifest, rows: &RoaringTreemap, deleted: &RoaringTreemap) -> Option<String> {
    let map = IdMap::load(view, manifest);
    let end = rows.max().filter(|_| !map.findings.is_empty())?;
    // Counted, not listed: a damaged id may be any number.
    let unknown = end.saturating_sub((rows | deleted).range_cardinality(..end));
    (unknown > 0).then(|| {
        format!(
            "{unknown} document id(s) below {end} are in no file: their documents were deleted and merged away, or a segment is gone; there is no id map \
             that could tell"
        )
    })
}

/// That a log is gone: there are vectors of a block that was never flushed.
fn unlogged(found: &Found, meta: &SegmentMeta) -> Option<String> {
    let listed = |kind: BlockType| meta.persisted_blocks.iter().filter(move |block| block.block_type == kind as i32);
    let flushed = listed(BlockType::Scalar).map(|block| block.block_id).max();
    let rows = row_count(meta);
    let open = found.vectors.iter().filter(|file| {
        let named = listed(BlockType::VectorIndex).any(|block| block.block_id == file.block);
        !file.quantised && !named && flushed.is_none_or(|flushed| flushed < file.block)
    });
    let grown = open.filter_map(|file| file.facts.as_ref()).filter(|facts| {
        // One with all rows of the segment was made for these.
        matches!(facts.kind, IndexKind::Flat | IndexKind::FlatSparse) && facts.rows > 0 && facts.rows != rows
    });
    let most = grown.map(|facts| facts.rows).max().filter(|_| found.logs.is_empty())?;
    Some(format!(
        "what was written into segment {} since the last flush is lost with its log, which is gone: its vector files have {most} documents of it, and \
         nothing tells which",
        found.id
    ))
}

/// The entry of a block that is to be filled.
pub fn open_block(schema: &CollectionSchema, id: u32, next: u64) -> BlockMeta {
    let scalars = schema.fields.iter().filter(|field| !is_vector(field)).map(|field| field.name.clone());
    let system = [DOC_ID_COLUMN.to_owned(), UID_COLUMN.to_owned()];
    BlockMeta {
        block_id: id,
        block_type: BlockType::Scalar as i32,
        min_doc_id: next,
        columns: system.into_iter().chain(scalars).collect(),
        ..BlockMeta::default()
    }
}

fn enable_mmap(segments: &[Found]) -> Option<bool> {
    let newest = segments.iter().flat_map(|found| &found.forwards);
    let (ipc, parquet) = newest.fold((0, 0), |(ipc, parquet), file| match file.ipc {
        true => (ipc + 1, parquet),
        false => (ipc, parquet + 1),
    });
    (ipc + parquet > 0).then_some(ipc >= parquet)
}

/// Numbers behind `prefix` in the collection's directory, highest first.
fn suffixes(tree: &Tree, prefix: &str, kind: FileType) -> Vec<u32> {
    let top = tree.entries.iter().filter(|entry| entry.file_type == kind && entry.path.iter().count() == 1);
    let mut found: Vec<u32> = top.filter_map(|entry| entry.path.to_str()?.strip_prefix(prefix)?.parse().ok()).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

/// The delete snapshot: the newest that is sound, else the newest.
pub fn snapshot(view: &View, tree: &Tree, assumed: &mut Vec<String>) -> u32 {
    let suffixes = suffixes(tree, "del.", FileType::File);
    let of =
        |suffix: u32| Deleted::load(view, &Manifest { delete_snapshot_path_suffix: suffix, ..Manifest::default() });
    let sound = suffixes.iter().copied().find(|suffix| of(*suffix).findings.is_empty());
    if sound != suffixes.first().copied() || suffixes.is_empty() {
        assumed.push(match sound {
            Some(suffix) => {
                format!("del.{suffix}: newer delete snapshots are damaged, documents deleted since may come back")
            }
            None => "no delete snapshot is sound: documents that were deleted may come back".to_owned(),
        });
    }
    sound.or(suffixes.first().copied()).unwrap_or(0)
}

/// The id map: the newest that is sound, else the newest.
pub fn id_map(view: &View, tree: &Tree, assumed: &mut Vec<String>) -> u32 {
    let suffixes = suffixes(tree, "idmap.", FileType::Dir);
    let sound = suffixes.iter().copied().find(|suffix| {
        Db::open(&DatabaseDir { view, path: &names::id_map_path(*suffix) }).is_ok_and(|db| db.faults().is_empty())
    });
    if suffixes.len() > 1 {
        assumed.push(format!("idmap.{}, one of {}", sound.or(suffixes.first().copied()).unwrap_or(0), suffixes.len()));
    }
    sound.or(suffixes.first().copied()).unwrap_or(0)
}

/// Ids of the rows of all segments but one.
fn rows_beside(segments: &[Found], id: u32) -> RoaringTreemap {
    let others = segments.iter().filter(|found| found.id != id);
    others.fold(RoaringTreemap::new(), |ids, found| ids | found.ids())
}

/// Takes out directories with a log that are copies of others: the records of their logs and all their rows stand there, too.
fn leave_out_copies(view: &View, segments: &mut Vec<Found>) -> Vec<String> {
    let mut notes = Vec::new();
    let logged = |found: &Found| found.log().is_some();
    while let Some(copy) = segments.iter().filter(|found| logged(found)).rev().find(|found| {
        let mut others = segments.iter().filter(|other| other.id < found.id && logged(other));
        others.any(|other| found.ids().is_subset(&other.ids()) && records::are_in(view, found, other))
    }) {
        let id = copy.id;
        notes.push(format!("segment {id} is left out: all its rows, and the records of its log, are in another one"));
        segments.retain(|found| found.id != id);
    }
    notes
}

/// The segments whose live documents are not all in others: a crash between a compaction and the removal of its input leaves both.
fn needed(
    segments: &[Found],
    built: &BTreeMap<u32, Built>,
    deleted: &RoaringTreemap,
    assumed: &mut Vec<String>,
) -> BTreeSet<u32> {
    let all: Vec<(u32, RoaringTreemap, bool)> = segments
        .iter()
        .filter_map(|found| {
            let entry = built.get(&found.id)?;
            let holds = !found.forwards.is_empty() || !entry.ids.is_empty();
            holds.then(|| (found.id, &(found.ids() | &entry.ids) - deleted, found.log().is_some()))
        })
        .collect();
    let mut kept: BTreeSet<u32> = all.iter().map(|(id, ..)| *id).collect();
    // A compaction's output has the higher number and fewer rows; its input is proven.
    for (id, live, has_log) in all.iter().rev() {
        let others = all.iter().filter(|(other, ..)| other != id && kept.contains(other));
        let elsewhere = others.fold(RoaringTreemap::new(), |ids, (_, more, _)| ids | more);
        if !has_log && !live.is_empty() && live.is_subset(&elsewhere) {
            kept.remove(id);
            assumed.push(format!("segment {id} is left out: all its documents are in other segments"));
        }
    }
    kept
}

/// The segment that is being written: the one with a log, else an empty one, else the one with the newest documents if it is open.
fn writing(segments: &[Found], built: &BTreeMap<u32, Built>, needed: &BTreeSet<u32>) -> Option<u32> {
    let ids = |found: &Found| built.get(&found.id).and_then(|entry| entry.ids.max());
    let logged = segments.iter().filter(|found| found.log().is_some()).map(|found| found.id).max();
    let begun = || {
        segments.iter().filter(|found| !found.logs.is_empty() && found.forwards.is_empty()).map(|found| found.id).max()
    };
    let empty = || {
        let highest = segments.iter().filter(|found| found.is_empty() && ids(found).is_none()).map(|found| found.id);
        highest.max()
    };
    let newest = || {
        let found = segments.iter().filter(|found| needed.contains(&found.id)).max_by_key(|found| ids(found))?;
        let flat = |kind| matches!(kind, IndexKind::Flat | IndexKind::FlatSparse);
        let built = found.vectors.iter().any(|file| file.facts.as_ref().is_some_and(|facts| !flat(facts.kind)));
        (found.sealed != Some(true) && !built).then_some(found.id)
    };
    logged.or_else(begun).or_else(empty).or_else(newest)
}

/// The id that the next document gets: above every one that a row, the delete snapshot or, where no log is to be replayed, the id map has.
fn next_id(view: &View, manifest: &Manifest, rows: &RoaringTreemap, deleted: &RoaringTreemap, log: bool) -> u64 {
    let mut highest = rows.max().max(deleted.max());
    if !log {
        let map = IdMap::load(view, manifest);
        let findings = Findings::default();
        highest = highest.max(map.entries(&findings).filter(|(.., certain)| *certain).map(|(_, id, _)| id).max());
    }
    highest.map_or(0, |id| id.saturating_add(1))
}
