//! The command line.

use std::fs;

use super::support::{Fixture, Snapshot, program::json_on};

#[test]
fn makes_a_collection_a_file_of_rejects_and_says_so() {
    let fixture = Fixture::damaged("wal_bit_flip");
    let before = Snapshot::of(&fixture.path());
    let out = fixture.outside().join("saved");
    let run = json_on("salvage", &fixture.path(), &["--out", out.to_str().unwrap()]).exits(4);
    let data = &run.envelope()["data"];
    assert_eq!((&data["documents"], &data["lost"]["records"]), (&105.into(), &1.into()));
    let rejects = fs::read_to_string(data["rejects"].as_str().unwrap()).unwrap();
    let reject: serde_json::Value = serde_json::from_str(rejects.trim()).unwrap();
    assert_eq!((&reject["id"], &reject["reason"]), (&"doc_00090".into(), &"wal.damaged".into()));
    before.assert_unchanged(&fixture.path(), "salvage");
    // Neither the collection nor the rejects are written over.
    let again = json_on("salvage", &fixture.path(), &["--out", out.to_str().unwrap()]).exits(7);
    assert_eq!(again.envelope()["error"]["code"], "salvage.exists");
}

#[test]
fn refuses_a_place_in_the_source() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let before = Snapshot::of(&fixture.path());
    for inside in ["saved", "0/saved"] {
        let out = fixture.join(inside);
        json_on("salvage", &fixture.path(), &["--out", out.to_str().unwrap()]).exits(2);
    }
    json_on("salvage", &fixture.path(), &["--out", fixture.path().to_str().unwrap()]).exits(7);
    before.assert_unchanged(&fixture.path(), "salvage");
}

#[test]
fn writes_json_lines_and_parquet() {
    let fixture = Fixture::damaged("manifest_missing");
    for to in ["jsonl", "parquet"] {
        let out = fixture.outside().join(to);
        json_on("salvage", &fixture.path(), &["--to", to, "--out", out.to_str().unwrap()]).exits(3);
        let bytes = fs::read(&out).unwrap();
        match to {
            "jsonl" => assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 78),
            _ => assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1")),
        }
    }
}

#[test]
fn takes_segments_alone_and_a_schema_file() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let schema = fixture.outside().join("schema.json");
    let shown = json_on("schema show", &fixture.path(), &[]).exits(0).envelope()["data"].to_string();
    fs::write(&schema, shown).unwrap();
    for entry in fs::read_dir(fixture.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().parse::<u32>().is_err() {
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }
    let out = fixture.outside().join("saved");
    let more = ["--schema", schema.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let run = json_on("salvage", &fixture.path(), &more).exits(4);
    assert_eq!(run.envelope()["data"]["schema"]["from"], "schema file");
    let empty = fixture.outside().join("nothing");
    fs::create_dir_all(empty.join("7")).unwrap();
    json_on("salvage", &empty, &["--out", fixture.outside().join("x").to_str().unwrap()]).exits(5);
}

#[test]
fn deleted_documents_come_only_when_asked_for() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let count = |more: &[&str], name: &str| {
        let out = fixture.outside().join(name);
        let more: Vec<_> = more.iter().copied().chain(["--out", out.to_str().unwrap()]).collect();
        let data = json_on("salvage", &fixture.path(), &more).exits(0).envelope()["data"].clone();
        (data["documents"].as_u64().unwrap(), data["deleted"].as_u64().unwrap())
    };
    assert_eq!(count(&[], "live"), (78, 0));
    let (all, deleted) = count(&["--include-deleted"], "all");
    assert!(deleted > 0 && all == 78 + deleted, "{all} {deleted}");
}
