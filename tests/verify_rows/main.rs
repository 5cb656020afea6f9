//! Levels 2 and 3 over rows, ids, indexes and logs: silent on what is whole, exact on what is not.

mod database;
mod log;
#[path = "../support/mod.rs"]
mod support;
mod tampered;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rayon::prelude::*;
use roaring::RoaringTreemap;
use support::{Fixture, fixture};
use zvecctl::{
    format::delete_set,
    inspect::{View, segments_of},
    report::{Finding, Loss, Severity},
    verify::{Context, Level, rows},
    vfs::RealFs,
};

/// Every finding of the rows' checks. Texts are compared for columns of the tokenizer `whitespace`.
fn check(path: &Path, level: Level) -> Vec<Finding> {
    let view = View::open(Arc::new(RealFs), path).unwrap();
    let (_, manifest) = view.manifest().unwrap();
    let ctx = Context::new(&view, manifest, level);
    let shared = rows::Shared::open(&ctx).with_tokenizers(Box::new(|params| {
        let known = params.tokenizer_name == "whitespace" && params.filters.is_empty();
        known.then(|| Box::new(words) as Box<rows::Tokenizer>).into_iter().collect()
    }));
    segments_of(manifest).into_par_iter().for_each(|segment| rows::check_segment(&ctx, segment, &shared));
    rows::check_collection(&ctx, shared);
    ctx.findings.list()
}

/// Words between spaces.
fn words(text: &[u8]) -> Vec<rows::Token> {
    let words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).zip(0..);
    words.map(|(word, position)| rows::Token { term: word.to_vec(), position }).collect()
}

fn codes(findings: &[Finding]) -> Vec<String> {
    let mut codes: Vec<_> = findings
        .iter()
        .map(|finding| finding.path.as_deref().map_or(finding.code.clone(), |path| format!("{}@{path}", finding.code)))
        .collect();
    codes.sort();
    codes
}

fn silent(folder: &str) {
    for name in fixture::names(folder) {
        let path = fixture::shared(folder, &name).join("collection");
        for level in [Level::Structures, Level::Contents] {
            let findings = check(&path, level);
            let grave: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Info).collect();
            assert!(grave.is_empty(), "{folder}/{name} at {level:?}: {grave:#?}");
        }
    }
}

#[test]
fn good_collections_of_every_release_have_no_error() {
    silent("good");
}

#[test]
fn samples_have_no_error() {
    silent("samples");
}

/// What the rows' checks say of a damaged fixture.
fn damaged(name: &str, level: Level) -> Vec<String> {
    codes(&check(&fixture::shared("damaged", name).join("collection"), level))
}

#[test]
fn a_damaged_value_is_told_with_the_one_before() {
    let path = fixture::shared("damaged", "ipc_year_flip").join("collection");
    assert!(check(&path, Level::Structures).is_empty(), "level 2 does not look at values");
    let findings = check(&path, Level::Contents);
    assert_eq!(codes(&findings), ["inverted.other-value@0/scalar.0.ipc"]);
    assert!(findings[0].detail.contains("row 33 (\"doc_00033\") holds 1957, the index 1953"), "{}", findings[0].detail);
    assert_eq!((findings[0].loss, findings[0].documents_at_risk), (Loss::Possible, Some(1)));
}

#[test]
fn a_damaged_key_is_told_with_the_one_before() {
    let path = fixture::shared("damaged", "ipc_uid_flip").join("collection");
    let findings = check(&path, Level::Structures);
    assert_eq!(codes(&findings), ["idmap.wrong-document@0/scalar.0.ipc"]);
    assert!(findings[0].detail.contains("\"doc_00033\" leads to document 33"), "{}", findings[0].detail);
}

#[test]
fn a_damaged_document_id_is_told() {
    let expected = [
        "forward.id-beyond-end@0/scalar.0.ipc",
        "forward.id-order@0/scalar.0.ipc",
        "idmap.dangling@idmap.0",
        "idmap.missing-key@idmap.0",
    ];
    assert_eq!(damaged("ipc_docid_flip", Level::Structures), expected);
}

#[test]
fn a_sealed_writing_segment_is_told() {
    let found = damaged("real_0.8.0_optimize_killed_rolling", Level::Structures);
    assert_eq!(found, ["inverted.sealed-writing@2/scalar.index.1.rocksdb"]);
}

#[test]
fn what_cannot_be_read_is_told_once_and_not_as_a_difference() {
    for (name, file) in [("ipc_missing", "0/scalar.0.ipc"), ("idmap_sst_flip", "idmap.0/000010.sst")] {
        let found = damaged(name, Level::Contents);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].ends_with(file), "{name}: {found:?}");
    }
}

/// The header of a batch tells how many rows there are; without it nothing of the batch can be read.
#[test]
fn a_damaged_batch_header_is_told() {
    let fixture = Fixture::good("0.8.0_small_segments_killed");
    let path = fixture.join("0/scalar.0.ipc");
    let whole = fs::read(&path).unwrap();
    for bit in [3087usize, 3777, 4033] {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        let findings = check(&fixture.path(), Level::Structures);
        assert_eq!(codes(&findings), ["forward.bad-message@0/scalar.0.ipc"], "bit {bit}");
        assert_eq!((findings[0].loss, findings[0].documents_at_risk), (Loss::Certain, Some(40)));
    }
}

/// A collection of which one file is changed at a place that is found by its bytes.
fn patched(name: &str, file: &str, from: &[u8], to: &[u8]) -> Fixture {
    assert_eq!(from.len(), to.len());
    let fixture = Fixture::good(name);
    let path = fixture.join(file);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    fs::write(&path, bytes).unwrap();
    fixture
}

fn only_file(fixture: &Fixture, segment: &str, end: &str) -> PathBuf {
    let entries = fs::read_dir(fixture.join(segment)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    found.sort();
    found.remove(0)
}

#[test]
fn a_lost_deletion_makes_two_live_rows_of_one_key() {
    // The delete snapshot of a collection before its first delete, with a right checksum.
    let fixture = Fixture::good("0.8.0_small_flushed");
    let empty = delete_set::write(&RoaringTreemap::new(), 0);
    fs::write(fixture.join("del.2"), empty).unwrap();
    let findings = check(&fixture.path(), Level::Structures);
    let found = codes(&findings);
    assert!(found.contains(&"forward.duplicate-key@del.2".to_owned()), "{found:?}");
    assert!(findings.iter().any(|finding| finding.detail.contains("\"doc_00007\" (documents 7, 80")), "{findings:#?}");
}

#[test]
fn a_key_in_a_text_block_is_compared_in_parquet_too() {
    let name = "0.8.0_parquet_killed";
    let fixture = Fixture::good(name);
    let block = only_file(&fixture, "0", ".parquet");
    let file = block.strip_prefix(fixture.path()).unwrap().to_str().unwrap().to_owned();
    let fixture = patched(name, &file, b"doc_00003", b"doc_0000c");
    let found = codes(&check(&fixture.path(), Level::Structures));
    assert_eq!(found, [format!("idmap.wrong-document@{file}")]);
}
