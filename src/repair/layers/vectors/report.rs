//! What is told of a vector file that was made anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use roaring::RoaringTreemap;

use crate::{
    inspect::{SegmentRef, View},
    report::{
        Firsts,
        repair::{Action, DoneAction, LostDocument},
        show_path,
    },
};

use super::{
    super::{super::documents::DocumentList, LISTED, NAMED, done, doubt, forward::each_name, lose_one},
    copies::{Picked, Quality},
};

const NO_COPY: &str = "its vector cannot be read, and there is no other copy";

const AWAY: &str = "the file in the place of its vectors is of other rows, and there is no other copy";

/// Why a document is doubtful, one by one.
fn why(quality: Quality) -> &'static str {
    match quality {
        Quality::Whole => "its vector is as it was",
        Quality::Mended => "the one bit of its vector was flipped back that makes it a unit vector again",
        Quality::Quantised => "its vector comes from the quantised copy and has its precision",
        Quality::Disputed => "its vector and the quantised copy contradict each other; the full one was kept",
        Quality::BesideDamage => {
            "its vector lies beside bytes that were overwritten, and is kept as it reads: nothing vouches for it"
        }
        Quality::OtherCount => {
            "the file of its vectors has another number of rows than the block, and may be of other rows: its vector is kept as it reads"
        }
        Quality::Copy => {
            "the file of its vectors stands in two places, and may be of the rows of the other: its vector is kept as it reads"
        }
        Quality::Damaged => "its vector contradicts itself and is kept as it reads, at least one component is wrong",
    }
}

/// Document id and key of a row of a segment, as far as they can be read.
type Name = (Option<u64>, Option<String>);

/// Collects what is to be told.
#[derive(Default)]
pub struct Telling {
    /// Living rows.
    rows: RoaringTreemap,
    left_out: bool,
    by_quality: BTreeMap<Quality, RoaringTreemap>,
    nulled: RoaringTreemap,
    lost: RoaringTreemap,
    notes: BTreeSet<String>,
    /// A checksum of the old file did not fit.
    unsure: bool,
    /// The old file was of other rows.
    away: bool,
    /// Of the rows that the report names.
    names: BTreeMap<u64, Name>,
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
        self.rows.insert(row);
        match picked {
            Picked::Nothing if nullable => drop(self.nulled.insert(row)),
            Picked::Nothing => drop(self.lost.insert(row)),
            // Where the quantised file is made of itself again nothing gets worse, and a dispute is told with the full file.
            _ if quality == Quality::Whole || (quantised && quality == Quality::Quantised) => {}
            _ => drop(self.by_quality.entry(quality).or_default().insert(row)),
        }
    }

    /// Says that a checksum of the old file did not fit.
    pub fn unsure(&mut self) {
        self.unsure = true;
    }

    /// Says that the old file was of other rows.
    pub fn set_aside(&mut self, path: &str) {
        self.away = true;
        self.notes
            .insert(format!("{path} was not in its place: its vectors are of other rows, and none of them was taken"));
    }

    fn no_copy(&self) -> &'static str {
        if self.away { AWAY } else { NO_COPY }
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

    /// Names its rows: all of them in the list, the first of each kind in the report. Returns the ids of the documents that are given up; `None` if
    /// one of them cannot be read.
    pub fn name(
        &mut self,
        (view, segment): (&View, SegmentRef<'_>),
        (list, report): (&DocumentList, &DoneAction),
        column: &str,
    ) -> Option<RoaringTreemap> {
        let kinds = self.by_quality.values().chain([&self.nulled, &self.lost]);
        let mut concerned = kinds.fold(RoaringTreemap::new(), |all, rows| all | rows);
        if self.unsure {
            concerned |= &self.rows;
        }
        let firsts = self.by_quality.values().chain([&self.nulled]).flat_map(|rows| rows.iter().take(NAMED));
        let told: RoaringTreemap = firsts.chain(self.lost.iter().take(LISTED)).collect();
        let (mut given_up, mut complete) = (RoaringTreemap::new(), true);
        let mut names = BTreeMap::new();
        each_name(view, segment, &concerned, &mut |row, doc_id, key| {
            let key = key.map(|key| String::from_utf8_lossy(&key).into_owned());
            let id = (key.as_deref(), doc_id);
            if self.lost.contains(row) {
                complete &= doc_id.is_some();
                given_up.extend(doc_id);
                lose_one(list, report, id, &[column], self.no_copy());
            } else {
                let reasons = self.by_quality.iter().filter(|(_, rows)| rows.contains(row)).map(|(kind, _)| why(*kind));
                let nulled = self.nulled.contains(row).then_some("its vector cannot be read, and is null now");
                let unsure =
                    self.unsure.then_some("a checksum over the vectors of its file does not fit: it may be wrong");
                for reason in reasons.chain(nulled).chain(unsure) {
                    doubt(list, report, id, &[column], reason);
                }
            }
            if told.contains(row) {
                names.insert(row, (doc_id, key));
            }
        });
        self.names = names;
        complete.then_some(given_up)
    }

    fn list(&self, rows: &RoaringTreemap) -> String {
        let name = |row: u64| match self.names.get(&row) {
            Some((_, Some(key))) => key.clone(),
            Some((Some(id), None)) => format!("document {id}"),
            _ => format!("row {row} of the segment"),
        };
        let mut firsts = Firsts::<NAMED>::default();
        rows.iter().take(NAMED).for_each(|row| firsts.add(|| name(row)));
        firsts.count = rows.len();
        firsts.to_string()
    }

    /// The report.
    pub fn done(&self, action: &Action, paths: &[PathBuf], next: Next) -> DoneAction {
        let paths: Vec<String> = paths.iter().map(|path| show_path(path)).collect();
        let mut detail = match self.left_out {
            true => "left out: the column has such a file only after `optimize`".to_owned(),
            false => format!("{} vectors written anew as {}", self.rows.len(), paths.join(", ")),
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
                Quality::BesideDamage => format!(
                    "{count} vectors lie beside bytes that were overwritten, and are kept as they read; nothing tells whether they were overwritten, too: \
                     {list}"
                ),
                Quality::OtherCount => format!(
                    "{count} vectors are of a file that has another number of rows than the block, and are kept as they read; nothing tells whether they are \
                     of these rows: {list}"
                ),
                Quality::Copy => format!(
                    "{count} vectors are of a file that stands in two places, and are kept as they read; nothing tells whether they are of these rows or \
                     of those of the other place: {list}"
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
        if self.unsure {
            doubtful.push(format!(
                "a checksum of the old file does not fit: any of its {} vectors may be wrong, nothing tells which",
                self.rows.len()
            ));
        }
        doubtful.extend(self.notes.iter().cloned());
        let mut report = done(action, detail);
        report.documents = Some(self.rows.len().saturating_sub(self.lost.len()));
        for row in self.lost.iter().take(LISTED) {
            let (doc_id, id) = self.names.get(&row).cloned().unwrap_or_default();
            report.lost.push(LostDocument { id, doc_id, reason: self.no_copy().to_owned() });
        }
        report.lost_unlisted = self.lost.len().saturating_sub(LISTED as u64);
        report.doubtful = doubtful;
        report
    }
}
