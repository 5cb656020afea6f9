//! A manifest in force that breaks its rules, or that the files contradict: put right as far as the files tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    format::manifest::{
        self, Manifest, is_row_block,
        proto::{BlockMeta, BlockType, CollectionSchema, SegmentMeta},
    },
    inspect::{
        Tree, View,
        evidence::{self, Found, twins},
        names::{block_path, delete_snapshot_path, id_map_path, segment_dir, wal_path},
        segments_of, wal,
    },
};

use super::{
    rebuild::{self, open_block},
    schema::{self, Evidence},
    segment, texts,
};

/// A manifest that was put right, and how.
pub struct Mended {
    /// What it says now.
    pub manifest: Manifest,
    /// What was changed.
    pub notes: Vec<String>,
    /// What of it is a conclusion and no certainty.
    pub assumed: Vec<String>,
}

/// Puts a manifest right; `None` if there is nothing to put right, or nothing tells how.
pub fn mend(view: &View, tree: &Tree, before: &Manifest) -> Option<Mended> {
    let mut new = before.clone();
    let (mut notes, mut assumed) = (Vec::new(), Vec::new());
    let on_disk = evidence::segment_ids(tree);
    enable_mmap(tree, &mut new, &mut notes);
    segment_ids(tree, &on_disk, &mut new, &mut notes);
    suffixes(view, tree, &mut new, &mut notes);
    writing_blocks(view, tree, &mut new, &mut notes);
    stale_blocks(tree, &mut new, &mut notes);
    let listed: BTreeSet<u32> = segments_of(&new).iter().map(|segment| segment.id()).collect();
    let segments: Vec<Found> =
        on_disk.iter().filter(|id| listed.contains(id)).map(|id| evidence::look(view, tree, *id)).collect();
    if let Some(written) = &new.schema {
        let evidence = Evidence::of(&segments).with_logged(view, &segments, written);
        let (mut corrected, changes) = schema::correct(&evidence, &segments, written);
        if changes.is_empty() {
            twice(&mut corrected, &mut notes);
        }
        notes.extend(changes);
        texts::mend(view, &segments, &mut corrected, &mut notes, &mut assumed);
        new.schema = Some(corrected);
    }
    blocks(view, &segments, &mut new, &mut notes);
    order(&mut new, &on_disk, &mut notes);
    (new != *before && !notes.is_empty()).then_some(Mended { manifest: new, notes, assumed })
}

fn segments_mut(manifest: &mut Manifest) -> impl Iterator<Item = &mut SegmentMeta> {
    manifest.persisted_segment_metas.iter_mut().chain(&mut manifest.writing_segment_meta)
}

/// Whether forward blocks are called otherwise than the manifest says.
fn enable_mmap(tree: &Tree, new: &mut Manifest, notes: &mut Vec<String>) {
    let stands = |manifest: &Manifest| {
        let blocks = segments_of(manifest).into_iter().flat_map(|segment| {
            let forward =
                segment.meta.persisted_blocks.iter().filter(|block| block.block_type == BlockType::Scalar as i32);
            forward.filter_map(move |block| segment.block_path(block))
        });
        blocks.filter(|path| tree.get(path).is_some()).count()
    };
    let other = Manifest { enable_mmap: !new.enable_mmap, ..new.clone() };
    if stands(new) == 0 && stands(&other) > 0 {
        notes.push(format!("enable_mmap is {}, by the names of the forward blocks", other.enable_mmap));
        *new = other;
    }
}

/// Whether every block of a segment stands in the directory `id`.
fn fits(tree: &Tree, meta: &SegmentMeta, id: u32, enable_mmap: bool) -> bool {
    let mut paths = meta.persisted_blocks.iter().map(|block| block_path(id, block, enable_mmap));
    !meta.persisted_blocks.is_empty() && paths.all(|path| path.is_some_and(|path| tree.get(&path).is_some()))
}

/// Numbers of segments that lead nowhere, while a directory that nothing lists holds just their files; segments that are listed twice.
fn segment_ids(tree: &Tree, on_disk: &[u32], new: &mut Manifest, notes: &mut Vec<String>) {
    let listed: Vec<u32> = segments_of(new).iter().map(|segment| segment.id()).collect();
    let mut free: BTreeSet<u32> = on_disk.iter().copied().filter(|id| !listed.contains(id)).collect();
    let enable_mmap = new.enable_mmap;
    let mut seen = BTreeSet::new();
    for meta in segments_mut(new) {
        let id = meta.segment_id;
        let again = listed.iter().filter(|other| **other == id).count() > 1;
        if (on_disk.contains(&id) && !again) || (again && fits(tree, meta, id, enable_mmap) && seen.insert(id)) {
            continue;
        }
        let one_bit = |other: &u32| (other ^ id).count_ones() == 1;
        let found = free.iter().copied().find(|other| one_bit(other) && fits(tree, meta, *other, enable_mmap));
        if let Some(found) = found {
            notes.push(format!("segment {found}, which the manifest calls {id}"));
            free.remove(&found);
            meta.segment_id = found;
        }
    }
    // What is still there twice, with the same files, is there once.
    let mut taken: BTreeSet<u32> = new.writing_segment_meta.iter().map(|meta| meta.segment_id).collect();
    let count = new.persisted_segment_metas.len();
    new.persisted_segment_metas.retain(|meta| taken.insert(meta.segment_id));
    if new.persisted_segment_metas.len() < count {
        notes.push("each segment is listed once".to_owned());
    }
}

/// Numbers of delete snapshot and id map that lead nowhere, while another stands there.
fn suffixes(view: &View, tree: &Tree, new: &mut Manifest, notes: &mut Vec<String>) {
    let top = |prefix: &str| {
        tree.entries
            .iter()
            .filter_map(|entry| entry.path.to_str())
            .any(|path| path.strip_prefix(prefix).is_some_and(|number| number.parse::<u32>().is_ok()))
    };
    if tree.get(&delete_snapshot_path(new.delete_snapshot_path_suffix)).is_none() && top("del.") {
        new.delete_snapshot_path_suffix = rebuild::snapshot(view, tree, notes);
        notes.push(format!("del.{}, the newest delete snapshot that is there", new.delete_snapshot_path_suffix));
    }
    if tree.get(&id_map_path(new.id_map_path_suffix)).is_none() && top("idmap.") {
        new.id_map_path_suffix = rebuild::id_map(view, tree, notes);
        notes.push(format!("idmap.{}, the id map that is there", new.id_map_path_suffix));
    }
}

/// Only the writing segment has a writing block, and it is a forward block.
fn writing_blocks(view: &View, tree: &Tree, new: &mut Manifest, notes: &mut Vec<String>) {
    for meta in &mut new.persisted_segment_metas {
        if meta.writing_forward_block.take_if(|block| !manifest::is_idle(block)).is_some() {
            notes.push(format!("segment {} is persisted and has no writing block", meta.segment_id));
        }
    }
    let schema = new.schema.clone().unwrap_or_default();
    let ends = segments_of(new).into_iter().flat_map(|segment| segment.row_blocks().map(|block| block.max_doc_id));
    let next = ends.max().map_or(0, |id| id.saturating_add(1));
    let enable_mmap = new.enable_mmap;
    let Some(meta) = &mut new.writing_segment_meta else { return };
    let (id, dir) = (meta.segment_id, segment_dir(meta.segment_id));
    let stands = |path: PathBuf| tree.get(&path).is_some_and(|entry| entry.len > 0);
    let on_disk = tree
        .below(&dir)
        .filter_map(|entry| entry.path.file_name()?.to_str()?.strip_suffix(".wal")?.parse::<u32>().ok());
    let log = on_disk.filter(|log| wal::describe(view, &wal_path(id, *log), false).0.records > 0).max();
    if meta.writing_forward_block.is_none() {
        // It may have been taken for a persisted one: it has no rows and no file.
        let empty = |block: &BlockMeta| {
            let file = block_path(id, block, enable_mmap);
            is_row_block(block) && block.doc_count == 0 && !file.is_some_and(stands)
        };
        if let Some(at) = meta.persisted_blocks.iter().position(empty) {
            let block = meta.persisted_blocks.remove(at);
            notes.push(format!("block {} of segment {id} is the one that is written", block.block_id));
            meta.writing_forward_block = Some(block);
        }
    }
    match &mut meta.writing_forward_block {
        None => {
            let above = meta.persisted_blocks.iter().map(|block| block.block_id).max();
            let block = log.unwrap_or_else(|| above.map_or(0, |id| id.saturating_add(1)));
            meta.writing_forward_block = Some(open_block(&schema, block, next));
            notes.push(format!("the writing block of segment {id}: {block}, the next document is {next}"));
        }
        Some(block) => {
            if block.block_type != BlockType::Scalar as i32 {
                block.block_type = BlockType::Scalar as i32;
                notes.push("the writing block is a forward block".to_owned());
            }
            // A log whose block is not listed is the one that is to be replayed.
            let listed =
                |log: &u32| meta.persisted_blocks.iter().any(|known| is_row_block(known) && known.block_id == *log);
            let wrong = log.filter(|log| *log != block.block_id && !listed(log));
            if let Some(log) = wrong.filter(|_| !stands(wal_path(id, block.block_id))) {
                notes.push(format!("the writing block is {log}, whose log is there, not {}", block.block_id));
                block.block_id = log;
            }
        }
    }
}

/// Vector blocks whose file is gone, where others of the column hold all rows: what `drop_index` of a quantised column leaves.
fn stale_blocks(tree: &Tree, new: &mut Manifest, notes: &mut Vec<String>) {
    let enable_mmap = new.enable_mmap;
    for meta in segments_mut(new) {
        let rows = manifest::row_count(meta);
        let id = meta.segment_id;
        let mut counts: BTreeMap<(i32, String), u64> = BTreeMap::new();
        let vector = |block: &BlockMeta| {
            [BlockType::VectorIndex as i32, BlockType::VectorIndexQuantize as i32].contains(&block.block_type)
        };
        let stands =
            |block: &BlockMeta| block_path(id, block, enable_mmap).is_some_and(|path| tree.get(&path).is_some());
        let key = |block: &BlockMeta| (block.block_type, block.columns.first().cloned().unwrap_or_default());
        for block in meta.persisted_blocks.iter().filter(|block| vector(block) && stands(block)) {
            *counts.entry(key(block)).or_default() += u64::from(block.doc_count);
        }
        meta.persisted_blocks.retain(|block| {
            let stale = vector(block) && !stands(block) && counts.get(&key(block)) == Some(&rows);
            if stale {
                let name = block.columns.first().map_or("", String::as_str);
                notes.push(format!("block {} of segment {id} was dropped: others hold all of {name}", block.block_id));
            }
            !stale
        });
    }
}

/// A field that is listed twice, word for word, is listed once.
fn twice(schema: &mut CollectionSchema, notes: &mut Vec<String>) {
    let mut seen = Vec::new();
    let count = schema.fields.len();
    schema.fields.retain(|field| {
        let again = seen.contains(field);
        seen.push(field.clone());
        !again
    });
    if schema.fields.len() < count {
        notes.push("each field is listed once".to_owned());
    }
}

/// Segments whose blocks are not what their files say: built anew from the files, where these are sound.
fn blocks(view: &View, segments: &[Found], new: &mut Manifest, notes: &mut Vec<String>) {
    let Some(schema) = new.schema.clone() else { return };
    // A file that holds the rows of another block says nothing of its own.
    let overwritten = twins::overwritten(view, new);
    let broken: BTreeSet<u32> = manifest::check(new).into_iter().filter_map(|violation| violation.segment).collect();
    let enable_mmap = new.enable_mmap;
    for meta in segments_mut(new) {
        let Some(found) = segments.iter().find(|found| found.id == meta.segment_id) else { continue };
        if found.forwards.iter().any(|file| !file.sound || file.ipc != enable_mmap)
            || overwritten.iter().any(|block| block.segment == meta.segment_id)
        {
            continue;
        }
        if !broken.contains(&meta.segment_id) && !contradicted(found, meta) {
            continue;
        }
        let mut built = segment::build(found, &schema, Some(meta), None).meta;
        if manifest::row_count(&built) == 0 && manifest::row_count(meta) > 0 {
            continue;
        }
        keep_indexes(meta, &mut built);
        built.writing_forward_block = meta.writing_forward_block.clone();
        let used: BTreeSet<u32> = built.persisted_blocks.iter().map(|block| block.block_id).collect();
        if let Some(block) = &mut built.writing_forward_block {
            if used.contains(&block.block_id) {
                block.block_id = segment::writing_block(
                    found,
                    &SegmentMeta { persisted_blocks: built.persisted_blocks.clone(), ..SegmentMeta::default() },
                );
            }
            block.columns = open_block(&schema, 0, 0).columns;
        }
        if built != *meta {
            notes.push(format!("the blocks of segment {} as its files have them", meta.segment_id));
            *meta = built;
        }
    }
    // No document may get an id that one has. Rows of a block whose log is there do not count: they get theirs when it is replayed.
    let rows = segments.iter().flat_map(|found| {
        let log = found.log();
        found
            .forwards
            .iter()
            .filter(move |file| log.is_none_or(|log| file.block < log))
            .filter_map(|file| file.ids.max())
    });
    let end = rows.max().map_or(0, |id| id.saturating_add(1));
    let writing = new.writing_segment_meta.as_mut();
    if let Some(block) = writing.and_then(|meta| meta.writing_forward_block.as_mut())
        && block.min_doc_id < end
    {
        notes.push(format!("the next document is {end}, not {}", block.min_doc_id));
        block.min_doc_id = end;
    }
}

/// Scalar and full-text indexes stay as they are listed: one that is missing is made anew from the rows, and is better than one that nobody knows.
fn keep_indexes(meta: &SegmentMeta, built: &mut SegmentMeta) {
    for kind in [BlockType::ScalarIndex, BlockType::FtsIndex] {
        let of_kind = |block: &&BlockMeta| block.block_type == kind as i32;
        let Some(listed) = meta.persisted_blocks.iter().find(of_kind) else { continue };
        built.persisted_blocks.retain(|block| block.block_type != kind as i32);
        built.persisted_blocks.insert(0, listed.clone());
    }
}

/// Whether the files of a segment are others than its blocks: rows that are counted otherwise, or a file that is missing while one that nothing names
/// could be it.
fn contradicted(found: &Found, meta: &SegmentMeta) -> bool {
    let listed = |kind: BlockType| meta.persisted_blocks.iter().filter(move |block| block.block_type == kind as i32);
    let log = found.log();
    let counted = |block: &BlockMeta| {
        let file = found.forwards.iter().find(|file| file.block == block.block_id);
        file.is_some_and(|file| file.rows.is_some_and(|rows| rows != u64::from(block.doc_count)))
    };
    let lost = |kind: BlockType, there: &dyn Fn(u32) -> bool| listed(kind).any(|block| !there(block.block_id));
    let spare = |kind: BlockType, mut ids: &mut dyn Iterator<Item = u32>| {
        Iterator::any(&mut ids, |id| log.is_none_or(|log| id < log) && listed(kind).all(|block| block.block_id != id))
    };
    let forward = |id: u32| found.forwards.iter().any(|file| file.block == id);
    let vector = |quantised: bool| {
        move |id: u32| found.vectors.iter().any(|file| file.block == id && file.quantised == quantised)
    };
    let vectors =
        |quantised: bool| found.vectors.iter().filter(move |file| file.quantised == quantised).map(|file| file.block);
    listed(BlockType::Scalar).any(counted)
        || (lost(BlockType::Scalar, &forward)
            && spare(BlockType::Scalar, &mut found.forwards.iter().map(|file| file.block)))
        || (lost(BlockType::VectorIndex, &vector(false)) && spare(BlockType::VectorIndex, &mut vectors(false)))
        || (lost(BlockType::VectorIndexQuantize, &vector(true))
            && spare(BlockType::VectorIndexQuantize, &mut vectors(true)))
}

/// Segments stand in the order of their documents, and the next one's number is above all.
fn order(new: &mut Manifest, on_disk: &[u32], notes: &mut Vec<String>) {
    let ids = |new: &Manifest| new.persisted_segment_metas.iter().map(|meta| meta.segment_id).collect::<Vec<_>>();
    let before = ids(new);
    manifest::sort_segments(new);
    if ids(new) != before {
        notes.push("segments in the order of their documents".to_owned());
    }
    let highest = segments_of(new).iter().map(|segment| segment.id()).max();
    if highest.is_some_and(|highest| new.next_segment_id <= highest) {
        let next = highest.max(on_disk.last().copied()).map_or(1, |id| id.saturating_add(1));
        notes.push(format!("the next segment is {next}"));
        new.next_segment_id = next;
    }
}
