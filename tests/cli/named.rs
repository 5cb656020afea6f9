//! `documents.jsonl`: every document that a repair could not bring back whole is named there, however many they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};

use serde_json::Value;

use crate::support::{
    Fixture, Snapshot,
    program::{json_on, on, run},
    schemas,
};

/// Repairs, and reads the list that the report names. Returns the report's data and the lines.
fn repaired(path: &Path, code: i32) -> (Value, Vec<Value>) {
    let data = json_on("repair", path, &["--yes"]).exits(code).envelope()["data"].clone();
    let Some(file) = data["named"]["path"].as_str() else { return (data, Vec::new()) };
    assert_eq!(Path::new(file).parent(), data["quarantine"].as_str().map(Path::new), "beside the journal");
    let lines: Vec<Value> =
        fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        schemas::check("repair-document", line);
    }
    let count = |what: &str| lines.iter().filter(|line| line["what"] == what).count();
    assert_eq!(data["named"]["lost"], count("lost"));
    assert_eq!(data["named"]["doubtful"], count("doubtful"));
    (data, lines)
}

fn ids(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().map(|line| line["id"].as_str().unwrap()).collect()
}

#[test]
fn every_document_with_a_lost_value_is_named() {
    let fixture = Fixture::damaged("ipc_missing");
    let truth = fixture.truth();
    let (data, lines) = repaired(&fixture.path(), 4);
    let exported = on("export", &fixture.path()).exits(0).stdout;
    let changed: BTreeSet<String> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|document| {
            let id = document["id"].as_str().unwrap();
            truth.get(id).is_none_or(|before| before["fields"]["title"] != document["fields"]["title"])
        })
        .map(|document| document["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(changed.len(), 67);
    assert_eq!(ids(&lines), changed.iter().map(String::as_str).collect(), "{data:#}");
    assert!(lines.iter().all(|line| line["what"] == "doubtful" && line["fields"][0] == "title"), "{lines:#?}");
    let shown = run([Path::new("repair"), &fixture.path(), Path::new("--undo")]).exits(0).stdout;
    assert!(shown.contains("taken back"), "{shown}");
}

#[test]
fn more_lost_documents_than_a_report_lists_are_all_named() {
    const DOCUMENTS: usize = 1_300;
    let dir = tempfile::tempdir().unwrap();
    let (path, input) = (dir.path().join("many"), dir.path().join("input.jsonl"));
    let arguments = ["create", path.to_str().unwrap(), "--vector", "dense:VECTOR_FP32:2:FLAT(metric=L2)"];
    run(arguments).exits(0);
    let mut lines = String::new();
    for number in 0..DOCUMENTS {
        writeln!(lines, "{{\"id\": \"doc_{number}\", \"fields\": {{}}, \"vectors\": {{\"dense\": [{number}, 1]}}}}")
            .unwrap();
    }
    fs::write(&input, lines).unwrap();
    json_on("ingest", &path, &[input.to_str().unwrap()]).exits(0);
    let segment = path.join("0");
    let vectors = fs::read_dir(&segment).unwrap().map(|entry| entry.unwrap().path());
    let vectors = vectors.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "proxima")).unwrap();
    fs::remove_file(vectors).unwrap();
    let before = Snapshot::of(&path);
    let (data, lines) = repaired(&path, 4);
    let mut by_id: BTreeMap<&str, &Value> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["what"] == "lost") {
        assert!(by_id.insert(line["id"].as_str().unwrap(), line).is_none(), "named once");
    }
    assert_eq!(by_id.len(), DOCUMENTS);
    assert_eq!(by_id["doc_1234"]["fields"][0], "dense");
    let listed = data["done"].as_array().unwrap().iter().map(|done| done["lost"].as_array().unwrap().len());
    assert_eq!(listed.sum::<usize>(), 1_000, "the report has the first ones");
    json_on("repair", &path, &["--undo"]).exits(0);
    before.assert_contents(&path);
}

#[test]
fn where_all_is_as_it_was_there_is_no_list() {
    let fixture = Fixture::damaged("idmap_sst_flip");
    let (data, _) = repaired(&fixture.path(), 0);
    assert!(data["named"].is_null(), "{data:#}");
}
