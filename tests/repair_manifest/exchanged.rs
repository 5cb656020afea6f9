//! Vector files in each other's place. The manifest is whole then, and its schema right: two files contradict it, and each bears the other out.

use std::{collections::BTreeSet, fs};

use crate::{documents, manifest_of, mend, mend_and_undo, support::Fixture, traces::lost};

fn exchange(fixture: &Fixture, one: &str, other: &str) {
    let [one, other] = [one, other].map(|name| fixture.join(&format!("{name}.proxima")));
    let (of_one, of_other) = (fs::read(&one).unwrap(), fs::read(&other).unwrap());
    fs::write(one, of_other).unwrap();
    fs::write(other, of_one).unwrap();
}

/// The types of both columns were exchanged in the schema instead, and zvec could not open either.
#[test]
fn of_two_columns_the_files_are_exchanged_and_not_the_types() {
    for (name, one, other) in [
        ("0.8.0_sparse_hnsw_optimized", "0/fp32_qfp16.index.3", "0/fp16.index.7"),
        ("0.8.0_sparse_hnsw_optimized", "0/fp32.index.6", "0/fp16.index.7"),
    ] {
        let fixture = Fixture::good(name);
        let (docs, schema) = (documents(&fixture.path()), manifest_of(&fixture.path()).schema);
        exchange(&fixture, one, other);
        let report = mend(&fixture.path());
        assert_eq!(manifest_of(&fixture.path()).schema, schema, "{name} {one} {other}: {:#?}", report.done);
        if one.contains("qfp16") {
            assert!(report.clean, "{:#?}", report.after);
            assert_eq!(documents(&fixture.path()), docs, "{name} {one} {other}");
        }
        assert_eq!(lost(&report), BTreeSet::new());
    }
}

/// "Nothing tells which", it was said; but codes are no full vectors.
#[test]
fn full_vectors_and_codes_of_a_column_are_exchanged() {
    for (name, full, codes) in [
        ("0.8.0_compacted", "2/dense.index.2", "2/dense.qindex.3"),
        ("0.8.0_many_flushes", "0/dense.index.2", "0/dense.qindex.3"),
        ("0.8.0_many_flushes", "0/dense.index.14", "0/dense.qindex.15"),
        ("0.8.0_sparse_hnsw_optimized", "0/fp32_qfp16.index.3", "0/fp32_qfp16.qindex.8"),
        ("0.7.0_flat_qint4_flushed", "0/cosine.index.5", "0/cosine.qindex.6"),
        ("0.8.0_hnsw_refine_uint8_optimized", "0/hnsw.index.1", "0/hnsw.qindex.6"),
        ("0.8.0_ivf_rabitq_optimized", "0/cosine.index.5", "0/cosine.qindex.10"),
    ] {
        let fixture = Fixture::good(name);
        let (path, docs) = (fixture.path(), documents(&fixture.path()));
        exchange(&fixture, full, codes);
        let (report, after) = mend_and_undo(name, &path);
        assert_eq!(after, docs, "{name} {full}");
        assert_eq!(lost(&report), BTreeSet::new(), "{name} {full}");
        assert!(
            report.done.iter().all(|done| done.ok && done.doubtful.is_empty()),
            "{name} {full}: {:#?}",
            report.done
        );
    }
}

/// A file of another kind, or of another metric, was put over the only one of a column. The manifest said otherwise, and was made to say the same.
#[test]
fn one_file_of_another_column_does_not_change_the_schema() {
    for (name, from, to) in [
        ("0.8.0_compacted", "2/sparse.index.4", "2/dense.index.2"),
        ("0.8.0_compacted", "2/dense.index.2", "2/sparse.index.4"),
        ("0.8.0_compacted", "2/dense.qindex.3", "2/sparse.index.4"),
        ("0.8.0_flat_qint8_flushed", "0/l2.index.1", "0/ip.index.3"),
        ("0.8.0_flat_qint8_flushed", "0/cosine.index.5", "0/ip.index.3"),
        ("0.8.0_flat_fp32_flushed", "0/cosine.index.3", "0/ip.index.2"),
    ] {
        let fixture = Fixture::good(name);
        let schema = manifest_of(&fixture.path()).schema;
        let [from, to] = [from, to].map(|name| fixture.join(&format!("{name}.proxima")));
        fs::copy(&from, &to).unwrap();
        let report = mend(&fixture.path());
        assert_eq!(manifest_of(&fixture.path()).schema, schema, "{name} {to:?}: {:#?}", report.done);
        assert!(report.clean, "{name} {to:?}: {:#?}", report.after);
    }
}
