//! Version edits and their replay.

use super::log::append_record;
use crate::format::rocks::edit::VersionEdit;
use crate::format::rocks::key::{ValueType, join_internal_key};
use crate::format::rocks::version::Manifest;
use crate::format::{FormatError, Kind};

fn bytes(data: &[u8]) -> Vec<u8> {
    [&[data.len() as u8], data].concat()
}

/// Tag 103 with a level and number below 128.
fn new_file(level: u8, number: u8, custom: &[u8]) -> Vec<u8> {
    let key = |user: &[u8]| bytes(&join_internal_key(user, 5, ValueType::Value));
    [&[103, level, number, 90][..], &key(b"a"), &key(b"z"), &[3, 5], custom, &[1]].concat()
}

fn replay(edits: &[&[u8]]) -> Manifest {
    let mut log = Vec::new();
    edits.iter().for_each(|edit| append_record(&mut log, edit, None));
    Manifest::read(log)
}

fn codes(faults: &[FormatError]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.code).collect()
}

#[test]
fn all_tags_are_decoded() {
    let mut edit = [&[1][..], &bytes(b"order"), &[2, 11, 9, 0, 3, 12, 4, 13, 10, 10, 203, 1, 2]].concat();
    edit.extend([&[5, 2][..], &bytes(b"cursor"), &[6, 1, 7], &new_file(2, 8, &[5, 1, 44, 65, 1, 3])].concat());
    // 8193 is the identity, 8198 may be ignored; 200 and 201 name the family, 300 the atomic group.
    edit.extend([&[0x81, 0x40][..], &bytes(b"id"), &[0x86, 0x40], &bytes(b"later"), &[200, 1, 4, 201, 1]].concat());
    edit.extend([&bytes(b"family")[..], &[0xac, 2, 0], &[0x90, 3, 20, 1, 1, 0, 0, 0]].concat());
    let decoded = VersionEdit::decode(&edit, 50).unwrap();
    assert_eq!(decoded.comparator.as_deref(), Some(&b"order"[..]));
    assert_eq!((decoded.log_number, decoded.prev_log_number), (Some(11), Some(0)));
    assert_eq!((decoded.next_file_number, decoded.last_sequence), (Some(12), Some(13)));
    assert_eq!((decoded.min_log_number_to_keep, decoded.max_column_family), (Some(10), Some(2)));
    assert_eq!((decoded.compact_cursors, decoded.deleted_files), (vec![(2, b"cursor".to_vec())], vec![(1, 7)]));
    let file = &decoded.new_files[0];
    assert_eq!((file.level, file.number, file.size, file.path_id), (2, 8, 90, 3));
    assert_eq!((file.smallest_sequence, file.largest_sequence, file.custom(5)), (3, Some(5), Some(&[44][..])));
    assert_eq!((decoded.db_id.as_deref(), decoded.ignored), (Some(&b"id"[..]), vec![(8198, b"later".to_vec())]));
    assert_eq!((decoded.column_family, decoded.column_family_add.as_deref()), (4, Some(&b"family"[..])));
    assert_eq!((decoded.atomic_group_remaining, decoded.blob_files), (Some(0), vec![20]));
}

#[test]
fn old_forms_of_a_new_file_have_fewer_fields() {
    let key = bytes(&join_internal_key(b"a", 5, ValueType::Value));
    let first = [&[7, 1, 8, 90][..], &key, &key].concat();
    let second = [&[100, 1, 8, 90][..], &key, &key, &[3, 5]].concat();
    let third = [&[102, 1, 8, 2, 90][..], &key, &key, &[3, 5]].concat();
    let files = [first, second, third].map(|edit| VersionEdit::decode(&edit, 0).unwrap().new_files.remove(0));
    assert!(files.iter().all(|file| (file.level, file.number, file.size) == (1, 8, 90)));
    assert_eq!(files.map(|file| (file.path_id, file.largest_sequence)), [(0, None), (0, Some(5)), (2, Some(5))]);
}

#[test]
fn faults_of_edits_have_names() {
    let fault = |edit: &[u8]| {
        let error = VersionEdit::decode(edit, 50).unwrap_err();
        (error.code, error.kind, error.offset)
    };
    assert_eq!(fault(&[2, 5, 0xff, 1]), ("rocks-edit.newer-tag", Kind::Newer, 52));
    assert_eq!(fault(&[2]), ("rocks-edit.truncated", Kind::Truncated, 51));
    assert_eq!(fault(&[1, 9, b'x']), ("rocks-edit.truncated", Kind::Truncated, 52));
    assert_eq!(fault(&[7, 1, 8, 90, 2, 0, 0]), ("rocks-edit.bad-internal-key", Kind::Malformed, 54));
    let newer = new_file(0, 1, &[0x42, 1, 0]);
    assert_eq!(fault(&newer), ("rocks-edit.newer-custom-field", Kind::Newer, 50 + newer.len() as u64 - 4));
}

#[test]
fn files_move_between_levels_and_families_are_dropped() {
    let manifest = replay(&[
        &[1, 1, b'c', 2, 5],
        &[201, 1, 1, b'f', 200, 1, 1],
        &new_file(0, 7, &[3, 8, 9, 0, 0, 0, 0, 0, 0, 0]),
        &[&new_file(0, 8, &[])[..], &[200, 1, 1]].concat(),
        &[&[6, 0, 7][..], &new_file(1, 7, &[])].concat(),
    ]);
    assert_eq!(codes(&manifest.faults), [""; 0]);
    assert!(manifest.is_complete());
    let families = &manifest.column_families;
    assert_eq!((families[&0].files[&7].level, families[&0].log_number), (1, 5));
    assert_eq!((families[&1].name.as_slice(), families[&1].files.len()), (&b"f"[..], 1));
    assert_eq!((manifest.min_log_number_to_keep, manifest.edits), (9, 5));
    let manifest = replay(&[&[201, 1, 1, b'f', 200, 1, 1], &[202, 1, 200, 1, 1]]);
    assert_eq!((manifest.column_families.len(), codes(&manifest.faults)), (1, vec![]));
}

#[test]
fn an_atomic_group_counts_only_when_whole() {
    let in_group = |number: u8, remaining: u8| [&new_file(0, number, &[])[..], &[0xac, 2, remaining]].concat();
    let manifest = replay(&[&in_group(7, 1), &in_group(8, 0)]);
    assert_eq!((manifest.column_families[&0].files.len(), manifest.faults.len()), (2, 0));
    let manifest = replay(&[&in_group(7, 1), &new_file(0, 9, &[])]);
    assert_eq!(manifest.column_families[&0].files.keys().collect::<Vec<_>>(), [&9]);
    assert_eq!(codes(&manifest.faults), ["rocks-manifest.broken-group"]);
    let manifest = replay(&[&in_group(7, 1)]);
    assert_eq!(manifest.column_families[&0].files.len(), 0);
    assert_eq!(codes(&manifest.faults), ["rocks-manifest.incomplete-group"]);
}

#[test]
fn contradicting_edits_are_faults() {
    assert_eq!(codes(&replay(&[&[6, 0, 7]]).faults), ["rocks-manifest.unknown-file"]);
    let twice = [&new_file(0, 7, &[])[..], &new_file(1, 7, &[])].concat();
    assert_eq!(codes(&replay(&[&twice]).faults), ["rocks-manifest.duplicate-file"]);
    for edit in [&[2, 5, 200, 1, 9][..], &[202, 1, 200, 1, 9]] {
        assert_eq!(codes(&replay(&[edit]).faults), ["rocks-manifest.unknown-column-family"]);
    }
    let manifest = replay(&[&[0xff, 1], &new_file(0, 7, &[])]);
    assert_eq!((codes(&manifest.faults), manifest.column_families[&0].files.len()), (vec!["rocks-edit.newer-tag"], 1));
    assert!(!manifest.is_complete());
}
