//! Tables of every format version, checksum and compression.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{TABLES, table, table_rows};
use crate::format::Kind;
use crate::format::rocks::block::{Block, BlockFormat, BlockHandle, ChecksumType};
use crate::format::rocks::entries::IndexLayout;
use crate::format::rocks::footer::Footer;
use crate::format::rocks::{Table, TableHints, ValueType};
use crate::format::source::{Source, SourceError};

#[test]
fn every_format_is_read_whole() {
    for (name, bytes) in TABLES {
        let table = Table::open(bytes, &TableHints::default()).unwrap();
        assert_eq!(table.faults(), [], "{name}");
        let footer = table.footer().unwrap();
        assert!(name.starts_with(&format!("fv{}_", footer.format_version)), "{name}");
        let checksum = format!("{:?}", footer.checksum).to_lowercase();
        assert!(name.contains(&checksum), "{name} {checksum}");
        let check = table.check();
        assert_eq!((check.faults.as_slice(), check.entries, check.stored_entries), (&[][..], 60, Some(60)), "{name}");
        assert!(check.data_blocks > 3, "{name} must have several blocks");
        let properties = table.properties();
        assert_eq!(properties.number("rocksdb.raw.key.size"), Some(check.raw_key_size));
        assert_eq!(properties.number("rocksdb.raw.value.size"), Some(check.raw_value_size));
        assert_eq!(properties.number("rocksdb.num.data.blocks"), Some(check.data_blocks));
        assert_eq!(properties.column_family(), Some(&b"default"[..]));
        assert!(table.filter().is_some(), "{name}");
        let versions: Vec<_> = (0..table.index().len()).flat_map(|block| table.block(block).unwrap()).collect();
        assert!(versions.iter().all(|version| version.kind == ValueType::Value));
        let rows: Vec<_> = versions.into_iter().map(|version| (version.key, version.value)).collect();
        assert_eq!(rows, table_rows(), "{name}");
    }
}

#[test]
fn lookups_find_each_key_and_no_other() {
    for (name, bytes) in TABLES {
        let table = Table::open(bytes, &TableHints::default()).unwrap();
        for (key, value) in table_rows() {
            let (versions, faults) = table.versions_of(&key);
            assert_eq!((versions.len(), faults.len()), (1, 0), "{name}");
            assert_eq!(versions[0].value, value);
            let beside = [&key[..], b"\0"].concat();
            assert_eq!(table.versions_of(&beside), (vec![], vec![]));
        }
        for key in [&b""[..], b"a", b"zz"] {
            assert_eq!(table.versions_of(key), (vec![], vec![]));
        }
    }
}

/// The index says which keys a block can hold, so a damaged block costs those and no others.
#[test]
fn each_block_alone_is_lost_with_its_keys() {
    for (name, bytes) in TABLES.into_iter().filter(|(name, _)| !name.contains("no_checksum")) {
        let whole = Table::open(bytes, &TableHints::default()).unwrap();
        for number in 0..whole.index().len() {
            let mut damaged = bytes.to_vec();
            damaged[whole.index()[number].handle.offset as usize + 3] ^= 0x10;
            let table = Table::open(damaged, &TableHints::default()).unwrap();
            let lost: Vec<_> = whole.block(number).unwrap().into_iter().map(|version| version.key).collect();
            let fault = table.block(number).unwrap_err();
            assert_eq!(fault.error.code, "sst.block-checksum-mismatch");
            assert_eq!(fault.error.offset, whole.index()[number].handle.offset);
            let range = fault.keys.unwrap();
            for (key, _) in table_rows() {
                let (versions, faults) = table.versions_of(&key);
                let gone = lost.contains(&key);
                assert_eq!((versions.len(), faults.len()), if gone { (0, 1) } else { (1, 0) }, "{name}");
                assert_eq!(range.contains(table.comparator(), &key), gone, "{name}");
            }
            let check = table.check();
            assert_eq!((check.entries as usize, check.faults.len()), (60 - lost.len(), 1));
        }
    }
}

#[test]
fn without_an_index_blocks_are_found_by_their_checksums() {
    for (name, bytes) in TABLES.into_iter().filter(|(name, _)| !name.contains("no_checksum")) {
        let whole = Table::open(bytes, &TableHints::default()).unwrap();
        let footer = whole.footer().unwrap();
        let index = footer.index.or_else(|| whole.meta_handle(b"rocksdb.index")).unwrap();
        let mut damaged = bytes.to_vec();
        damaged[index.offset as usize] ^= 0x40;
        let table = Table::open(damaged, &TableHints::default()).unwrap();
        assert_eq!(table.faults().len(), 1, "{name}: {:?}", table.faults());
        assert_eq!(table.faults()[0].error.code, "sst.block-checksum-mismatch");
        let found: Vec<_> = table.index().iter().map(|entry| entry.handle).collect();
        let expected: Vec<_> = whole.index().iter().map(|entry| entry.handle).collect();
        assert_eq!(found, expected, "{name}");
        let (versions, faults) = table.versions_of(b"key030");
        assert_eq!((versions.len(), faults.len()), (1, 1), "found, but never certain");
    }
}

#[test]
fn without_a_footer_blocks_are_found_by_their_checksums() {
    for (name, bytes) in TABLES.into_iter().filter(|(name, _)| !name.contains("fv6")) {
        let whole = Table::open(bytes, &TableHints::default()).unwrap();
        let cut = bytes[..bytes.len() - 30].to_vec();
        let table = Table::open(cut, &TableHints::default()).unwrap();
        assert!(table.footer().is_none());
        assert_eq!(table.faults()[0].error.code, "sst.bad-magic");
        let found: Vec<_> = table.index().iter().map(|entry| entry.handle).collect();
        assert_eq!(found, whole.index().iter().map(|entry| entry.handle).collect::<Vec<_>>(), "{name}");
    }
}

/// Counts how often it is read.
struct Counted(Vec<u8>, AtomicU64);

impl Source for Counted {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), SourceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read_exact_at(offset, buf)
    }
}

/// Tables have gigabytes: a call to the system for each byte that was lost would take hours.
#[test]
fn what_was_lost_is_searched_without_reading_byte_by_byte() {
    const LOST: u64 = 3 << 20;
    let bytes = table("fv5_xxh3_none");
    let whole = Table::open(bytes.clone(), &TableHints::default()).unwrap();
    let handles: Vec<_> = whole.index().iter().map(|entry| entry.handle).collect();
    let hole = handles[0].end().unwrap();
    let mut cut = bytes[..bytes.len() - 30].to_vec();
    cut.splice(hole as usize..hole as usize, vec![0; LOST as usize]);
    let source = Counted(cut, AtomicU64::new(0));
    let table = Table::open(source, &TableHints::default()).unwrap();
    let found: Vec<_> = table.index().iter().map(|entry| entry.handle).collect();
    let moved = handles.iter().skip(1).map(|handle| BlockHandle { offset: handle.offset + LOST, ..*handle });
    assert_eq!(found, [handles[0]].into_iter().chain(moved).collect::<Vec<_>>());
    let reads = table.source().1.load(Ordering::Relaxed);
    assert!(reads < LOST / 1000, "{reads} reads");
}

#[test]
fn a_lost_index_and_a_lost_block_leave_the_other_blocks() {
    for name in ["fv5_xxh3_none", "fv2_crc32c_none", "fv4_xxh3_lz4", "fv5_crc32c_snappy"] {
        let bytes = table(name);
        let whole = Table::open(bytes.clone(), &TableHints::default()).unwrap();
        for number in 0..whole.index().len() - 1 {
            let mut damaged = bytes.clone();
            damaged[whole.footer().unwrap().index.unwrap().offset as usize] ^= 1;
            damaged[whole.index()[number].handle.offset as usize + 9] ^= 1;
            let table = Table::open(damaged, &TableHints::default()).unwrap();
            let mut expected: Vec<_> = whole.index().iter().map(|entry| entry.handle).collect();
            let lost = expected.remove(number);
            let found: Vec<_> = table.index().iter().map(|entry| entry.handle).collect();
            assert_eq!(found, expected, "{name} {number}");
            let detail = &table.faults()[0].error.detail;
            assert!(detail.contains(&format!("{} bytes before the last", lost.size + 5)), "{detail}");
        }
    }
}

#[test]
fn footers_of_both_layouts() {
    let footer = Footer::read(&table("fv5_xxh3_none")).unwrap();
    assert_eq!((footer.checksum, footer.base_context), (ChecksumType::Xxh3, 0));
    assert!(footer.index.unwrap().end().unwrap() <= footer.offset);
    let footer = Footer::read(&table("fv6_xxh3_zstd")).unwrap();
    assert_eq!((footer.index, footer.metaindex.end()), (None, Some(footer.offset)));
    assert_ne!(footer.base_context, 0);
}

#[test]
fn footers_are_refused_by_name() {
    let fault = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = table(name);
        change(&mut bytes);
        let error = Footer::read(&bytes).unwrap_err();
        let from_end = bytes.len() as u64 - error.offset;
        (error.code, error.kind, from_end)
    };
    let at = |back: usize, value: u8| {
        move |bytes: &mut Vec<u8>| {
            let length = bytes.len();
            bytes[length - back] = value;
        }
    };
    assert_eq!(fault("fv5_xxh3_none", &at(1, 0)), ("sst.bad-magic", Kind::Malformed, 8));
    assert_eq!(fault("fv5_xxh3_none", &at(12, 8)), ("sst.newer-format-version", Kind::Newer, 12));
    assert_eq!(fault("fv5_xxh3_none", &at(53, 9)), ("sst.bad-checksum-type", Kind::Malformed, 53));
    assert_eq!(fault("fv6_xxh3_zstd", &at(52, 9)), ("sst.bad-extended-magic", Kind::Malformed, 52));
    assert_eq!(fault("fv6_xxh3_zstd", &at(40, 9)), ("sst.footer-checksum-mismatch", Kind::Checksum, 48));
    assert_eq!(fault("fv6_no_checksum_none", &at(13, 1)), ("sst.newer-footer", Kind::Newer, 20));
    assert_eq!(fault("fv6_xxh3_zstd", &|bytes| bytes.truncate(40)), ("sst.footer-truncated", Kind::Truncated, 0));
    let plain = 0x8242_2296_63bf_9564_u64.to_le_bytes();
    let change = |bytes: &mut Vec<u8>| {
        bytes.truncate(bytes.len() - 8);
        bytes.extend_from_slice(&plain);
    };
    assert_eq!(fault("fv5_xxh3_none", &change), ("sst.table-kind", Kind::Unsupported, 8));
}

/// LevelDB's footer and RocksDB's of format version 0: no checksum type, no format version.
#[test]
fn the_oldest_footer_is_read() {
    let mut bytes = table("fv2_crc32c_none");
    let length = bytes.len();
    let handles = bytes[length - 52..length - 12].to_vec();
    bytes.truncate(length - 53);
    bytes.extend_from_slice(&handles);
    bytes.extend_from_slice(&0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    let table = Table::open(bytes, &TableHints::default()).unwrap();
    assert_eq!(table.footer().unwrap().format_version, 0);
    assert_eq!((table.check().entries, table.check().faults), (60, vec![]));
}

fn block(contents: Vec<u8>) -> Block {
    let checksum = ChecksumType::None;
    let format = BlockFormat { format_version: 5, checksum, base_context: 0, dictionary: None };
    let size = contents.len() as u64;
    let stored = [vec![0xee; 10], contents, vec![0; 5]].concat();
    Block::read(&stored, BlockHandle { offset: 10, size }, &format).unwrap()
}

#[test]
fn entries_share_keys_until_a_restart() {
    // Restart interval 2: entries at 0 and 5 (shared 2), restart at 10.
    let mut contents = b"\x00\x03\x01abcX".to_vec();
    contents.extend_from_slice(b"\x02\x01\x00d");
    contents.extend_from_slice(b"\x00\x01\x02eYZ");
    for restart in [0u32, 11, 2] {
        contents.extend_from_slice(&restart.to_le_bytes());
    }
    let expected: Vec<(Vec<u8>, Vec<u8>)> =
        [("abc", "X"), ("abd", ""), ("e", "YZ")].map(|(k, v)| (k.into(), v.into())).to_vec();
    assert_eq!(block(contents).pairs().unwrap(), expected);
}

#[test]
fn malformed_blocks_are_refused_by_name() {
    let fault = |entries: &[u8], tail: &[u32]| {
        let tail = tail.iter().flat_map(|word| word.to_le_bytes());
        let error = block(entries.iter().copied().chain(tail).collect()).pairs().unwrap_err();
        (error.code, error.offset)
    };
    assert_eq!(fault(b"", &[]), ("sst.bad-restart-array", 10));
    assert_eq!(fault(b"", &[0]), ("sst.bad-restart-array", 14));
    assert_eq!(fault(b"", &[0, 2]), ("sst.bad-restart-array", 18));
    assert_eq!(fault(b"\x00\x05\x00k", &[0, 1]), ("sst.entry-truncated", 13));
    assert_eq!(fault(b"\x00\x01\x00k\x02\x00\x00", &[0, 1]), ("sst.bad-shared-length", 14));
    assert_eq!(fault(b"\x00\x01\x00k\x01\x00\x00", &[0, 4, 2]), ("sst.bad-restart", 14));
    assert_eq!(fault(b"\x00\x01\x00k", &[0, 3, 2]), ("sst.bad-restart", 14));
    let newer = block([&b"\x00\x01\x00k"[..], &[0; 4], &(1u32 << 28 | 1).to_le_bytes()].concat()).pairs().unwrap_err();
    assert_eq!((newer.code, newer.kind), ("sst.newer-block-layout", Kind::Newer));
}

#[test]
fn internal_keys_need_a_known_type() {
    let with_type = |kind: u8| {
        let mut contents = b"\x00\x09\x00k".to_vec();
        contents.extend_from_slice(&[kind, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        block(contents).versions()
    };
    assert_eq!(with_type(1).unwrap()[0].sequence, 5);
    assert_eq!(with_type(99).unwrap_err().code, "sst.bad-value-type");
    assert_eq!(block(b"\x00\x01\x00k\0\0\0\0\x01\0\0\0".to_vec()).versions().unwrap_err().code, "sst.bad-internal-key");
}

/// A key of 64 KiB that 60 thousand entries share would expand to 4 GB.
#[test]
fn shared_keys_do_not_expand_without_bound() {
    let mut contents = vec![0x00, 0x80, 0x80, 0x04, 0x00];
    contents.resize(contents.len() + 65536, b'k');
    for _ in 0..60_000 {
        contents.extend_from_slice(&[0x80, 0x80, 0x04, 0x00, 0x00]);
    }
    contents.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(block(contents).index_entries(IndexLayout::default()).unwrap_err().code, "sst.bad-index-value");
    let mut contents = vec![0x00, 0x80, 0x80, 0x04, 0x02];
    contents.resize(contents.len() + 65536, b'k');
    contents.extend_from_slice(&[0, 0]);
    for _ in 0..5_000 {
        contents.extend_from_slice(&[0x80, 0x80, 0x04, 0x00, 0x02, 0x00, 0x00]);
    }
    contents.extend_from_slice(&[0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(block(contents).index_entries(IndexLayout::default()).unwrap_err().code, "sst.key-expansion");
}

#[test]
fn index_handles_are_deltas_where_keys_are_shared() {
    // Full handle (0, 100); then size + 3, right behind; then a full handle again.
    let entries = b"\x00\x02aa\x00\x64\x01\x01b\x06\x00\x01c\x90\x03\x05";
    let contents = [&entries[..], &[0, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0]].concat();
    let layout = IndexLayout { delta_values: true, user_keys: true, first_keys: false };
    let index = block(contents).index_entries(layout).unwrap();
    let handles: Vec<_> = index.iter().map(|e| (e.key.as_slice(), e.handle.offset, e.handle.size)).collect();
    assert_eq!(handles, [(&b"aa"[..], 0, 100), (b"ab", 105, 103), (b"c", 400, 5)]);
}
