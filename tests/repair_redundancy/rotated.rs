//! Codes beside a rotation that is not theirs, as zvec 0.8.0 leaves them: they are no evidence against the full vectors.

use std::fs;

use serde_json::json;
use zvecctl::format::proxima::{
    VectorFile, rotation,
    write::{FileOptions, FilePlan, FlatWriter},
};

use crate::support::{
    Fixture,
    program::{json_on, on, run},
};

/// A collection with a rotated column in `folder`, and where its codes are.
fn made(fixture: &Fixture, quantise: &str) -> (std::path::PathBuf, std::path::PathBuf) {
    let path = fixture.outside().join("rotated");
    let column = format!("dense:VECTOR_FP32:20:FLAT(metric=l2,quantize={quantise},enable_rotate=true)");
    run(["create", "--field", "n:INT32", "--vector", &column, path.to_str().unwrap()]).exits(0);
    let input = fixture.outside().join("input.jsonl");
    let document = |i: u32| {
        let vector: Vec<f32> = (0..20).map(|at| ((i * 31 + at * 7) as f32).sin()).collect();
        json!({"id": format!("doc_{i:03}"), "fields": {"n": i}, "vectors": {"dense": vector}}).to_string()
    };
    fs::write(&input, (0..100).map(document).collect::<Vec<_>>().join("\n")).unwrap();
    run(["ingest", path.to_str().unwrap(), input.to_str().unwrap()]).exits(0);
    let codes = fs::read_dir(path.join("0")).unwrap().map(|entry| entry.unwrap().path());
    let codes = codes.into_iter().find(|file| file.to_str().unwrap().contains(".qindex.")).unwrap();
    (path, codes)
}

/// The same codes beside another rotation.
fn turn(codes: &std::path::Path) {
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
        let (path, codes) = made(&fixture, quantise);
        let documents = on("export", &path).exits(0).stdout;
        on("verify --level 3", &path).exits(0);
        turn(&codes);

        let report = json_on("verify --level 3", &path, &[]).exits(3).envelope();
        let findings = report["data"]["collections"][0]["findings"].as_array().unwrap();
        let errors: Vec<_> = findings.iter().filter(|finding| finding["severity"] == "error").collect();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert_eq!((&errors[0]["code"], &errors[0]["loss"]), (&json!("vectors.foreign-rotation"), &json!("none")));

        let report = json_on("repair --yes", &path, &[]).exits(0).envelope();
        assert!(report["data"]["done"][0]["detail"].as_str().unwrap().contains("do not run it"), "{report:#}");
        assert_eq!(on("export", &path).exits(0).stdout, documents, "{quantise}");
        on("verify --level 3", &path).exits(0);
    }
}
