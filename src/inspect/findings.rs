//! Faults of the formats as findings about files.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    format::{FormatError, Kind},
    report::{Finding, Loss},
};

/// A format error as a finding about `path`; the caller says what is lost by it.
pub fn from_format(path: &Path, error: &FormatError) -> Finding {
    let code = if error.kind == Kind::Newer && !error.code.ends_with(".newer") {
        format!("{}.newer", error.code.split('.').next().unwrap_or("format"))
    } else {
        error.code.to_owned()
    };
    Finding::error(&code, error.detail.clone()).at(path).offset(error.offset)
}

/// The same with a loss.
pub fn losing(path: &Path, error: &FormatError, loss: Loss, documents: Option<u64>) -> Finding {
    from_format(path, error).loses(loss, documents)
}

/// How many findings about one file are kept apart; more of them add nothing for a reader.
const MOST_PER_FILE: usize = 100;

/// A file that the manifest names is not there.
const MISSING: &str = "file.missing";

/// Findings as they come up while documents are read, shared by the readers of one look: each once, faults of single
/// rows counted.
#[derive(Debug, Clone, Default)]
pub struct Findings(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    list: Vec<Finding>,
    seen: HashSet<Finding>,
    per_file: HashMap<Option<String>, usize>,
    /// Position in `list` of the finding that stands for all rows of a file with the same fault, and how many those are.
    rows: HashMap<(String, Option<String>), (usize, u64)>,
}

impl Findings {
    /// Adds a finding that is not there yet.
    pub fn add(&self, finding: Finding) {
        let mut collected = self.collected();
        if collected.seen.contains(&finding) {
            return;
        }
        if finding.code == MISSING {
            // One fact, whoever runs into it first.
            let known = collected.list.iter_mut().find(|known| known.code == MISSING && known.path == finding.path);
            if let Some(known) = known {
                known.loss = known.loss.max(finding.loss);
                known.documents_at_risk = known.documents_at_risk.max(finding.documents_at_risk);
                known.segment = known.segment.or(finding.segment);
                return;
            }
        }
        let of_file = collected.per_file.entry(finding.path.clone()).or_default();
        *of_file += 1;
        match *of_file {
            count if count <= MOST_PER_FILE => {
                collected.seen.insert(finding.clone());
                collected.list.push(finding);
            }
            count if count == MOST_PER_FILE + 1 => {
                let more = Finding::error("file.more-faults", "and more faults of the same file");
                collected.list.push(Finding { path: finding.path, ..more }.loses(finding.loss, None));
            }
            _ => {}
        }
    }

    /// Adds the fault of a single row. Rows of one file with the same code make one finding, that of the first, with their number
    /// as the documents at risk.
    pub fn add_row(&self, finding: Finding) {
        let mut collected = self.collected();
        let end = collected.list.len();
        let key = (finding.code.clone(), finding.path.clone());
        let (_, count) = collected.rows.entry(key).or_insert((end, 0));
        *count += 1;
        if *count == 1 {
            collected.list.push(finding);
        }
    }

    /// Adds several.
    pub fn extend(&self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// Whether an error is among them.
    pub fn any_error(&self) -> bool {
        self.collected().list.iter().any(|finding| finding.severity == crate::report::Severity::Error)
    }

    /// Everything so far.
    pub fn list(&self) -> Vec<Finding> {
        let collected = self.collected();
        let mut list = collected.list.clone();
        for (position, count) in collected.rows.values() {
            let Some(finding) = list.get_mut(*position) else { continue };
            finding.documents_at_risk = Some(*count);
            if *count > 1 {
                finding.detail.push_str(&format!("; the same in {} more rows", count - 1));
            }
        }
        list
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path of a file in a RocksDB directory of the collection.
pub fn in_directory(dir: &Path, file: &str) -> PathBuf {
    if file.is_empty() { dir.to_owned() } else { dir.join(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_the_same_fault_are_counted() {
        let findings = Findings::default();
        for row in 0..1000 {
            findings.add_row(Finding::error("a.b", format!("row {row} is bad")).at(Path::new("x")));
        }
        findings.add_row(Finding::error("a.b", "row 0 is bad").at(Path::new("y")));
        let list = findings.list();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].documents_at_risk, list[1].documents_at_risk), (Some(1000), Some(1)));
        assert_eq!(list[0].detail, "row 0 is bad; the same in 999 more rows");
    }

    #[test]
    fn a_missing_file_is_one_finding_with_the_worst_that_anyone_says_of_it() {
        let findings = Findings::default();
        let missing = |loss, documents| {
            Finding::error(MISSING, "missing, and the manifest names it").at(Path::new("x")).loses(loss, documents)
        };
        findings.add(missing(Loss::Possible, None));
        findings.add(missing(Loss::Certain, Some(7)));
        findings.add(missing(Loss::Possible, Some(3)).at(Path::new("y")));
        assert_eq!(
            findings.list(),
            [missing(Loss::Certain, Some(7)), missing(Loss::Possible, Some(3)).at(Path::new("y"))]
        );
    }

    #[test]
    fn a_file_does_not_flood_the_report() {
        let findings = Findings::default();
        for offset in 0..1000 {
            findings.add(Finding::error("a.b", "x").at(Path::new("x")).offset(offset % 500));
        }
        findings.add(Finding::error("a.b", "x").at(Path::new("y")));
        let list = findings.list();
        assert_eq!(list.len(), MOST_PER_FILE + 2);
        assert_eq!(list[MOST_PER_FILE].code, "file.more-faults");
    }
}
