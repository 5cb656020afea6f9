//! Segments that are gone, and segments that nothing lists.

use std::fs;

use zvecctl::report::repair::Fix;

use crate::{documents, manifest_of, mend, mend_and_undo, support::Fixture, tamper};

#[test]
fn the_documents_of_a_missing_segment_are_named() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let path = fixture.path();
    let docs = documents(&path);
    fs::remove_dir_all(path.join("0")).unwrap();
    let (report, after) = mend_and_undo("segment missing", &path);
    let lost: Vec<String> = report.done.iter().flat_map(|done| &done.lost).filter_map(|lost| lost.id.clone()).collect();
    assert!(!after.is_empty() && !lost.is_empty());
    assert!(lost.iter().all(|key| docs.contains_key(key) && !after.contains_key(key)), "{lost:?}");
    assert_eq!(after.len() + lost.len(), docs.len(), "each document is there or named");
}

#[test]
fn a_missing_writing_segment_gets_a_successor() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let path = fixture.path();
    let docs = documents(&path);
    let before = manifest_of(&path);
    let writing = before.writing_segment_meta.unwrap();
    fs::remove_dir_all(path.join(writing.segment_id.to_string())).unwrap();
    let (report, after) = mend_and_undo("writing segment missing", &path);
    let lost = report.done.iter().map(|done| done.lost.len()).sum::<usize>();
    assert_eq!(after.len() + lost, docs.len());
    mend(&path);
    let new = manifest_of(&path).writing_segment_meta.unwrap();
    assert!(new.segment_id > writing.segment_id);
    let next =
        |meta: &zvecctl::format::manifest::proto::SegmentMeta| meta.writing_forward_block.clone().unwrap().min_doc_id;
    assert_eq!(next(&new), next(&writing), "no id is given out twice");
}

#[test]
fn a_segment_that_nothing_lists_is_adopted_if_its_documents_are_nowhere_else() {
    let fixture = Fixture::good("0.8.0_small_segments_killed");
    let path = fixture.path();
    let docs = documents(&path);
    tamper(&path, |m| drop(m.persisted_segment_metas.remove(0)));
    let (report, after) = mend_and_undo("orphan", &path);
    assert!(after == docs, "{} documents of {}", after.len(), docs.len());
    assert!(report.done.iter().any(|done| done.fix == Fix::Segments && done.detail.starts_with("adopted")));
}

#[test]
fn a_segment_with_a_log_is_written_again() {
    let fixture = Fixture::good("0.8.0_small_segments_killed");
    let path = fixture.path();
    let docs = documents(&path);
    tamper(&path, |m| {
        let meta = m.writing_segment_meta.as_mut().unwrap();
        (meta.segment_id, meta.persisted_blocks) = (3, Vec::new());
        m.next_segment_id = 4;
    });
    let (_, after) = mend_and_undo("orphan with a log", &path);
    assert!(after == docs, "{} documents of {}", after.len(), docs.len());
}

#[test]
fn what_an_interrupted_optimize_left_is_set_aside() {
    for name in ["orphan_segment", "real_0.8.0_optimize_killed_removing", "real_0.8.0_optimize_killed_rolling"] {
        let fixture = Fixture::damaged(name);
        let docs = documents(&fixture.path());
        let (report, after) = mend_and_undo(name, &fixture.path());
        assert!(after == docs, "{name}");
        assert!(report.done.iter().all(|done| !done.detail.starts_with("adopted")), "{name}: {:#?}", report.done);
    }
}

#[test]
fn a_lost_manifest_beside_input_and_output_of_a_compaction_shows_each_document_once() {
    for name in ["real_0.8.0_optimize_killed_removing", "real_0.8.0_optimize_killed_compacting"] {
        let fixture = Fixture::damaged(name);
        let path = fixture.path();
        let docs = documents(&path);
        fs::remove_file(crate::manifest_path(&path)).unwrap();
        let (_, after) = mend_and_undo(name, &path);
        assert!(after == docs, "{name}: {} documents of {}", after.len(), docs.len());
    }
}

/// A copy of the directory that has the log: its records are in the log of the other one as well, and nothing is lost with it.
#[test]
fn copies_of_a_segment_with_a_log_are_set_aside_and_nothing_is_lost() {
    fn copy(from: &std::path::Path, to: &std::path::Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    for with_manifest in [true, false] {
        let fixture = Fixture::good("0.8.0_small_killed");
        let path = fixture.path();
        let docs = documents(&path);
        copy(&path.join("0"), &path.join("77"));
        copy(&path.join("0"), &path.join("78"));
        if !with_manifest {
            fs::remove_file(crate::manifest_path(&path)).unwrap();
        }
        let (report, after) = mend_and_undo("copies", &path);
        assert!(after == docs, "{} of {}", after.len(), docs.len());
        let lost = report.done.iter().map(|done| done.lost.len()).sum::<usize>();
        let doubts: Vec<&String> = report.done.iter().flat_map(|done| &done.doubtful).collect();
        assert_eq!((lost, doubts.is_empty()), (0, with_manifest), "{doubts:?}");
    }
}

/// zvec searches such an index, and its `optimize` fails for ever.
#[test]
fn an_open_full_text_index_of_a_closed_segment_is_told_and_built_sealed() {
    let fixture = Fixture::good("0.5.1_fts_flushed");
    let path = fixture.path();
    let docs = documents(&path);
    tamper(&path, |manifest| {
        let mut old = manifest.writing_segment_meta.take().unwrap();
        let mut block = old.writing_forward_block.take().unwrap();
        block.block_id = 0;
        manifest.persisted_segment_metas.push(old);
        manifest.writing_segment_meta = Some(zvecctl::format::manifest::proto::SegmentMeta {
            segment_id: 1,
            writing_forward_block: Some(block),
            ..Default::default()
        });
        manifest.next_segment_id = 2;
    });
    let (report, after) = mend_and_undo("open index", &path);
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert!(found.contains(&"fts.open-persisted"), "{found:?}");
    assert!(after == docs);
}

/// Neither a manifest nor an id map names the documents of a segment that is gone: only the numbers show that there were any.
#[test]
fn ids_that_no_file_has_are_told() {
    for whole in [false, true] {
        let fixture = Fixture::good("0.8.0_small_segments");
        let path = fixture.path();
        if !whole {
            fs::remove_dir_all(path.join("1")).unwrap();
        }
        fs::remove_dir_all(path.join("idmap.0")).unwrap();
        fs::remove_file(crate::manifest_path(&path)).unwrap();
        let report = crate::mend(&path);
        assert!(report.clean, "{:#?}", report.after);
        let mut doubts = report.done.iter().flat_map(|done| &done.doubtful);
        assert_eq!(doubts.any(|line| line.starts_with("39 document id(s) below ")), !whole, "{:#?}", report.done);
    }
}
