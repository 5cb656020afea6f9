//! What is made anew, layer by layer: one module for each kind of file, each with what it needs and what it loses.

pub mod deletes;
pub mod forward;
pub mod fts_index;
pub mod gc;
pub mod id_map;
pub mod manifest;
pub mod scalar_index;
pub mod segments;
pub mod vectors;
pub mod wal;

use crate::report::repair::{Action, DoneAction};

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
