//! No manifest, and a file less: what is gone leaves traces in what is there, and no row gets what belongs to another.

use std::{collections::BTreeSet, fs};

use zvecctl::report::repair::RepairReport;

use crate::{Docs, documents, manifest_of, manifest_path, mend, mend_and_undo, support::Fixture};

pub fn lost(report: &RepairReport) -> BTreeSet<String> {
    report.done.iter().flat_map(|done| &done.lost).filter_map(|document| document.id.clone()).collect()
}

/// Whether each document is there as it was, but for fields that are not there any more, and for lists, whose order no index keeps.
fn none_differs(before: &Docs, after: &Docs) -> bool {
    let fields = |key: &String| before.get(key).unwrap();
    let is_kept = |key: &String, name: &String, value: &String| name == "tags" || fields(key).get(name) == Some(value);
    after.iter().all(|(key, values)| values.iter().all(|(name, value)| is_kept(key, name, value)))
}

/// The vectors of the second block were taken for those of the first: eleven documents had the vectors of others, the rest had none.
#[test]
fn without_a_vector_file_its_documents_are_lost_by_name_and_no_other_gets_its_place() {
    for name in ["0.8.0_small_flushed", "0.7.0_small_segments", "0.8.0_many_flushes"] {
        let fixture = Fixture::good(name);
        let (path, docs) = (fixture.path(), documents(&fixture.path()));
        fs::remove_file(path.join("0/dense.index.2.proxima")).unwrap();
        let _ = fs::remove_file(path.join("0/dense.qindex.3.proxima"));
        fs::remove_file(manifest_path(&path)).unwrap();
        let (report, after) = mend_and_undo(name, &path);
        let missing: BTreeSet<String> = docs.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
        assert!(!missing.is_empty() && missing.len() < docs.len(), "{name}: {}", missing.len());
        assert_eq!(lost(&report), missing, "{name}");
        assert!(none_differs(&docs, &after), "{name}");
    }
}

#[test]
fn a_quantised_copy_that_is_gone_is_made_again() {
    let fixture = Fixture::good("0.8.0_many_flushes");
    let (path, docs) = (fixture.path(), documents(&fixture.path()));
    fs::remove_file(path.join("0/dense.qindex.7.proxima")).unwrap();
    fs::remove_file(manifest_path(&path)).unwrap();
    let (report, after) = mend_and_undo("quantised", &path);
    assert_eq!(after, docs);
    assert_eq!(lost(&report), BTreeSet::new());
}

/// The rows of a forward block that is gone were left out, unnamed, and the rows behind it got other numbers than the indexes have.
#[test]
fn a_forward_block_that_is_gone_keeps_its_place() {
    for (name, block) in [
        ("0.8.0_small_flushed", "0/scalar.0.ipc"),
        ("0.8.0_small_flushed", "0/scalar.3.ipc"),
        ("0.8.0_many_flushes", "0/scalar.5.ipc"),
        ("0.8.0_many_flushes", "0/scalar.13.ipc"),
        ("0.7.0_small_segments", "0/scalar.0.ipc"),
        ("0.7.0_small_segments", "1/scalar.0.ipc"),
        ("0.8.0_small_killed", "0/scalar.3.ipc"),
    ] {
        for cut in [false, true] {
            let fixture = Fixture::good(name);
            let (path, docs) = (fixture.path(), documents(&fixture.path()));
            match cut {
                true => fs::write(path.join(block), b"ARROW1\0\0").unwrap(),
                false => fs::remove_file(path.join(block)).unwrap(),
            }
            fs::remove_file(manifest_path(&path)).unwrap();
            let (report, after) = mend_and_undo(name, &path);
            assert!(after.keys().eq(docs.keys()), "{name} {block} {cut}: {} of {}", after.len(), docs.len());
            assert_eq!(lost(&report), BTreeSet::new(), "{name} {block} {cut}");
            assert!(none_differs(&docs, &after), "{name} {block} {cut}");
            let told = report.done[0].doubtful.iter().any(|line| line.contains("rows with the ids"));
            assert!(told, "{name} {block} {cut}: {:?}", report.done[0].doubtful);
        }
    }
}

/// Nothing is made of rows that a compaction left out, or that were never there.
#[test]
fn gaps_between_ids_are_no_rows() {
    for name in ["0.8.0_compacted", "0.8.0_changed_optimized", "0.6.0_segments_by_optimize"] {
        let fixture = Fixture::good(name);
        let path = fixture.path();
        let rows = |of: &zvecctl::format::manifest::Manifest| -> u64 {
            let segments = of.persisted_segment_metas.iter().chain(&of.writing_segment_meta);
            segments.map(zvecctl::format::manifest::row_count).sum()
        };
        let before = rows(&manifest_of(&path));
        fs::remove_file(manifest_path(&path)).unwrap();
        crate::mend(&path);
        assert_eq!(rows(&manifest_of(&path)), before, "{name}");
    }
}

/// The log is gone, and with a manifest or without: the vectors of its block tell that there was one.
#[test]
fn a_log_that_is_gone_is_told_by_the_vectors_of_its_block() {
    for (with_forward, with_manifest) in [(true, false), (false, false), (false, true)] {
        let fixture = Fixture::good("0.8.0_small_killed");
        let path = fixture.path();
        fs::remove_file(path.join("0/5.wal")).unwrap();
        if !with_forward {
            fs::remove_file(path.join("0/scalar.5.ipc")).unwrap();
        }
        if !with_manifest {
            fs::remove_file(manifest_path(&path)).unwrap();
        }
        let (report, _) = mend_and_undo("no log", &path);
        let missing = report.findings.iter().any(|finding| finding.code == "wal.missing");
        assert_eq!(missing, with_manifest, "{:#?}", report.findings);
        let told = report.done.iter().flat_map(|done| &done.doubtful).any(|line| {
            line.contains("since the last flush") && (with_manifest || line.contains("have 31 documents of it"))
        });
        assert!(told, "{:#?}", report.done);
    }
}

/// A step before that of the log keeps the old manifest, so that the recovery sweeps nothing: the files of the block would tell of a missing log for ever.
#[test]
fn a_log_that_is_gone_is_not_missed_again() {
    for gone in [false, true] {
        let fixture = Fixture::good("0.8.0_wal_over_flushed_killed");
        let path = fixture.path();
        fs::write(path.join("del.0"), b"").unwrap();
        match gone {
            false => fs::write(path.join("0/5.wal"), b"").unwrap(),
            true => fs::remove_file(path.join("0/5.wal")).unwrap(),
        }
        let report = mend(&path);
        assert!(report.clean, "{gone}: {:#?}", report.after);
        assert!(!path.join("0/scalar.5.ipc").exists(), "{gone}");
    }
}

/// Numbered 5, 4, 7 in the order of their documents: the one that is gone got ids of the one with the number before its own.
#[test]
fn neighbours_are_those_by_documents_and_not_by_number() {
    let fixture = Fixture::good("0.8.0_segments_by_documents");
    let (path, docs) = (fixture.path(), documents(&fixture.path()));
    fs::remove_file(path.join("7/scalar.0.ipc")).unwrap();
    fs::remove_file(manifest_path(&path)).unwrap();
    let report = mend(&path);
    assert!(report.clean, "{:#?}", report.after);
    let after = documents(&path);
    let missing: BTreeSet<String> = docs.keys().filter(|key| !after.contains_key(*key)).cloned().collect();
    assert!(missing.len() <= 10 && missing == lost(&report), "{missing:?}");
}
