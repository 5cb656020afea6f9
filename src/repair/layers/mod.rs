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
    repair::{Action, DoneAction, Fate, LostDocument, NamedDocument},
};

use super::documents::DocumentList;

/// Documents that are named in a sentence.
pub const NAMED: usize = 20;
/// Lost documents that a report lists; further ones are counted.
pub const LISTED: usize = 1000;

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

/// Adds a document that is lost, because of some fields perhaps.
pub fn lose(list: &DocumentList, report: &mut DoneAction, lost: LostDocument, fields: &[&str]) {
    lose_one(list, report, (lost.id.as_deref(), lost.doc_id), fields, &lost.reason);
    if report.lost.len() < LISTED {
        report.lost.push(lost);
    } else {
        report.lost_unlisted += 1;
    }
}

/// Puts a document that is lost on the list.
pub fn lose_one(list: &DocumentList, report: &DoneAction, id: (Option<&str>, Option<u64>), fields: &[&str], why: &str) {
    name(list, report, Fate::Lost, id, fields, why);
}

/// Puts a document that is kept, and not certain to be as it was, on the list.
pub fn doubt(list: &DocumentList, report: &DoneAction, id: (Option<&str>, Option<u64>), fields: &[&str], why: &str) {
    name(list, report, Fate::Doubtful, id, fields, why);
}

fn name(
    list: &DocumentList,
    report: &DoneAction,
    what: Fate,
    (id, doc_id): (Option<&str>, Option<u64>),
    fields: &[&str],
    why: &str,
) {
    list.add(&NamedDocument {
        what,
        id: id.map(Into::into),
        doc_id,
        fields: fields.iter().map(|field| (*field).into()).collect(),
        why: why.into(),
        fix: report.fix,
        path: report.path.as_str().into(),
    });
}

/// The names of the first, and how many more there are.
pub fn in_words<T>(list: &[T], name: impl Fn(&T) -> String) -> String {
    list.iter().map(name).collect::<Firsts<NAMED>>().to_string()
}
