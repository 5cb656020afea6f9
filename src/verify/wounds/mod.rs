//! Known wounds of zvec: states that its releases leave behind or cannot read any more, each with its cause and its remedy.
//!
//! | where | wound |
//! |---|---|
//! | `inspect::manifests` | a newest manifest that makes zvec delete everything |
//! | `inspect::wal` | a log that zvec would drop part of; ids shifted at a block switch; records above 4 MiB |
//! | [`orphans`] | segment directories of no version, and what only they hold |
//! | [`indexes`] | a writing segment that is sealed already; column families that do not fit the schema |
//! | [`legacy`] | files of old releases that zvec 0.8.0 cannot open |
//! | `rows::id_map` | keys of the id map that a delete by filter left behind |
//!
//! [`schema`] and [`residue`] are none of zvec's: a schema that it would not have made, and files that it makes after a log that lacks, are damage.

mod indexes;
mod legacy;
mod orphans;
mod residue;
pub(super) mod rows;
pub(super) mod schema;

use crate::{
    format::manifest::Manifest,
    inspect::{SegmentRef, Tree, View, evidence, segments_of},
    report::Finding,
};

use super::context::{Context, Level};

/// Those of one segment.
pub(super) fn of_segment(context: &Context<'_>, tree: &Tree, segment: SegmentRef<'_>) {
    context.findings.extend(crate::inspect::segments::missing_directory(context.view, segment));
    indexes::check(context, tree, segment);
    legacy::check(context, tree, segment);
    let mut behind = evidence::behind::findings(context.view, tree, context.manifest);
    behind.retain(|finding| finding.segment == Some(segment.id()));
    // What is wrong beside the log then is that the manifest is not the one of its time.
    if behind.is_empty() {
        residue::check(context, tree, segment);
    }
    context.findings.extend(behind);
}

/// What files beside the log tell of records that are not in it any more.
pub fn lost_records(view: &View, tree: &Tree, manifest: &Manifest) -> Vec<Finding> {
    let context = Context::new(view, manifest, Level::Structures);
    if evidence::behind::findings(view, tree, manifest).is_empty() {
        segments_of(manifest).into_iter().for_each(|segment| residue::check(&context, tree, segment));
    }
    context.findings.list()
}

/// Segments of no version, and what only they hold.
pub(super) fn orphans(context: &Context<'_>, tree: &Tree) {
    orphans::check(context, tree);
}

/// What makes the schema impossible.
pub(super) fn schema(context: &Context<'_>) {
    schema::check(context);
}
