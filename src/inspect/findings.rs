//! Faults of the formats as findings about files.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    format::{FormatError, Kind},
    report::{Finding, Loss, MORE_FAULTS, Severity, many},
};

/// A format error as a finding about `path`; the caller says what is lost by it.
pub fn from_format(path: &Path, error: &FormatError) -> Finding {
    let code = if error.kind == Kind::Newer && !error.code.ends_with(".newer") {
        format!("{}.newer", error.code.split('.').next().unwrap_or("format"))
    } else {
        error.code.to_owned()
    };
    if code == "file.missing" {
        return Finding::error(&code, MISSING).at(path);
    }
    Finding::error(&code, error.detail.clone()).at(path).offset(error.offset)
}

/// What is said of a file or directory that the manifest names and that is not there.
pub const MISSING: &str = "missing, and the manifest names it";

/// The same with a loss.
pub fn losing(path: &Path, error: &FormatError, loss: Loss, documents: Option<u64>) -> Finding {
    from_format(path, error).loses(loss, documents)
}

/// How many findings about one file are kept apart; more of them add nothing for a reader.
const MOST_PER_FILE: usize = 100;

const MORE_DETAIL: &str = "and more faults of the same file";

/// Code, path and offset: where the same fact shows to everyone who runs into it.
type Place = (String, Option<String>, Option<u64>);

/// Findings as they come up while documents are read, shared by the readers of one look: each once, faults of single
/// rows counted.
#[derive(Debug, Clone, Default)]
pub struct Findings(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    list: Vec<Finding>,
    /// Positions in `list` of the findings of one place.
    places: HashMap<Place, Vec<usize>>,
    per_file: HashMap<Option<String>, OfFile>,
    /// Position in `list` of the finding that stands for all rows of a file with the same fault, and how many those are.
    rows: HashMap<(String, Option<String>), (usize, u64)>,
    /// Set by the first error.
    raised: Option<Arc<AtomicBool>>,
}

impl Collected {
    fn raise(&self, finding: &Finding) {
        if let Some(flag) = self.raised.as_ref().filter(|_| finding.severity == Severity::Error) {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

/// The findings of one file.
#[derive(Debug, Default)]
struct OfFile {
    /// How many are kept apart.
    kept: usize,
    /// Position in the list of the one that stands for all others.
    more: Option<usize>,
}

/// Findings that were put together already.
impl From<Vec<Finding>> for Findings {
    fn from(list: Vec<Finding>) -> Self {
        let mut collected = Collected::default();
        for (position, finding) in list.iter().enumerate() {
            let place = (finding.code.clone(), finding.path.clone(), finding.offset);
            collected.places.entry(place).or_default().push(position);
            let of_file = collected.per_file.entry(finding.path.clone()).or_default();
            match finding.code == MORE_FAULTS {
                true => of_file.more = Some(position),
                false => of_file.kept += 1,
            }
        }
        Self(Arc::new(Mutex::new(Collected { list, ..collected })))
    }
}

impl Findings {
    /// None yet; the first error that is added sets `flag`.
    pub fn raising(flag: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Mutex::new(Collected { raised: Some(flag), ..Collected::default() })))
    }

    /// Adds a finding that is not there yet. One fact is one finding, however many readers run into it: what they say of
    /// its consequences is put together.
    pub fn add(&self, finding: Finding) {
        let mut collected = self.collected();
        collected.raise(&finding);
        let Collected { list, places, per_file, .. } = &mut *collected;
        let place = (finding.code.clone(), finding.path.clone(), finding.offset);
        for known in places.get(&place).into_iter().flatten() {
            let Some(known) = list.get_mut(*known) else { continue };
            if same_fact(known, &finding) {
                merge(known, finding);
                return;
            }
        }
        let of_file = per_file.entry(finding.path.clone()).or_default();
        if of_file.more.is_none() && of_file.kept < MOST_PER_FILE {
            of_file.kept += 1;
            places.entry(place).or_default().push(list.len());
            list.push(finding);
            return;
        }
        // It is as grave as the gravest that it stands for.
        let more =
            Finding { severity: finding.severity, path: finding.path, ..Finding::error(MORE_FAULTS, MORE_DETAIL) };
        let more = more.loses(finding.loss, None);
        match of_file.more.and_then(|position| list.get_mut(position)) {
            Some(known) => merge(known, more),
            None => {
                of_file.more = Some(list.len());
                list.push(more);
            }
        }
    }

    /// Adds the fault of a single row. Rows of one file with the same code make one finding, that of the first, with their number
    /// as the documents at risk.
    pub fn add_row(&self, finding: Finding) {
        let mut collected = self.collected();
        collected.raise(&finding);
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
        self.collected().list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Everything so far.
    pub fn list(&self) -> Vec<Finding> {
        let collected = self.collected();
        let mut list = collected.list.clone();
        for (position, count) in collected.rows.values() {
            let Some(finding) = list.get_mut(*position) else { continue };
            finding.documents_at_risk = Some(*count);
            if *count > 1 {
                finding.detail.push_str(&format!("; the same in {}", many(count - 1, "more row")));
            }
        }
        list
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two findings of one place tell of the same fact: in the same words, or one goes on where the other ends.
fn same_fact(one: &Finding, other: &Finding) -> bool {
    let (short, long) = if one.detail.len() < other.detail.len() { (one, other) } else { (other, one) };
    let rest = long.detail.strip_prefix(&short.detail);
    let segments = one.segment.is_none() || other.segment.is_none() || one.segment == other.segment;
    segments && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("; "))
}

/// The gravest of both, in the words of the one that says more.
fn merge(known: &mut Finding, other: Finding) {
    known.severity = known.severity.max(other.severity);
    known.segment = known.segment.or(other.segment);
    known.documents_at_risk = known.documents_at_risk.max(other.documents_at_risk);
    known.loss = known.loss.max(other.loss);
    if known.detail.len() < other.detail.len() {
        known.detail = other.detail;
    }
    if known.repair.is_none() {
        known.repair = other.repair;
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
    fn one_fact_is_one_finding_with_the_worst_that_anyone_says_of_it() {
        let findings = Findings::default();
        let empty = |detail: &str, loss, documents| {
            Finding::error("a.empty", detail).at(Path::new("x")).offset(0).loses(loss, documents)
        };
        findings.add(empty("0 bytes", Loss::Possible, None));
        findings.add(empty("0 bytes; the engine refuses it", Loss::Certain, Some(7)).segment(3));
        findings.add(empty("0 bytes", Loss::None, Some(2)));
        assert_eq!(findings.list(), [empty("0 bytes; the engine refuses it", Loss::Certain, Some(7)).segment(3)]);
    }

    #[test]
    fn facts_that_only_look_alike_stay_apart() {
        let findings = Findings::default();
        let fault = |detail: &str| Finding::error("a.b", detail).at(Path::new("x"));
        let apart = [
            fault("row 1"),
            fault("row 12"),
            fault("row 1").offset(0),
            fault("row 1").at(Path::new("y")),
            Finding { code: "a.c".to_owned(), ..fault("row 1") },
            fault("in a block").segment(0),
            fault("in a block").segment(1),
        ];
        findings.extend(apart.clone());
        assert_eq!(findings.list(), apart);
    }

    #[test]
    fn a_file_does_not_flood_the_report() {
        let findings = Findings::default();
        for offset in 0..1000 {
            findings.add(Finding::error("a.b", "x").at(Path::new("x")).offset(offset % 500));
        }
        findings.add(Finding::error("a.b", "x").at(Path::new("y")));
        assert_eq!(findings.collected().places.len(), MOST_PER_FILE + 1, "what is not kept takes no memory");
        let list = findings.list();
        assert_eq!(list.len(), MOST_PER_FILE + 2);
        assert_eq!(list[MOST_PER_FILE].code, "file.more-faults");
    }

    #[test]
    fn what_stands_for_more_faults_is_as_grave_as_the_gravest_of_them() {
        let fault = |offset| Finding::warning("a.b", "x").at(Path::new("x")).offset(offset);
        let findings = Findings::default();
        findings.extend((0..=MOST_PER_FILE as u64).map(fault));
        let more = |findings: &Findings| {
            let more = findings.list().into_iter().filter(|finding| finding.code == "file.more-faults");
            more.map(|finding| (finding.severity, finding.loss)).collect::<Vec<_>>()
        };
        assert_eq!(more(&findings), [(Severity::Warning, Loss::None)]);
        findings.add(Finding { severity: Severity::Error, ..fault(998) }.loses(Loss::Certain, Some(7)));
        findings.add(fault(999));
        assert_eq!(more(&findings), [(Severity::Error, Loss::Certain)]);
        // The same once the findings were put together and others come.
        let again = Findings::from(findings.list());
        again.add(fault(1000));
        assert_eq!((again.list().len(), more(&again)), (MOST_PER_FILE + 1, vec![(Severity::Error, Loss::Certain)]));
    }
}
