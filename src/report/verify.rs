//! `verify`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ErrorReport, Finding, Severity, outlook::Outlook};

/// Result of `verify`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VerifyReport {
    /// How deep the look was: 1, 2 or 3.
    pub level: u8,
    /// What each collection looks like, in the order of the command line.
    pub collections: Vec<VerifiedCollection>,
}

/// One collection, checked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VerifiedCollection {
    /// The collection, as it was given.
    pub path: String,
    /// Whether it was looked at. If not, `error` or `ended` says why.
    pub checked: bool,
    /// The manifest in force; `null` if none can be used.
    pub manifest: Option<String>,
    /// Why not everything was checked: `interrupted`, `budget` (`--max-duration`), `first-error` (`--fail-fast`); `null` if everything was.
    pub ended: Option<String>,
    /// Files that were looked at.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that are there, and were not looked at because of `ended`.
    pub files_left: u64,
    /// What else was not checked because of `ended`, in words: what is wider than one file.
    pub parts_left: Vec<String>,
    /// How long it took.
    pub seconds: f64,
    /// Errors found.
    pub errors: u64,
    /// Warnings found.
    pub warnings: u64,
    /// Remarks.
    pub infos: u64,
    /// Findings that `--max-findings` leaves out: counted, not listed.
    pub unlisted: u64,
    /// What is wrong or odd, the gravest first.
    pub findings: Vec<Finding>,
    /// What zvec would make of the collection; `null` if the look ended early or concerned one segment.
    pub outlook: Option<Outlook>,
    /// What the seal says, if there is one.
    pub seal: Option<SealSummary>,
    /// Why the collection could not be looked at at all.
    pub error: Option<ErrorReport>,
}

/// What comparing with a seal gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SealSummary {
    /// The seal.
    pub file: String,
    /// When it was made, RFC 3339, UTC.
    pub sealed: String,
    /// `current` (the collection is as it was sealed), `stale` (an engine has changed it since), `broken` (something changed that no
    /// engine changes), `unreadable`.
    pub state: String,
    /// Files whose content is that of the seal.
    pub unchanged: u64,
    /// Files that an engine has replaced, removed or added since.
    pub replaced: u64,
    /// Files that are not what was sealed, although no engine changes them.
    pub mismatches: u64,
}

impl VerifiedCollection {
    /// A collection that nothing is known of yet.
    pub fn new(path: String) -> Self {
        Self {
            path,
            checked: false,
            manifest: None,
            ended: None,
            files: 0,
            bytes: 0,
            files_left: 0,
            parts_left: Vec::new(),
            seconds: 0.0,
            errors: 0,
            warnings: 0,
            infos: 0,
            unlisted: 0,
            findings: Vec::new(),
            outlook: None,
            seal: None,
            error: None,
        }
    }

    /// Takes findings over: counted, sorted by gravity and place, at most `most` of them kept.
    pub fn take(&mut self, mut findings: Vec<Finding>, most: Option<usize>) {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
        self.errors = count(Severity::Error);
        self.warnings = count(Severity::Warning);
        self.infos = count(Severity::Info);
        findings.sort_by(|a, b| order(a).cmp(&order(b)));
        let kept = most.unwrap_or(usize::MAX).min(findings.len());
        self.unlisted = (findings.len() - kept) as u64;
        findings.truncate(kept);
        self.findings = findings;
    }
}

type Order<'a> = (std::cmp::Reverse<(Severity, super::Loss)>, bool, &'a str, Option<&'a str>, Option<u64>, &'a str);

fn order(finding: &Finding) -> Order<'_> {
    let gravity = std::cmp::Reverse((finding.severity, finding.loss));
    // Last of all that are as grave: what stands for those that are not named.
    let more = finding.code == super::finding::MORE_FAULTS;
    (gravity, more, &finding.code, finding.path.as_deref(), finding.offset, &finding.detail)
}
