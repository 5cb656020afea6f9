//! Records that a log has lost without a trace in itself: it is gone, or cut at the end of a record. What zvec writes behind it tells.

use crate::{
    format::manifest::Manifest,
    inspect::{Findings, Tree, View},
    verify::lost_records,
};

use super::tally::Tally;

/// Counts what is lost; whether there is anything.
pub(super) fn count(view: &View, tree: &Tree, manifest: &Manifest, findings: &Findings, tally: &mut Tally) -> bool {
    let found = lost_records(view, tree, manifest);
    let any = !found.is_empty();
    for finding in found {
        match finding.documents_at_risk {
            // These are damaged records, which have been counted.
            Some(records) if records <= tally.lost_records => continue,
            Some(records) => tally.lost_records = records,
            None => tally.gaps += 1,
        }
        findings.add(finding);
    }
    any
}
