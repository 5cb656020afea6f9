//! The checker of `scripts/trace-flush` finds every sync left out of a trace.

#![cfg(unix)]

use std::process::Command;

#[test]
fn checker_of_traces_passes_a_good_one_and_finds_every_fault() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/trace-flush");
    let output = Command::new(script).arg("--self-test").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("17 cases, 0 failed"), "{said}{output:?}");
}
