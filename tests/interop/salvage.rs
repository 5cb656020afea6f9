//! zvec opens what `salvage` makes, and returns the documents.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::json;

use crate::{
    truth::{self, Strictness, Writer},
    zvec,
};

/// Scenarios, and what is taken away from each before it is salvaged.
const CASES: [(&str, &[&str]); 6] = [
    ("small_killed", &["manifest.", "idmap."]),
    ("small_optimized", &["manifest.", "idmap."]),
    ("scalars_flushed", &["idmap."]),
    ("invert_flushed", &["manifest."]),
    ("sparse_hnsw_optimized", &["manifest.", "LOCK"]),
    ("small_segments_killed", &["manifest."]),
];

#[test]
fn zvec_returns_what_was_salvaged() {
    for (scenario, gone) in CASES {
        let wrong = round(scenario, gone).unwrap_or_else(|error| vec![error]);
        assert_eq!(wrong, [""; 0], "{scenario}");
    }
}

fn round(scenario: &str, gone: &[&str]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let made = folder.path().join("made");
    zvec::make(scenario, &made)?;
    let collection = made.join("collection");
    let columns = truth::columns(&collection);
    let expected = truth::export(&collection, &columns)?.docs;
    for entry in fs::read_dir(&collection).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if gone.iter().any(|start| name.starts_with(start)) {
            remove(&path).map_err(|error| error.to_string())?;
        }
    }
    let saved = folder.path().join("saved");
    let out = saved.to_str().ok_or("a path that is text")?;
    let ran = truth::zvecctl(["salvage", "--out", out], &collection);
    if !matches!(ran.status.code(), Some(0 | 1 | 3)) {
        return Err(format!("{}: {}", ran.status, String::from_utf8_lossy(&ran.stderr)));
    }
    let ids: Vec<&str> = expected.keys().map(String::as_str).collect();
    let types: BTreeMap<_, _> = columns.iter().map(|(name, column)| (name, &column.data_type)).collect();
    let returned = zvec::fetch(&saved, &ids, &json!(types))?;
    let returned = truth::parse_lines(&returned, &columns, Writer::Zvec)?;
    // Vectors under COSINE are normalised once more: as behind a log.
    let mut wrong = truth::differences(&expected, &returned, &columns, Strictness::Wal);
    let exported = truth::export(&saved, &columns)?.docs;
    wrong.extend(truth::differences(&exported, &returned, &columns, Strictness::Wal));
    Ok(wrong)
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
