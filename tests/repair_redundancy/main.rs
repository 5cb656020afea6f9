//! Repairs of forward blocks and vector files: what another copy still tells comes back bit for bit, and what does not is named.

mod codes;
mod places;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path, sync::Arc};

use support::Fixture;
use zvecctl::{
    inspect::{
        View,
        documents::{Cell, Documents, Selection},
    },
    repair::{Hooks, Request, repair, take_back},
    report::repair::{Fix, RepairReport},
    vfs::{RealFs, VfsMut},
};

/// Scalars and vectors by key.
type Content = BTreeMap<Vec<u8>, (Vec<Cell>, Vec<Cell>)>;

fn content(collection: &Path) -> Content {
    let view = View::open(Arc::new(RealFs), collection).unwrap();
    let mut documents = Documents::open(&view, Selection::default()).unwrap();
    let mut found = Content::new();
    let _ = documents.each(&mut |document| {
        found.insert(document.pk, (document.fields, document.vectors));
        ControlFlow::Continue(())
    });
    found
}

/// Every file with its bytes.
fn files(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn mend(collection: &Path, only: Option<Vec<Fix>>) -> RepairReport {
    let fs: Arc<dyn VfsMut> = Arc::new(RealFs);
    let request = Request { only, now: 1_700_000_000, ..Request::default() };
    let mut watch = |_| true;
    repair(&fs, collection, &request, None, &mut Hooks { watch: &mut watch }).unwrap()
}

/// Repairs, and takes the repair back; what there was in between.
fn mended(fixture: &Fixture, only: Option<Vec<Fix>>) -> (RepairReport, Content) {
    let before = files(&fixture.path());
    let report = mend(&fixture.path(), only);
    assert!(report.clean, "{:#?}", report.after);
    let after = content(&fixture.path());
    let fs: Arc<dyn VfsMut> = Arc::new(RealFs);
    take_back(&fs, &fixture.path(), None, std::time::Duration::ZERO).unwrap();
    assert!(before == files(&fixture.path()), "every byte is back");
    (report, after)
}

fn lost(report: &RepairReport) -> usize {
    report.done.iter().map(|done| done.lost.len()).sum()
}

fn doubts(report: &RepairReport) -> Vec<&String> {
    report.done.iter().flat_map(|done| &done.doubtful).collect()
}

#[test]
fn flipped_ids_keys_and_indexed_values_come_back_and_a_lost_footer_costs_nothing() {
    let sound = content(&Fixture::good("0.8.0_small_flushed").path());
    for name in ["ipc_uid_flip", "ipc_docid_flip", "ipc_year_flip", "ipc_footer_flip"] {
        let (report, after) = mended(&Fixture::damaged(name), None);
        assert_eq!(after, sound, "{name}");
        assert_eq!((lost(&report), doubts(&report).len()), (0, 0), "{name}");
    }
}

#[test]
fn a_forward_block_that_is_gone_loses_only_what_nothing_else_holds() {
    let sound = content(&Fixture::good("0.8.0_small_flushed").path());
    for name in ["ipc_cut", "ipc_missing"] {
        let (report, after) = mended(&Fixture::damaged(name), None);
        assert_eq!(after.keys().collect::<Vec<_>>(), sound.keys().collect::<Vec<_>>());
        for (key, (fields, vectors)) in &after {
            let (was, vectors_were) = &sound[key];
            assert_eq!((&fields[1], vectors), (&was[1], vectors_were), "year and vector");
        }
        assert_eq!(lost(&report), 0);
        let [doubt] = doubts(&report)[..] else { panic!("{report:#?}") };
        assert!(doubt.contains("field title of 67 documents"), "{doubt}");
    }
}

#[test]
fn vectors_come_back_bit_for_bit_where_only_what_counts_or_links_them_is_damaged() {
    for (from, names) in [
        (
            "0.8.0_small_flushed",
            &[
                "flat_chain_cycle",
                "flat_row_count",
                "proxima_header_flip",
                "proxima_table_flip",
                "proxima_cut_capacity",
                "proxima_vector_flip",
            ][..],
        ),
        (
            "0.8.0_small_optimized",
            &["hnsw_vector_size_flip", "hnsw_neighbour", "hnsw_entry_point", "ivf_content_flip"][..],
        ),
    ] {
        let sound = content(&Fixture::good(from).path());
        for name in names {
            let (report, after) = mended(&Fixture::damaged(name), None);
            assert_eq!(after, sound, "{name}");
            assert_eq!(lost(&report), 0, "{name}");
        }
    }
}

#[test]
fn documents_without_any_copy_of_their_vector_are_given_up_by_name() {
    let (report, after) = mended(&Fixture::damaged("proxima_missing"), None);
    assert_eq!((lost(&report), after.len()), (67, 11));
    assert!(report.done.iter().flat_map(|done| &done.lost).all(|lost| lost.id.is_some() && lost.doc_id.is_some()));
}

#[test]
fn a_full_file_comes_from_the_quantised_one_and_says_so_and_the_other_way_round_costs_nothing() {
    let sound = content(&Fixture::good("0.8.0_flat_qint8_flushed").path());
    for (kind, doubtful) in [(".index.", 3), (".qindex.", 0)] {
        let fixture = Fixture::good("0.8.0_flat_qint8_flushed");
        for entry in fs::read_dir(fixture.join("0")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains(kind) && name.ends_with(".proxima") {
                fs::remove_file(path).unwrap();
            }
        }
        let (report, after) = mended(&fixture, None);
        assert_eq!((lost(&report), doubts(&report).len()), (0, doubtful));
        assert_eq!(after.len(), sound.len());
        assert_eq!(after == sound, doubtful == 0);
    }
}

#[test]
fn a_sealed_writing_segment_with_texts_gets_a_successor_and_keeps_its_documents() {
    let fixture = Fixture::damaged("real_0.8.0_optimize_killed_sealing_texts");
    let before = content(&fixture.path());
    let (report, after) = mended(&fixture, None);
    assert_eq!((before.len(), lost(&report), doubts(&report).len()), (40, 0, 0));
    assert!(before == after);
}

#[test]
fn files_of_old_releases_are_written_anew_only_if_that_is_asked_for() {
    for (name, files) in [
        ("0.1.0_small_flushed", 2),
        ("0.1.0_hnsw_fp32_optimized", 3),
        ("0.1.0_sparse_hnsw_optimized", 3),
        ("0.1.1_flat_qint8_flushed", 3),
        ("0.2.0_hnsw_qint8_optimized", 3),
    ] {
        let fixture = Fixture::good(name);
        assert!(!mend(&fixture.path(), None).applied, "{name}");
        let sound = content(&fixture.path());
        let (report, after) = mended(&fixture, Some(vec![Fix::Upgrade]));
        assert_eq!(report.done.iter().filter(|done| done.ok).count(), files, "{name}");
        assert!(report.after.unwrap().iter().all(|finding| !finding.code.starts_with("vectors.legacy")), "{name}");
        assert_eq!(after, sound, "{name}");
    }
}

/// The ids and keys of a copy are those of other rows, and so are its values: the block counts as gone.
#[test]
fn a_block_that_a_copy_of_another_was_written_over_is_gone() {
    for (name, unindexed, pairs) in [
        (
            "0.8.0_small_segments",
            None,
            &[("1/scalar.0.ipc", "0/scalar.0.ipc"), ("0/scalar.0.ipc", "1/scalar.0.ipc")][..],
        ),
        (
            "0.8.0_many_flushes",
            Some(0),
            &[
                ("0/scalar.5.ipc", "0/scalar.0.ipc"),
                ("0/scalar.0.ipc", "0/scalar.5.ipc"),
                ("0/scalar.9.ipc", "0/scalar.13.ipc"),
                ("0/scalar.13.ipc", "0/scalar.9.ipc"),
            ],
        ),
    ] {
        let sound = content(&Fixture::good(name).path());
        for (from, to) in pairs {
            let fixture = Fixture::good(name);
            fs::copy(fixture.join(from), fixture.join(to)).unwrap();
            let (report, after) = mended(&fixture, None);
            let codes: Vec<(&str, Option<&str>)> =
                report.findings.iter().map(|found| (found.code.as_str(), found.path.as_deref())).collect();
            assert!(codes.contains(&("forward.overwritten-block", Some(to))), "{codes:?}");
            assert!(!codes.iter().any(|(code, _)| *code == "forward.duplicate-key"), "{codes:?}");
            assert_eq!(after.keys().collect::<Vec<_>>(), sound.keys().collect::<Vec<_>>(), "{to}");
            let changed: Vec<&Vec<u8>> =
                after.iter().filter(|(key, is)| sound[*key] != **is).map(|(key, _)| key).collect();
            for key in &changed {
                assert_eq!(after[*key].1, sound[*key].1, "{to}: vectors stay");
                let at = unindexed.unwrap();
                assert_eq!(after[*key].0[at], Cell::Value(zvecctl::format::value::Value::Null), "{to}");
            }
            let told = doubts(&report).iter().any(|line| line.contains("cannot be read and is null now"));
            assert_eq!((lost(&report), told), (0, !changed.is_empty()), "{to}: {:#?}", report.done);
        }
    }
}

/// None of them tells where the ids of the others end.
#[test]
fn all_forward_blocks_of_a_segment_that_are_gone_at_once_keep_their_documents() {
    for (name, blocks, unread) in
        [("0.8.0_small_flushed", &[0, 3][..], &[0][..]), ("0.8.0_many_flushes", &[0, 5, 9, 13], &[0, 2])]
    {
        let sound = content(&Fixture::good(name).path());
        let fixture = Fixture::good(name);
        blocks.iter().for_each(|block| fs::write(fixture.join(&format!("0/scalar.{block}.ipc")), "").unwrap());
        let (report, after) = mended(&fixture, None);
        assert_eq!(lost(&report), 0, "{name}: {:#?}", report.done);
        assert_eq!(after.keys().collect::<Vec<_>>(), sound.keys().collect::<Vec<_>>(), "{name}");
        for (key, (fields, vectors)) in &after {
            let (were, vectors_were) = &sound[key];
            assert_eq!(vectors, vectors_were, "{name}");
            // Titles are in no index, and tags lose their order.
            let kept = (0..fields.len()).filter(|at| !unread.contains(at)).all(|at| fields[at] == were[at]);
            assert!(kept, "{name}: {fields:?} {were:?}");
        }
    }
}
