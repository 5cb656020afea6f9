//! `digest`: the same for the same documents.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::support::{Fixture, Snapshot, fixture, program::json_on};

fn digest(path: &std::path::Path) -> Value {
    let run = json_on("digest", path, &[]).exits(0);
    run.envelope()["data"].clone()
}

/// Six releases, each left three times: killed with everything in the log, flushed, optimized. The documents are the same,
/// but for a text field in some.
#[test]
fn a_digest_does_not_depend_on_release_or_state() {
    let mut by_fields: BTreeMap<Vec<String>, Vec<(String, String)>> = BTreeMap::new();
    for name in fixture::names("samples") {
        let data = digest(&fixture::shared("samples", &name).join("collection"));
        assert_eq!((&data["documents"], &data["complete"]), (&195.into(), &true.into()), "{name}");
        let fields = data["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned());
        by_fields.entry(fields.collect()).or_default().push((name, data["digest"].as_str().unwrap().to_owned()));
    }
    assert_eq!(by_fields.len(), 2);
    for group in by_fields.values() {
        assert!(group.len() >= 4);
        assert!(group.iter().all(|(_, digest)| *digest == group[0].1), "{group:?}");
    }
}

#[test]
fn one_changed_value_changes_its_field_and_the_whole() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let before = Snapshot::of(fixture.outside());
    let whole = digest(&fixture.path());
    before.assert_unchanged(fixture.outside(), "digest");
    let block = fixture.join("0/scalar.0.ipc");
    let mut bytes = fs::read(&block).unwrap();
    let at = bytes.windows(8).position(|window| window == b"title 33").expect("a title of the fixture");
    bytes[at + 7] = b'4';
    fs::write(&block, bytes).unwrap();
    let changed = digest(&fixture.path());
    assert_ne!(changed["digest"], whole["digest"]);
    assert_eq!(changed["keys"], whole["keys"]);
    let differing: Vec<_> = changed["fields"]
        .as_array()
        .unwrap()
        .iter()
        .zip(whole["fields"].as_array().unwrap())
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a["name"].as_str().unwrap())
        .collect();
    assert_eq!(differing, ["title"]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let fixture = Fixture::damaged("proxima_missing");
    let run = json_on("digest", &fixture.path(), &[]).exits(4);
    let data = &run.envelope()["data"];
    assert_eq!(data["complete"], false);
    let dense = data["fields"].as_array().unwrap().iter().find(|field| field["name"] == "dense").unwrap();
    assert_eq!(dense["unreadable"], 67);
}
