//! What is told of a block that was made anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    format::forward::UID_COLUMN,
    report::{
        repair::{Action, DoneAction, LostDocument},
        show_path,
    },
};

use super::{
    super::{super::documents::DocumentList, done, doubt, in_words, lose},
    Job,
    ids::Settled,
};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The block.
    Block,
    /// The index, which the block does not agree with, or where the block cannot be read.
    Index,
    /// The index, which does not tell the order of an array.
    InSomeOrder,
    /// An index that is damaged, too.
    DamagedIndex,
    /// The block, with which an index disagrees that is no better.
    Disputed,
    /// The block, where bytes beside it were overwritten, and nothing vouches for it.
    BesideDamage,
    /// Nothing tells it.
    Nothing,
}

/// Collects what is to be told.
pub struct Telling {
    is_rows: bool,
    rows: u32,
    listed: u32,
    given_up: BTreeSet<usize>,
    /// Rows by field and by where their values come from.
    values: BTreeMap<(String, Source), Vec<usize>>,
    lost_values: Vec<(usize, u64, String)>,
    /// Another file, in which the rows were found.
    found_in: Option<PathBuf>,
}

impl Telling {
    /// Nothing yet, of a block that the manifest gives `listed` rows and that has `rows`.
    pub fn new(job: &Job, rows: u32, listed: u32) -> Self {
        Self {
            is_rows: job.is_rows,
            rows,
            listed,
            given_up: BTreeSet::new(),
            values: BTreeMap::new(),
            lost_values: Vec::new(),
            found_in: None,
        }
    }

    /// Takes over the rows whose documents are unknown.
    pub fn settled(&mut self, settled: &Settled) {
        self.given_up.extend(&settled.given_up);
    }

    /// Says that the rows were found in another file.
    pub fn found_in(&mut self, path: PathBuf) {
        self.found_in = Some(path);
    }

    /// Whether a row is given up as far as is known.
    pub fn is_given_up(&self, row: usize) -> bool {
        self.given_up.contains(&row)
    }

    /// Rows that are given up.
    pub fn given_up(&self) -> impl Iterator<Item = usize> + use<> {
        self.given_up.clone().into_iter()
    }

    /// Takes note of where the value of a living row comes from.
    pub fn value(&mut self, field: &str, row: usize, doc_id: u64, source: Source, nullable: bool) {
        match source {
            Source::Block => {}
            Source::Nothing if !nullable => {
                self.given_up.insert(row);
                self.lost_values.push((row, doc_id, field.to_owned()));
            }
            _ => self.values.entry((field.to_owned(), source)).or_default().push(row),
        }
    }

    /// The report.
    pub fn done(&self, action: &Action, settled: &Settled, path: &Path, all: &DocumentList) -> DoneAction {
        let name = |row: usize| match settled.keys.get(row) {
            Some(key) => String::from_utf8_lossy(key).into_owned(),
            None => settled.ids.get(row).map_or_else(|| format!("row {row}"), |id| format!("document {id}")),
        };
        let list = |rows: &[usize]| in_words(rows, |row| name(*row));
        let mut parts = vec![format!("{} rows written anew as {}", self.rows, show_path(path))];
        if self.rows != self.listed {
            parts.push(format!("the manifest said {}", self.listed));
        }
        if let Some(path) = &self.found_in {
            parts.push(format!("the block held other rows, its own were found in {}", show_path(path)));
        }
        if settled.foreign {
            parts.push("the block held other rows, nothing of it was used".to_owned());
        }
        for (count, what) in [(settled.new_ids, "document ids"), (settled.new_keys, "keys")] {
            if count > 0 && self.is_rows {
                parts.push(format!("{count} {what} put right"));
            }
        }
        let mut report = done(action, String::new());
        let mut doubtful = Vec::new();
        let doubt_rows = |report: &DoneAction, rows: &[usize], field: &str, why: &str| {
            for row in rows {
                let key = settled.keys.get(*row).map(|key| String::from_utf8_lossy(key));
                doubt(all, report, (key.as_deref(), settled.ids.get(*row).copied()), &[field], why);
            }
        };
        for ((field, source), rows) in &self.values {
            let count = rows.len();
            if let Some(why) = why(*source) {
                doubt_rows(&report, rows, field, why);
            }
            match source {
                Source::Block => {}
                Source::Index => parts.push(format!("{count} values of {field} taken from the index")),
                Source::InSomeOrder => doubtful.push(format!(
                    "field {field} of {count} documents has the elements that the index has, in another order perhaps: {}",
                    list(rows)
                )),
                Source::DamagedIndex => doubtful.push(format!(
                    "field {field} of {count} documents is taken from an index that is damaged, too: {}",
                    list(rows)
                )),
                Source::Disputed => doubtful.push(format!(
                    "field {field} of {count} documents differs from the index, which is no better: {}",
                    list(rows)
                )),
                Source::BesideDamage => doubtful.push(format!(
                    "field {field} of {count} documents lies beside bytes that were overwritten, and is kept as it reads; nothing tells whether it was \
                     overwritten, too: {}",
                    list(rows)
                )),
                Source::Nothing => doubtful
                    .push(format!("field {field} of {count} documents cannot be read and is null now: {}", list(rows))),
            }
        }
        if !settled.doubtful.is_empty() {
            let (count, rows) = (settled.doubtful.len(), list(&settled.doubtful));
            doubtful.push(format!("the keys of {count} documents come from an id map that is damaged, too: {rows}"));
            doubt_rows(&report, &settled.doubtful, UID_COLUMN, "its key comes from an id map that is damaged, too");
        }
        report.detail = parts.join(", ");
        report.documents = Some(u64::from(self.rows).saturating_sub(self.given_up.len() as u64));
        for lost in &settled.lost {
            let id = lost.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
            lose(all, &mut report, LostDocument { id, doc_id: lost.doc_id, reason: lost.reason.to_owned() }, &[]);
        }
        let mut named = BTreeSet::new();
        for (row, doc_id, field) in self.lost_values.iter().filter(|(row, ..)| named.insert(*row)) {
            let id = settled.keys.get(*row).map(|key| String::from_utf8_lossy(key).into_owned());
            let reason = format!("its value of field {field} cannot be read");
            lose(all, &mut report, LostDocument { id, doc_id: Some(*doc_id), reason }, &[field.as_str()]);
        }
        report.doubtful = doubtful;
        report
    }
}

/// Why a value is doubtful, one by one; `None` if it is not.
fn why(source: Source) -> Option<&'static str> {
    match source {
        Source::Block | Source::Index => None,
        Source::InSomeOrder => Some("it has the elements that the index has, in another order perhaps"),
        Source::DamagedIndex => Some("it is taken from an index that is damaged, too"),
        Source::Disputed => Some("it differs from the index, which is no better"),
        Source::BesideDamage => {
            Some("it lies beside bytes that were overwritten, and is kept as it reads: nothing vouches for it")
        }
        Source::Nothing => Some("it cannot be read, and is null now"),
    }
}
