//! `report`: nothing of the documents is in it, and with `--redact` no name.

use std::{fs, path::Path};

use base64::Engine;
use zvecctl::vfs::{Vfs, VfsMut};

use super::support::{
    Fixture,
    program::{json_on, run, zvecctl},
};

/// Unmistakable: ids, texts, names, numbers.
const ID: &str = "IdMarkerQqXz";
const TEXT: &str = "TextMarkerVvKw";
const FIELD: &str = "FieldMarkerJjPy";
const COLUMN: &str = "VectorMarkerHhRt";
const COLLECTION: &str = "CollectionMarkerBbNm";
const NUMBER: &str = "7718293645";
const COMPONENT: &str = "0.7265625";
const FOREIGN: &str = "FileMarkerGgLd";

fn marked(at: &Path) {
    let path = at.join("collection");
    let field = format!("{FIELD}:STRING:FTS");
    let number = "number:INT64:INVERT";
    let vector = format!("{COLUMN}:VECTOR_FP32:4:HNSW(quantize=INT8)");
    let create = ["create", path.to_str().unwrap(), "--field", &field, "--field", number, "--vector", &vector];
    run(create.into_iter().chain(["--name", COLLECTION])).exits(0);
    let line = |number: u32| {
        format!(
            "{{\"id\":\"{ID}{number}\",\"fields\":{{\"{FIELD}\":\"{TEXT} {TEXT}{number}\",\"number\":{NUMBER}}},\
             \"vectors\":{{\"{COLUMN}\":[{COMPONENT},{COMPONENT},{COMPONENT},{number}]}}}}\n"
        )
    };
    let input: String = (0..40).map(line).collect();
    fs::write(at.join("input.jsonl"), input).unwrap();
    let input = at.join("input.jsonl");
    run(["ingest", path.to_str().unwrap(), input.to_str().unwrap()]).exits(0);
    let more: String = (40..60).map(line).collect();
    fs::write(&input, more).unwrap();
    run(["ingest", path.to_str().unwrap(), input.to_str().unwrap(), "--no-flush"]).exits(0);
    fs::write(path.join(FOREIGN), TEXT).unwrap();
    fs::write(path.join("0").join(FOREIGN), TEXT).unwrap();
}

/// The ways in which a marker may be written.
fn forms(marker: &str) -> Vec<String> {
    let bytes = marker.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let standard = base64::engine::general_purpose::STANDARD;
    // At each of the three places that it may have in what is encoded.
    let encoded = (0..3).map(|before| {
        let padded = [vec![b'x'; before], bytes.to_vec()].concat();
        let text = standard.encode(padded);
        text[4.min(text.len())..text.len() - 4].to_owned()
    });
    let numbers: Vec<String> = marker.parse::<i64>().into_iter().map(|n| format!("{n:x}")).collect();
    let floats = marker.parse::<f32>().into_iter().map(|n| format!("{:08x}", n.to_bits()));
    [marker.to_lowercase(), hex].into_iter().chain(encoded).chain(numbers).chain(floats).collect()
}

fn holds_none(bundle: &str, markers: &[&str], what: &str) {
    let lower = bundle.to_lowercase();
    for marker in markers {
        for form in forms(marker).into_iter().filter(|form| form.len() >= 7) {
            let found = bundle.contains(&form) || lower.contains(&form.to_lowercase());
            assert!(!found, "{what}: {marker} is in the bundle as {form}");
        }
    }
}

#[test]
fn no_document_and_no_name_is_in_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    marked(folder.path());
    let collection = folder.path().join("collection");
    let memory = zvecctl::vfs::MemoryFs::from_dir(&collection, Path::new("/c")).unwrap();
    let tree = zvecctl::inspect::Tree::walk(&memory, Path::new("/c"));
    let files: Vec<_> = tree
        .entries
        .iter()
        .filter(|entry| entry.file_type == zvecctl::vfs::FileType::File && entry.len > 0)
        .map(|entry| entry.path.clone())
        .collect();
    assert!(files.len() > 10);
    let values = [ID, TEXT, NUMBER, COMPONENT];
    let names = [FIELD, COLUMN, COLLECTION, FOREIGN];
    let mut found = 0;
    // Unharmed, then with a bit flipped in the middle of each file, so that findings have something to quote.
    for damaged in std::iter::once(None).chain(files.iter().map(Some)) {
        for at in [1, 2] {
            let fs = memory.fork();
            if let Some(file) = damaged {
                let file = fs.open_write(&Path::new("/c").join(file)).unwrap();
                let mut byte = [0];
                let place = fs.metadata(&Path::new("/c").join(damaged.unwrap())).unwrap().len * at / 3;
                file.read_exact_at(place, &mut byte).unwrap();
                file.write_all_at(place, &[byte[0] ^ 0x04]).unwrap();
            }
            let view = zvecctl::inspect::View::open(std::sync::Arc::new(fs.clone()), Path::new("/c")).unwrap();
            for redact in [true, false] {
                let mut watch = |_, _| zvecctl::verify::Flow::Continue;
                let made = zvecctl::bundle::bundle(&view, redact, zvecctl::verify::Level::Contents, &mut watch);
                let (bundle, findings) = made.unwrap().unwrap();
                let text = serde_json::to_string(&bundle).unwrap();
                let what = format!("{damaged:?} {at} redact {redact}");
                holds_none(&text, &values, &what);
                if redact {
                    holds_none(&text, &names, &what);
                    // A flipped bit in a marker leaves the rest of it.
                    assert!(!text.contains("Marker"), "{what}");
                } else if damaged.is_none() {
                    assert!(names.iter().all(|name| text.contains(name)), "names stay");
                }
                found += findings.iter().filter(|finding| finding.detail.contains("Marker")).count();
            }
        }
    }
    assert!(found > 0, "some finding quotes what must not be in a bundle");
}

#[test]
fn a_bundle_is_one_json_document_of_its_schema() {
    let fixture = Fixture::damaged("wal_bit_flip");
    let envelope = json_on("report", &fixture.path(), &["--redact"]).exits(4).envelope();
    assert!(envelope["collection"].is_null());
    let data = &envelope["data"];
    assert_eq!((&data["redacted"], &data["logs"][0]["records"]), (&true.into(), &32.into()));
    assert_eq!(data["databases"][0]["rocksdb"], "8.1.1");
    assert!(data["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "wal.damaged"));
    let file = fixture.outside().join("bundle.json");
    let path = fixture.path();
    let ran = zvecctl().arg("report").arg(&path).arg("--output").arg(&file).output().unwrap();
    assert!(ran.stdout.is_empty());
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept["data"]["redacted"], false);
    json_on("report", &path, &["--output", fixture.join("x").to_str().unwrap()]).exits(2);
}
