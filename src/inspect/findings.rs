//! Faults of the formats as findings about files.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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

/// Findings as they come up while documents are read: each once, shared by the readers of one look.
#[derive(Debug, Clone, Default)]
pub struct Findings(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    list: Vec<Finding>,
    seen: HashSet<Finding>,
}

impl Findings {
    /// Adds a finding that is not there yet.
    pub fn add(&self, finding: Finding) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_file = collected.list.iter().filter(|other| other.path == finding.path).count();
        if of_file < MOST_PER_FILE {
            if collected.seen.insert(finding.clone()) {
                collected.list.push(finding);
            }
        } else if of_file == MOST_PER_FILE {
            let more = Finding {
                path: finding.path,
                ..Finding::error("file.more-faults", "and more faults of the same file")
            };
            collected.list.push(more.loses(finding.loss, None));
        }
    }

    /// Adds several.
    pub fn extend(&self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// Everything so far.
    pub fn list(&self) -> Vec<Finding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).list.clone()
    }
}

/// The path of a file in a RocksDB directory of the collection.
pub fn in_directory(dir: &Path, file: &str) -> PathBuf {
    if file.is_empty() { dir.to_owned() } else { dir.join(file) }
}
