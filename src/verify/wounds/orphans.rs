//! Segment directories that the manifest in force does not list. zvec deletes them at the next writable open: whether that costs
//! anything depends on what they hold.

use crate::{
    inspect::{
        Tree,
        deleted::Deleted,
        names::{self, NameKind},
        segments, wal,
    },
    report::{Finding, Loss},
    vfs::FileType,
};

use super::{super::context::Context, rows};

pub(super) fn check(context: &Context<'_>, tree: &Tree) {
    let view = context.view;
    let orphans = segments::orphans(view, tree);
    if orphans.is_empty() {
        return;
    }
    let mut known = rows::listed(context);
    let deleted = Deleted::load(view, context.manifest);
    known |= deleted.ids();
    for orphan in orphans {
        let dir = names::segment_dir(orphan.id);
        let (mut only_here, mut first, mut records) = (0u64, None, 0);
        for entry in tree.below(&dir).filter(|entry| entry.file_type == FileType::File) {
            if context.stopped() {
                return;
            }
            match names::classify(&entry.path).0 {
                NameKind::Forward => rows::in_file(view, &entry.path, &mut |id, key| {
                    if known.insert(id) {
                        only_here += 1;
                        first = first.take().or(key);
                    }
                }),
                NameKind::Wal => records += wal::describe(view, &entry.path, false).0.records,
                _ => {}
            }
        }
        if only_here == 0 && records == 0 {
            continue;
        }
        let mut held = Vec::new();
        if only_here > 0 {
            let key =
                first.map_or_else(String::new, |key| format!(" (the first is {})", String::from_utf8_lossy(&key)));
            held.push(format!("{only_here} documents that nothing else holds{key}"));
        }
        if records > 0 {
            held.push(format!("a write-ahead log with {records} records"));
        }
        let detail = format!(
            "the manifest does not list the segment, which holds {}; zvec 0.8.0 deletes it at the next writable open",
            held.join(" and ")
        );
        let finding = Finding::error("segment.orphan-documents", detail).at(&dir).segment(orphan.id);
        context.findings.add(finding.loses(Loss::Possible, Some(only_here.saturating_add(records))));
    }
}
