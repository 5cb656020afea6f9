//! The id map, from the rows that live.

use crate::{
    engine::{EngineError, parts::IdMap},
    inspect::{Findings, documents::each_live_key, names::id_map_path},
    report::repair::{Action, DoneAction},
};

use super::{
    super::bench::{Bench, MOST_UNWRITTEN},
    done, doubt,
    old_map::{Contradictions, OldMap},
};

/// Builds the id map anew in a directory of its own. The delete snapshot is mended before, so that no key has two live rows.
pub fn rebuild(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let old = id_map_path(bench.manifest.id_map_path_suffix);
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
    let mut keys = 0u64;
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
    Ok(report)
}
