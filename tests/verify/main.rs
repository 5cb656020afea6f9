//! `verify`, `seal`, `digest` and `explain` on every archive in `fixtures/`.

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod budget;
mod digest;
mod explain;
mod options;
mod outlook;
mod seal;
mod told;
mod wounds;

use std::path::Path;

use serde_json::Value;
use support::program::{Run, json_on};

/// The one collection of a run of `verify` on `path`.
fn verified(path: &Path, more: &[&str]) -> (Run, Value) {
    let run = json_on("verify", path, more);
    let envelope = run.envelope();
    let collection = envelope["data"]["collections"][0].clone();
    assert!(collection.is_object(), "{}: {envelope:#}", run.command);
    (run, collection)
}

/// Severity, code and path of each finding.
fn found(collection: &Value) -> Vec<String> {
    let findings = collection["findings"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    findings.map(|f| format!("{} {} {}", text(&f["severity"]), text(&f["code"]), text(&f["path"]))).collect()
}
