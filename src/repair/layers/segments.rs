//! Whole segments: those whose directory is gone are given up, those that no manifest names are adopted or set aside.

use roaring::RoaringTreemap;

use crate::{
    engine::EngineError,
    format::{
        document::{self, Op},
        forward::{DOC_ID_COLUMN, UID_COLUMN, value_at},
        manifest::{self, Manifest, proto::SegmentMeta, row_count},
        value::Value,
        wal,
    },
    inspect::{
        Findings, Tree, View,
        documents::BlockReader,
        evidence::{Found, look, records, segment_ids},
        first_id,
        idmap::{IdMap, Mapped},
        names::{segment_dir, wal_path},
        segments_of,
    },
    report::repair::{Action, DoneAction, LostDocument},
};

use super::{
    super::bench::Bench,
    done, doubt, index, lose,
    manifest::{Around, Built, build, make_writing_segment, writing_block},
};

/// Puts one segment right.
pub fn mend(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let Some(id) = action.segment else { return Ok(done(action, "belongs to no segment")) };
    match bench.segment(id).cloned() {
        Some(meta) if action.findings.iter().any(|code| code == "segment.missing-directory") => {
            give_up(bench, action, &meta)
        }
        Some(_) => Ok(done(action, "listed and there: left as it is")),
        None => orphan(bench, action, id),
    }
}

/// Drops a segment whose directory is gone. Its documents are named by the id map.
fn give_up(bench: &mut Bench, action: &Action, meta: &SegmentMeta) -> Result<DoneAction, EngineError> {
    let id = meta.segment_id;
    let writing = bench.is_writing(id);
    let next = first_id(&bench.manifest);
    let mut rest = bench.manifest.clone();
    rest.persisted_segment_metas.retain(|segment| segment.segment_id != id);
    if writing {
        rest.writing_segment_meta = None;
    }
    let view = bench.view();
    let mut lost = RoaringTreemap::new();
    let mut widest = 0u64;
    for block in meta.persisted_blocks.iter().filter(|block| manifest::is_row_block(block)) {
        // A range that a damaged manifest blows up is not walked.
        let end = block.max_doc_id.min(block.min_doc_id.saturating_add(u64::from(u32::MAX)));
        lost.insert_range(block.min_doc_id..=end);
        widest = widest.saturating_add(u64::from(block.doc_count));
    }
    let dense = lost.len() == widest;
    lost -= &listed_ids(&view, &rest);
    lost -= &bench.deleted();
    let mut report = done(action, String::new());
    let map = IdMap::load(&view, &bench.manifest);
    let findings = Findings::default();
    let mut unnamed = lost.clone();
    for (key, doc_id, _) in map.entries(&findings) {
        if lost.contains(doc_id) && unnamed.remove(doc_id) {
            list(bench, &mut report, Some(&key), Some(doc_id), "its segment's directory is gone");
        }
    }
    let sound = map.findings.is_empty() && findings.list().is_empty();
    if !sound && dense {
        for doc_id in &unnamed {
            list(
                bench,
                &mut report,
                None,
                Some(doc_id),
                "its segment's directory is gone, and the id map does not name it",
            );
        }
    } else if !unnamed.is_empty() {
        let most = if dense { "" } else { "at most " };
        report.doubtful.push(format!(
            "{most}{} more rows of segment {id} were documents that the id map does not know",
            unnamed.len()
        ));
        // Of a range with holes in it nobody knows which ids were given out.
        for doc_id in unnamed.iter().filter(|_| dense) {
            doubt(
                bench.list(),
                &report,
                (None, Some(doc_id)),
                &[],
                "a row of a segment that is gone, which the id map does not know",
            );
        }
    }
    if writing {
        report.doubtful.push(format!(
            "segment {id} was the one that was written: documents that were not flushed yet are lost with its log, and nothing tells which"
        ));
        let on_disk = segment_ids(&Tree::walk(view.vfs().as_ref(), view.root()));
        let free = on_disk.last().map_or(0, |last| last.saturating_add(1)).max(bench.manifest.next_segment_id);
        bench.manifest.writing_segment_meta = None;
        make_writing_segment(bench, free, next)?;
        report.detail = format!("given up; segment {free} is written from now on");
    } else {
        report.detail = "given up".to_owned();
    }
    bench.manifest.persisted_segment_metas.retain(|segment| segment.segment_id != id);
    lost.iter().for_each(|doc_id| bench.tell_lost(doc_id));
    bench.change();
    Ok(report)
}

/// Adopts a segment that nothing lists if it holds documents that nothing else has and fits in; sets it aside otherwise.
fn orphan(bench: &mut Bench, action: &Action, id: u32) -> Result<DoneAction, EngineError> {
    let dir = segment_dir(id);
    if bench.fs().metadata(&bench.root().join(&dir)).is_err() {
        return Ok(done(action, "gone already"));
    }
    let view = bench.view();
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let found = look(&view, &tree, id);
    let listed = listed_ids(&view, &bench.manifest);
    let deleted = bench.deleted();
    let only_here = found.ids() - &listed - &deleted;
    let active = bench.manifest.writing_segment_meta.as_ref().map(|meta| look(&view, &tree, meta.segment_id));
    let logged = active.as_ref().map_or(found.log().is_none(), |active| records::are_in(&view, &found, active));
    if only_here.is_empty() && logged {
        bench.retire(dir);
        return Ok(done(action, "set aside: all its documents are in other segments, or deleted"));
    }
    let schema = bench.manifest.schema.clone().unwrap_or_default();
    let around = Around::of(&view, &bench.manifest).beside(listed.clone());
    let built = build(&found, &schema, None, Some(&around));
    let writing = adopts_log(&view, &tree, &bench.manifest, &found);
    match refused(bench, &view, &tree, &found, &built, &listed, writing) {
        None => adopt(bench, action, &view, &found, built, writing, &listed, &deleted),
        Some(why) => {
            let mut report = done(action, format!("set aside: {why}. The quarantine keeps it"));
            each_key(&view, &found, &mut |key, doc_id| {
                if only_here.contains(doc_id) {
                    list(
                        bench,
                        &mut report,
                        Some(&key),
                        Some(doc_id),
                        "its segment, which no manifest lists, cannot be adopted",
                    );
                }
            });
            each_record(&view, &found, &mut |key| {
                list(bench, &mut report, Some(&key), None, "in the log of a segment that cannot be adopted");
            });
            only_here.iter().for_each(|doc_id| bench.tell_lost(doc_id));
            bench.retire(dir);
            Ok(report)
        }
    }
}

/// Whether the orphan can become the writing segment: it has a log, and the listed writing segment has neither rows nor records.
fn adopts_log(view: &View, tree: &Tree, manifest: &Manifest, found: &Found) -> bool {
    let listed = manifest.writing_segment_meta.as_ref();
    found.log().is_some() && listed.is_none_or(|meta| look(view, tree, meta.segment_id).is_empty())
}

/// Why a segment cannot be adopted.
fn refused(
    bench: &Bench,
    view: &View,
    tree: &Tree,
    found: &Found,
    built: &Built,
    listed: &RoaringTreemap,
    writing: bool,
) -> Option<String> {
    if !built.ids.is_disjoint(listed) {
        return Some("some of its documents have ids that others have".to_owned());
    }
    if !built.notes.is_empty() {
        return Some(built.notes.join("; "));
    }
    if row_count(&built.meta) == 0 && !writing {
        return Some("it has a log and no rows, and another segment is written".to_owned());
    }
    let before = manifest::check(&bench.manifest);
    let mut draft = bench.manifest.clone();
    if writing {
        draft.writing_segment_meta = None;
    }
    draft.persisted_segment_metas.push(built.meta.clone());
    manifest::sort_segments(&mut draft);
    let violations = manifest::check(&draft);
    if let Some(violation) = violations.iter().find(|violation| violation.segment == Some(found.id)) {
        return Some(violation.detail.clone());
    }
    // zvec finds no document of a segment that stands before the one that is written and has higher ids, and none that is inserted later.
    if violations.iter().any(|found| found.code == "manifest.segment-order" && !before.contains(found)) {
        return Some("its documents come behind those of the segment that is written".to_owned());
    }
    let ahead = built.ids.max().is_some_and(|highest| highest >= first_id(&bench.manifest));
    let active = bench.manifest.writing_segment_meta.as_ref().map(|meta| look(view, tree, meta.segment_id));
    if ahead && !writing && active.is_some_and(|found| found.log().is_some()) {
        return Some("its documents have ids that the log will give to others".to_owned());
    }
    None
}

#[allow(clippy::too_many_arguments, reason = "what was found out before")]
fn adopt(
    bench: &mut Bench,
    action: &Action,
    view: &View,
    found: &Found,
    built: Built,
    writing: bool,
    listed: &RoaringTreemap,
    deleted: &RoaringTreemap,
) -> Result<DoneAction, EngineError> {
    let mut report = done(action, String::new());
    report.doubtful.extend(built.gone);
    let map = IdMap::load(view, &bench.manifest);
    let findings = Findings::default();
    let (mut live, mut superseded) = (0u64, RoaringTreemap::new());
    each_key(view, found, &mut |key, id| {
        if deleted.contains(id) {
            return;
        }
        match map.get(&key, &findings) {
            Mapped::To(other) if other > id && (listed.contains(other) || built.ids.contains(other)) => {
                superseded.insert(id);
            }
            Mapped::To(other) if other < id && (listed.contains(other) || built.ids.contains(other)) => {
                superseded.insert(other);
                live += 1;
            }
            _ => live += 1,
        }
    });
    let replaced = superseded.len();
    let next = built.ids.max().map_or(0, |id| id.saturating_add(1)).max(first_id(&bench.manifest));
    let mut meta = built.meta;
    if writing {
        let schema = bench.schema()?;
        let forward = super::manifest::open_block(&schema.to_proto(), writing_block(found, &meta), next);
        meta.writing_forward_block = Some(forward);
        if let Some(old) = bench.manifest.writing_segment_meta.take() {
            bench.retire(segment_dir(old.segment_id));
        }
        bench.manifest.writing_segment_meta = Some(meta);
        report.detail = format!("adopted as the writing segment, with its log and {live} documents in its blocks");
    } else {
        bench.manifest.persisted_segment_metas.push(meta);
        manifest::sort_segments(&mut bench.manifest);
        if let Some(block) =
            bench.manifest.writing_segment_meta.as_mut().and_then(|meta| meta.writing_forward_block.as_mut())
        {
            block.min_doc_id = next;
        }
        if !found.fts_indexes.is_empty() || !found.texts.is_empty() {
            index::full_text(bench, action)?;
        }
        report.detail = format!("adopted, with {live} documents");
        each_record(view, found, &mut |key| {
            list(bench, &mut report, Some(&key), None, "in the log of a segment beside the one that is written");
        });
    }
    if replaced > 0 {
        report.detail.push_str(&format!("; {replaced} rows were replaced by later ones"));
    }
    bench.manifest.next_segment_id = bench.manifest.next_segment_id.max(found.id.saturating_add(1));
    superseded.iter().for_each(|id| bench.give_up(id));
    bench.change();
    report.documents = Some(live);
    Ok(report)
}

/// Ids of all rows that a manifest lists, as far as they can be read.
fn listed_ids(view: &View, manifest: &Manifest) -> RoaringTreemap {
    let mut ids = RoaringTreemap::new();
    for segment in segments_of(manifest) {
        for path in segment.row_blocks().filter_map(|block| segment.block_path(block)) {
            let Some(reader) = BlockReader::open(view, &path, 0, &Findings::default()) else { continue };
            let Some(column) = reader.file().column_index(DOC_ID_COLUMN) else { continue };
            for batch in reader.file().batches(Some(&[column])) {
                let Ok(read) = batch.records.and_then(|records| reader.doc_ids(&records, 0)) else { continue };
                ids.extend(read.values().iter().copied());
            }
        }
    }
    ids
}

/// Key and id of every row of a directory's forward files.
fn each_key(view: &View, found: &Found, each: &mut dyn FnMut(Vec<u8>, u64)) {
    for file in found.forwards.iter().filter(|file| file.is_row_block() && file.has(UID_COLUMN)) {
        let Some(reader) = BlockReader::open(view, &file.path, 0, &Findings::default()) else { continue };
        let columns = reader.file().column_index(DOC_ID_COLUMN).zip(reader.file().column_index(UID_COLUMN));
        let Some((ids, keys)) = columns else { continue };
        for batch in reader.file().batches(Some(&[ids, keys])) {
            let Ok(records) = batch.records else { continue };
            let (Ok(ids), Some(keys)) = (reader.doc_ids(&records, 0), records.columns().get(1)) else { continue };
            for (row, id) in ids.values().iter().enumerate() {
                if let Ok(Value::Bytes(key)) = value_at(keys.as_ref(), row) {
                    each(key, *id);
                }
            }
        }
    }
}

/// Key of every record of a directory's log that adds a document.
fn each_record(view: &View, found: &Found, each: &mut dyn FnMut(Vec<u8>)) {
    let Some(block) = found.log() else { return };
    let Ok(source) = view.source(&wal_path(found.id, block)) else { return };
    let _ = wal::scan(&source, |record| {
        if let Ok(head) = document::decode_head(&record.payload, record.payload_offset())
            && !matches!(head.op, Op::Delete | Op::Unknown(_))
        {
            each(head.pk.to_vec());
        }
    });
}

fn list(bench: &Bench, report: &mut DoneAction, key: Option<&[u8]>, doc_id: Option<u64>, reason: &str) {
    let id = key.map(|key| String::from_utf8_lossy(key).into_owned());
    lose(bench.list(), report, LostDocument { id, doc_id, reason: reason.to_owned() }, &[]);
}
