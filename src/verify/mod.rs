//! Checks of a collection: every error that can be found, named with file, offset and remedy. Nothing here writes into a collection.
//!
//! A run is a list of [`Job`]s, each about one file or directory, spread over threads. Findings of all jobs come together in one
//! [`Context`].

mod context;
mod deep;
mod files;
mod jobs;
mod outlook;
pub mod rows;
mod run;
pub mod seal;
mod state;
pub mod vectors;
mod wounds;

pub use context::{Context, Level};
pub use jobs::{Job, Work};
pub use outlook::{RELEASE, outlook};
pub use run::{Ended, Flow, Options, Verified, verify};
pub use state::State;
pub use wounds::lost_records;
