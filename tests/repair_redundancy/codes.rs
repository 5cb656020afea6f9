//! Codes beside a rotation that is not theirs, as zvec 0.8.0 leaves them, and codes of another column: they are no evidence against the full vectors.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use zvecctl::format::proxima::{
    VectorFile, rotation,
    write::{FileOptions, FilePlan, FlatWriter},
};

use crate::support::{
    Fixture,
    program::{json_on, on, run},
};

/// A collection with columns of the same kind, and where their codes are.
fn made(fixture: &Fixture, columns: &[&str], index: &str) -> (PathBuf, Vec<PathBuf>) {
    let path = fixture.outside().join("made");
    let declared: Vec<String> = columns.iter().map(|name| format!("{name}:VECTOR_FP32:20:{index}")).collect();
    let vectors = declared.iter().flat_map(|column| ["--vector", column]);
    run(["create", "--field", "n:INT32"].into_iter().chain(vectors).chain([path.to_str().unwrap()])).exits(0);
    let input = fixture.outside().join("input.jsonl");
    let vector = |i: usize, column: usize| -> Vec<f32> {
        (0..20).map(|at| ((i * 31 + at * 7 + column * 1000) as f32).sin()).collect()
    };
    let document = |i: usize| {
        let vectors: serde_json::Map<_, _> =
            columns.iter().enumerate().map(|(at, name)| ((*name).to_owned(), json!(vector(i, at)))).collect();
        json!({"id": format!("doc_{i:03}"), "fields": {"n": i}, "vectors": vectors}).to_string()
    };
    fs::write(&input, (0..100).map(document).collect::<Vec<_>>().join("\n")).unwrap();
    run(["ingest", path.to_str().unwrap(), input.to_str().unwrap()]).exits(0);
    let files = fs::read_dir(path.join("0")).unwrap().map(|entry| entry.unwrap().path());
    let mut codes: Vec<_> = files.filter(|file| file.to_str().unwrap().contains(".qindex.")).collect();
    codes.sort();
    (path, codes)
}

fn errors(report: &serde_json::Value) -> Vec<(String, String, String)> {
    let findings = report["data"]["collections"][0]["findings"].as_array().unwrap();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error");
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    errors.map(|finding| (text(finding, "code"), text(finding, "path"), text(finding, "loss"))).collect()
}

/// The same codes beside another rotation.
fn turn(codes: &Path) {
    let file = VectorFile::open(fs::read(codes).unwrap()).unwrap();
    let other = rotation::Rotation::fresh(20, 4711).to_bytes();
    let plan = FilePlan::copying(file.meta.clone(), Some(other));
    let mut writer = FlatWriter::new(&plan, Vec::new(), &FileOptions::new(1, 1)).unwrap();
    let mut reader = file.reader();
    for position in 0..file.rows() {
        writer.push_element(Some(file.record(position, &mut reader).unwrap().bytes)).unwrap();
    }
    fs::write(codes, writer.finish(1).unwrap().sink).unwrap();
}

#[test]
fn a_foreign_rotation_is_named_and_the_full_vectors_stay() {
    for quantise in ["INT8", "INT4"] {
        let fixture = Fixture::good("0.8.0_empty");
        let index = format!("FLAT(metric=l2,quantize={quantise},enable_rotate=true)");
        let (path, codes) = made(&fixture, &["dense"], &index);
        let documents = on("export", &path).exits(0).stdout;
        on("verify --level 3", &path).exits(0);
        turn(&codes[0]);

        let found = errors(&json_on("verify --level 3", &path, &[]).exits(3).envelope());
        let file = format!("0/{}", codes[0].file_name().unwrap().to_str().unwrap());
        assert_eq!(found, [("vectors.foreign-rotation".to_owned(), file, "none".to_owned())]);

        let report = json_on("repair --yes", &path, &[]).exits(0).envelope();
        assert!(report["data"]["done"][0]["detail"].as_str().unwrap().contains("do not run it"), "{report:#}");
        assert_eq!(on("export", &path).exits(0).stdout, documents, "{quantise}");
        on("verify --level 3", &path).exits(0);
    }
}

#[test]
fn codes_of_another_column_are_named_and_nothing_is_made_of_them() {
    for quantise in ["INT8", "INT4", "FP16"] {
        let fixture = Fixture::good("0.8.0_empty");
        let (path, codes) = made(&fixture, &["one", "two"], &format!("FLAT(metric=ip,quantize={quantise})"));
        let documents = on("export", &path).exits(0).stdout;
        on("verify --level 3", &path).exits(0);
        let contents = [&codes[0], &codes[1]].map(|file| fs::read(file).unwrap());
        fs::write(&codes[0], &contents[1]).unwrap();
        fs::write(&codes[1], &contents[0]).unwrap();

        let found = errors(&json_on("verify --level 3", &path, &[]).exits(4).envelope());
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(found.iter().all(|(code, ..)| code == "vectors.other-file"), "{found:#?}");

        let report = json_on("repair --yes", &path, &[]).envelope();
        assert_ne!(report["exit_code"], 0, "{report:#}");
        assert_eq!(on("export", &path).exits(0).stdout, documents, "{quantise}");
        assert_eq!(fs::read(&codes[0]).unwrap(), contents[1], "{quantise}");
    }
}
