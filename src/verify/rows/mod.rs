//! Levels 2 and 3 of everything that is no vector file: rows, ids, keys, indexes and the log, against each other.
//!
//! | module | what it holds against what |
//! |---|---|
//! | `layout` | which file has which column of which rows; reads them a batch at a time |
//! | `forward` | document ids, keys, types and nulls of the rows |
//! | `scalar_index` | column families, postings, null sets, histograms and ranges of the inverted index, against the values |
//! | `fts` | the full-text index in itself, and against the texts |
//! | `id_map` | id map and delete set against the rows, both ways |
//! | `log` | records of the WAL against ids, keys and schema |
//!
//! Two sides that must hold the same pairs (a term and a row, a key and an id) are compared by sums of hashes (`sums`), in memory that
//! does not grow with them. Only where the sums differ, a second pass over a small part of both sides names what differs.
//! Bits are kept for each row, four bytes for each row of the full-text column at hand.

mod differences;
mod forward;
mod fts;
mod fts_compare;
mod histogram;
mod id_map;
mod layout;
mod log;
mod scalar_index;
mod shared;
mod sums;

pub use shared::{Shared, Token, Tokenizer, Tokenizers};

use crate::inspect::SegmentRef;

use super::{Context, Level};
use layout::Layout;

/// Checks one segment's rows and indexes and notes in `shared` what [`check_collection`] needs of them. Segments are independent: this
/// may run on many threads at once.
pub fn check_segment(ctx: &Context<'_>, segment: SegmentRef<'_>, shared: &Shared) {
    if !ctx.wants(Level::Structures) {
        return;
    }
    let layout = Layout::of(ctx, segment, &shared.fields, &shared.overwritten);
    let found = forward::check(ctx, &layout, shared);
    scalar_index::check(ctx, &layout, &found, shared);
    fts::check(ctx, &layout, &found, shared);
    shared.merge(ctx, found.ids);
}

/// Notes in `shared` what [`check_collection`] needs of a segment, and checks it no further. What is wrong with the segment goes to `quiet`, which
/// is of level 2; an id that another segment has too is told.
pub fn read_ids(ctx: &Context<'_>, quiet: &Context<'_>, segment: SegmentRef<'_>, shared: &Shared) {
    if !ctx.stopped() {
        let found = forward::check(quiet, &Layout::of(quiet, segment, &shared.fields, &shared.overwritten), shared);
        shared.merge(ctx, found.ids);
    }
}

/// Checks what spans segments, when [`check_segment`] or [`read_ids`] has seen all of them: id map, delete set and WAL against the rows. If some were
/// not checked, for instance because the run was stopped, this must not be called.
pub fn check_collection(ctx: &Context<'_>, shared: Shared) {
    if !ctx.wants(Level::Structures) || ctx.stopped() {
        return;
    }
    let ids = shared.ids();
    id_map::check(ctx, &shared, &ids);
    log::check(ctx, &shared, &ids);
}
