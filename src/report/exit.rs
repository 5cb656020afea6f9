//! Exit codes: fixed, documented in `docs/exit-codes.md`.

use super::{Finding, Loss, Severity};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; nothing wrong.
    Ok = 0,
    /// Done; warnings only.
    Warnings = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Corruption found; everything can be restored from what is there.
    Corrupt = 3,
    /// Corruption found; some data is lost, or may be.
    DataLost = 4,
    /// Not a collection, or unreadable.
    NotACollection = 5,
    /// Written by a newer format than this build knows.
    Newer = 6,
    /// A document or request was refused; nothing was written of it.
    Refused = 7,
    /// The collection is locked by another process.
    Locked = 10,
    /// The system refused to read or write.
    Io = 11,
    /// A plan was made and not carried out.
    NotApplied = 12,
    /// A bug in zvecctl.
    Bug = 101,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code that a list of findings calls for: the gravest of them decides. Damage outranks a newer format, because a newer
    /// release is no remedy for it. What the system refuses to read is no damage, but then nobody knows whether all can be restored.
    pub fn of_findings(findings: &[Finding]) -> Self {
        findings.iter().map(Self::of_finding).max_by_key(|exit| exit.gravity()).unwrap_or(Self::Ok)
    }

    fn of_finding(finding: &Finding) -> Self {
        match (finding.severity, finding.loss) {
            (Severity::Info, _) => Self::Ok,
            (Severity::Warning, _) => Self::Warnings,
            (Severity::Error, _) if finding.is_newer_format() => Self::Newer,
            (Severity::Error, _) if finding.is_io() => Self::Io,
            (Severity::Error, Loss::None) => Self::Corrupt,
            (Severity::Error, Loss::Possible | Loss::Certain) => Self::DataLost,
        }
    }

    /// Which of several results decides: the one with the highest number.
    pub fn gravity(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warnings => 1,
            Self::Newer => 2,
            // Nothing is known of a collection that could not be looked at; of several, damage in another is the graver news.
            Self::Locked => 3,
            Self::NotACollection => 4,
            Self::Corrupt => 5,
            Self::Io => 6,
            Self::DataLost => 7,
            Self::Usage | Self::Refused | Self::NotApplied | Self::Bug => 8,
            Self::Interrupted => 9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: &str, severity: Severity, loss: Loss) -> Finding {
        Finding { severity, loss, ..Finding::error(code, "detail") }
    }

    #[test]
    fn the_gravest_finding_decides() {
        let info = finding("a.b", Severity::Info, Loss::None);
        let warning = finding("a.b", Severity::Warning, Loss::Possible);
        let newer = finding("manifest.newer", Severity::Error, Loss::None);
        let corrupt = finding("a.b", Severity::Error, Loss::None);
        let refused = finding("io.permission-denied", Severity::Error, Loss::Certain);
        let lost = finding("a.b", Severity::Error, Loss::Possible);
        let mut list = vec![];
        for (next, expected) in [
            (info, Exit::Ok),
            (warning, Exit::Warnings),
            (newer, Exit::Newer),
            (corrupt, Exit::Corrupt),
            (refused, Exit::Io),
            (lost, Exit::DataLost),
        ] {
            list.insert(0, next);
            assert_eq!(Exit::of_findings(&list), expected);
        }
        assert_eq!(Exit::of_findings(&[]), Exit::Ok);
    }
}
