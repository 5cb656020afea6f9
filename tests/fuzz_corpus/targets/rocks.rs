//! RocksDB: tables, logs, edits, whole directories.

use std::{collections::BTreeMap, sync::Arc};

use zvecctl::format::rocks::{
    Db, Table, TableHints,
    batch::WriteBatch,
    edit::VersionEdit,
    log::LogReader,
    version,
    write::{LogWriter, log_writer::LogEnd},
};

use super::super::mend;

/// `<n>.sst`, as it is and with checksums that fit.
pub fn table(data: &[u8]) {
    read_table(data);
    let mut mended = data.to_vec();
    if mend::table(&mut mended) {
        read_table(&mended);
    }
}

fn read_table(data: &[u8]) {
    let Ok(table) = Table::open(data.to_vec(), &TableHints::default()) else { return };
    let check = table.check();
    assert!(check.data_blocks <= data.len() as u64);
    for number in 0..table.index().len().min(64) {
        table.block_keys(number);
        let Ok(versions) = table.block(number) else { continue };
        for version in versions.iter().take(16) {
            table.may_contain(&version.key);
            table.blocks_of(&version.key);
            table.versions_of(&version.key);
        }
    }
}

/// A log, as it is and with checksums that fit; its records as write batches.
pub fn log(data: &[u8]) {
    let mut mended = data.to_vec();
    mend::rocks_log(&mut mended);
    for data in [data, &mended] {
        for number in [None, Some(4)] {
            let mut records = Vec::new();
            // A fault is told once for each place; each record takes a header at least.
            for (count, record) in LogReader::new(data, number).enumerate() {
                assert!(count <= 2 * data.len() + 2, "it ends");
                let Ok(record) = record else { continue };
                if let Ok(batch) = WriteBatch::decode(&record.data, record.offset) {
                    assert!(batch.operations.len() <= record.data.len());
                }
                records.push(record.data);
            }
            let total: usize = records.iter().map(Vec::len).sum();
            assert!(total <= data.len(), "records take no more than the log");
            let mut bytes = Vec::new();
            let mut writer = LogWriter::new(&mut bytes);
            if records.iter().all(|record| writer.append(record).is_ok()) {
                let again: Vec<_> =
                    LogReader::new(bytes.as_slice(), number).map(|record| record.unwrap().data).collect();
                assert_eq!(again, records, "a log is read as it was written");
            }
        }
        let _ = LogEnd::find(data);
        if let Ok(end) = LogEnd::find_manifest(data) {
            assert_eq!(end.offset + end.trailing, data.len() as u64);
        }
    }
}

/// `MANIFEST-<n>`, as it is and with checksums that fit.
pub fn manifest(data: &[u8]) {
    let mut mended = data.to_vec();
    mend::rocks_log(&mut mended);
    for data in [data, &mended] {
        version::Manifest::read(data).is_complete();
        for record in LogReader::new(data, None).flatten() {
            edit(&record.data);
        }
    }
}

/// A record of a MANIFEST.
pub fn edit(data: &[u8]) {
    let Ok(edit) = VersionEdit::decode(data, 0) else { return };
    let Ok(encoded) = edit.encode() else { return };
    let again = VersionEdit::decode(&encoded, 0).expect("what is written can be read");
    assert_eq!(again.encode().expect("and written again"), encoded);
}

/// Names of the files in [`database`], by number.
pub const FILES: [&str; 8] = [
    "CURRENT",
    "MANIFEST-000005",
    "000004.log",
    "000008.sst",
    "000009.sst",
    "000010.sst",
    "000011.sst",
    "OPTIONS-000007",
];

/// A directory: for each file the number of its name, three bytes of length, and so many bytes.
pub fn database(data: &[u8]) {
    let mut directory: BTreeMap<String, Arc<Vec<u8>>> = BTreeMap::new();
    let mut rest = data;
    while let Some((&[name, a, b, c], behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        let content;
        (content, rest) = behind.split_at(behind.len().min(length));
        directory.insert(FILES[usize::from(name) % FILES.len()].to_owned(), Arc::new(content.to_vec()));
    }
    let Ok(db) = Db::open(&directory) else { return };
    let _ = (db.faults(), db.manifest_name(), db.unreferenced_tables());
    for family in db.column_families().iter().take(16) {
        family.tables().iter().for_each(|table| drop(table.bounds()));
        family.tombstones();
        let most = data.len() + 16;
        assert!(family.versions().take(most + 1).count() <= most, "no more versions than bytes");
        let keys: Vec<_> = family.scan().take(64).flatten().map(|row| row.key).collect();
        for key in keys.iter().map(Vec::as_slice).chain([&b"nobody"[..]]) {
            family.get(key);
        }
    }
}
