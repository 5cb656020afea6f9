//! Checks of a collection: every error that can be found, named with file, offset and remedy. Nothing here writes into a collection.

mod context;
pub mod rows;

pub use context::{Context, Level};
