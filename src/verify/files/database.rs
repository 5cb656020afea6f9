//! A RocksDB directory: CURRENT, MANIFEST, logs, and every block of every table, filters included.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use rayon::prelude::*;

use crate::{
    format::rocks::{Db, Fault, LiveTable, TableFault},
    inspect::{
        Tree,
        findings::{from_format, in_directory},
        idmap::{DatabaseDir, fault_finding},
    },
    report::Finding,
};

use super::super::{
    context::{Context, Level},
    jobs::{Job, of_job},
};

/// Bytes of a table that one thread takes.
const PART: u64 = 8 << 20;

pub(in crate::verify) fn check(context: &Context<'_>, tree: &Tree, job: &Job) {
    let db = match Db::open(&DatabaseDir { view: context.view, path: &job.path }) {
        Ok(db) => db,
        Err(error) => {
            let mut finding = from_format(&job.path, &error);
            finding.detail.push_str("; zvec 0.8.0 cannot open the collection");
            return add(context, job, finding);
        }
    };
    for fault in db.faults() {
        add(context, job, fault_finding(&job.path, fault));
    }
    let tables: Vec<&LiveTable> =
        db.column_families().iter().flat_map(|family| family.tables()).map(AsRef::as_ref).collect();
    let bytes_of_tables: u64 = tables.iter().map(|live| size(tree, &job.path, &live.name)).sum();
    context.count(job.bytes.saturating_sub(bytes_of_tables));
    tables.par_iter().for_each(|live| {
        if !context.stopped() {
            table(context, tree, job, live);
        }
    });
    for name in db.unreferenced_tables() {
        let detail = "a table that the MANIFEST does not name; RocksDB removes it at the next open";
        context
            .findings
            .add(of_job(job, Finding::info("rocks.stray-table", detail).at(&in_directory(&job.path, name))));
    }
}

fn table(context: &Context<'_>, tree: &Tree, job: &Job, live: &LiveTable) {
    let size = size(tree, &job.path, &live.name);
    let counted = AtomicU64::new(0);
    let faults = if context.wants(Level::Structures) {
        // Every entry is decoded: counts, order and bounds against properties and MANIFEST.
        live.check().faults
    } else {
        let read = |bytes: u64| {
            let before = counted.fetch_add(bytes, Ordering::Relaxed);
            context.count(bytes.min(size.saturating_sub(before)));
            !context.stopped()
        };
        let blocks = live.table.blocks_to_check();
        let parts = usize::try_from(size / PART).unwrap_or(usize::MAX).max(1);
        let parts = blocks.par_chunks(blocks.len().div_ceil(parts).max(1));
        parts.flat_map_iter(|part| live.table.check_checksums(part, read)).collect()
    };
    context.count(size.saturating_sub(counted.load(Ordering::Relaxed)));
    for TableFault { error, keys } in faults {
        let file = live.name.clone();
        add(context, job, fault_finding(&job.path, &Fault { file, error, column_family: None, keys }));
    }
}

/// What indexes and the id map hold can be made again from the rows: nothing is lost with them, but zvec answers wrongly.
fn add(context: &Context<'_>, job: &Job, finding: Finding) {
    context.findings.add(of_job(job, finding));
}

fn size(tree: &Tree, dir: &Path, name: &str) -> u64 {
    tree.get(&dir.join(name)).map_or(0, |entry| entry.len)
}
