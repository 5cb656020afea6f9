//! How `verify` looks to people.

use crate::report::{
    Finding, Severity,
    digest::DigestReport,
    explain::Explanation,
    outlook::{Ids, OpenOutlook, Outlook},
    seal::SealReport,
    verify::{VerifiedCollection, VerifyReport},
};

use super::{
    super::explain,
    page::{Page, Render, finding_line, many, size},
};

impl Render for VerifyReport {
    fn render(&self, page: &mut Page) {
        for collection in &self.collections {
            page.gap();
            page.line(summary(collection, self.level));
            if let Some(error) = &collection.error {
                page.line(format!("  error: {} [{}]", error.message, error.code));
            }
            if !collection.parts_left.is_empty() {
                page.line(format!("  not checked either: {}", collection.parts_left.join("; ")));
            }
            let mut last: Option<&Finding> = None;
            for finding in &collection.findings {
                // The remedy of a row of findings of one kind stands below the last.
                if let Some(before) = last.filter(|before| before.code != finding.code) {
                    remedy(before, page);
                }
                page.line(format!("  {}", finding_line(finding)));
                last = Some(finding);
            }
            if let Some(before) = last {
                remedy(before, page);
            }
            if collection.unlisted > 0 {
                page.line(format!("  and {} (--max-findings)", many(collection.unlisted, "more finding")));
            }
            if let Some(seal) = &collection.seal {
                page.line(format!(
                    "  seal of {}: {}; {} unchanged, {} replaced by an engine, {} changed otherwise",
                    seal.sealed,
                    seal.state,
                    many(seal.unchanged, "file"),
                    seal.replaced,
                    seal.mismatches
                ));
            }
            if let Some(outlook) = &collection.outlook {
                outlook.render(page);
            }
        }
    }
}

/// What to do about a finding, for those that call for it.
fn remedy(finding: &Finding, page: &mut Page) {
    if let Some(command) = &finding.repair {
        page.line(format!("    remedy: {command}"));
    } else if finding.severity != Severity::Info
        && let Some(remedy) = explain::remedy(&finding.code)
    {
        page.line(format!("    remedy: {remedy}"));
    }
}

fn summary(collection: &VerifiedCollection, level: u8) -> String {
    if !collection.checked {
        return match &collection.ended {
            Some(ended) => format!("{}: not checked: {}", collection.path, why(ended)),
            None => format!("{}: not checked", collection.path),
        };
    }
    let manifest = collection.manifest.as_deref().unwrap_or("no usable manifest");
    let mut line = format!(
        "{} ({manifest}): level {level}, {}, {}, {:.2} s: {}, {}, {}",
        collection.path,
        some(collection.files, "file"),
        size(collection.bytes),
        collection.seconds,
        some(collection.errors, "error"),
        some(collection.warnings, "warning"),
        some(collection.infos, "remark")
    );
    if let Some(ended) = &collection.ended {
        line.push_str(&format!("; {}, {} not checked", why(ended), some(collection.files_left, "file")));
    }
    line
}

fn why(ended: &str) -> &'static str {
    match ended {
        "interrupted" => "interrupted",
        "budget" => "the time is over (--max-duration)",
        _ => "stopped at the first error (--fail-fast)",
    }
}

/// A number of things, none as a word.
fn some(count: u64, one: &str) -> String {
    if count == 0 { format!("no {one}s") } else { many(count, one) }
}

impl Render for Outlook {
    fn render(&self, page: &mut Page) {
        let release = &self.release;
        page.line(match self.open {
            OpenOutlook::Opens => format!("  zvec {release} would open it"),
            OpenOutlook::Refuses => format!("  zvec {release} would refuse to open it"),
            OpenOutlook::Crashes => format!("  zvec {release} would crash when it opens it"),
            OpenOutlook::Destroys => format!("  DO NOT OPEN: zvec {release} would remove every segment, and crash"),
        });
        if let Some(message) = &self.message {
            page.line(format!("    message: {message}"));
        }
        for reason in &self.reasons {
            page.line(format!("    {reason}"));
        }
        if let Some(manifest) = &self.manifest {
            page.line(format!("    obeys: {manifest}"));
        }
        if !self.removes.is_empty() {
            page.line(format!("    removes: {}", self.removes.join(", ")));
        }
        if let Some(wal) = &self.wal {
            page.line(format!("    {}: replays {}, drops {}", wal.path, many(wal.replayed, "record"), wal.dropped));
        }
        if self.open == OpenOutlook::Opens && !self.accepts_inserts {
            page.line("    refuses inserts");
        }
        let Some(documents) = &self.documents else { return };
        let lines = [
            ("would lose", &documents.missing),
            ("would bring back", &documents.resurrected),
            ("would show an older version of", &documents.outdated),
            ("would not find by id", &documents.unreachable),
        ];
        for (what, ids) in lines {
            if ids.count > 0 {
                page.line(format!("    {what} {}", listed(ids)));
            }
        }
    }
}

fn listed(ids: &Ids) -> String {
    let plural = if ids.count == 1 { "" } else { "s" };
    let more = if ids.count > ids.ids.len() as u64 { ", …" } else { "" };
    format!("{} document{plural}: {}{more}", ids.count, ids.ids.join(", "))
}

impl Render for DigestReport {
    fn render(&self, page: &mut Page) {
        let digest = if self.complete { self.digest.clone() } else { format!("{} (of what can be read)", self.digest) };
        page.pairs(&[
            ("digest", digest),
            ("algorithm", self.algorithm.clone()),
            ("documents", self.documents.to_string()),
            ("keys", self.keys.clone()),
        ]);
        page.gap();
        let rows: Vec<_> = self
            .fields
            .iter()
            .map(|field| {
                let counts = [field.values.to_string(), field.unreadable.to_string()];
                [vec![field.name.clone()], counts.to_vec(), vec![field.digest.clone()]].concat()
            })
            .collect();
        page.table(&["FIELD", "VALUES", "UNREADABLE", "DIGEST"], &rows);
        page.findings(&self.findings);
    }
}

impl Render for SealReport {
    fn render(&self, page: &mut Page) {
        if self.files == 0 {
            page.line(format!("{} was not written: there are errors (--force seals them with the rest)", self.file));
        } else {
            page.line(format!("{}: {}, {}, {}", self.file, many(self.files, "file"), size(self.bytes), self.manifest));
        }
        page.findings(&self.findings);
    }
}

impl Render for Explanation {
    fn render(&self, page: &mut Page) {
        let mut pairs = vec![("code", self.code.clone())];
        let parts = [
            ("severity", &self.severity),
            ("exit", &self.exit),
            ("meaning", &Some(self.meaning.clone())),
            ("zvec 0.8.0", &self.zvec),
            ("zvecctl", &self.zvecctl),
            ("example", &self.example),
            ("what to do", &self.remedy),
        ];
        pairs.extend(parts.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        page.pairs(&pairs);
        page.gap();
        page.line(format!("{} (docs/findings.md)", self.section));
        for paragraph in &self.background {
            page.line(paragraph);
        }
    }
}
