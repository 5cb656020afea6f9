//! Known wounds of zvec: states that its releases leave behind or cannot read any more, each with its cause and its remedy.
//!
//! | where | wound |
//! |---|---|
//! | `inspect::manifests` | a newest manifest that makes zvec delete everything |
//! | `inspect::wal` | a log that zvec would drop part of; ids shifted at a block switch; records above 4 MiB |
//! | [`orphans`] | segment directories of no version, and what only they hold |
//! | [`indexes`] | a writing segment that is sealed already; column families that do not fit the schema |
//! | [`legacy`] | files of old releases that zvec 0.8.0 cannot open |
//! | [`keys`] | keys of the id map that a delete by filter left behind |
//!
//! [`schema`] and [`residue`] are none of zvec's: a schema that it would not have made, and files that it makes after a log that lacks, are damage.

mod indexes;
mod keys;
mod legacy;
mod orphans;
mod residue;
pub(super) mod rows;
pub(super) mod schema;

use crate::inspect::{Tree, segments_of};

use super::context::{Context, Level};

/// Looks for all of them; for those of one segment if that is asked for.
pub(super) fn check(context: &Context<'_>, tree: &Tree, segment: Option<u32>) {
    for listed in segments_of(context.manifest).into_iter().filter(|listed| segment.is_none_or(|id| listed.id() == id))
    {
        if context.stopped() {
            return;
        }
        context.findings.extend(crate::inspect::segments::missing_directory(context.view, listed));
        indexes::check(context, tree, listed);
        legacy::check(context, tree, listed);
        residue::check(context, tree, listed);
    }
    if segment.is_none() && context.view.used().is_some() {
        orphans::check(context, tree);
        schema::check(context);
        if context.wants(Level::Structures) {
            keys::check(context);
        }
    }
}
