//! Repair: from findings to a plan, from the plan to new files, and from there to a manifest that is published last.
//!
//! ```text
//! verify --level 3 -> findings -> plan -> [--yes] -> new files beside the old | manifest.<N+1> by rename | old files to the quarantine -> verify
//! ```
//!
//! Every change goes through a [`JournalFs`], so a run can be taken back bit for bit, also one that was killed.

mod bench;
mod diagnose;
mod documents;
mod fingerprint;
mod journal;
mod layers;
mod mended;
mod run;
mod undo;

pub use diagnose::fix_of;
pub use fingerprint::fingerprint;
pub use journal::{JOURNAL, JournalFs};
pub use layers::manifest::mends_schema;
pub use mended::{Mended, mended};
pub use run::{Hooks, Request, Step, repair, review, survey, take_back};
pub use undo::runs;
