//! Indexes that contradict the rows, with checksums that fit: what a bug of an engine would leave. Each contradiction has its code.

use zvecctl::{
    format::{
        fts,
        inverted::{self, term},
        roaring as set,
        value::Value,
    },
    report::{Finding, Severity},
    verify::Level,
};

use crate::{
    check,
    database::{self, Families, Held},
    support::Fixture,
};

/// Findings about a fixture of which one RocksDB directory, found by its name, was changed.
fn tampered(name: &str, directory: &str, change: impl FnOnce(&mut Families)) -> Vec<Finding> {
    let fixture = Fixture::good(name);
    let path = super::only_file(&fixture, "0", directory);
    let mut families = database::read(&path);
    database::write(&path, &families);
    let whole = check(&fixture.path(), Level::Contents);
    assert!(whole.iter().all(|finding| finding.severity == Severity::Info), "written anew, unchanged: {whole:#?}");
    change(&mut families);
    database::write(&path, &families);
    check(&fixture.path(), Level::Contents)
}

/// The codes of the findings, each once, and all details.
fn told(findings: &[Finding]) -> (Vec<&str>, String) {
    let grave = || findings.iter().filter(|finding| finding.severity == Severity::Error);
    let mut codes: Vec<&str> = grave().map(|finding| finding.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    (codes, grave().map(|finding| finding.detail.as_str()).collect::<Vec<_>>().join("\n"))
}

fn index(name: &str, change: impl FnOnce(&mut Families)) -> Vec<Finding> {
    tampered(name, "scalar.index.1.rocksdb", change)
}

const FLUSHED: &str = "0.8.0_small_flushed";

/// The year of documents 0, 30 and 60, as a term.
fn year(of: i32) -> Vec<u8> {
    term::encode(&Value::I32(of)).unwrap()
}

fn posting(rows: &[u32]) -> Held {
    Held::Operands(vec![inverted::encode(&rows.iter().copied().collect()).unwrap()])
}

#[test]
fn a_row_that_its_term_lost_is_named() {
    let findings = index(FLUSHED, |families| {
        families.get_mut("year$TERMS").unwrap().insert(year(1950), posting(&[0, 60]));
    });
    let (codes, details) = told(&findings);
    assert_eq!(codes, ["inverted.missing-entry"]);
    assert!(details.contains("row 30 (\"doc_00030\") holds 1950"), "{details}");
}

#[test]
fn a_row_under_a_term_that_it_does_not_hold_is_named() {
    let findings = index(FLUSHED, |families| {
        families.get_mut("year$TERMS").unwrap().insert(year(1950), posting(&[0, 5, 30, 60]));
    });
    let (codes, details) = told(&findings);
    assert_eq!(codes, ["inverted.extra-entry"]);
    assert!(details.contains("row 5 (\"doc_00005\") does not hold 1950"), "{details}");
}

#[test]
fn exchanged_terms_are_other_values() {
    let findings = index(FLUSHED, |families| {
        let terms = families.get_mut("year$TERMS").unwrap();
        let (a, b) = (terms[&year(1950)].clone(), terms[&year(1951)].clone());
        terms.insert(year(1950), b);
        terms.insert(year(1951), a);
    });
    let (codes, details) = told(&findings);
    assert_eq!(codes, ["inverted.other-value"]);
    assert!(
        details.contains("holds 1950, the index 1951") && details.contains("holds 1951, the index 1950"),
        "{details}"
    );
}

#[test]
fn rows_beyond_the_end_are_told() {
    let findings = index(FLUSHED, |families| {
        families.get_mut("year$TERMS").unwrap().insert(year(1950), posting(&[0, 30, 60, 4_000_000_000]));
    });
    assert_eq!(told(&findings).0, ["segment.index-beyond-end"]);
}

#[test]
fn a_wrong_last_row_and_a_missing_family_are_told() {
    let findings = index(FLUSHED, |families| {
        *families.get_mut("default").unwrap().get_mut(b"year$ZVEC$MAX_ID".as_slice()).unwrap().bytes() = b"7".to_vec();
    });
    assert_eq!(told(&findings).0, ["inverted.max-row"]);
    let findings = index(FLUSHED, |families| drop(families.remove("year$TERMS")));
    assert_eq!(told(&findings).0, ["inverted.missing-family"]);
}

#[test]
fn a_seal_on_the_writing_segment_is_told() {
    let findings = index(FLUSHED, |families| {
        let seal = Held::Value(inverted::SEALED.to_vec());
        families.get_mut("default").unwrap().insert(b"year$ZVEC$SEALED".to_vec(), seal);
    });
    assert_eq!(told(&findings).0, ["inverted.sealed-writing"]);
}

const EVERY_TYPE: &str = "0.8.0_invert_flushed";

/// The first family with this ending that is not empty, with its name.
fn first<'f>(families: &'f mut Families, end: &str) -> (&'f String, &'f mut std::collections::BTreeMap<Vec<u8>, Held>) {
    families.iter_mut().find(|(name, entries)| name.ends_with(end) && !entries.is_empty()).unwrap()
}

#[test]
fn null_rows_reversed_terms_and_array_lengths_are_compared() {
    let findings = index(EVERY_TYPE, |families| {
        let nulls =
            families.get_mut("default").unwrap().iter_mut().find(|(key, _)| key.ends_with(b"$ZVEC$NULL")).unwrap();
        let mut rows = set::decode(nulls.1.bytes(), 0).unwrap().bitmap;
        rows.remove(rows.min().unwrap());
        *nulls.1.bytes() = set::encode(&rows);
    });
    assert_eq!(told(&findings).0, ["inverted.nulls"]);
    for (end, word) in [("$SMRET", "reversed terms"), ("$ARRAY_LEN", "array lengths")] {
        let findings = index(EVERY_TYPE, |families| drop(first(families, end).1.pop_first()));
        let (codes, details) = told(&findings);
        assert_eq!(codes, ["inverted.missing-entry"], "{end}");
        assert!(details.contains(word), "{details}");
    }
}

#[test]
fn a_posting_of_every_column_is_compared() {
    let fixture = Fixture::good(EVERY_TYPE);
    let families = database::read(&super::only_file(&fixture, "0", "scalar.index.1.rocksdb"));
    let names: Vec<&String> = families
        .iter()
        .filter(|(name, terms)| name.ends_with("$TERMS") && !terms.is_empty())
        .map(|(name, _)| name)
        .collect();
    assert!(names.len() > 30, "{names:?}");
    let findings = index(EVERY_TYPE, |families| {
        for name in &names {
            families.get_mut(*name).unwrap().pop_first();
        }
    });
    for name in names {
        let field = name.strip_suffix("$TERMS").unwrap();
        let of_field = |finding: &Finding| finding.detail.starts_with(&format!("field {field}:"));
        assert!(findings.iter().any(of_field), "{field} in {findings:#?}");
    }
}

#[test]
fn histograms_count_what_the_terms_have() {
    let findings = index("0.8.0_invert_bitmaps", |families| {
        let histogram = families.get_mut("$CDF").unwrap().values_mut().next().unwrap().bytes();
        let text = String::from_utf8_lossy(histogram).replacen("\"total_doc_count\":7", "\"total_doc_count\":6", 1);
        assert_ne!(text.as_bytes(), histogram.as_slice());
        *histogram = text.into_bytes();
    });
    assert_eq!(told(&findings).0, ["inverted.histogram"]);
}

const TEXTS: &str = "0.5.1_fts_flushed";

fn texts(change: impl FnOnce(&mut Families)) -> Vec<Finding> {
    tampered(TEXTS, "fts.2.rocksdb", change)
}

#[test]
fn full_text_families_are_held_against_each_other() {
    let changed = |end: &str, to: &[u8]| {
        texts(|families| *first(families, end).1.values_mut().next().unwrap().bytes() = to.to_vec())
    };
    assert_eq!(told(&changed("$TF", &fts::encode_count(77))).0, ["fts.frequencies"]);
    assert_eq!(told(&changed("$MAX_TF", &fts::encode_count(77))).0, ["fts.frequencies"]);
    assert_eq!(told(&changed("$DOC_LEN", &fts::encode_count(77))).0, ["fts.document-length"]);
    assert_eq!(told(&changed("$FTS_STAT", &fts::encode_stat(77))).0, ["fts.totals"]);
    assert_eq!(told(&changed("$POSITIONS", &[5, 0])).0.first(), Some(&"fts.document-length"));
    let findings = texts(|families| drop(families.get_mut("standard").unwrap().pop_first()));
    assert_eq!(told(&findings).0, ["fts.postings"]);
    let findings = texts(|families| drop(families.remove("lower$POSITIONS")));
    assert_eq!(told(&findings).0, ["fts.missing-family"]);
}

#[test]
fn a_damaged_text_is_told_with_the_word_before() {
    for (name, file) in [(TEXTS, "0/scalar.0.ipc"), ("0.8.0_fts_sealed", "0/scalar.0.ipc")] {
        let fixture = Fixture::good(name);
        let path = fixture.join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = bytes.windows(10).position(|window| window == b"THE COMMON").unwrap();
        bytes[place + 4] = b'K';
        std::fs::write(&path, &bytes).unwrap();
        let findings = check(&fixture.path(), Level::Contents);
        let (codes, details) = told(&findings);
        assert_eq!((codes, findings[0].path.as_deref()), (vec!["fts.other-text"], Some(file)), "{name}");
        let words = "only the text has [\"KOMMON\" at [1]], only the index [\"COMMON\" at [1]]";
        assert!(details.contains(words), "{details}");
    }
}

/// A compaction by zvec 0.8.0 counts rows without a text among the texts.
#[test]
fn a_sealed_index_may_count_all_rows_as_texts() {
    let total = |docs: u64| {
        let findings = tampered("0.8.0_fts_sealed", "fts.2.rocksdb", |families| {
            let key = fts::StatKey::TotalDocs(b"standard").encode();
            families.get_mut("$FTS_STAT").unwrap().insert(key, Held::Value(fts::encode_stat(docs).to_vec()));
        });
        told(&findings).0.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(total(200).is_empty());
    assert_eq!(total(199), ["fts.totals"]);
}
