//! The test of the test: an engine that leaves out a sync, or renames before it syncs, is found out.

use zvecctl::{
    engine::Sync,
    vfs::{FileId, Log, Operation},
};

use crate::{
    check::{Seen, check_positions},
    images::{self, Image},
    model::rich_schema,
    tell,
    workload::{ROOT, Run, little, record},
};

/// Syncs that nothing depends on, by path and why: leaving them out leaves every promise kept.
const REDUNDANT: [(&str, &str); 0] = [];

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
    let seen = Seen::default();
    let mut unnoticed = Vec::new();
    let mut syncs = 0;
    for (index, operation) in run.log.operations().iter().enumerate() {
        if !operation.is_sync() {
            continue;
        }
        syncs += 1;
        if !noticed(&run, &run.log.without(index), index, until(&run.log, index), &seen) {
            unnoticed.push(format!("{index}: {operation}"));
        }
    }
    tell(&format!("{syncs} syncs left out, {} not noticed: {unnoticed:#?}; {}", unnoticed.len(), seen.counts()));
    unnoticed.retain(|operation| !REDUNDANT.iter().any(|(path, _)| operation.contains(path)));
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

#[test]
fn renaming_before_syncing_is_noticed() {
    let schema = rich_schema(5);
    let steps = little(&schema);
    let run = record(schema, Sync::Batch, &steps);
    let seen = Seen::default();
    let mut renames = 0;
    for (index, operation) in run.log.operations().iter().enumerate() {
        let Operation::Rename { is_dir: false, to_path, .. } = operation else { continue };
        if !to_path.starts_with(ROOT) {
            // Of a collection that is not at its place yet.
            continue;
        }
        renames += 1;
        let mutant = run.log.rename_before_sync(index).unwrap();
        let first = (0..index).find(|at| mutant.operations()[*at] == *operation).unwrap();
        assert!(noticed(&run, &mutant, first, index + 2, &seen), "{operation}");
    }
    assert!(renames >= 4, "{renames}");
}
