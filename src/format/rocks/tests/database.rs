//! Whole databases.

use super::{Files, alter, clean_rows, data, database, database_rows, files, scalar_index, unhex};
use crate::format::rocks::{Db, Entry, Lookup};

#[test]
fn what_rocksdb_reads_is_read() {
    let db = Db::open(&database()).unwrap();
    assert_eq!(db.faults(), []);
    assert_eq!(db.manifest_name(), Some("MANIFEST-000005"));
    let expected = database_rows();
    assert_eq!(db.column_families().len(), expected.len());
    for family in db.column_families() {
        let rows = &expected[&family.name()];
        assert_eq!(clean_rows(family), rows.clone().into_iter().collect::<Vec<_>>());
        for n in 0..70 {
            let key = format!("k{n:02}").into_bytes();
            let expected = rows.get(&key).map_or(Lookup::Absent, |value| Lookup::Found(Entry::Value(value.clone())));
            assert_eq!(family.get(&key), expected, "{n}");
        }
        assert!(family.tables().iter().all(|table| table.check().faults.is_empty()));
    }
}

/// The database must exercise what it is there for.
#[test]
fn the_sample_has_every_kind_of_entry() {
    let db = Db::open(&database()).unwrap();
    let family = db.column_family(b"default").unwrap();
    let stored = family.tables().iter().map(|table| table.table.range_deletions().len()).sum::<usize>();
    assert!(stored > 0 && family.tombstones().len() > stored, "range deletions in tables and in the log");
    assert!(family.unflushed().len() > 20);
    let levels: std::collections::BTreeSet<_> = family.tables().iter().map(|table| table.file.level).collect();
    assert!(levels.len() > 1, "{levels:?}");
    let ingested = |table: &&std::sync::Arc<crate::format::rocks::LiveTable>| {
        table.table.properties().fixed("rocksdb.external_sst_file.version") == Some(2)
    };
    let ingested = family.tables().iter().find(ingested).unwrap();
    let versions = ingested.table.block(0).unwrap();
    assert!(versions.iter().all(|version| Some(version.sequence) == ingested.file.largest_sequence));
    assert_ne!(ingested.file.largest_sequence, Some(0));
}

/// RocksDB's sst_dump lists the same versions, table by table.
#[test]
fn a_scalar_index_of_zvec_is_read_version_by_version() {
    let db = Db::open(&scalar_index()).unwrap();
    assert_eq!(db.faults(), []);
    let mut expected = Vec::new();
    for line in std::str::from_utf8(data!("zvec.versions")).unwrap().lines() {
        let [table, key, sequence, kind, value] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (sequence, kind): (u64, u8) = (sequence.parse().unwrap(), kind.parse().unwrap());
        expected.push((table.to_owned(), unhex(key), sequence, kind, unhex(value)));
    }
    let mut found = Vec::new();
    for family in db.column_families() {
        for stored in family.versions() {
            let stored = stored.unwrap();
            let version = stored.version;
            found.push((stored.table.unwrap(), version.key, version.sequence, version.kind.byte(), version.value));
        }
    }
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn merge_operands_come_oldest_first_over_their_base() {
    let db = Db::open(&scalar_index()).unwrap();
    let terms = db.column_family(b"year$TERMS").unwrap();
    // 1953: rows 3 and 73 were compacted to a value; row 143 came with a later flush.
    let Lookup::Found(Entry::Merge { base, operands }) = terms.get(&unhex("800007A1")) else {
        panic!("not a merge");
    };
    assert_eq!(base, Some(unhex("020300000049000000")));
    assert_eq!(operands, [unhex("018F000000")]);
    let rows: Vec<_> = terms.scan().map(|row| row.unwrap()).collect();
    assert!(rows.iter().all(|row| terms.get(&row.key) == Lookup::Found(row.entry.clone())));
    assert!(rows.is_sorted_by(|a, b| a.key < b.key));
}

#[test]
fn without_current_the_highest_manifest_is_taken() {
    let expected = database_rows();
    let check = |files: &Files, code: &str| {
        let db = Db::open(files).unwrap();
        let codes: Vec<_> = db.faults().iter().map(|fault| (fault.file.as_str(), fault.error.code)).collect();
        assert_eq!(codes, [("CURRENT", code)]);
        for family in db.column_families() {
            assert_eq!(clean_rows(family), expected[&family.name()].clone().into_iter().collect::<Vec<_>>());
        }
    };
    let mut damaged = database();
    damaged.remove("CURRENT");
    check(&damaged, "io.open");
    let mut damaged = database();
    alter(&mut damaged, "CURRENT", |bytes| bytes.truncate(4));
    check(&damaged, "rocks.bad-current");
    let mut dangling = database();
    alter(&mut dangling, "CURRENT", |bytes| *bytes = b"MANIFEST-000099\n".to_vec());
    check(&dangling, "rocks.dangling-current");
}

/// Less than one edit is no torn end: CURRENT names a MANIFEST only once that has one.
#[test]
fn a_manifest_cut_within_its_first_edit_is_damaged() {
    let mut files = database();
    alter(&mut files, "MANIFEST-000005", |bytes| bytes.truncate(6));
    let db = Db::open(&files).unwrap();
    assert_eq!((db.manifest_name(), db.faults()[0].error.code), (None, "rocks-manifest.unusable"));
}

#[test]
fn without_a_manifest_tables_are_assigned_by_their_properties() {
    let mut files = database();
    files.remove("MANIFEST-000005");
    let db = Db::open(&files).unwrap();
    assert_eq!((db.manifest_name(), db.faults()[0].error.code), (None, "rocks.dangling-current"));
    let expected = database_rows();
    for family in db.column_families() {
        let rows: Vec<_> = family.scan().map(|row| row.unwrap()).collect();
        assert!(rows.iter().all(|row| !row.certain));
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| match row.entry {
                Entry::Value(value) => (row.key, value),
                Entry::Merge { .. } => panic!("no merges here"),
            })
            .collect();
        // The one ingested table has its sequence number from the MANIFEST alone, so only the other family is exact.
        if family.name() == "other" {
            assert_eq!(rows, expected["other"].clone().into_iter().collect::<Vec<_>>());
        }
        assert!(matches!(family.get(b"no such key"), Lookup::Unknown { best: None, .. }), "never absent");
    }
}

#[test]
fn a_damaged_manifest_record_makes_everything_uncertain() {
    let mut files = database();
    let length = files["MANIFEST-000005"].len();
    alter(&mut files, "MANIFEST-000005", |bytes| bytes[length / 2] ^= 4);
    let db = Db::open(&files).unwrap();
    assert_eq!(db.faults()[0].error.code, "rocks-log.crc-mismatch");
    for family in db.column_families() {
        assert!(matches!(family.get(b"no such key"), Lookup::Unknown { .. }));
        assert!(family.scan().all(|row| row.is_ok_and(|row| !row.certain)));
    }
    let live: usize = db.column_families().iter().map(|family| family.tables().len()).sum();
    assert_eq!(live + db.unreferenced_tables().len(), 6);
}

#[test]
fn a_missing_table_makes_its_range_uncertain() {
    let mut files = database();
    files.remove("000017.sst");
    let db = Db::open(&files).unwrap();
    let fault = &db.faults()[0];
    assert_eq!((fault.file.as_str(), fault.error.code, db.faults().len()), ("000017.sst", "io.open", 1));
    let range = fault.keys.clone().unwrap();
    assert!(range.lower.is_some() && range.upper.is_some());
    let family = &db.column_families()[fault.column_family.unwrap() as usize];
    assert!(matches!(family.get(range.lower.as_deref().unwrap()), Lookup::Unknown { .. } | Lookup::Found(_)));
    assert_eq!(family.get(b"zzz"), Lookup::Absent, "outside the table nothing is lost");
}

#[test]
fn a_torn_log_is_a_crash_and_a_damaged_one_is_damage() {
    let mut files = database();
    alter(&mut files, "000018.log", |bytes| bytes.truncate(bytes.len() - 3));
    let db = Db::open(&files).unwrap();
    assert_eq!(db.faults()[0].error.code, "rocks-log.torn-tail");
    assert!(db.column_families().iter().all(|family| !family.is_damaged()));
    let mut files = database();
    alter(&mut files, "000018.log", |bytes| bytes[100] ^= 1);
    let db = Db::open(&files).unwrap();
    assert_eq!(db.faults()[0].error.code, "rocks-log.crc-mismatch");
    assert!(db.column_families().iter().all(|family| family.is_damaged()));
}

#[test]
fn other_directories_are_refused() {
    let error = Db::open(&files(&[("LOCK", b""), ("x.txt", b"hello")])).err().unwrap();
    assert_eq!(error.code, "io.open");
    assert!(Db::open(&files(&[])).is_err());
}

#[test]
fn a_stray_table_is_named() {
    let mut files = database();
    let bytes = files["000017.sst"].clone();
    files.insert("000099.sst".into(), bytes);
    let db = Db::open(&files).unwrap();
    assert_eq!(db.unreferenced_tables(), ["000099.sst"]);
    assert_eq!(db.faults(), []);
}
