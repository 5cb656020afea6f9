//! Damage anywhere: what is answered is right or "unknown", never wrong and never "absent".

use super::{Files, alter, database, database_rows, scalar_index};
use crate::format::rocks::{Db, Entry, Lookup, Table, TableHints};

/// Holds every certain answer of a damaged database against what RocksDB read from the whole one.
fn assert_honest(files: &Files, what: &str) {
    let Ok(db) = Db::open(files) else { return };
    for (name, rows) in database_rows() {
        let Some(family) = db.column_family(name.as_bytes()) else {
            assert!(!db.faults().is_empty(), "{what}: a column family is lost without a fault");
            continue;
        };
        let mut certain = std::collections::BTreeMap::new();
        let mut faults = db.faults().len();
        let mut shown = 0;
        for row in family.scan() {
            match row {
                Ok(row) => {
                    shown += 1;
                    if row.certain {
                        certain.insert(row.key, row.entry);
                    }
                }
                Err(_) => faults += 1,
            }
        }
        for (key, entry) in &certain {
            assert_eq!(Some(entry), rows.get(key).cloned().map(Entry::Value).as_ref(), "{what}: scan");
        }
        assert!(faults > 0 || certain.len() == rows.len(), "{what}: {shown} of {} rows without a fault", rows.len());
        for n in 0..65 {
            let key = format!("k{n:02}").into_bytes();
            match family.get(&key) {
                Lookup::Found(entry) => {
                    assert_eq!(Some(entry), rows.get(&key).cloned().map(Entry::Value), "{what}: get {n}");
                }
                Lookup::Absent => assert!(!rows.contains_key(&key), "{what}: {n} answered as absent"),
                Lookup::Unknown { faults, .. } => assert!(!faults.is_empty(), "{what}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_table_is_never_answered_wrong() {
    for (name, bytes) in database().iter().filter(|(name, _)| name.ends_with(".sst")) {
        for at in (0..bytes.len()).step_by(19) {
            let mut files = database();
            alter(&mut files, name, |bytes| bytes[at] ^= 1 << (at % 8));
            assert_honest(&files, &format!("{name} bit at {at}"));
        }
    }
}

#[test]
fn a_cut_table_is_never_answered_wrong() {
    for (name, bytes) in database().iter().filter(|(name, _)| name.ends_with(".sst")) {
        for length in (0..bytes.len()).step_by(61) {
            let mut files = database();
            alter(&mut files, name, |bytes| bytes.truncate(length));
            assert_honest(&files, &format!("{name} cut at {length}"));
        }
    }
}

#[test]
fn a_zeroed_page_in_a_table_is_never_answered_wrong() {
    for (name, bytes) in database().iter().filter(|(name, _)| name.ends_with(".sst")) {
        for start in (0..bytes.len()).step_by(100) {
            let mut files = database();
            alter(&mut files, name, |bytes| bytes.iter_mut().skip(start).take(200).for_each(|byte| *byte = 0));
            assert_honest(&files, &format!("{name} zeroed at {start}"));
        }
    }
}

#[test]
fn a_flipped_bit_in_manifest_log_or_current_is_never_answered_wrong() {
    for name in ["MANIFEST-000005", "000018.log", "CURRENT"] {
        for at in (0..database()[name].len()).step_by(3) {
            let mut files = database();
            alter(&mut files, name, |bytes| bytes[at] ^= 1 << (at % 7));
            assert_honest(&files, &format!("{name} bit at {at}"));
        }
    }
}

/// Neighbouring keys keep their certainty: damage in one block of one table does not spread.
#[test]
fn most_rows_stay_certain_when_one_block_is_lost() {
    let whole = Db::open(&database()).unwrap();
    let family = whole.column_family(b"default").unwrap();
    let table = &family.tables()[0];
    assert!(table.table.index().len() > 2);
    let mut files = database();
    let at = table.table.index()[1].handle.offset as usize;
    alter(&mut files, &table.name, |bytes| bytes[at] ^= 1);
    let db = Db::open(&files).unwrap();
    let rows: Vec<_> = db.column_family(b"default").unwrap().scan().collect();
    let faults: Vec<_> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
    assert_eq!((faults.len(), faults[0].error.code), (1, "sst.block-checksum-mismatch"));
    assert_eq!((faults[0].file.as_str(), faults[0].error.offset as usize), (table.name.as_str(), at));
    let certain = rows.iter().flatten().filter(|row| row.certain).count();
    let all = database_rows()["default"].len();
    assert!(certain > all / 2 && certain < all, "{certain} of {all} certain");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(120))]

    #[test]
    fn nothing_panics_on_mutated_files(
        which in 0usize..7,
        flips in proptest::collection::vec((0usize..8000, 0u8..=255), 1..20),
        cut in proptest::option::of(0usize..8000),
    ) {
        let mut files = scalar_index();
        let name = files.keys().nth(which).unwrap().clone();
        alter(&mut files, &name, |bytes| {
            let length = bytes.len();
            flips.iter().for_each(|(at, value)| bytes[at % length] = *value);
            bytes.truncate(cut.unwrap_or(length));
        });
        if let Ok(db) = Db::open(&files) {
            for family in db.column_families() {
                let rows = family.scan().count();
                let versions = family.versions().count();
                proptest::prop_assert!(rows <= versions + 1);
                family.tables().iter().for_each(|table| drop(table.check()));
            }
        }
    }

    /// Checksums off, so that every byte of every structure can be hostile.
    #[test]
    fn nothing_panics_on_unchecked_tables(
        flips in proptest::collection::vec((0usize..3300, 0u8..=255), 1..30),
    ) {
        let mut bytes = super::table("fv6_no_checksum_none");
        let end = bytes.len() - 53;
        flips.iter().for_each(|(at, value)| bytes[at % end] = *value);
        if let Ok(table) = Table::open(bytes, &TableHints::default()) {
            table.check();
            table.versions_of(b"key030");
        }
    }

    /// Codecs get bytes that no checksum vouches for.
    #[test]
    fn nothing_panics_on_mutated_compressed_blocks(
        which in 0usize..4,
        block in 0usize..4,
        flips in proptest::collection::vec((0usize..300, 0u8..=255), 1..8),
    ) {
        use crate::format::rocks::block::{Block, BlockFormat, ChecksumType};
        let name = ["fv4_xxh3_lz4", "fv5_crc32c_snappy", "fv5_xxhash64_zstd_twolevel", "fv6_xxh3_zstd"][which];
        let mut bytes = super::table(name);
        let handle = Table::open(bytes.clone(), &TableHints::default()).unwrap().index()[block].handle;
        let (start, size) = (handle.offset as usize, handle.size as usize);
        flips.iter().for_each(|(at, value)| bytes[start + at % size] = *value);
        let checksum = ChecksumType::None;
        let format = BlockFormat { format_version: 5, checksum, base_context: 0, dictionary: None };
        if let Ok(block) = Block::read(&bytes, handle, &format) {
            let _ = block.versions();
        }
    }

    #[test]
    fn nothing_panics_on_random_bytes(bytes in proptest::collection::vec(0u8..=255, 0..300)) {
        use crate::format::rocks::{batch::WriteBatch, edit::VersionEdit, footer::Footer};
        let _ = Footer::read(&bytes);
        let _ = VersionEdit::decode(&bytes, 0);
        let _ = WriteBatch::decode(&bytes, 0);
        let _ = Table::open(bytes, &TableHints::default());
    }
}
