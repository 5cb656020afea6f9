//! A crash at every position of a workload.

use zvecctl::engine::Sync;

use crate::{
    check::{Seen, check_positions},
    full, images,
    model::rich_schema,
    tell,
    workload::{Run, everything, little, record},
};

fn check_all(name: &str, run: &Run) {
    let positions: Vec<usize> = (0..=run.log.len()).collect();
    let seen = Seen::new(Some(if full() { 1 } else { 6 }));
    let mut failures = check_positions(run, &run.log, &positions, &seen, false, images::two);
    tell(&format!("{name}: {}", seen.counts()));
    let sampled: Vec<usize> = positions.into_iter().step_by(if full() { 1 } else { 7 }).collect();
    failures.extend(check_positions(run, &run.log, &sampled, &seen, false, images::units));
    tell(&format!("{name}, with single units of a power cut: {}", seen.counts()));
    let shown: Vec<&String> = failures.iter().take(20).collect();
    assert!(failures.is_empty(), "{} failures: {shown:#?}", failures.len());
}

#[test]
fn every_crash_leaves_all_that_was_acknowledged_and_a_collection_that_goes_on() {
    let schema = rich_schema(12);
    let steps = everything(&schema);
    check_all("sync batch", &record(schema, Sync::Batch, &steps));
}

#[test]
fn with_sync_at_flush_a_power_cut_leaves_all_that_was_flushed() {
    let schema = rich_schema(5);
    let steps = little(&schema);
    check_all("sync flush", &record(schema, Sync::Flush, &steps));
}
