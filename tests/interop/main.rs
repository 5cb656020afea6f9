//! zvecctl beside the real zvec 0.8.0, which is installed from PyPI under the build directory on first use. Without Python 3.11 or
//! without the package these tests fail.

mod kill;
#[allow(dead_code, reason = "a part is for tests without zvec")]
#[path = "../support/killed.rs"]
mod killed;
mod salvage;
#[path = "../truth/mod.rs"]
mod truth;
mod zvec;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};
use truth::{Bits, Column, Doc, Docs, Item, Strictness, Writer, archive::check_all};

/// What zvec leaves behind that is wrong but costs nothing: scenario, code of the finding.
const KNOWN_FAULTS: [(&str, &str); 1] = [("quantised_index_dropped", "segment.stale-block")];

/// Where zvec has written something in place of vectors that were null, and nothing on disk tells any more which they were: scenario, field.
const LOST_NULLS: [(&str, &str); 3] = [
    ("nullable_hnsw_optimized", "cosine"),
    ("nullable_hnsw_optimized", "l2"),
    ("nullable_sparse_hnsw_optimized", "sparse"),
];

/// Collections of every shape: each index container, both forward formats, WAL, several segments, RocksDB with everything.
const SHAPES: [&str; 12] = [
    "small_killed",
    "small_segments_killed",
    "wal_over_optimized_killed",
    "parquet_killed",
    "columns_changed_optimized",
    "scalars_extreme",
    "fts_sealed",
    "invert_sealed",
    "hnsw_qint8_optimized",
    "ivf_fp16_optimized",
    "diskann_fp32_optimized",
    "optimize_killed_rolling",
];

#[test]
fn every_scenario_of_zvec_is_exported_as_zvec_returns_it() {
    let scenarios = zvec::scenarios();
    assert!(scenarios.len() > 150, "only {} scenarios", scenarios.len());
    check_all(&scenarios, String::clone, |scenario| compare(scenario).unwrap_or_else(|error| vec![error]));
}

fn compare(scenario: &str) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("made");
    zvec::make(scenario, &out)?;
    let collection = out.join("collection");
    let before = Snapshot::of(&collection);
    let columns = truth::columns(&collection);
    let mut expected = truth::truth(&out, &columns)?;
    for (_, field) in LOST_NULLS.iter().filter(|(name, _)| *name == scenario) {
        let returned = fs::read_to_string(out.join("truth.jsonl")).map_err(|error| error.to_string())?;
        expected.fill(field, truth::parse_lines(&returned, &columns, Writer::Zvec)?);
    }
    let export = truth::export(&collection, &columns)?;
    let strictness = if export.from_wal > 0 { Strictness::Wal } else { Strictness::Stored };
    let mut wrong = truth::differences(&expected.docs, &export.docs, &columns, strictness);
    let known = KNOWN_FAULTS.iter().find(|(name, _)| *name == scenario);
    let has = |code: &str| export.findings.iter().any(|finding| finding["code"] == code);
    match known {
        Some((_, code)) if export.exit == 3 && has(code) => {}
        None if export.exit == 0 => {}
        _ => wrong.push(format!("exit {}: {}", export.exit, Json::from(export.findings.clone()))),
    }
    if known.is_none() {
        let ids: Vec<&str> = export.docs.keys().step_by((export.docs.len() / 3).max(1)).map(String::as_str).collect();
        let ids: Vec<&str> = ids.into_iter().filter(|id| !id.starts_with('-')).chain(["no such document"]).collect();
        wrong.extend(truth::get_differences(&collection, &columns, &ids, &export.docs)?);
    }
    wrong.extend(before.changes(&Snapshot::of(&collection)));
    Ok(wrong)
}

#[test]
fn zvec_goes_on_with_a_collection_that_every_command_has_looked_at() {
    check_all(&SHAPES, |name| (*name).to_owned(), |name| look_at(name).unwrap_or_else(|error| vec![error]));
}

fn look_at(scenario: &str) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let out = folder.path().join("made");
    zvec::make(scenario, &out)?;
    let collection = out.join("collection");
    let columns = truth::columns(&collection);
    let expected = truth::truth(&out, &columns)?.docs;
    let ids: Vec<&str> = expected.keys().map(String::as_str).collect();
    let first = ids.first().copied().ok_or("no documents")?;
    let before = Snapshot::of(&collection);

    let path = collection.to_str().ok_or("a path that is text")?;
    let segments: Json = run(&["--format", "json", "segments", "ls", path])?;
    let segments = segments["data"]["segments"].as_array().cloned().unwrap_or_default();
    let segment = segments.first().ok_or("no segments")?["id"].to_string();
    let parquet = folder.path().join("out.parquet");
    let parquet = parquet.to_str().ok_or("a path that is text")?;
    for command in [
        vec!["manifest", "dump", path],
        vec!["manifest", "ls", path],
        vec!["manifest", "diff", path, path],
        vec!["segments", "ls", path],
        vec!["segments", "show", path, &segment],
        vec!["files", "ls", path],
        vec!["schema", "show", path],
        vec!["wal", "ls", path],
        vec!["wal", "dump", path],
        vec!["idmap", "dump", path],
        vec!["idmap", "get", path, first],
        vec!["deleted", "ls", path],
        vec!["docs", "get", path, first],
        vec!["export", path],
        vec!["export", "--include-deleted", path],
        vec!["export", "--to", "parquet", "--output", parquet, path],
    ] {
        let output = output(&command)?;
        // Warnings are as good as nothing wrong: a killed zvec leaves leftovers.
        if !matches!(output.status.code(), Some(0 | 1)) {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{command:?} ended with {}: {error}", output.status));
        }
    }
    let mut wrong = before.changes(&Snapshot::of(&collection));

    let types: BTreeMap<_, _> = columns.iter().map(|(name, column)| (name, &column.data_type)).collect();
    let returned = zvec::fetch(&collection, &ids, &json!(types))?;
    let returned = truth::parse_lines(&returned, &columns, Writer::Zvec)?;
    // Zvec has replayed and rounded what was in the WAL by now.
    let lines = truth::differences(&expected, &returned, &columns, Strictness::Wal);
    wrong.extend(lines.into_iter().map(|line| format!("zvec before and after (as zvecctl): {line}")));
    Ok(wrong)
}

fn output(arguments: &[&str]) -> Result<std::process::Output, String> {
    let (last, first) = arguments.split_last().ok_or("no arguments")?;
    Ok(truth::zvecctl(first.iter().copied(), Path::new(last)))
}

fn run(arguments: &[&str]) -> Result<Json, String> {
    let output = output(arguments)?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{arguments:?}: {error}"))
}

/// Everything about a folder that a reader could change.
#[derive(PartialEq)]
struct Snapshot(BTreeMap<PathBuf, Entry>);

#[derive(PartialEq)]
struct Entry {
    modified: (i64, i64),
    changed: (i64, i64),
    content: Option<Vec<u8>>,
}

impl Snapshot {
    fn of(folder: &Path) -> Self {
        let mut entries = BTreeMap::new();
        let mut rest = vec![folder.to_owned()];
        while let Some(path) = rest.pop() {
            let found = fs::symlink_metadata(&path).expect("metadata");
            if found.is_dir() {
                rest.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            }
            let content = found.is_file().then(|| fs::read(&path).expect("a file"));
            let (modified, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
            entries.insert(path, Entry { modified, changed, content });
        }
        Self(entries)
    }

    fn changes(&self, after: &Self) -> Vec<String> {
        let both = self.0.keys().chain(after.0.keys().filter(|path| !self.0.contains_key(*path)));
        let changed = both.filter(|path| self.0.get(*path) != after.0.get(*path));
        changed.map(|path| format!("{} was changed by looking", path.display())).collect()
    }
}

/// What is written, asked and compared, and in which steps: rounds/plans.py.
#[test]
fn what_zvecctl_writes_zvec_goes_on_with_and_the_other_way_round() {
    let names = zvec::rounds();
    assert!(names.len() > 60, "only {} round trips", names.len());
    check_all(&names, String::clone, |name| {
        tempfile::tempdir()
            .map_err(|error| error.to_string())
            .and_then(|folder| zvec::round(name, folder.path()))
            .unwrap_or_else(|error| vec![error])
    });
}

#[test]
fn a_collection_that_zvec_holds_is_locked_and_the_process_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (holder, collection) = held(folder.path());
    let path = collection.to_str().unwrap();
    let pid = holder.pid().to_string();

    let refused = output(&["--format", "json", "export", path]).unwrap();
    assert_eq!(refused.status.code(), Some(10), "{}", String::from_utf8_lossy(&refused.stderr));
    let envelope: Json = serde_json::from_slice(&refused.stdout).expect("one envelope and no documents");
    assert_eq!(envelope["error"]["code"], "lock.held");
    assert!(envelope["error"]["message"].as_str().unwrap().contains(&pid), "{envelope} does not name {pid}");

    let refused = output(&["manifest", "dump", path]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(10), "{said}");
    assert!(said.contains(&pid) && said.contains("--no-lock"), "{said}");

    let files = run(&["--format", "json", "--no-lock", "files", "ls", path]).unwrap();
    assert_eq!(files["data"]["lock"]["state"], "held");
    assert_eq!(files["data"]["lock"]["holders"][0]["pid"], holder.pid());

    // Once zvec is gone its lock is, and what it never flushed is in the WAL.
    drop(holder);
    let columns = truth::columns(&collection);
    let export = truth::export(&collection, &columns).unwrap();
    assert_eq!(truth::differences(&documents(50), &export.docs, &columns, Strictness::Stored), [""; 0]);
    assert_eq!((export.exit, export.from_wal), (0, 50));
}

#[test]
fn without_the_lock_the_wal_of_a_zvec_that_inserts_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut holder, collection) = held(folder.path());
    let columns = columns();
    let read = || truth::export_with(&["--no-lock"], &collection, &columns).unwrap();
    let at_rest = read();
    assert_eq!(truth::differences(&documents(50), &at_rest.docs, &columns, Strictness::Stored), [""; 0]);
    assert_eq!((at_rest.exit, at_rest.from_wal), (0, 50));

    holder.order("insert", "inserting").unwrap();
    let mut seen = 50;
    for _ in 0..5 {
        let export = read();
        let count = export.docs.len();
        // However much there is: it is the first documents, all of them, as they were inserted.
        assert_eq!(truth::differences(&documents(count), &export.docs, &columns, Strictness::Stored), [""; 0]);
        assert!(count >= seen, "{count} documents, {seen} were there before");
        seen = count;
    }
    let total = usize::try_from(holder.order("stop", "stopped").unwrap()).unwrap();
    assert!(seen <= total, "{seen} of {total} documents");
    let after = read();
    assert_eq!(truth::differences(&documents(total), &after.docs, &columns, Strictness::Stored), [""; 0]);
    assert_eq!(after.exit, 0);
}

fn held(folder: &Path) -> (zvec::Holder, PathBuf) {
    let count = std::cell::Cell::new(0);
    let started = zvec::retried("holding a collection", || {
        count.set(count.get() + 1);
        let collection = folder.join(format!("collection{}", count.get()));
        zvec::Holder::start(&collection).map(|holder| (holder, collection))
    });
    started.unwrap()
}

/// The schema that `live.py` makes.
fn columns() -> BTreeMap<String, Column> {
    let column = |data_type: &str| Column { data_type: data_type.into(), cosine: false };
    [("n", "INT32"), ("title", "STRING"), ("dense", "VECTOR_FP32")].map(|(name, t)| (name.to_owned(), column(t))).into()
}

/// The documents that `live.py` inserts.
fn documents(count: usize) -> Docs {
    let document = |number: usize| {
        let float = |value: f32| Item::Float(Bits(value));
        #[allow(clippy::cast_precision_loss, reason = "there are few")]
        let value = number as f32;
        let doc = Doc::from([
            ("n".to_owned(), Item::Integer(number as i128)),
            ("title".to_owned(), Item::Text(format!("title {number}"))),
            ("dense".to_owned(), Item::List([value, 0.5, -value, 0.25].map(float).to_vec())),
        ]);
        (format!("doc_{number:05}"), doc)
    };
    (0..count).map(document).collect()
}
