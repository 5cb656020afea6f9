//! Keys of the id map whose document is deleted. `delete_by_filter` logs no key, so zvec marks the row and leaves its key in the map: an insert
//! with that key fails with "already exists", an upsert works.

use crate::{
    inspect::{Findings, deleted::Deleted, idmap::IdMap, wal},
    report::Finding,
};

use super::super::context::Context;

pub(super) fn check(context: &Context<'_>) {
    // A log may delete such keys yet, or give them new documents.
    if wal::active(context.view, context.manifest).is_some() {
        return;
    }
    let deleted = Deleted::load(context.view, context.manifest).ids();
    if deleted.is_empty() {
        return;
    }
    let map = IdMap::load(context.view, context.manifest);
    let ignored = Findings::default();
    let (mut count, mut first) = (0u64, None);
    for (key, id, certain) in map.entries(&ignored) {
        if context.stopped() {
            return;
        }
        if certain && deleted.contains(id) {
            count += 1;
            first.get_or_insert(key);
        }
    }
    let Some(first) = first else { return };
    let detail = format!(
        "{count} keys lead to deleted documents, the first is {}: a delete by filter leaves them. zvec refuses to insert these keys \
         (\"already exists\"); an upsert works",
        String::from_utf8_lossy(&first)
    );
    context.findings.add(Finding::info("idmap.stale-keys", detail).at(&map.path));
}
