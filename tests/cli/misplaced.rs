//! Vector files that are not in their places, and a schema that is not that of its files: no vector is shown as what it is not, unsaid.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::support::{
    Fixture,
    program::{Run, json_on, on},
};

fn lines(text: &str) -> BTreeMap<String, Value> {
    let documents = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    documents.map(|document| (document["id"].as_str().unwrap().to_owned(), document)).collect()
}

fn exchange(fixture: &Fixture, one: &str, other: &str) {
    let [one, other] = [one, other].map(|name| fixture.join(&format!("{name}.proxima")));
    let (of_one, of_other) = (fs::read(&one).unwrap(), fs::read(&other).unwrap());
    fs::write(one, of_other).unwrap();
    fs::write(other, of_one).unwrap();
}

fn salvage(fixture: &Fixture) -> (Run, BTreeMap<String, Value>) {
    let out = fixture.outside().join("saved.jsonl");
    let _ = fs::remove_file(fixture.outside().join("saved.jsonl.rejects.jsonl"));
    let run = json_on("salvage", &fixture.path(), &["--to", "jsonl", "--out", out.to_str().unwrap()]);
    let documents = lines(&fs::read_to_string(&out).unwrap());
    fs::remove_file(out).unwrap();
    (run, documents)
}

/// Sparse vectors were given for those of the dense column and codes for vectors, with exit code 0.
#[test]
fn files_in_each_others_place_are_read_as_if_they_stood_in_their_own() {
    for (name, one, other, exit) in [
        ("0.8.0_compacted", "2/dense.index.2", "2/sparse.index.4", 4),
        ("0.8.0_sparse_hnsw_optimized", "0/fp32.index.6", "0/fp16.index.7", 4),
        ("0.8.0_compacted", "2/dense.index.2", "2/dense.qindex.3", 3),
        ("0.7.0_flat_qint4_flushed", "0/cosine.index.5", "0/cosine.qindex.6", 3),
        ("0.8.0_hnsw_refine_uint8_optimized", "0/hnsw.index.1", "0/hnsw.qindex.6", 3),
    ] {
        let fixture = Fixture::good(name);
        let before = lines(&on("export", &fixture.path()).stdout);
        exchange(&fixture, one, other);
        assert_eq!(lines(&on("export", &fixture.path()).exits(exit).stdout), before, "{name} {one} {other}");
        let (run, documents) = salvage(&fixture);
        run.exits(exit);
        assert_eq!(documents, before, "{name} {one} {other}");
        let out = fixture.outside().join("shown.jsonl");
        let path = fixture.path();
        let words = ["salvage", "--to", "jsonl", "--out", out.to_str().unwrap(), path.to_str().unwrap()];
        let shown = crate::support::program::run(words).exits(exit).stdout;
        // An error that may have cost something contradicts it.
        assert_eq!(shown.lines().any(|line| line == "lost: nothing"), exit == 3, "{shown}");
        let id = before.keys().next().unwrap();
        let got = json_on("docs get", &fixture.path(), &[id]).exits(exit).envelope();
        assert_eq!(got["data"]["documents"][0]["document"], before[id], "{name} {one} {other}");
    }
}

/// A copy of another file takes the place of the right one, which is nowhere then.
#[test]
fn what_a_file_of_another_column_holds_is_not_given() {
    for (name, from, to, column, code) in [
        ("0.8.0_compacted", "2/dense.index.2", "2/sparse.index.4", "sparse", "index-meta.schema-differs"),
        ("0.8.0_compacted", "2/sparse.index.4", "2/dense.index.2", "dense", "index-meta.schema-differs"),
        ("0.8.0_compacted", "2/dense.qindex.3", "2/dense.index.2", "dense", "segment.codes-only"),
        ("0.8.0_sparse_flat_flushed", "0/fp32_qfp16.qindex.4", "0/fp32.index.1", "fp32", "index-meta.schema-differs"),
    ] {
        let fixture = Fixture::good(name);
        let before = lines(&on("export", &fixture.path()).stdout);
        fs::copy(fixture.join(&format!("{from}.proxima")), fixture.join(&format!("{to}.proxima"))).unwrap();
        let run = on("export", &fixture.path()).exits(4);
        assert!(run.stderr.contains(code), "{}", run.stderr);
        for (id, document) in lines(&run.stdout) {
            assert_eq!(document["unreadable"], serde_json::json!([column]), "{id}");
        }
        let (run, documents) = salvage(&fixture);
        let data = run.envelope()["data"].clone();
        if column == "dense" {
            // Its codes are there.
            run.exits(4);
            assert_eq!((documents.len(), &data["degraded"][0]["field"]), (before.len(), &"dense".into()));
        } else {
            run.exits(5);
            assert_eq!(data["lost"]["rejected"], before.len());
        }
    }
}

/// The place of a field's dimension in a manifest: behind its name, its type, and nothing else.
fn dimension(bytes: &[u8], name: &str) -> usize {
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len();
    let tag = bytes[at..at + 8].iter().position(|byte| *byte == 0x18).unwrap();
    at + tag + 1
}

/// Where every file of a column contradicts the schema, it is the schema that is wrong.
#[test]
fn a_schema_that_all_files_contradict_is_told_and_the_vectors_are_given() {
    for name in ["0.8.0_small_flushed", "0.8.0_compacted", "0.8.0_many_flushes"] {
        let fixture = Fixture::good(name);
        let before = lines(&on("export", &fixture.path()).stdout);
        let numbers = fs::read_dir(fixture.path()).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("manifest.").map(|number| number.parse::<u32>().unwrap())
        });
        let manifest = fixture.join(&format!("manifest.{}", numbers.max().unwrap()));
        let mut bytes = fs::read(&manifest).unwrap();
        let at = dimension(&bytes, "dense");
        bytes[at] ^= 0x20;
        fs::write(&manifest, bytes).unwrap();
        let (run, documents) = salvage(&fixture);
        run.exits(3);
        assert_eq!(documents, before, "{name}");
        let run = on("export", &fixture.path()).exits(3);
        assert_eq!(run.stderr.matches("index-meta.schema-differs").count(), 1, "{name}: {}", run.stderr);
        assert_eq!(lines(&run.stdout), before, "{name}");
        on("digest", &fixture.path()).exits(3);
    }
}

/// The documents of the other block were printed twice, half of them with vectors of the lost ones.
#[test]
fn rows_of_a_block_that_a_copy_was_written_over_are_gone_and_not_those_of_the_copy() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let before = lines(&on("export", &fixture.path()).stdout);
    fs::copy(fixture.join("1/scalar.0.ipc"), fixture.join("0/scalar.0.ipc")).unwrap();
    let exported = json_on("export", &fixture.path(), &[]).exits(4);
    assert!(exported.stderr.contains("forward.overwritten-block"), "{}", exported.stderr);
    let after = lines(&exported.stdout);
    assert_eq!((exported.stdout.lines().count(), after.len()), (78, 78), "no document twice");
    assert!(after.iter().all(|(id, document)| before.get(id) == Some(document)));
    let (run, salvaged) = salvage(&fixture);
    let data = run.exits(4).envelope();
    assert_eq!((salvaged, data["data"]["lost"]["documents"].as_u64()), (after, Some(39)));
}

/// Nothing in them tells which of the two has the right vectors.
#[test]
fn two_files_that_are_one_are_told_by_whatever_reads_documents() {
    let fixture = Fixture::good("0.8.0_small_segments");
    fs::copy(fixture.join("1/dense.index.2.proxima"), fixture.join("0/dense.index.2.proxima")).unwrap();
    salvage(&fixture).0.exits(4);
    for command in ["export", "digest"] {
        let run = on(command, &fixture.path()).exits(4);
        assert!(
            run.stderr.contains("vectors.copy") || run.stdout.contains("vectors.copy"),
            "{command}: {}",
            run.stderr
        );
    }
}

/// The column has no quantiser: there is nothing to compare the codes with.
#[test]
fn codes_of_another_column_are_no_vectors() {
    let fixture = Fixture::good("0.8.0_nullable_flat_flushed");
    fs::copy(fixture.join("0/quantised.qindex.4.proxima"), fixture.join("0/l2.index.1.proxima")).unwrap();
    let envelope = json_on("verify", &fixture.path(), &["--level", "2"]).exits(4).envelope();
    let findings = envelope["data"]["collections"][0]["findings"].as_array().unwrap();
    let told = findings
        .iter()
        .any(|finding| finding["code"] == "index-meta.schema-differs" && finding["path"] == "0/l2.index.1.proxima");
    assert!(told, "{findings:#?}");
    on("export", &fixture.path()).exits(4);
}

/// Of as many rows, and in another segment: only the document ids tell.
#[test]
fn forward_blocks_in_each_others_place_are_told_and_put_back() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let before = lines(&on("export", &fixture.path()).stdout);
    let blocks = ["0/scalar.0.ipc", "2/scalar.0.ipc"].map(|name| fixture.join(name));
    let [first, last] = blocks.clone().map(|block| fs::read(block).unwrap());
    fs::write(&blocks[0], last).unwrap();
    fs::write(&blocks[1], first).unwrap();
    let after = lines(&on("export", &fixture.path()).exits(4).stdout);
    assert!(after.len() == 39 && after.iter().all(|(id, document)| before.get(id) == Some(document)));
    let envelope = json_on("verify", &fixture.path(), &["--level", "2"]).exits(4).envelope();
    let findings = envelope["data"]["collections"][0]["findings"].as_array().unwrap();
    let told: Vec<_> = findings.iter().filter(|found| found["code"] == "forward.overwritten-block").collect();
    assert_eq!(
        told.iter().map(|found| found["path"].as_str().unwrap()).collect::<Vec<_>>(),
        ["0/scalar.0.ipc", "2/scalar.0.ipc"]
    );
    json_on("repair", &fixture.path(), &["--yes"]).exits(0);
    assert_eq!(lines(&on("export", &fixture.path()).exits(0).stdout), before);
}
