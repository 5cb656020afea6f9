//! What goes into the report: sources, bounded lists, the exit code.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use crate::report::{
    Exit, Finding, Firsts, Loss, Severity,
    salvage::{Degraded, OtherVersion, SalvageReport, SalvageSource},
    show_path,
};

/// Ids that are named in a list.
const NAMED: usize = 100;

/// A count and its first ids.
type Listed = Firsts<NAMED>;

/// A primary key as a report shows it.
pub(super) fn shown(pk: &[u8]) -> String {
    String::from_utf8_lossy(pk).into_owned()
}

/// What has been counted so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sources: Vec<SalvageSource>,
    positions: HashMap<PathBuf, usize>,
    /// Documents written.
    pub documents: u64,
    /// Of these, deleted ones.
    pub deleted: u64,
    /// Documents that went to the file of rejects.
    pub rejected: u64,
    /// Documents that nothing holds.
    pub lost: Listed,
    /// Rows of unknown documents.
    pub lost_rows: u64,
    /// Records of logs.
    pub lost_records: u64,
    /// Damaged places of logs.
    pub gaps: u64,
    /// Documents that may have been deleted.
    pub resurrected: Listed,
    /// Documents of which a newer version is lost.
    pub outdated: Listed,
    /// Ids that were put right.
    pub corrected: Listed,
    /// Other versions.
    pub versions: u64,
    version_list: Vec<(Vec<u8>, OtherVersion)>,
    degraded: BTreeMap<String, (u64, u64)>,
}

impl Tally {
    /// The source at `path`, new if it is not there yet.
    pub fn source(&mut self, path: &Path, standing: &str) -> &mut SalvageSource {
        let position = *self.positions.entry(path.to_owned()).or_insert_with(|| {
            let (path, standing) = (show_path(path), standing.to_owned());
            self.sources.push(SalvageSource { path, standing, ..SalvageSource::default() });
            self.sources.len() - 1
        });
        // A position is never beyond the end: sources are only added.
        #[expect(clippy::indexing_slicing, reason = "positions are those of sources")]
        &mut self.sources[position]
    }

    /// A document was written.
    pub fn written(&mut self, path: &Path) {
        self.documents += 1;
        if let Some(source) = self.positions.get(path).and_then(|position| self.sources.get_mut(*position)) {
            source.written += 1;
        }
    }

    /// A value was replaced by the quantised one, or by null.
    pub fn degraded(&mut self, field: &str, quantized: bool) {
        let (approximate, nulled) = self.degraded.entry(field.to_owned()).or_default();
        *(if quantized { approximate } else { nulled }) += 1;
    }

    /// Another version of a document that is or will be written.
    pub fn version(&mut self, pk: &[u8], other: String) {
        self.versions += 1;
        if self.version_list.len() < NAMED {
            let id = shown(pk);
            self.version_list.push((pk.to_vec(), OtherVersion { id, written: String::new(), other }));
        }
    }

    /// Fills in where the written version is, for those that are listed.
    pub fn version_written(&mut self, pk: &[u8], place: &str) {
        for (_, version) in self.version_list.iter_mut().filter(|(key, _)| key == pk) {
            version.written = place.to_owned();
        }
    }

    /// Puts everything into the report; `view` findings and others are in it already.
    pub fn fill(self, report: &mut SalvageReport) {
        let codes = |path: &str| {
            let of_path = report.findings.iter().filter(|finding| finding.path.as_deref() == Some(path));
            of_path.map(|finding| finding.code.clone()).collect::<Vec<_>>()
        };
        report.sources = self
            .sources
            .into_iter()
            .map(|mut source| {
                source.why.extend(codes(&source.path));
                source.why.sort();
                source.why.dedup();
                source
            })
            .collect();
        report.documents = self.documents;
        report.deleted = self.deleted;
        let lost = &mut report.lost;
        (lost.documents, lost.ids) = (self.lost.count, self.lost.list);
        (lost.rows, lost.records, lost.gaps) = (self.lost_rows, self.lost_records, self.gaps);
        lost.rejected = self.rejected;
        let doubtful = &mut report.doubtful;
        (doubtful.resurrected, doubtful.resurrected_ids) = (self.resurrected.count, self.resurrected.list);
        (doubtful.outdated, doubtful.outdated_ids) = (self.outdated.count, self.outdated.list);
        (doubtful.corrected, doubtful.corrected_ids) = (self.corrected.count, self.corrected.list);
        doubtful.versions = self.versions;
        doubtful.version_list = self.version_list.into_iter().map(|(_, version)| version).collect();
        report.degraded = self
            .degraded
            .into_iter()
            .map(|(field, (quantized, nulled))| Degraded { field, quantized, nulled })
            .collect();
    }
}

impl SalvageReport {
    /// Whether nothing is missing in what was written, by all that can be told.
    pub fn complete(&self) -> bool {
        let lost = &self.lost;
        let nothing =
            [lost.documents, lost.rows, lost.records, lost.gaps, lost.rejected].iter().all(|count| *count == 0);
        nothing && self.degraded.is_empty() && self.deletions.known
    }

    /// The exit code: whether there was damage, and whether it cost anything.
    pub fn exit(&self) -> Exit {
        let of_findings = Exit::of_findings(&self.findings);
        if self.documents == 0 && !self.complete() {
            return Exit::NotACollection;
        }
        if self.complete() { of_findings } else { Exit::DataLost }
    }
}

/// What findings mean once everything has been read: where nothing is missing, what could not be read in one place was found in another.
pub(super) fn settle(findings: &mut [Finding], complete: bool) {
    for finding in findings.iter_mut().filter(|finding| complete && finding.severity == Severity::Error) {
        if finding.loss == Loss::Certain && !finding.is_io() {
            finding.loss = Loss::None;
            finding.detail.push_str("; nothing of it is missing: other files hold it");
        }
    }
}
