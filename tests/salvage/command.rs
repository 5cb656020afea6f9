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

/// What can be read of a damaged id map was passed over: nobody was told which documents were in a segment that is gone.
#[test]
fn a_damaged_id_map_names_what_is_lost_all_the_same() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let lines = fixture.outside().join("more.jsonl");
    // A table of the id map whose keys span those of the others.
    let vectors = r#""vectors":{"dense":[1,0,0,0]}"#;
    let ids = ["doc_00000a", "doc_00999"];
    let documents: Vec<String> =
        ids.iter().map(|id| format!(r#"{{"id":"{id}","fields":{{"year":1}},{vectors}}}"#)).collect();
    fs::write(&lines, documents.join("\n")).unwrap();
    json_on("ingest", &fixture.path(), &[lines.to_str().unwrap()]).exits(0);
    let tables = fs::read_dir(fixture.join("idmap.0")).unwrap().map(|entry| entry.unwrap().path());
    let newest = tables.filter(|path| path.extension().is_some_and(|end| end == "sst")).max().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[20] ^= 0xa5;
    fs::write(&newest, bytes).unwrap();
    fs::remove_dir_all(fixture.join("0")).unwrap();
    let out = fixture.outside().join("saved.jsonl");
    let run = json_on("salvage", &fixture.path(), &["--to", "jsonl", "--out", out.to_str().unwrap()]).exits(4);
    let lost = &run.envelope()["data"]["lost"];
    assert_eq!(lost["documents"], 39, "{lost}");
    assert_eq!(lost["ids"][0], "doc_00001");
}
