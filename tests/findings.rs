//! `docs/findings.md` lists every code that the program can emit, and no other.
//!
//! A code is a string literal `structure.fault` in `src/`, outside tests. `format` names faults of a newer format as it likes
//! (`sst.newer-footer`); as findings they are all called `<structure>.newer`, so that name is expected too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Literals that look like codes and name something else.
const NO_CODES: [(&str, &str); 22] = [
    ("documents.jsonl", "file in a quarantine"),
    ("journal.jsonl", "file in a quarantine"),
    ("undo.jsonl", "file in a quarantine"),
    ("moves.jsonl", "file in a quarantine"),
    ("diskann.entrypoint", "segment of a vector file"),
    ("diskann.key", "segment of a vector file"),
    ("diskann.meta", "segment of a vector file"),
    ("diskann.vector", "segment of a vector file"),
    ("flat.features", "segment of a vector file"),
    ("flat.keys", "segment of a vector file"),
    ("hc.keys", "segment of a vector file"),
    ("ivf.centroid", "segment of a vector file"),
    ("ivf.mapping", "segment of a vector file"),
    ("ivf.offsets", "segment of a vector file"),
    ("linear.keys", "segment of a vector file"),
    ("rabitq.converter", "segment of a vector file"),
    ("rocksdb.comparator", "property of a table"),
    ("rocksdb.compression", "property of a table"),
    ("rocksdb.index", "meta block of a table"),
    ("rocksdb.properties", "meta block of a table"),
    ("rocksdb.stats", "meta block of a table"),
    ("schema.name", "path in a manifest's difference"),
];

#[test]
fn every_code_is_documented_and_every_documented_code_exists() {
    let emitted = emitted();
    let documented = documented(&read(&root().join("docs/findings.md")));
    let missing: Vec<_> = emitted.iter().filter(|(code, _)| !documented.contains(*code)).collect();
    assert!(missing.is_empty(), "codes that docs/findings.md lacks, with the files that emit them: {missing:#?}");
    let gone: Vec<_> = documented.iter().filter(|code| !emitted.contains_key(*code)).collect();
    assert!(gone.is_empty(), "codes in docs/findings.md that nothing emits: {gone:#?}");
}

#[test]
fn every_exception_still_occurs() {
    let literals = literals();
    let gone: Vec<_> = NO_CODES.iter().filter(|(name, _)| !literals.contains_key(*name)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

#[test]
fn codes_are_told_from_other_strings() {
    assert!(is_code("wal.crc-mismatch") && is_code("sst.newer-format-version"));
    for other in ["wal", "wal.", ".wal", "a.b.c", "HnswT2S0.x", "flat.linear_meta", "a b.c", "wal.-x", "0.8"] {
        assert!(!is_code(other), "{other}");
    }
    let table = "| `a.b` | error |\n| code | severity |\ntext `c.d`\n| `usage` | 2 |";
    assert_eq!(documented(table), BTreeSet::from(["a.b".to_owned(), "usage".to_owned()]));
}

/// Codes in `src/` with the files that they are in.
fn emitted() -> BTreeMap<String, BTreeSet<String>> {
    let mut codes = literals();
    codes.retain(|code, _| !NO_CODES.iter().any(|(name, _)| name == code));
    for (file, text) in sources() {
        for code in literals_after(&text, "FormatError::newer(") {
            let structure = code.split('.').next().unwrap_or_default();
            codes.entry(format!("{structure}.newer")).or_default().insert(file.clone());
        }
        // Error reports of the command line have codes without a dot, too.
        if file.starts_with("cli") {
            // A result (`out.report(`) has the name of its command there.
            let errors = text.replace(".report(", "");
            let reports = literals_after(&errors, "report(").into_iter().chain(literals_after(&text, "code: "));
            for code in reports.filter(|code| code.bytes().all(|byte| byte.is_ascii_lowercase())) {
                codes.entry(code).or_default().insert(file.clone());
            }
        }
    }
    codes
}

/// String literals of the shape of a code.
fn literals() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources() {
        for literal in text.split('"').filter(|piece| is_code(piece)) {
            found.entry(literal.to_owned()).or_default().insert(file.clone());
        }
    }
    found
}

/// The string literals that are the first argument or value behind `marker`.
fn literals_after(text: &str, marker: &str) -> Vec<String> {
    let behind = text.split(marker).skip(1).map(str::trim_start);
    behind.filter_map(|rest| rest.strip_prefix('"')?.split('"').next().map(str::to_owned)).collect()
}

/// Two words of lower-case letters, digits and hyphens that begin with a letter, with a dot between.
fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.split_once('.').is_some_and(|(structure, fault)| word(structure) && word(fault))
}

/// First cells of table rows that are a code in backticks.
fn documented(text: &str) -> BTreeSet<String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    cells
        .map(|(code, _)| code.to_owned())
        .filter(|code| is_code(code) || code.bytes().all(|b| b.is_ascii_lowercase()))
        .collect()
}

/// Every source file, relative to `src/`, without comments and without its tests.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    let mut files = Vec::new();
    let mut directories = vec![src.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "tests" {
                    directories.push(path);
                }
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let relative = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
                files.push((relative, without_tests(&read(&path))));
            }
        }
    }
    assert!(files.len() > 50, "only {} source files found", files.len());
    files
}

fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
