//! Every good archive under `fixtures/`, of every release: zvecctl gives the documents that zvec returned from it.

mod truth;

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use truth::{
    Doc, Docs, Item, Strictness,
    archive::{archives, check_all, name_of, unpack},
};

/// The archives made by `fixtures/make.py`.
const GOOD: &str = "good";
/// The archives that were there first: fewer shapes, with zvec's answers taken by another program.
const SAMPLES: &str = "samples";

fn check_each(folder: &str, check: impl Fn(&Path) -> Result<Vec<String>, String> + Sync) {
    let all = archives(folder);
    assert!(all.len() >= 18, "fixtures/{folder} has only {} archives", all.len());
    let check = |archive: &PathBuf| {
        let folder = unpack(archive);
        check(folder.path()).unwrap_or_else(|error| vec![error])
    };
    check_all(&all, |archive| name_of(archive), check);
}

/// `export` in both formats: the right documents, and nothing to complain about.
fn exports_are_true(folder: &Path) -> Result<Vec<String>, String> {
    let collection = folder.join("collection");
    let columns = truth::columns(&collection);
    let expected = truth::truth(folder, &columns)?;
    let export = truth::export(&collection, &columns)?;
    let strictness = if export.from_wal > 0 { Strictness::Wal } else { Strictness::Stored };
    let mut wrong = truth::differences(&expected.docs, &export.docs, &columns, strictness);
    if export.exit != 0 {
        wrong.push(format!("exit {}: {}", export.exit, Json::from(export.findings)));
    }

    let parquet = folder.join("export.parquet");
    let path = parquet.to_str().ok_or("a path that is text")?;
    let output = truth::zvecctl(["export", "--to", "parquet", "--output", path], &collection);
    if output.status.code() != Some(0) {
        wrong.push(format!(
            "export to parquet ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
        return Ok(wrong);
    }
    // What JSON lines say is right by now, so that nothing has to be forgiven here.
    let rows = truth::parquet::read(&parquet)?;
    let differs = |line: String| format!("parquet (as zvecctl) is not what JSON lines say (as zvec): {line}");
    wrong.extend(truth::differences(&export.docs, &rows, &truth::exact(&columns), strictness).into_iter().map(differs));
    Ok(wrong)
}

/// `docs get` of the first, the last and some documents between, of one that never was, and of all of these at once.
fn single_documents_are_true(folder: &Path) -> Result<Vec<String>, String> {
    let collection = folder.join("collection");
    let columns = truth::columns(&collection);
    let exported = truth::export(&collection, &columns)?.docs;
    let step = (exported.len() / 5).max(1);
    let mut ids: Vec<&str> =
        exported.keys().step_by(step).chain(exported.keys().next_back()).map(String::as_str).collect();
    ids.retain(|id| !id.starts_with('-'));
    ids.push("no such document");
    let mut wrong = truth::get_differences(&collection, &columns, &ids, &exported)?;
    if let Some(id) = ids.first() {
        wrong.extend(truth::get_differences(&collection, &columns, &[id], &exported)?);
    }
    Ok(wrong)
}

#[test]
fn every_collection_exports_what_zvec_returns() {
    check_each(GOOD, exports_are_true);
}

#[test]
fn every_sample_exports_what_zvec_returns() {
    check_each(SAMPLES, exports_are_true);
}

#[test]
fn single_documents_of_every_collection_are_those_of_the_export() {
    check_each(GOOD, single_documents_are_true);
}

#[test]
fn single_documents_of_every_sample_are_those_of_the_export() {
    check_each(SAMPLES, single_documents_are_true);
}

/// The comparison itself: a test that forgives everything would pass as well.
#[test]
fn a_changed_value_is_a_difference() {
    let archive = archives(GOOD).into_iter().find(|path| name_of(path) == "0.8.0_small_flushed");
    let folder = unpack(&archive.expect("the archive is there"));
    let collection = folder.path().join("collection");
    let columns = truth::columns(&collection);
    let truth = truth::truth(folder.path(), &columns).unwrap().docs;
    let exported = truth::export(&collection, &columns).unwrap().docs;
    let count = |docs: &Docs| truth::differences(&truth, docs, &columns, Strictness::Stored).len();
    assert_eq!(count(&exported), 0);

    let (id, doc) = exported.iter().next_back().unwrap();
    let change = |change: &dyn Fn(&mut Doc)| {
        let mut doc = doc.clone();
        change(&mut doc);
        let mut docs = exported.clone();
        docs.insert(id.clone(), doc);
        count(&docs)
    };
    let stretch = |by: f32| {
        change(&|doc| {
            if let Some(Item::List(items)) = doc.get_mut("dense")
                && let Some(Item::Float(value)) = items.first_mut()
            {
                value.0 *= by;
            }
        })
    };
    assert_eq!(change(&|doc| drop(doc.insert("year".into(), Item::Integer(1)))), 1);
    assert_eq!(change(&|doc| drop(doc.remove("title"))), 1);
    assert_eq!(stretch(1.0 + 1e-7), 0, "the rounding of COSINE");
    assert_eq!(stretch(1.0001), 1, "more than the rounding of COSINE");
    let mut docs = exported.clone();
    docs.remove(id);
    assert_eq!(count(&docs), 1);
    docs.insert("another".into(), Doc::new());
    assert_eq!(count(&docs), 2);
}

/// `docs get` once read every block of the collection for one document: slowly, and with complaints about files that have nothing to do with it.
#[test]
fn a_single_document_is_found_without_the_blocks_that_do_not_hold_it() {
    let archive = archives(GOOD).into_iter().find(|path| name_of(path) == "0.8.0_many_flushes");
    let folder = unpack(&archive.expect("the archive is there"));
    let collection = folder.path().join("collection");
    let get = || {
        let path = collection.to_str().expect("a path that is text");
        let output = truth::zvecctl(["--format", "json", "docs", "get", path], Path::new("doc_00000"));
        serde_json::from_slice::<Json>(&output.stdout).expect("JSON")
    };
    let before = get();
    let origin = before["data"]["documents"][0]["origin"].as_str().expect("an origin").to_owned();
    let mut damaged = 0;
    for entry in std::fs::read_dir(collection.join("0")).expect("a segment") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("scalar.") && name.ends_with(".ipc") && !origin.contains(&name) {
            std::fs::write(&path, "no block at all").expect("writable");
            damaged += 1;
        }
    }
    assert_eq!(damaged, 3, "four flushes make four blocks");
    assert_eq!(get(), before);
}
