//! Checks of vector files: `<column>.index.<block>.proxima` and `<column>.qindex.<block>.proxima`.
//!
//! ```text
//! level 1   headers, footers, tables; every CRC, those that zvec never looks at included; bytes that are always zero
//! level 2   counts against the manifest, IndexMeta against the schema; blocks, lists, keys, graphs, records
//! level 3   every element decoded: no numbers, norms, stored sums; quantised rows against full ones; distances and neighbours
//! ```
//!
//! What a fault costs depends on the file: where the column has a full copy beside it, a quantised file can be built again and nothing is lost.
//! Rows are read in order through windows; a graph takes a byte per node, packed kinds four for their keys.

mod container;
mod elements;
mod flat;
pub mod foreign;
mod graph;
mod packed;
mod pairs;
mod rabitq;
mod schema;
mod search;
mod sparse;
mod subject;
mod upper;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::{
    format::{
        Source,
        manifest::{
            proto::{BlockMeta, BlockType, FieldSchema},
            row_count,
        },
        proxima::{Container, Layout, VectorFile},
    },
    inspect::{FileSource, SegmentRef},
    report::Finding,
};

pub use self::elements::is_unit;
pub use self::pairs::{alike, difference, is_sound};
use self::subject::{Harm, Subject};
use super::{Context, Level};

/// What is to be known of the rows of a segment.
#[derive(Clone, Copy)]
pub struct ColumnRows<'a> {
    /// The column as the schema declares it.
    pub field: &'a FieldSchema,
    /// Whether a row of the segment, counted from 0 in the order of its row blocks, is deleted or replaced; `None` if that is not known.
    pub deleted: &'a (dyn Fn(u64) -> Option<bool> + Sync),
}

/// What is to be known of one file.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Segment id.
    pub segment: u32,
    /// Rows that the manifest gives the block.
    pub rows: u64,
    /// The column as the schema declares it, if that is known.
    pub field: Option<&'a FieldSchema>,
    /// Whether it is a `qindex` file, beside which the full vectors stand.
    pub quantised: bool,
}

/// A block of the column: some rows of the segment.
pub(super) struct Block {
    pub(super) first_row: u64,
    pub(super) rows: u64,
    pub(super) path: PathBuf,
}

/// An open vector file of the collection.
pub(super) type Opened = VectorFile<Arc<FileSource>>;

/// Everything that can be said of the vector blocks of one column of a segment, full and quantised together. Findings go to the context.
/// Blocks are those that the manifest lists as persisted; files of the block that is being written are made anew from the WAL.
pub fn check_column(ctx: &Context<'_>, segment: SegmentRef<'_>, column: &str, rows: &ColumnRows<'_>) {
    let full = blocks(ctx, segment, column, BlockType::VectorIndex);
    let quantised = blocks(ctx, segment, column, BlockType::VectorIndexQuantize);
    let files: Vec<_> =
        full.iter().map(|block| (block, false)).chain(quantised.iter().map(|block| (block, true))).collect();
    let quantised_files = quantised.len();
    let opened: Vec<_> = files
        .par_iter()
        .map(|(block, quantised)| {
            if ctx.stopped() {
                return None;
            }
            let expected =
                Expected { segment: segment.id(), rows: block.rows, field: Some(rows.field), quantised: *quantised };
            let file = check_file(ctx, &block.path, &expected)?;
            let subject = Subject::new(ctx, &block.path, segment.id(), *quantised, block.rows);
            if ctx.wants(Level::Structures) {
                count(&subject, &file, block, rows);
                // A quantised copy vouches for full vectors, or contradicts them at level 3.
                if quantised_files == 0 {
                    schema::no_codes(&subject, &file, rows.field);
                    overwritten(&subject, &file, block, rows);
                }
            }
            if ctx.wants(Level::Contents) {
                elements::check(&subject, &file);
                search::check(&subject, &file);
            }
            subject.finish();
            Some(file)
        })
        .collect();
    if ctx.wants(Level::Contents) && !quantised.is_empty() {
        let (full_files, quantised_files) = opened.split_at(full.len());
        pairs::check(ctx, segment.id(), (&full, full_files), (&quantised, quantised_files), rows);
    }
}

/// Everything that can be said of one vector file by itself and what `expected` says, levels 1 and 2 of it. Returns the file unless it cannot be opened.
pub fn check_file(ctx: &Context<'_>, path: &Path, expected: &Expected<'_>) -> Option<Opened> {
    let subject = Subject::new(ctx, path, expected.segment, expected.quantised, expected.rows);
    let file = open(&subject)?;
    if ctx.wants(Level::Structures) && !ctx.stopped() {
        if let Some(field) = expected.field {
            schema::check(&subject, &file, field);
        }
        // A node without vector has a key of its own; only the flat kinds say so of nullable columns.
        let nullable = expected.field.is_none_or(|field| field.nullable);
        match &file.layout {
            Layout::Flat(flat) => flat::check(&subject, &file, flat, nullable),
            Layout::FlatSparse(flat) => sparse::check_flat(&subject, &file, flat),
            Layout::Graph(graph) => graph::check(&subject, &file, graph),
            Layout::Ivf(ivf) => packed::ivf(&subject, &file, ivf),
            Layout::IvfRabitq(ivf) => packed::ivf_rabitq(&subject, &file, ivf),
            Layout::DiskAnn(diskann) => packed::diskann(&subject, &file, diskann),
        }
    }
    subject.finish();
    Some(file)
}

fn open(subject: &Subject<'_>) -> Option<Opened> {
    let source = match subject.ctx.view.source(subject.path) {
        Ok(source) => source,
        Err(finding) => {
            let loss = if subject.copy { crate::report::Loss::None } else { crate::report::Loss::Certain };
            let finding = finding.segment(subject.segment).loses(loss, Some(subject.rows));
            subject.ctx.findings.add(finding);
            return None;
        }
    };
    match VectorFile::open(source.clone()) {
        Ok(file) => {
            file.faults.iter().for_each(|fault| subject.format(fault, harm(fault.code)));
            if let Err(error) = &file.encoding {
                subject.format(error, Harm::Vectors);
            }
            container::check(subject, &source, &file.container);
            Some(file)
        }
        Err(error) => {
            subject.format(&error, Harm::Vectors);
            if let Ok(container) = Container::open(&source) {
                container.faults.iter().for_each(|fault| subject.format(fault, harm(fault.code)));
                container::check(subject, &source, &container);
            }
            None
        }
    }
}

/// What a fault costs that the opening found.
fn harm(code: &str) -> Harm {
    match code {
        // Without their counters, rows are found by arithmetic all the same.
        "proxima.header-crc"
        | "proxima.footer-crc"
        | "proxima.bad-total-size"
        | "flat.bad-meta"
        | "flat.bad-block-count"
        | "flat.bad-row-count"
        | "flat.stale-counters"
        | "flat-sparse.bad-chunk-count"
        | "flat-sparse.bad-row-count"
        | "flat-sparse.stale-counters"
        | "hnsw.bad-chunk-count"
        | "hnsw.bad-total-size"
        | "hnsw.bad-node-count"
        | "hnsw.bad-entry-point"
        | "hnsw.bad-capacity"
        | "hnsw.bad-hash-size"
        | "diskann.bad-medoid" => Harm::Search,
        "proxima.segment-cut" => Harm::Vectors,
        _ => Harm::Perhaps,
    }
}

/// The column's blocks of one type, which follow each other in row order.
fn blocks(ctx: &Context<'_>, segment: SegmentRef<'_>, column: &str, wanted: BlockType) -> Vec<Block> {
    let of_column = |block: &&BlockMeta| {
        block.block_type == wanted as i32 && block.columns.first().is_some_and(|name| name == column)
    };
    let mut listed: Vec<&BlockMeta> = segment.meta.persisted_blocks.iter().filter(of_column).collect();
    let rows = |blocks: &[&BlockMeta]| blocks.iter().map(|block| u64::from(block.doc_count)).sum::<u64>();
    let expected = row_count(segment.meta);
    if rows(&listed) != expected && !listed.is_empty() {
        // Dropping the index of a quantised column leaves its old block in the manifest, its file gone (every release).
        let exists = |block: &&BlockMeta| segment.block_path(block).is_some_and(|path| ctx.view.exists(&path));
        let existing: Vec<_> = listed.iter().copied().filter(exists).collect();
        if rows(&existing) == expected {
            let detail =
                format!("the manifest lists blocks of field {column} that were dropped; zvec cannot open this");
            ctx.findings.add(Finding::error("segment.stale-block", detail).segment(segment.id()));
            listed = existing;
        }
    }
    let mut first_row = 0u64;
    let mut found = Vec::new();
    for block in listed {
        let rows = u64::from(block.doc_count);
        // A name that cannot be a file's is the manifest's fault.
        if let Some(path) = segment.block_path(block) {
            found.push(Block { first_row, rows, path });
        }
        first_row = first_row.saturating_add(rows);
    }
    found
}

/// Rows of the file against those of the manifest.
fn count(subject: &Subject<'_>, file: &Opened, block: &Block, rows: &ColumnRows<'_>) {
    let (held, listed) = (file.rows(), block.rows);
    if held > listed {
        let detail = format!("the manifest gives the block {listed} rows, the file has {held}");
        return subject.error("segment.vector-count", 0, Harm::Perhaps, detail);
    }
    let absent = listed - held;
    // Rows at the end that never had a vector are not stored.
    if absent == 0 || rows.field.nullable {
        return;
    }
    let deleted = (block.first_row..block.first_row.saturating_add(listed))
        .try_fold(0u64, |sum, row| (rows.deleted)(row).map(|deleted| sum + u64::from(deleted)));
    let by_0_8_0 = !file.meta.name("quantizer").is_empty();
    if !by_0_8_0 && deleted.is_none_or(|deleted| deleted >= absent) {
        // Releases before 0.8.0 left rows that were deleted at the time out of an index that they built.
        let detail = format!(
            "the index holds {held} of {listed} rows: rows deleted at the time were left out, and zvec takes each later row for \
             its neighbour"
        );
        let certain = deleted == Some(absent);
        return subject.error("segment.shifted-vectors", 0, if certain { Harm::Search } else { Harm::Perhaps }, detail);
    }
    let detail = format!("the manifest gives the block {listed} rows, the file has {held}");
    subject.error("segment.vector-count", 0, Harm::Vectors, detail);
}

/// Vectors beside bytes that were overwritten: they may be, too. A unit vector vouches for itself.
fn overwritten(subject: &Subject<'_>, file: &Opened, block: &Block, rows: &ColumnRows<'_>) {
    let Ok(found) = file.beside_damage() else { return };
    let mut reader = file.reader();
    for row in found.into_iter().flatten() {
        if (rows.deleted)(block.first_row.saturating_add(row)) == Some(true) {
            continue;
        }
        let Ok(record) = file.record(row, &mut reader) else { continue };
        let vouched = file.encoding.as_ref().is_ok_and(|encoding| is_unit(encoding, record.bytes) == Some(true));
        if !record.is_null() && !vouched {
            let detail = format!("row {row}: bytes beside its vector were overwritten, and nothing vouches for it");
            subject.row_error(row, "vectors.overwritten", record.offset, Harm::Perhaps, detail);
        }
    }
}

/// Rows of a file, as many as its bytes can hold: what it claims beyond that only costs time.
pub(super) fn rows_of<S: Source>(file: &VectorFile<S>) -> u64 {
    let least = match &file.layout {
        Layout::Flat(flat) => flat.element_size() + 8,
        Layout::FlatSparse(_) => 24,
        Layout::Graph(graph) => graph.header.node_size.into(),
        Layout::Ivf(_) | Layout::IvfRabitq(_) | Layout::DiskAnn(_) => 8,
    };
    file.rows().min(file.container.file_size / least.max(1))
}
