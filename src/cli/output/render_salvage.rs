//! How the report of `salvage` looks to people.

use crate::report::{Finding, Loss, Severity, salvage::SalvageReport};

use super::page::{Page, Render, or_dash};

/// Ids that are listed in a table.
const SHOWN: usize = 20;

impl Render for SalvageReport {
    fn render(&self, page: &mut Page) {
        let mut pairs = vec![
            ("made", format!("{} ({})", self.out, self.to)),
            ("documents", self.documents.to_string()),
            ("schema from", self.schema.from.clone()),
            ("deletions", self.deletions.detail.clone()),
        ];
        if self.deleted > 0 {
            pairs.push(("deleted ones", self.deleted.to_string()));
        }
        if let Some(rejects) = &self.rejects {
            pairs.push(("rejects", rejects.clone()));
        }
        page.pairs(&pairs);
        for line in &self.schema.assumed {
            page.line(format!("assumed: {line}"));
        }
        for line in &self.schema.changed {
            page.line(format!("changed: {line}"));
        }
        self.sources(page);
        self.lost(page);
        self.doubtful(page);
        page.findings(&self.findings);
    }
}

impl SalvageReport {
    fn sources(&self, page: &mut Page) {
        if self.sources.is_empty() {
            return;
        }
        page.gap();
        let row = |source: &crate::report::salvage::SalvageSource| {
            vec![
                source.path.clone(),
                source.standing.clone(),
                or_dash(source.rows),
                source.read.to_string(),
                source.written.to_string(),
                source.unreadable.to_string(),
                if source.why.is_empty() { "-".to_owned() } else { source.why.join(" ") },
            ]
        };
        let rows: Vec<_> = self.sources.iter().map(row).collect();
        page.table(&["SOURCE", "STANDING", "ROWS", "READ", "WRITTEN", "UNREADABLE", "WHY"], &rows);
    }

    fn lost(&self, page: &mut Page) {
        page.gap();
        if self.complete() {
            let may_cost = |finding: &Finding| finding.severity == Severity::Error && finding.loss != Loss::None;
            page.line(match self.findings.iter().any(may_cost) {
                true => "lost: nothing that can be named; the errors below may have cost something",
                false => "lost: nothing",
            });
            return;
        }
        let lost = &self.lost;
        for (count, what) in [
            (lost.documents, "documents that the id map or their row names, and nothing holds whole"),
            (lost.rows, "rows that cannot be read, of which nothing tells whose they are"),
            (lost.records, "records of the write-ahead log"),
            (lost.gaps, "places in the write-ahead log behind which an unknown number of records is lost"),
            (lost.rejected, "documents read in part, or of another kind of doubt: see the file of rejects"),
        ] {
            if count > 0 {
                page.line(format!("lost: {count} {what}"));
            }
        }
        list(page, lost.documents, &lost.ids);
        for field in &self.degraded {
            if field.quantized > 0 {
                page.line(format!(
                    "lost: precision of field {} in {} documents: their vectors come from the quantised file",
                    field.field, field.quantized
                ));
            }
            if field.nulled > 0 {
                page.line(format!("lost: field {} of {} documents: null now", field.field, field.nulled));
            }
        }
        if !self.deletions.known {
            page.line("lost: which documents were deleted, in part or wholly");
        }
    }

    fn doubtful(&self, page: &mut Page) {
        let doubtful = &self.doubtful;
        for (count, what, ids) in [
            (doubtful.resurrected, "documents may have been deleted", &doubtful.resurrected_ids),
            (doubtful.outdated, "documents are older than the version that is lost", &doubtful.outdated_ids),
            (doubtful.corrected, "rows had a damaged id, put right by the id map", &doubtful.corrected_ids),
        ] {
            if count > 0 {
                page.line(format!("doubtful: {count} {what}"));
                list(page, count, ids);
            }
        }
        if doubtful.versions > 0 {
            page.line(format!("doubtful: {} other versions of the same ids; the newest is written", doubtful.versions));
            for version in doubtful.version_list.iter().take(SHOWN) {
                page.line(format!("  {}: written from {}, also {}", version.id, version.written, version.other));
            }
        }
    }
}

fn list(page: &mut Page, count: u64, ids: &[String]) {
    for id in ids.iter().take(SHOWN) {
        page.line(format!("  {id}"));
    }
    let more = count.saturating_sub(ids.len().min(SHOWN) as u64);
    if more > 0 && !ids.is_empty() {
        page.line(format!("  and {more} more"));
    }
}
