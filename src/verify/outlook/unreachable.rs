//! Documents that zvec has and does not find by their key: a damaged block of the id map reads as "key absent".

use std::collections::BTreeSet;

use roaring::RoaringTreemap;

use crate::{
    format::manifest::Manifest,
    inspect::{Findings, View, idmap::IdMap, segments_of, wal::Overlay},
    report::{Finding, Severity, outlook::Ids},
};

use super::super::wounds::rows;

/// The keys. Nothing is compared where nothing is known against the id map: a check of level 2 has compared it with all rows.
pub fn keys(
    view: &View,
    manifest: &Manifest,
    id_map: &IdMap,
    snapshot: &RoaringTreemap,
    overlay: &Overlay,
    findings: &[Finding],
) -> Ids {
    if !findings.iter().any(|finding| finding.severity == Severity::Error && finding.is_about(&id_map.path)) {
        return Ids::default();
    }
    let ignored = Findings::default();
    let found: RoaringTreemap = id_map.entries(&ignored).map(|(_, id, _)| id).collect();
    let gone = |id: u64| !found.contains(id) && !snapshot.contains(id) && !overlay.deleted.contains(id);
    let mut keys = BTreeSet::new();
    for segment in segments_of(manifest) {
        for path in segment.row_blocks().filter_map(|block| segment.block_path(block)) {
            rows::in_file(view, &path, &mut |id, key| {
                if let Some(key) = key.filter(|_| gone(id)) {
                    keys.insert(key);
                }
            });
        }
    }
    Ids::of(keys.iter().map(Vec::as_slice))
}
