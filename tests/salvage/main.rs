//! `salvage`: everything that redundancy allows comes back, nothing else does, the source stays as it is, and what is made is sound.

#[path = "../support/mod.rs"]
mod support;

mod bundle;
mod command;
mod logs;
mod manifests;
mod mutations;
mod subject;

use subject::Subject;
use support::fixture;

/// Damage that leaves every document: fixture, exit code.
const WHOLE: [(&str, u8); 32] = [
    ("flat_chain_cycle", 0),
    ("idmap_current_missing", 3),
    ("idmap_manifest_flip", 3),
    ("idmap_missing", 3),
    ("idmap_sst_flip", 3),
    ("idmap_sst_missing", 3),
    ("ipc_docid_flip", 3),
    ("ipc_footer_flip", 3),
    ("ipc_uid_flip", 3),
    ("leftover_tmp", 0),
    ("lock_missing", 0),
    ("manifest_cut_boundary", 3),
    ("manifest_cut_middle", 3),
    ("manifest_empty", 3),
    ("manifest_empty_newer", 3),
    ("manifest_empty_newer_del0", 3),
    ("manifest_empty_newer_wal", 3),
    ("manifest_garbage", 3),
    ("manifest_garbage_newer", 3),
    ("manifest_leftover", 0),
    ("manifest_missing", 3),
    ("real_0.1.0_shifted_vectors", 3),
    ("real_0.7.0_shifted_vectors", 3),
    ("real_0.8.0_hnsw_qint8_rotate_optimized", 0),
    ("real_0.8.0_optimize_killed_compacting", 0),
    ("real_0.8.0_optimize_killed_removing", 0),
    ("real_0.8.0_optimize_killed_rolling", 0),
    ("real_0.8.0_optimize_killed_sealing_texts", 0),
    ("real_0.8.0_quantised_index_dropped", 3),
    ("scalar_index_missing", 0),
    ("scalar_index_sst_flip", 0),
    ("wal_version", 3),
];

/// Damage that costs something: fixture, documents that are missing, exit code.
const LOSING: [(&str, usize, u8); 14] = [
    // Which documents a filter deleted is not known any more; the id map tells the others.
    ("del_bit_flip", 0, 4),
    ("del_cut", 0, 4),
    ("del_missing", 0, 4),
    ("hnsw_vector_size_flip", 60, 5),
    ("ipc_cut", 67, 4),
    ("ipc_missing", 67, 4),
    ("proxima_missing", 67, 4),
    ("segment_missing", 39, 4),
    ("wal_bad_length", 1, 4),
    ("wal_bit_flip", 1, 4),
    ("wal_zero_length", 1, 4),
    // The vectors of the record that is torn are there: the log had it whole.
    ("wal_torn_length", 1, 4),
    ("wal_torn_tail", 1, 4),
    ("wal_zero_tail", 0, 1),
];

#[test]
fn damage_that_redundancy_covers_costs_no_document() {
    for (name, exit) in WHOLE {
        let subject = Subject::archive("damaged", name);
        let made = subject.salvage().unwrap();
        assert_eq!(made.missing(&subject.truth), [""; 0], "{name}");
        assert_eq!(made.foreign(&subject.truth), [""; 0], "{name}");
        assert_eq!(made.report.exit().code(), exit, "{name}: {:#?}", made.report);
        made.is_sound(name);
    }
}

#[test]
fn what_is_lost_is_said() {
    for (name, missing, exit) in LOSING {
        let subject = Subject::archive("damaged", name);
        let made = subject.salvage().unwrap();
        assert_eq!(made.missing(&subject.truth).len(), missing, "{name}");
        assert_eq!(made.foreign(&subject.truth), [""; 0], "{name}");
        assert_eq!(made.report.exit().code(), exit, "{name}: {:#?}", made.report);
        let lost = &made.report.lost;
        let said = lost.documents + lost.rejected + lost.records;
        assert!(said >= missing as u64 || lost.gaps > 0 || exit == 1, "{name}: {lost:?}");
        made.is_sound(name);
    }
}

#[test]
fn every_damaged_collection_leaves_the_source_as_it_is_and_makes_a_sound_one() {
    for name in fixture::names("damaged") {
        let subject = Subject::archive("damaged", &name);
        let made = subject.salvage().unwrap_or_else(|error| panic!("{name}: {error}"));
        made.is_sound(&name);
    }
}

#[test]
fn a_healthy_collection_is_copied() {
    for name in fixture::names("good") {
        let subject = Subject::archive("good", &name);
        let made = subject.salvage().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(made.missing(&subject.truth), [""; 0], "{name}");
        assert_eq!(made.foreign(&subject.truth), [""; 0], "{name}");
        assert!(made.report.complete(), "{name}: {:#?}", made.report);
        made.is_sound(&name);
    }
}
