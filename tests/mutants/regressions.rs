//! What mutated collections have shown to be wrong.

use std::{collections::BTreeMap, fs};

use serde_json::{Value as Json, json};
use zvecctl::format::{delete_set, document, value::Value, wal};

use crate::support::{
    Fixture, Snapshot,
    program::{json_on, on, run},
};

fn documents(fixture: &Fixture) -> BTreeMap<String, Json> {
    let lines = json_on("export", &fixture.path(), &[]).stdout;
    let documents = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    documents.map(|document| (document["id"].as_str().unwrap().to_owned(), document)).collect()
}

/// A key whose bytes have rotted in a forward block, where no checksum is: the id map leads the old key to a row that states another one.
#[test]
fn an_update_does_not_go_to_a_row_that_states_another_key() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let block = fixture.join("0/scalar.0.ipc");
    let mut bytes = fs::read(&block).unwrap();
    let at = bytes.windows(9).position(|window| window == b"doc_00001").unwrap();
    bytes[at + 3] = b'~';
    fs::write(&block, bytes).unwrap();
    let before = documents(&fixture);
    assert!(before.contains_key("doc~00001") && !before.contains_key("doc_00001"));

    let input = fixture.outside().join("update.jsonl");
    fs::write(&input, json!({"id": "doc_00001", "fields": {"year": 1}}).to_string()).unwrap();
    let (path, input) = (fixture.path(), input.to_str().unwrap().to_owned());
    let report = json_on("ingest --mode update --on-error skip", &path, &[&input]).exits(7).envelope();
    assert_eq!(report["data"]["written"], 0, "{report}");
    assert_eq!(report["data"]["rejections"][0]["code"], "document.unreadable", "{report}");
    assert_eq!(documents(&fixture), before);
}

/// A log that some program has written, whole and with good checksums, with a text that no block can hold.
#[test]
fn a_text_that_no_block_can_hold_is_not_given_up_unasked() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let log = fixture.join("0/5.wal");
    let mut bytes = wal::encode_header().to_vec();
    let mut odd = None;
    wal::scan(fs::read(&log).unwrap().as_slice(), |record| {
        let mut doc = document::decode(&record.payload, 0).unwrap();
        let title = doc.fields.iter_mut().find(|(name, value)| name == "title" && *value != Value::Null);
        if let (None, Some((_, title))) = (&odd, title) {
            *title = Value::Bytes(b"caf\xe9".to_vec());
            odd = Some(String::from_utf8(doc.pk.clone()).unwrap());
        }
        wal::encode_record(&document::encode(&doc).unwrap(), &mut bytes).unwrap();
    })
    .unwrap();
    let odd = odd.unwrap();
    fs::write(&log, &bytes).unwrap();
    let before = documents(&fixture);
    assert!(before[&odd]["fields"]["title"].is_object(), "the text is exported as bytes");

    for words in ["flush", "recover", "recover --no-flush"] {
        let said = json_on(words, &fixture.path(), &[]).exits(4).stdout;
        assert!(said.contains("\"wal.field-value\""), "{said}");
        assert_eq!(fs::read(&log).unwrap(), bytes, "{words}");
    }
    on("recover --dry-run --accept-loss", &fixture.path()).exits(4);
    assert_eq!(documents(&fixture), before);

    let said = json_on("recover --accept-loss", &fixture.path(), &[]).exits(4).envelope();
    let kept = said["data"]["recovery"]["set_aside"][0]["to"].as_str().unwrap();
    assert_eq!(fs::read(kept).unwrap(), bytes, "the log as it was");
    let after = documents(&fixture);
    assert_eq!(after.len(), before.len());
    assert_eq!(after[&odd]["fields"]["title"], Json::Null);
    run([std::ffi::OsStr::new("verify"), std::ffi::OsStr::new("--level"), "3".as_ref(), fixture.path().as_ref()])
        .exits(0);
}

/// An index whose MANIFEST has lost a column family takes no documents: the flush would fail, and what was written would stay in the log.
#[test]
fn nothing_is_written_where_a_full_text_index_lacks_a_column_family() {
    let fixture = Fixture::good("0.8.0_fts_killed");
    let manifest = fixture.join("0/fts.2.rocksdb/MANIFEST-000005");
    let mut bytes = fs::read(&manifest).unwrap();
    let name = b"lower$POSITIONS";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at] = b'L';
    crate::mend::rocks_log(&mut bytes);
    fs::write(&manifest, bytes).unwrap();
    let (before, files) = (documents(&fixture), Snapshot::of(&fixture.path()));
    for words in ["delete --no-flush", "delete"] {
        let said = json_on(words, &fixture.path(), &["doc_00000"]).exits(3).envelope();
        assert_eq!(said["error"]["code"], "fts.missing-family", "{said}");
    }
    files.assert_unchanged(&fixture.path(), "delete");
    assert_eq!(documents(&fixture), before);
}

/// A delete snapshot of another collection: documents that are only in the log would get ids that it marks, and be gone with the next flush.
#[test]
fn documents_are_not_given_ids_that_the_delete_snapshot_marks() {
    let fixture = Fixture::good("0.8.0_small_killed");
    let snapshot = fixture.join("del.2");
    let mut ids = delete_set::read(&fs::read(&snapshot).unwrap()).unwrap().ids;
    ids.insert(90);
    fs::write(&snapshot, delete_set::write(&ids, 0)).unwrap();
    let (before, files) = (documents(&fixture), Snapshot::of(&fixture.path()));
    for words in ["flush", "recover", "recover --no-flush", "recover --accept-loss", "delete"] {
        let keys: &[&str] = if words == "delete" { &["doc_00000"] } else { &[] };
        let said = json_on(words, &fixture.path(), keys).exits(4).stdout;
        assert!(said.contains("\"delete-set.beyond-end\""), "{said}");
    }
    files.assert_unchanged(&fixture.path(), "everything that opens it for writing");
    on("repair --yes", &fixture.path()).exits(0);
    assert_eq!(documents(&fixture), before);
}
