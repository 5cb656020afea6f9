//! The JSON contract: the types behind every `--format json` output.
//!
//! Everything that `zvecctl` prints for machines is one of these types, serialized. Their JSON Schemas are kept in
//! `docs/schemas/`; a test compares, so a change of the contract is a visible diff.

pub mod bundle;
pub mod digest;
pub mod documents;
pub mod engine;
mod envelope;
mod exit;
pub mod explain;
pub mod files;
mod finding;
mod firsts;
pub mod idmap;
pub mod manifest;
pub mod outlook;
pub mod repair;
pub mod salvage;
pub mod seal;
pub mod segments;
pub mod verify;
pub mod wal;

pub use envelope::{Envelope, ErrorReport, schema_id};
pub use exit::Exit;
pub use finding::{Finding, Loss, MORE_FAULTS, Severity};
pub use firsts::Firsts;

/// A path as JSON and tables show it: UTF-8, anything else replaced, with `/` between its parts.
pub fn show_path(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A number of things, in words: `1 file`, `2 files`.
pub fn many(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}
