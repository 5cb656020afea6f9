//! `docs get` and `export`.

use std::{fs, path::Path};

use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
};
use serde_json::Value;

use crate::support::{
    Fixture, Truth,
    program::{findings, json_on, on, run, steady},
    schemas,
};

/// Documents by id; two of one id fail.
fn by_id(lines: Vec<Value>) -> Truth {
    let count = lines.len();
    let documents: Truth = lines.into_iter().map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect();
    assert_eq!(documents.len(), count, "an id was exported twice");
    documents
}

#[test]
fn docs_get_shows_documents_and_where_they_are() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let path = fixture.path();
    let shown = run(["docs", "get", path.to_str().unwrap(), "doc_00001", "nobody", "doc_00109"]).exits(1).silently();
    insta::assert_snapshot!(steady(&shown.stdout), @r"
    id doc_00001
    state found
    doc id 1
    from 0/scalar.0.ipc row 1
    FIELD VALUE
    title title 1
    year 1951
    dense [-0.8771523,0.8138879,-0.69266397,0.9388972]

    id nobody
    state absent

    id doc_00109
    state found
    doc id 111
    from 0/5.wal offset 3334
    FIELD VALUE
    title title 109
    year 1969
    dense [0.7907531,0.7284398,0.31588537,0.26136976]

    warning: document.absent: there is no document nobody
    ");
    let json = json_on("docs get", &path, &["doc_00109", "doc_00001"]).exits(0).silently().envelope();
    let documents = json["data"]["documents"].as_array().unwrap();
    assert_eq!(documents[0]["document"]["fields"]["title"], "title 109");
    assert_eq!(documents[1]["origin"], "0/scalar.0.ipc row 1");
    for lookup in documents {
        schemas::check("document", &lookup["document"]);
    }
}

#[test]
fn docs_get_sees_what_the_wal_deleted_unless_told_not_to_look() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let state = |more: &[&str]| {
        let json = json_on("docs get", &fixture.path(), more).envelope();
        json["data"]["documents"][0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(&["doc_00002"]), "absent", "the WAL deletes it");
    assert_eq!(state(&["--no-wal", "doc_00002"]), "found");
    assert_eq!(state(&["doc_00100"]), "found", "the WAL inserts it");
    assert_eq!(state(&["--no-wal", "doc_00100"]), "absent");
    assert_eq!(state(&["doc_00005"]), "absent", "the delete snapshot marks it");
}

#[test]
fn docs_get_finds_every_document_of_a_damaged_id_map() {
    for name in ["idmap_missing", "idmap_current_missing", "idmap_sst_flip", "idmap_sst_missing", "idmap_manifest_flip"]
    {
        let fixture = Fixture::damaged(name);
        let truth = fixture.truth();
        let ids: Vec<&str> = truth.keys().map(String::as_str).collect();
        let json = json_on("docs get", &fixture.path(), &ids).envelope();
        for lookup in json["data"]["documents"].as_array().unwrap() {
            assert_eq!(lookup["state"], "found", "{name}: {lookup}");
        }
        assert!(findings(&json).iter().any(|finding| finding.contains("@idmap.0")), "{name}: {:?}", findings(&json));
    }
}

#[test]
fn export_writes_the_live_documents_as_json_lines() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let exported = on("export", &fixture.path()).exits(0);
    assert_eq!(exported.stderr, "106 documents, 29 from the write-ahead log\n");
    let documents = by_id(exported.lines("document"));
    let truth = fixture.truth();
    assert_eq!(documents.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    for (id, document) in &documents {
        assert_eq!(document["fields"], truth[id]["fields"], "{id}");
        assert!(document.get("unreadable").is_none() && document.get("deleted").is_none(), "{id}");
    }

    let summary = json_on("export", &fixture.path(), &[]).exits(0).summary();
    let counts = |name: &str| summary["data"][name].as_u64().unwrap();
    assert_eq!((counts("documents"), counts("from_wal"), counts("incomplete"), counts("unreadable")), (106, 29, 0, 0));
}

#[test]
fn export_without_the_wal_is_what_was_flushed() {
    let killed = on("export --no-wal", &Fixture::good("0.8.0_small_killed").path()).exits(0);
    let documents = by_id(killed.lines("document"));
    let flushed = Fixture::good("0.8.0_small_flushed").truth();
    assert_eq!(documents.keys().collect::<Vec<_>>(), flushed.keys().collect::<Vec<_>>());
    assert_eq!(killed.stderr, "78 documents\n");
}

#[test]
fn export_with_deleted_ones_marks_them() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let exported = json_on("export --include-deleted", &fixture.path(), &[]).exits(0);
    let lines = exported.lines("document");
    let (deleted, live): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["deleted"] == true);
    assert_eq!(by_id(live).len(), fixture.truth().len());
    assert!(deleted.iter().any(|document| document["id"] == "doc_00002"), "deleted in the WAL");
    assert!(deleted.iter().any(|document| document["id"] == "doc_00005"), "marked in the delete snapshot");
    assert_eq!(exported.summary()["data"]["deleted"], deleted.len());
}

/// Without its id map a collection gave the old version of a document beside the one that an upsert in the WAL had put in its place.
#[test]
fn upserts_in_the_wal_replace_documents_even_without_an_id_map() {
    for name in ["0.8.0_wal_over_flushed_killed", "0.8.0_small_segments_killed", "0.8.0_parquet_killed"] {
        let fixture = Fixture::good(name);
        let id_map = fs::read_dir(fixture.path()).unwrap().map(|entry| entry.unwrap().path());
        let id_map = id_map.into_iter().find(|path| path.to_str().unwrap().contains("idmap.")).unwrap();
        fs::remove_dir_all(&id_map).unwrap();
        let documents = by_id(json_on("export", &fixture.path(), &[]).exits(3).lines("document"));
        let truth = fixture.truth();
        assert_eq!(documents.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>(), "{name}");
        for (id, document) in &truth {
            for (field, value) in document["fields"].as_object().unwrap() {
                assert_eq!(&documents[id]["fields"][field], value, "{name}: {id}");
            }
        }
    }
}

#[test]
fn export_to_a_file_replaces_it_as_a_whole() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let file = fixture.outside().join("out.jsonl");
    fs::write(&file, "old").unwrap();
    let written = json_on("export", &fixture.path(), &["--output", file.to_str().unwrap()]).exits(0);
    assert_eq!(written.stdout, "");
    assert_eq!(fs::read_to_string(&file).unwrap(), on("export", &fixture.path()).stdout);
    assert_eq!(names_in(fixture.outside()), ["collection", "out.jsonl"], "no temporary file is left");
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_output_file_that_cannot_be_written_is_named() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    for (target, code) in [("missing/out.jsonl", 11), ("", 11), ("collection", 11)] {
        let file = fixture.outside().join(target);
        let json = json_on("export", &fixture.path(), &["--output", file.to_str().unwrap()]).exits(code).envelope();
        assert_eq!(json["error"]["code"], "io.output", "{target}");
        assert_eq!(json["error"]["path"], file.to_str().unwrap(), "{target}");
        assert!(!json["error"]["hint"].is_null());
    }
    assert_eq!(names_in(fixture.outside()), ["collection"], "nothing is left");
}

#[test]
fn parquet_holds_the_same_documents() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let file = fixture.outside().join("out.parquet");
    run(["export", "--to", "parquet", "-o", file.to_str().unwrap(), fixture.path().to_str().unwrap()]).exits(0);
    let reader = SerializedFileReader::new(fs::File::open(&file).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let column = |name: &str| {
        schema
            .root_schema()
            .get_fields()
            .iter()
            .position(|field| field.name() == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    let (id, title, year, dense) = (column("id"), column("title"), column("year"), column("dense"));
    let truth = fixture.truth();
    let mut seen = Vec::new();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let expected = &truth[row.get_string(id).unwrap()];
        assert_eq!(row.get_string(title).unwrap(), expected["fields"]["title"].as_str().unwrap());
        assert_eq!(i64::from(row.get_int(year).unwrap()), expected["fields"]["year"].as_i64().unwrap());
        let expected = expected["vectors"]["dense"].as_array().unwrap();
        let list = row.get_list(dense).unwrap().elements().to_vec();
        assert_eq!(list.len(), expected.len());
        for (found, expected) in list.iter().zip(expected) {
            let parquet::record::Field::Float(found) = found else { panic!("{found:?}") };
            assert!((f64::from(*found) - expected.as_f64().unwrap()).abs() < 1e-5);
        }
        seen.push(row.get_string(id).unwrap().clone());
    }
    seen.sort();
    assert_eq!(seen, truth.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn parquet_of_every_type_is_read_back() {
    for name in [
        "0.8.0_scalars_extreme",
        "0.8.0_sparse_flat_flushed",
        "0.8.0_flat_fp16_flushed",
        "0.8.0_flat_int8_flushed",
        "0.8.0_empty",
    ] {
        let fixture = Fixture::good(name);
        let file = fixture.outside().join("out.parquet");
        run(["export", "--to", "parquet", "-o", file.to_str().unwrap(), fixture.path().to_str().unwrap()]).exits(0);
        let reader = SerializedFileReader::new(fs::File::open(&file).unwrap()).unwrap();
        let rows = reader.get_row_iter(None).unwrap().collect::<Result<Vec<_>, _>>().unwrap().len();
        assert_eq!(rows, fixture.truth().len(), "{name}");
    }
}

#[test]
fn parquet_needs_a_file_and_one_version_of_each_document() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let json = json_on("export --to parquet", &fixture.path(), &[]).exits(2).envelope();
    assert_eq!(json["error"]["code"], "usage");
    let file = fixture.outside().join("out.parquet");
    let more = ["--include-deleted", "-o", file.to_str().unwrap()];
    let json = json_on("export --to parquet", &fixture.path(), &more).exits(2).envelope();
    assert!(json["error"]["message"].as_str().unwrap().contains("--include-deleted"));
    assert!(!file.exists());
}

#[test]
fn fields_that_cannot_be_read_are_named_and_left_out() {
    let fixture = Fixture::damaged("proxima_missing");
    let exported = json_on("export", &fixture.path(), &[]).exits(4);
    let lines = exported.lines("document");
    let incomplete: Vec<_> = lines.iter().filter(|line| line.get("unreadable").is_some()).collect();
    assert_eq!(incomplete.len(), 67, "the live rows of the first block");
    assert!(
        incomplete
            .iter()
            .all(|line| line["unreadable"] == serde_json::json!(["dense"]) && line["vectors"].get("dense").is_none())
    );
    assert_eq!(exported.summary()["data"]["incomplete"], 67);
    let told = on("export", &fixture.path()).exits(4).stderr;
    assert!(told.ends_with("78 documents, 67 with fields that cannot be read\n"), "{told}");
}
