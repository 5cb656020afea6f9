//! How the reports of commands that write look to people.

use crate::report::engine::{
    Created, DeleteReport, DemoReport, FlushReport, IngestReport, Published, RecoverReport, Recovery,
};

use super::page::{Page, Render, or_dash, size};

/// Rejected documents and missing ids that are listed in a table.
const SHOWN: usize = 20;

impl Render for Created {
    fn render(&self, page: &mut Page) {
        let fields = self.schema["fields"].as_array().map_or(0, Vec::len);
        let vectors = self.schema["vectors"].as_array().map_or(0, Vec::len);
        let name = self.schema["name"].as_str().unwrap_or_default();
        let kind = if self.enable_mmap { "Arrow IPC, mapped by zvec" } else { "Parquet" };
        page.pairs(&[
            ("collection", name.to_owned()),
            ("manifest", self.manifest.clone()),
            ("fields", format!("{fields} scalar, {vectors} vector")),
            ("forward blocks", kind.to_owned()),
        ]);
    }
}

impl Render for RecoverReport {
    fn render(&self, page: &mut Page) {
        if self.dry_run {
            page.line("dry run: nothing was changed; this is what would be done");
            page.gap();
        }
        steps(page, &self.recovery);
        aside(page, &self.recovery);
        if let Some(published) = &self.published {
            leftovers(page, published);
        }
        page.gap();
        page.pairs(&[("documents", self.recovery.documents.to_string())]);
        page.findings(&self.recovery.findings);
        if let Some(outlook) = &self.outlook {
            page.gap();
            page.line("without a recovery:");
            outlook.render(page);
        }
    }
}

impl Render for FlushReport {
    fn render(&self, page: &mut Page) {
        opened(page, &self.recovery);
        flushed(page, Some(&self.published));
        page.line(format!("{} live", documents(self.documents)));
        leftovers(page, &self.published);
        page.findings(&self.recovery.findings);
    }
}

impl Render for DeleteReport {
    fn render(&self, page: &mut Page) {
        opened(page, &self.recovery);
        page.line(format!("{} deleted, {} left", documents(self.deleted), self.documents));
        flushed(page, self.published.as_ref());
        if self.not_found_count > 0 {
            page.gap();
            page.line(format!("no live document has {} of the ids:", self.not_found_count));
            for id in self.not_found.iter().take(SHOWN) {
                page.line(format!("  {id}"));
            }
            let more = self.not_found_count.saturating_sub(self.not_found.len().min(SHOWN) as u64);
            if more > 0 {
                page.line(format!("  and {more} more"));
            }
        }
        if let Some(published) = &self.published {
            leftovers(page, published);
        }
    }
}

impl Render for IngestReport {
    fn render(&self, page: &mut Page) {
        opened(page, &self.recovery);
        let rate = format!("{:.0} documents/s, {:.2} s", self.rate, self.seconds);
        let mut pairs = vec![
            ("written", self.written.to_string()),
            ("rejected", self.rejected.to_string()),
            ("rate", rate),
            ("durable", self.durable.clone()),
        ];
        if let Some(manifest) = self.published.as_ref().and_then(|published| published.manifest.clone()) {
            pairs.push(("manifest", manifest));
        }
        pairs.push(("documents", self.documents.to_string()));
        page.pairs(&pairs);
        if !self.rejections.is_empty() {
            page.gap();
            let rows: Vec<_> = self
                .rejections
                .iter()
                .take(SHOWN)
                .map(|rejection| {
                    let place = format!("{}:{}", rejection.file, rejection.position);
                    vec![place, rejection.code.clone(), rejection.message.clone()]
                })
                .collect();
            page.table(&["REJECTED", "CODE", "WHY"], &rows);
            let more = self.rejected.saturating_sub(rows.len() as u64);
            if more > 0 {
                page.line(format!("and {more} more"));
            }
        }
        if self.stopped {
            page.gap();
            page.line(format!(
                "stopped before the end of the input; {} of it written, and the same input goes on from there with --mode upsert",
                documents(self.written)
            ));
        }
        if let Some(published) = &self.published {
            leftovers(page, published);
        }
    }
}

impl Render for DemoReport {
    fn render(&self, page: &mut Page) {
        page.line(format!("1. A new collection, {}, with {}", self.collection, self.created));
        page.gap();
        page.line(format!(
            "2. A process ingests documents and is killed with SIGKILL at {}: nothing was flushed, no file was closed",
            self.killed_at
        ));
        if let Some(log) = &self.log {
            page.line(format!("   {}: {} records, {}, {}", log.path, log.records, size(log.size), log.state));
        }
        page.line("   The manifest that it left knows of none of them:");
        page.gap();
        self.before.render(page);
        page.gap();
        page.line("3. Recovery, step by step:");
        page.gap();
        steps(page, &self.recovery);
        page.gap();
        page.line(format!(
            "4. The flush wrote {} into blocks and published {}:",
            documents(self.published.rows),
            or_dash(self.published.manifest.clone())
        ));
        page.gap();
        self.after.render(page);
        page.gap();
        let verdict = if self.documents == self.killed_at { "none is lost" } else { "some are lost" };
        page.line(format!("5. {} of {} documents are there: {verdict}.", self.documents, self.killed_at));
        if self.kept {
            page.line(format!("   Look further: zvecctl segments show {} 0", self.collection));
        }
        page.findings(&self.recovery.findings);
    }
}

fn steps(page: &mut Page, recovery: &Recovery) {
    let row = |(number, step): (usize, &crate::report::engine::RecoveryStep)| {
        vec![(number + 1).to_string(), step.step.clone(), step.state.clone(), step.detail.clone()]
    };
    let rows: Vec<_> = recovery.steps.iter().enumerate().map(row).collect();
    page.table(&["", "STEP", "STATE", "DETAIL"], &rows);
}

fn aside(page: &mut Page, recovery: &Recovery) {
    if recovery.set_aside.is_empty() {
        return;
    }
    page.gap();
    let row =
        |entry: &crate::report::engine::SetAside| vec![entry.path.clone(), entry.to.clone(), entry.reason.clone()];
    page.table(&["SET ASIDE", "NOW AT", "WHY"], &recovery.set_aside.iter().map(row).collect::<Vec<_>>());
}

/// What opening found, if that is worth a word.
fn opened(page: &mut Page, recovery: &Recovery) {
    for step in recovery.steps.iter().filter(|step| step.state == "changed") {
        page.line(format!("recovered: {}: {}", step.step, step.detail));
    }
    if recovery.replay.records > 0 {
        page.line(format!("recovered: {} records of the write-ahead log replayed", recovery.replay.records));
    }
    aside(page, recovery);
}

fn flushed(page: &mut Page, published: Option<&Published>) {
    match published {
        None => page.line("not flushed: the write-ahead log has it"),
        Some(Published { manifest: None, .. }) => page.line("nothing to flush"),
        Some(Published { manifest: Some(manifest), rows, .. }) => {
            page.line(format!("{manifest} published, {} flushed", documents(*rows)));
        }
    }
}

fn leftovers(page: &mut Page, published: &Published) {
    for leftover in &published.leftovers {
        page.line(format!("superfluous, and could not be removed: {leftover}"));
    }
}

fn documents(count: u64) -> String {
    format!("{count} document{}", if count == 1 { "" } else { "s" })
}
