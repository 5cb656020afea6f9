//! The test of the test: an engine that leaves out a sync, or renames before it syncs, is found out.

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

/// Whether nothing can depend on a sync: it makes nothing durable that was not; or it is the first of a database that is being made, whose directory is
/// synced again before anything names it. (In one that exists the name of a MANIFEST must be durable before CURRENT holds it.)
fn redundant(log: &Log, index: usize) -> bool {
    let Operation::SyncDir { dir } = &log.operations()[index] else { return false };
    let nothing = log.pending(index) == log.pending(index + 1);
    let is_database = dir.path.to_string_lossy().ends_with(".rocksdb") || dir.path.ends_with("idmap.0");
    let begun = log.image(index, Model::Applied).metadata(&dir.path.join("CURRENT")).is_err();
    nothing || (is_database && begun)
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
    let seen = Seen::default();
    let mut unnoticed = Vec::new();
    let (mut syncs, mut needless) = (0, 0);
    for (index, operation) in run.log.operations().iter().enumerate() {
        if !operation.is_sync() {
            continue;
        }
        syncs += 1;
        if redundant(&run.log, index) {
            needless += 1;
            continue;
        }
        if !noticed(&run, &run.log.without(index), index, until(&run.log, index), &seen) {
            unnoticed.push(format!("{index}: {operation}"));
        }
    }
    tell(&format!(
        "{syncs} syncs left out, {needless} of them needless, {} not noticed; {}",
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
    let seen = Seen::default();
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
