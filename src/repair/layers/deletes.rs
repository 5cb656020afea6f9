//! The delete snapshot, from what can still be read of it, from the rows, and from the id map.

use std::collections::HashMap;

use roaring::RoaringTreemap;

use crate::{
    engine::EngineError,
    inspect::{Findings, View, deleted::Deleted, documents::each_live_key, first_id, idmap::IdMap},
    report::{
        Firsts,
        repair::{Action, DoneAction},
    },
};

use super::{super::bench::Bench, NAMED, done, doubt, old_map};

/// Makes the snapshot anew. A row is deleted if the old snapshot says so, as far as it can be trusted; if another row with its key has a higher id; or,
/// where the old snapshot is damaged, if a sound id map has no document, or another one, under its key. A snapshot that is whole is not overruled
/// by the id map, which may be the one that has lost something: the step that makes that anew names what they do not agree on.
///
/// What cannot be known: a document that was deleted by filter keeps its key in the id map, so without a readable snapshot it comes back. Such
/// documents are counted in the report where the snapshot was unreadable.
pub fn rebuild(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let view = bench.view();
    let manifest = bench.manifest.clone();
    let end = first_id(&manifest);
    let old = Deleted::load(&view, &manifest);
    let whole = old.findings.is_empty();
    let mut ids = old.ids();
    ids.remove_range(end..);
    let kept = ids.len();
    let superseded = superseded(&view, &ids, end);
    ids |= &superseded;
    let before = ids.clone();
    let by_map = old_map::unmapped(&view, &ids);
    let mapped = by_map.as_ref().map_or(0, RoaringTreemap::len);
    if let Some(by_map) = by_map.as_ref().filter(|_| !whole) {
        ids |= by_map;
    }
    let written = bench.write_deleted(&ids)?;
    let detail = format!(
        "{} written with {} ids: {kept} from the old snapshot, {} replaced by a later row",
        written.display(),
        ids.len(),
        superseded.len()
    );
    let mut report = done(action, detail);
    if let Some(by_map) = by_map.as_ref().filter(|_| !whole) {
        let why = "it is taken for deleted because the id map does not have its key";
        let others = &before - by_map;
        each_live_key(&view, &manifest, &others, &Findings::default(), &mut |key, id| {
            if by_map.contains(id) {
                doubt(bench.list(), &report, (Some(&String::from_utf8_lossy(&key)), Some(id)), &[], why);
            }
        });
    }
    if whole && !superseded.is_empty() && !bench.adopted {
        report.doubtful.push(format!(
            "the snapshot lacks {} replaced rows: it is an older one, and documents that were deleted by filter since may have come back",
            superseded.len()
        ));
    }
    if !whole {
        let why = match by_map {
            Some(_) => "documents that were deleted by filter keep their keys in the id map",
            None => "the id map is damaged, too",
        };
        report
            .doubtful
            .push(format!("documents that were deleted may have come back: the snapshot is damaged, and {why}"));
        if mapped > 0 {
            report
                .doubtful
                .push(format!("{mapped} rows are taken for deleted because the id map does not have their keys"));
        }
        let marked = perhaps_live(bench, &report, &view, &old.ids());
        if marked.count > 0 {
            report.doubtful.push(format!(
                "{} document(s) stay deleted, as the damaged snapshot says, and have their keys in the id map: they were deleted by filter, \
                 or the damage marks them: {marked}",
                marked.count
            ));
        }
    }
    Ok(report)
}

/// Rows whose key has a row with a higher id. Holds a hash and an id for each live row.
fn superseded(view: &View, deleted: &RoaringTreemap, end: u64) -> RoaringTreemap {
    let mut older = RoaringTreemap::new();
    let Ok((_, manifest)) = view.manifest() else { return older };
    let mut latest: HashMap<u128, u64> = HashMap::new();
    each_live_key(view, manifest, deleted, &Findings::default(), &mut |key, id| {
        if id >= end {
            return;
        }
        let known = latest.entry(xxhash_rust::xxh3::xxh3_128(&key)).or_insert(id);
        if *known != id {
            older.insert((*known).min(id));
            *known = (*known).max(id);
        }
    });
    older
}

/// Documents that the snapshot marks and the id map leads to. Deletion by filter leaves such keys, too.
fn perhaps_live(bench: &Bench, report: &DoneAction, view: &View, marked: &RoaringTreemap) -> Firsts<NAMED> {
    let mut found = Firsts::default();
    let Ok((_, manifest)) = view.manifest() else { return found };
    let why = "it stays deleted, as the damaged snapshot says, and has its key in the id map: it was deleted by filter, or the damage marks it";
    let ignored = Findings::default();
    for (key, id, _) in IdMap::load(view, manifest).entries(&ignored) {
        if marked.contains(id) {
            let key = String::from_utf8_lossy(&key);
            doubt(bench.list(), report, (Some(&key), Some(id)), &[], why);
            found.add(|| key.into_owned());
        }
    }
    found
}
