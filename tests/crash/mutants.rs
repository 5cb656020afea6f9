//! The test of the test: an engine that leaves out a sync, or renames before it syncs, is found out.

use std::collections::BTreeMap;

use zvecctl::{
    engine::Sync,
    vfs::{FileId, Log, Model, Operation, Vfs},
};

use crate::{
    check::{Seen, check_positions},
    images::{self, Image},
    model::rich_schema,
    tell,
    workload::{ROOT, Run, little, record},
};

/// Why nothing can depend on a sync, if nothing can.
fn needless(log: &Log, index: usize) -> Option<&'static str> {
    let operations = log.operations();
    if log.pending(index) == log.pending(index + 1) {
        return Some("it makes nothing durable that was not");
    }
    let before = log.image(index, Model::Applied);
    let promises = |operation: &Operation| match operation {
        // Of a database that is being made: nothing names it yet.
        Operation::Rename { to_path, .. } if to_path.ends_with("CURRENT") => before.metadata(to_path).is_ok(),
        Operation::Mark(_) | Operation::Rename { .. } => true,
        Operation::RemoveFile { .. } | Operation::RemoveDir { .. } => true,
        _ => false,
    };
    let again = !operations[index + 1..until(log, index)].iter().any(promises);
    again.then_some("the same is synced again before anything is named, removed or promised")
}

fn images(log: &Log, position: usize) -> Vec<Image> {
    let mut all = images::two(log, position);
    all.extend(images::units(log, position));
    all
}

/// Where the target of a sync is synced next, or the end.
fn until(log: &Log, index: usize) -> usize {
    let target = |operation: &Operation| match operation {
        Operation::Sync { file: FileId { inode, .. } } | Operation::SyncDir { dir: FileId { inode, .. } } => {
            Some(*inode)
        }
        _ => None,
    };
    let operations = log.operations();
    let synced = target(&operations[index]);
    let next = (index + 1..operations.len()).find(|later| target(&operations[*later]) == synced);
    // Positions of the log without it are one lower.
    next.unwrap_or(operations.len() - 1)
}

fn noticed(run: &Run, mutant: &Log, from: usize, to: usize, seen: &Seen) -> bool {
    let positions: Vec<usize> = (from..=to).collect();
    !check_positions(run, mutant, &positions, seen, true, images).is_empty()
}

#[test]
fn leaving_out_any_sync_is_noticed() {
    let schema = rich_schema(5);
    let steps = little(&schema);
    let run = record(schema, Sync::Batch, &steps);
    let (seen, seen_deeper) = (Seen::new(None), Seen::new(Some(1)));
    let mut unnoticed = Vec::new();
    let (mut syncs, mut none_needs) = (0, BTreeMap::new());
    for (index, operation) in run.log.operations().iter().enumerate() {
        if !operation.is_sync() {
            continue;
        }
        syncs += 1;
        if let Some(why) = needless(&run.log, index) {
            *none_needs.entry(why).or_insert(0) += 1;
            continue;
        }
        let (mutant, to) = (run.log.without(index), until(&run.log, index));
        if !noticed(&run, &mutant, index, to, &seen) && !noticed(&run, &mutant, index, to, &seen_deeper) {
            unnoticed.push(format!("{index}: {operation}"));
        }
    }
    tell(&format!(
        "{syncs} syncs, {} left out and not noticed; {}; needless, not tried: {none_needs:#?}",
        unnoticed.len(),
        seen.counts()
    ));
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

#[test]
fn renaming_before_syncing_is_noticed() {
    let schema = rich_schema(5);
    let steps = little(&schema);
    let run = record(schema, Sync::Batch, &steps);
    let seen = Seen::new(None);
    let mut renames = 0;
    for (index, operation) in run.log.operations().iter().enumerate() {
        let Operation::Rename { is_dir: false, to_path, .. } = operation else { continue };
        if !to_path.starts_with(ROOT) || to_path.ends_with("CURRENT") {
            // Of a collection that is not at its place yet, or of a database that nothing names yet.
            continue;
        }
        renames += 1;
        let mutant = run.log.rename_before_sync(index).unwrap();
        let first = (0..index).find(|at| mutant.operations()[*at] == *operation).unwrap();
        assert!(noticed(&run, &mutant, first, index + 2, &seen), "{operation}");
    }
    assert!(renames >= 4, "{renames}");
}
