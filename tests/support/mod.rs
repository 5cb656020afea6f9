//! What every test binary needs: fixtures, the program, snapshots of directories, the JSON contract.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

pub mod fixture;
pub mod killed;
pub mod program;
pub mod schemas;
pub mod snapshot;

pub use fixture::{Fixture, Truth, copy_tree};
pub use program::{Run, zvecctl};
pub use snapshot::Snapshot;

use std::path::{Path, PathBuf};

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Says on stderr that a part of a test could not run on this system, and why.
#[expect(clippy::print_stderr, reason = "a test that leaves something out must say so")]
pub fn left_out(what: &str, why: &str) {
    eprintln!("LEFT OUT: {what}: {why}");
}
