//! Vector files in places that are not theirs: of another block, another segment, another column.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    Fixture,
    program::{json_on, on, run},
};

/// Documents by id, as `export` has them.
fn documents(path: &Path) -> BTreeMap<String, Value> {
    let lines = on("export", path).exits(0).stdout;
    let parsed = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    parsed.map(|document| (document["id"].as_str().unwrap().to_owned(), document)).collect()
}

/// What a repair says, and the ids that it names.
fn repaired(path: &Path, code: i32) -> (Value, Vec<String>) {
    let report = json_on("repair --yes", path, &[]).exits(code).envelope();
    assert_eq!(report["data"]["clean"], true, "{report:#}");
    let named =
        report["data"]["named"]["path"].as_str().map(fs::read_to_string).map(Result::unwrap).unwrap_or_default();
    let lines = named.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut ids: Vec<String> = lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    (report, ids)
}

/// Code and path of every error.
fn told(path: &Path, level: &str) -> Vec<String> {
    let report = json_on("verify", path, &["--level", level]).exits(4).envelope();
    let findings = report["data"]["collections"][0]["findings"].as_array().unwrap().iter();
    let errors = findings.filter(|finding| finding["severity"] == "error");
    errors
        .map(|finding| format!("{}@{}", finding["code"].as_str().unwrap(), finding["path"].as_str().unwrap()))
        .collect()
}

fn rotate(path: &Path, files: &[&str]) {
    let contents: Vec<_> = files.iter().map(|file| fs::read(path.join(file)).unwrap()).collect();
    for (file, content) in files.iter().zip(contents.iter().cycle().skip(1)) {
        fs::write(path.join(file), content).unwrap();
    }
}

#[test]
fn files_of_blocks_that_stand_in_each_others_place_are_exchanged_by_their_rows() {
    for (name, files, code) in [
        ("0.8.0_small_flushed", &["0/dense.index.2.proxima", "0/dense.index.4.proxima"][..], 0),
        ("0.8.0_many_flushes", &["0/dense.index.2.proxima", "0/dense.index.6.proxima"], 0),
        ("0.8.0_many_flushes", &["0/dense.qindex.3.proxima", "0/dense.qindex.7.proxima"], 0),
        ("0.8.0_many_flushes", &["0/dense.index.2.proxima", "0/dense.index.6.proxima", "0/dense.index.10.proxima"], 0),
        // Of two columns as well, and full vectors for codes: that is said.
        ("0.8.0_columns_added_quantised", &["0/plain.index.7.proxima", "0/dense.qindex.14.proxima"], 4),
        ("0.8.0_many_flushes", &["0/sparse.index.4.proxima", "0/dense.index.6.proxima"], 4),
    ] {
        let fixture = Fixture::good(name);
        let sound = documents(&fixture.path());
        rotate(&fixture.path(), files);
        let (report, named) = repaired(&fixture.path(), code);
        assert!(documents(&fixture.path()) == sound, "{files:?}");
        assert!(named.is_empty() && report.to_string().contains("stood in each other's place"), "{report:#}");
    }
}

/// A block of 70 rows, one of 11: a copy of the one cannot be the other.
#[test]
fn the_vectors_of_a_copy_are_not_taken_for_those_of_other_rows() {
    for (from, to) in [("2", "4"), ("4", "2")] {
        let fixture = Fixture::good("0.8.0_small_flushed");
        let sound = documents(&fixture.path());
        let file = |block: &str| format!("0/dense.index.{block}.proxima");
        fs::copy(fixture.join(&file(from)), fixture.join(&file(to))).unwrap();
        assert_eq!(told(&fixture.path(), "1"), [format!("vectors.copy@{}", file(to))]);
        let (_, named) = repaired(&fixture.path(), 4);
        let left = documents(&fixture.path());
        assert!(left.iter().all(|(id, document)| sound[id] == *document), "{to}");
        let missing: Vec<String> = sound.keys().filter(|id| !left.contains_key(*id)).cloned().collect();
        assert!(!missing.is_empty() && missing == named, "{to}: {named:?}");
    }
}

/// Two blocks with as many rows each: either can be the copy.
#[test]
fn where_nothing_tells_which_of_two_files_is_the_copy_the_documents_of_both_are_doubtful() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let sound = documents(&fixture.path());
    fs::copy(fixture.join("0/dense.index.2.proxima"), fixture.join("1/dense.index.2.proxima")).unwrap();
    assert_eq!(
        told(&fixture.path(), "2"),
        ["vectors.copy@0/dense.index.2.proxima", "vectors.copy@1/dense.index.2.proxima"]
    );
    let (_, named) = repaired(&fixture.path(), 4);
    let left = documents(&fixture.path());
    assert!(left.keys().eq(sound.keys()));
    let changed = sound.iter().filter(|(id, document)| left[*id] != **document);
    let changed: Vec<&String> = changed.map(|(id, _)| id).collect();
    assert!(!changed.is_empty() && changed.iter().all(|id| named.contains(id)), "{changed:?}");
    assert_eq!(named.len(), 2 * changed.len(), "those of the other block, too");
}

/// Rows at the end that have no vector are not stored: both files are as they should be. Codes tell that the one is not in its place.
#[test]
fn a_copy_is_told_in_columns_whose_last_rows_have_no_vector() {
    let fixture = Fixture::good("0.8.0_nullable_flat_flushed");
    let sound = documents(&fixture.path());
    fs::copy(fixture.join("0/l2.index.1.proxima"), fixture.join("0/quantised.index.3.proxima")).unwrap();
    assert_eq!(
        told(&fixture.path(), "2"),
        ["vectors.copy@0/l2.index.1.proxima", "vectors.copy@0/quantised.index.3.proxima"]
    );
    let (_, named) = repaired(&fixture.path(), 4);
    let left = documents(&fixture.path());
    assert!(sound.iter().all(|(id, document)| left[id] == *document || named.contains(id)));
}

/// Codes tell which of the two full files is in its place.
#[test]
fn codes_tell_a_copy_from_the_file_that_it_was_made_of() {
    let fixture = Fixture::good("0.8.0_empty");
    let path = fixture.outside().join("made");
    let index = "dense:VECTOR_FP32:20:FLAT(metric=ip,quantize=INT8)";
    run(["create", "--field", "n:INT32", "--vector", index, path.to_str().unwrap()]).exits(0);
    for batch in 0..2usize {
        let vector =
            |i: usize| -> Vec<f32> { (0..20).map(|at| ((i * 31 + at * 7 + batch * 1000) as f32).sin()).collect() };
        let document = |i: usize| {
            json!({"id": format!("doc_{batch}_{i:02}"), "fields": {"n": i}, "vectors": {"dense": vector(i)}})
                .to_string()
        };
        let input = fixture.outside().join("input.jsonl");
        fs::write(&input, (0..40).map(document).collect::<Vec<_>>().join("\n")).unwrap();
        run(["ingest", path.to_str().unwrap(), input.to_str().unwrap()]).exits(0);
    }
    on("verify --level 3", &path).exits(0);
    let sound = documents(&path);
    let names = fs::read_dir(path.join("0")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut full: Vec<String> = names.filter(|name| name.contains(".index.") && name.ends_with(".proxima")).collect();
    full.sort_by_key(|name| name.split('.').nth(2).unwrap().parse::<u32>().unwrap());
    let [first, second] = full.as_slice() else { panic!("{full:?}") };
    fs::copy(path.join("0").join(first), path.join("0").join(second)).unwrap();
    let (_, named) = repaired(&path, 4);
    assert!(named.len() == 40 && named.iter().all(|id| id.starts_with("doc_1_")), "{named:?}");
    let left = documents(&path);
    assert!(left.keys().eq(sound.keys()));
    let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 0.02;
    for (id, document) in &sound {
        let (was, is) =
            (document["vectors"]["dense"].as_array().unwrap(), left[id]["vectors"]["dense"].as_array().unwrap());
        assert!(was.iter().zip(is).all(|(was, is)| near(was, is)), "{id}");
    }
}
