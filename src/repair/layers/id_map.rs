//! The id map, from the rows that live.

use std::cmp::Ordering;

use roaring::RoaringTreemap;

use crate::{
    engine::{EngineError, parts::IdMap},
    format::manifest::Manifest,
    inspect::{Findings, documents::each_live_key, idmap::IdMap as Map, names::id_map_path, wal::Overlay},
    report::repair::{Action, DoneAction, LostDocument},
};

use super::{
    super::bench::{Bench, MOST_UNWRITTEN},
    done, doubt, lose,
    old_map::{Contradictions, OldMap},
};

/// Builds the id map anew in a directory of its own. The delete snapshot is mended before, so that no key has two live rows.
pub fn rebuild(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let before = bench.manifest.clone();
    let old = id_map_path(before.id_map_path_suffix);
    let suffix = bench.free_suffix("idmap.", bench.manifest.id_map_path_suffix)?;
    let path = bench.root().join(id_map_path(suffix));
    let mut map = IdMap::create(bench.files(), path)?;
    let view = bench.view();
    let deleted = bench.deleted();
    let findings = Findings::default();
    // One that this repair has made says nothing that the rows did not.
    let old_map = if bench.found_id_map { OldMap::load(&view, &deleted) } else { None };
    let mut contradictions = Contradictions::default();
    let mut report = done(action, "");
    let (mut keys, mut live) = (0u64, RoaringTreemap::new());
    let mut result = Ok(());
    each_live_key(&view, &bench.manifest, &deleted, &findings, &mut |key, id| {
        if result.is_err() {
            return;
        }
        let against = old_map.as_ref().and_then(|old| old.against(&key, id, &findings));
        if let Some(why) = contradictions.add(against, &key, id) {
            doubt(bench.list(), &report, (Some(&String::from_utf8_lossy(&key)), Some(id)), &[], why);
        }
        result = map.put(&key, id).and_then(|()| {
            keys += 1;
            live.insert(id);
            if map.memory_size() >= MOST_UNWRITTEN { map.flush() } else { Ok(()) }
        });
    });
    result?;
    map.flush()?;
    bench.manifest.id_map_path_suffix = suffix;
    bench.retire(old);
    report.detail = format!("built anew from {keys} live rows as idmap.{suffix}");
    report.documents = Some(keys);
    report.doubtful = old_map.map_or_else(Vec::new, |old| contradictions.doubts(&old));
    name_the_lost(bench, &before, &live, &mut report);
    Ok(report)
}

/// The old map may be the only one that still knows a document. Each of its keys has a live row, or was deleted, or is in the log, or has been told lost;
/// what is left is lost, and is told here.
fn name_the_lost(bench: &Bench, before: &Manifest, live: &RoaringTreemap, report: &mut DoneAction) {
    let view = bench.view();
    let (old, new) = (Map::load(&view, before), Map::load(&view, &bench.manifest));
    let (ignored, snapshot) = (Findings::default(), bench.deleted());
    let explained = &snapshot | &bench.told_lost();
    let mut log: Option<Overlay> = None;
    // Both are in the order of the keys.
    let mut kept = new.entries(&ignored).map(|(key, ..)| key).peekable();
    for (key, id, certain) in old.entries(&ignored) {
        let mut order = Ordering::Less;
        while let Some(other) = kept.peek() {
            order = other.cmp(&key);
            if order != Ordering::Less {
                break;
            }
            kept.next();
        }
        if order == Ordering::Equal || !certain || explained.contains(id) {
            continue;
        }
        let log = log.get_or_insert_with(|| Overlay::load(&view, before, &old, &snapshot, &ignored));
        if log.latest(&key).is_some() {
            continue;
        }
        let name = String::from_utf8_lossy(&key).into_owned();
        if live.contains(id) {
            // The sentence about it names the row's key.
            doubt(
                bench.list(),
                report,
                (Some(&name), Some(id)),
                &[],
                "its row has another key, which counts from now on",
            );
            continue;
        }
        let reason = "the id map knew it, and neither a row nor the log has it".to_owned();
        lose(bench.list(), report, LostDocument { id: Some(name), doc_id: Some(id), reason }, &[]);
    }
}
