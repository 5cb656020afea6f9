//! What is told of a vector file that was made anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::report::{
    repair::{Action, DoneAction, LostDocument},
    show_path,
};

use super::{
    super::{NAMED, done, in_words, lose},
    copies::{Picked, Quality},
};

/// Document id and key of rows of a segment, as far as they can be read.
pub type Names = BTreeMap<u64, (Option<u64>, Option<String>)>;

/// Collects what is to be told.
#[derive(Default)]
pub struct Telling {
    rows: u64,
    left_out: bool,
    by_quality: BTreeMap<Quality, Vec<u64>>,
    nulled: Vec<u64>,
    lost: Vec<u64>,
    notes: BTreeSet<String>,
    names: Names,
}

/// What becomes of a file that stands in for an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It stands in for none.
    Nothing,
    /// zvec builds the index again.
    Optimize,
    /// What zvec would build would be wrong again.
    LeaveFlat,
}

impl Telling {
    /// Takes note of the vector of a living row.
    pub fn row(&mut self, row: u64, picked: &Picked, quality: Quality, nullable: bool, quantised: bool) {
        self.rows += 1;
        match picked {
            Picked::Nothing if nullable => self.nulled.push(row),
            Picked::Nothing => self.lost.push(row),
            // Where the quantised file is made of itself again nothing gets worse, and a dispute is told with the full file.
            _ if quality == Quality::Whole || (quantised && quality == Quality::Quantised) => {}
            _ => self.by_quality.entry(quality).or_default().push(row),
        }
    }

    /// Takes note of damage that was undone.
    pub fn notes(&mut self, notes: impl Iterator<Item = String>) {
        self.notes.extend(notes);
    }

    /// Says that the column has no such file before `optimize`.
    pub fn left_out(&mut self) {
        self.left_out = true;
    }

    /// Whether vectors come from the quantised copy.
    pub fn has_quantised(&self) -> bool {
        self.by_quality.contains_key(&Quality::Quantised)
    }

    /// Rows whose documents are given up.
    pub fn lost(&self) -> Vec<u64> {
        self.lost.clone()
    }

    /// Rows that are to be named.
    pub fn named(&self) -> BTreeSet<u64> {
        let some = self.by_quality.values().chain([&self.nulled]).flat_map(|rows| rows.iter().take(NAMED));
        some.chain(&self.lost).copied().collect()
    }

    /// Gives them names.
    pub fn names(&mut self, names: Names) {
        self.names = names;
    }

    fn list(&self, rows: &[u64]) -> String {
        let name = |row: &u64| match self.names.get(row) {
            Some((_, Some(key))) => key.clone(),
            Some((Some(id), None)) => format!("document {id}"),
            _ => format!("row {row} of the segment"),
        };
        in_words(rows, name)
    }

    /// The report; `unsure`: a checksum of the old file did not fit.
    pub fn done(&self, action: &Action, paths: &[PathBuf], next: Next, unsure: bool) -> DoneAction {
        let paths: Vec<String> = paths.iter().map(|path| show_path(path)).collect();
        let mut detail = match self.left_out {
            true => "left out: the column has such a file only after `optimize`".to_owned(),
            false => format!("{} vectors written anew as {}", self.rows, paths.join(", ")),
        };
        detail.push_str(match next {
            Next::Nothing => "",
            Next::Optimize => ", flat: zvec's `optimize` builds the index again",
            Next::LeaveFlat => {
                ", flat; zvec 0.8.0's `optimize` would put a rotation beside the codes that is not theirs: do not run it"
            }
        });
        let mut doubtful: Vec<String> = Vec::new();
        for (quality, rows) in &self.by_quality {
            let (count, list) = (rows.len(), self.list(rows));
            doubtful.push(match quality {
                Quality::Whole => continue,
                Quality::Mended => format!(
                    "in {count} vectors the one bit was flipped back that makes each a unit vector again: {list}"
                ),
                Quality::Quantised => {
                    format!("{count} vectors come from the quantised copy and have its precision: {list}")
                }
                Quality::Disputed => format!(
                    "{count} vectors and their quantised copies contradict each other; the full ones were kept: {list}"
                ),
                Quality::Damaged => format!(
                    "{count} vectors contradict themselves and are kept as they read, at least one component is wrong: {list}"
                ),
            });
        }
        if !self.nulled.is_empty() {
            let (count, list) = (self.nulled.len(), self.list(&self.nulled));
            doubtful.push(format!(
                "{count} vectors cannot be read and are null now: {list}; zvec 0.8.0 does not fetch documents behind the last one of a block \
                 that has a vector"
            ));
        }
        if unsure {
            doubtful.push(format!(
                "a checksum of the old file does not fit: any of its {} vectors may be wrong, nothing tells which",
                self.rows
            ));
        }
        doubtful.extend(self.notes.iter().cloned());
        let mut report = done(action, detail);
        report.documents = Some(self.rows.saturating_sub(self.lost.len() as u64));
        for row in &self.lost {
            let (doc_id, id) = self.names.get(row).cloned().unwrap_or_default();
            let reason = "its vector cannot be read, and there is no other copy".to_owned();
            lose(&mut report, LostDocument { id, doc_id, reason });
        }
        report.doubtful = doubtful;
        report
    }
}
