//! What is made anew, layer by layer: one module for each kind of file, each with what it needs and what it loses.

pub mod deletes;
pub mod forward;
pub mod gc;
pub mod id_map;
pub mod index;
pub mod manifest;
mod old_map;
pub mod segments;
pub mod vectors;
pub mod wal;

use crate::report::{
    Firsts,
    repair::{Action, DoneAction, LostDocument},
};

/// Documents that are named in a sentence.
pub const NAMED: usize = 20;
/// Lost documents that a report lists; further ones are counted.
const LISTED: usize = 1000;

/// What a step did, nothing lost.
pub fn done(action: &Action, detail: impl Into<String>) -> DoneAction {
    DoneAction {
        fix: action.fix,
        path: action.path.clone(),
        ok: true,
        detail: detail.into(),
        documents: None,
        lost: Vec::new(),
        lost_unlisted: 0,
        doubtful: Vec::new(),
    }
}

/// Adds a document that is lost.
pub fn lose(report: &mut DoneAction, lost: LostDocument) {
    if report.lost.len() < LISTED {
        report.lost.push(lost);
    } else {
        report.lost_unlisted += 1;
    }
}

/// The names of the first, and how many more there are.
pub fn in_words<T>(list: &[T], name: impl Fn(&T) -> String) -> String {
    list.iter().map(name).collect::<Firsts<NAMED>>().to_string()
}
