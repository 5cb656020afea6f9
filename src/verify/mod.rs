//! Checks of a collection: every error that can be found, named with file, offset and remedy. Nothing here writes into a collection.
//!
//! A run is a list of [`Job`]s, each about one file or directory, spread over threads. Findings of all jobs come together in one
//! [`Context`].

mod context;
mod files;
mod jobs;
mod outlook;
mod run;
pub mod seal;
mod state;
mod wounds;
pub mod vectors;

pub use context::{Context, Level};
pub use jobs::{Job, Work};
pub use outlook::{RELEASE, outlook};
pub use run::{Ended, Flow, Options, Verified, verify};
pub use state::State;
