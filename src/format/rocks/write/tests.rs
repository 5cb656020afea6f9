//! Round trips through the reader; tables and MANIFESTs that zvec 0.8.0 wrote, written again.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::filter::{FilterBuilder, may_contain};
use super::log_writer::LogEnd;
use super::plan::{self, append_edits, current, flush_edits, manifest_name, merge_edits, new_database, table_name};
use super::xxph3::xxph3;
use super::{BuiltTable, LogWriter, MergeOperator, MergePlan, TableBuilder, TableOptions, merge_tables};
use crate::format::rocks::edit::{NewFile, VersionEdit};
use crate::format::rocks::log::LogReader;
use crate::format::rocks::version::Manifest;
use crate::format::rocks::{Db, Entry, Lookup, Table, TableHints, ValueType, Version};
use crate::format::{FormatError, Kind, Result, Sink, SinkError};

const IDMAP: &[u8] = include_bytes!("../../testdata/rocks/idmap.sst");
const MAX_TF: &[u8] = include_bytes!("../../testdata/rocks/fts-max-tf.sst");
const STAT: &[u8] = include_bytes!("../../testdata/rocks/fts-stat.sst");
const MANIFEST: &[u8] = include_bytes!("../../testdata/rocks/MANIFEST-000005");

fn open(bytes: &[u8]) -> Table<Vec<u8>> {
    Table::open(bytes.to_vec(), &TableHints::default()).unwrap()
}

fn build(options: TableOptions, versions: &[Version]) -> Result<(Vec<u8>, BuiltTable)> {
    let mut bytes = Vec::new();
    let mut builder = TableBuilder::new(&mut bytes, options);
    for v in versions {
        builder.add(&v.key, v.sequence, v.kind, &v.value)?;
    }
    let built = builder.finish()?;
    Ok((bytes, built))
}

fn all_versions(table: &Table<Vec<u8>>) -> Vec<Version> {
    (0..table.index().len()).flat_map(|number| table.block(number).unwrap()).collect()
}

fn version(key: &[u8], sequence: u64, kind: ValueType, value: &[u8]) -> Version {
    Version { key: key.to_vec(), sequence, kind, value: value.to_vec() }
}

/// RocksDB's own schema test of this hash: one letter for each length of a repeated word.
#[test]
fn hash_of_every_length_is_that_of_rocksdb() {
    let alphabet = b"abcdefghijklmnopqrstuvwxyz123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let input = b"foo".repeat(200);
    let letters: Vec<u8> = (0..430).map(|length| alphabet[(xxph3(&input[..length]) % 61) as usize]).collect();
    let expected = "cRhyWsY67B6klRA1udmOuiYuX7IthyGBKqbeosz2hzVglWCmQx8nEdnpkvPfYX56Up2OWOTV\
        lTzfAoYwvtqKzjD8E9xttR2unelbXbIV67NUe6bOO23BxaSFRcA3njGu5cUWfgwOqNoTsszp\
        uPvKRP6qaUR5VdoBkJUCFIefd7edlNK5mv6JYWaGdwxehg65hTkTmjZoPKxTZo4PLyzbL9U4\
        xt12ITSfeP2MfBHuLI2z2pDlBb44UQKVMx27LEoAHsdLp3WfWfgH3sdRBRCHm33UxCM4QmE2\
        xJ7gqSvNwTeH7v9GlC8zWbGroyD3UVNeShMLx29O7tH1biemLULwAHyIw8zdtLMDpEJ8m2ic\
        l6Lb4fDuuFNAs1GCVUthjK8CV8SWI8Rsz5THSwn5CGhpqUwSZcFknjwWIl5rNCvDxXJqYr";
    assert_eq!(String::from_utf8(letters).unwrap(), expected);
    assert_eq!(xxph3(b""), 5_999_572_062_939_766_020);
    assert_eq!(xxph3(b"\xbd\x2c\x63\x38\xbf\xe9\x78\xb7\xbf\x15"), 10_551_812_464_348_219_044);
}

/// Identity and compression options are the only properties that the builder does not know by itself.
fn again(bytes: &[u8]) -> Vec<u8> {
    let table = open(bytes);
    let p = table.properties();
    let name = p.column_family().unwrap().to_vec();
    let mut options = TableOptions::new(
        p.number("rocksdb.original.file.number").unwrap(),
        p.column_family_id().unwrap(),
        name,
        p.number("rocksdb.file.creation.time").unwrap(),
    );
    options.oldest_key = p.number("rocksdb.oldest.key.time").unwrap();
    options.merge_operator = p.merge_operator().map(|name| String::from_utf8(name.to_vec()).unwrap());
    options.capped_prefix = (p.text("rocksdb.prefix.extractor.name").unwrap() == "rocksdb.CappedPrefix.8").then_some(8);
    for name in ["db.identity", "session.identity", "host.identity"].map(|name| format!("rocksdb.creating.{name}")) {
        options.properties.insert(name.clone().into_bytes(), p.bytes(&name).unwrap().to_vec());
    }
    let name = "rocksdb.compression_options";
    options.properties.insert(name.into(), p.bytes(name).unwrap().to_vec());
    build(options, &all_versions(&table)).unwrap().0
}

#[test]
fn tables_of_zvec_are_written_again_byte_for_byte() {
    assert_eq!(open(IDMAP).index().len(), 2);
    assert!(again(IDMAP) == IDMAP);
    assert_eq!(open(MAX_TF).properties().merge_operator(), Some(&b"FtsMaxTfMerge"[..]));
    assert!(again(MAX_TF) == MAX_TF);
    // Six keys with three prefixes.
    assert_eq!(open(STAT).properties().number("rocksdb.num.filter_entries"), Some(9));
    assert!(again(STAT) == STAT);
}

#[test]
fn a_manifest_of_zvec_is_written_again_byte_for_byte() {
    let mut out = Vec::new();
    let mut log = LogWriter::new(&mut out);
    for record in LogReader::new(MANIFEST.to_vec(), None) {
        let record = record.unwrap();
        log.append(&VersionEdit::decode(&record.data, record.offset).unwrap().encode().unwrap()).unwrap();
    }
    assert!(out == MANIFEST);
    assert_eq!(LogEnd::find(out).unwrap(), LogEnd { offset: MANIFEST.len() as u64, trailing: 0 });
}

#[test]
fn a_snapshot_says_what_the_manifest_said() {
    let before = Manifest::read(MANIFEST.to_vec());
    let mut out = Vec::new();
    append_edits(&mut out, &plan::snapshot(&before).unwrap()).unwrap();
    let after = Manifest::read(out);
    assert!(after.is_complete() && before.column_families.len() > 3);
    assert_eq!(after.column_families, before.column_families);
    let numbers = |m: &Manifest| (m.next_file_number, m.last_sequence, m.min_log_number_to_keep);
    assert_eq!(numbers(&after), numbers(&before));
    assert!(plan::snapshot(&Manifest::default()).is_err(), "nothing read is not an empty database");
}

#[test]
fn filters_hold_their_keys_and_few_others() {
    for bits in [2, 5, 10, 16, 30, 60] {
        let mut filter = FilterBuilder::new(bits, None);
        let key = |number: u32| format!("key {number}").into_bytes();
        (0..3000).for_each(|number| filter.add(&key(number)));
        assert_eq!(filter.entries(), 3000);
        let block = filter.finish().unwrap();
        assert_eq!(block.len(), (3000 * bits as usize).div_ceil(512) * 64 + 5);
        assert!((0..3000).all(|number| may_contain(&block, &key(number)) == Some(true)));
        let wrong = (3000..13_000).filter(|number| may_contain(&block, &key(*number)) == Some(true)).count();
        assert!(wrong < if bits < 10 { 4500 } else { 130 }, "{bits} bits: {wrong} of 10000");
    }
    assert_eq!(FilterBuilder::new(10, Some(8)).finish(), None);
    for foreign in [&[][..], &[0; 6], &[0; 69], &[0xff, 0, 6, 0, 0], &[0xff; 69]] {
        assert_eq!(may_contain(foreign, b"key"), None);
    }
}

/// Two versions of a key in different blocks: then the index has internal keys.
#[test]
fn versions_of_one_key_may_fill_several_blocks() {
    let value = [7; 100];
    let versions: Vec<Version> =
        (1..=200).rev().map(|sequence| version(b"key", sequence, ValueType::Merge, &value)).collect();
    let (bytes, built) = build(TableOptions::new(9, 0, "default", 0), &versions).unwrap();
    let table = open(&bytes);
    assert_eq!(table.properties().number("rocksdb.index.key.is.user.key"), Some(0));
    assert_eq!((built.merge_operands, built.data_blocks > 3), (200, true));
    assert_eq!(table.versions_of(b"key"), (versions, vec![]));
    assert_eq!((built.file.smallest_sequence, built.file.largest_sequence), (1, Some(200)));
}

#[test]
fn entries_out_of_order_and_unknown_types_are_refused() {
    let refused = |entries: &[(&[u8], u64, ValueType)]| {
        let versions: Vec<Version> = entries.iter().map(|(k, s, kind)| version(k, *s, *kind, b"")).collect();
        build(TableOptions::new(9, 0, "default", 0), &versions).unwrap_err().code
    };
    let value = ValueType::Value;
    assert_eq!(refused(&[(b"b", 1, value), (b"a", 2, value)]), "sst.write-order");
    assert_eq!(refused(&[(b"a", 1, value), (b"a", 1, value)]), "sst.write-order");
    assert_eq!(refused(&[(b"a", 1, value), (b"a", 2, value)]), "sst.write-order");
    assert_eq!(refused(&[(b"a", 1 << 56, value)]), "sst.write-order");
    assert_eq!(refused(&[(b"a", 1, ValueType::RangeDeletion)]), "sst.write-type");
    assert_eq!(refused(&[(b"a", 1, ValueType::Other(99))]), "sst.write-type");
    assert_eq!(refused(&[]), "sst.write-empty");
}

/// A sink that is full at some point.
struct Full(Vec<u8>, usize);

impl Sink for Full {
    fn append(&mut self, bytes: &[u8]) -> std::result::Result<(), SinkError> {
        if self.0.len() + bytes.len() > self.1 {
            return Err(SinkError("no space left".into()));
        }
        Sink::append(&mut self.0, bytes)
    }

    fn position(&self) -> u64 {
        self.0.position()
    }
}

#[test]
fn a_full_disk_is_an_error_of_the_step_that_met_it() {
    for room in [0, 1000, 9000, 11_000] {
        let mut builder = TableBuilder::new(Full(Vec::new(), room), TableOptions::new(1, 0, "default", 0));
        let added = (0..1000u32).try_for_each(|n| builder.add(&n.to_be_bytes(), 1, ValueType::Value, b"value"));
        let error = added.and_then(|()| builder.finish().map(drop)).unwrap_err();
        assert_eq!((error.code, error.kind), ("io.write", Kind::Io));
    }
    assert_eq!(LogWriter::new(Full(Vec::new(), 20)).append(&[0; 14]).unwrap_err().code, "io.write");
}

#[test]
fn a_log_is_continued_behind_its_last_whole_record() {
    let mut log = Vec::new();
    let mut offsets = vec![0];
    for size in [5, 32_768 - 12 - 7 - 3, 0, 100_000, 32_761, 7] {
        LogWriter::new(&mut log).append(&vec![1; size]).unwrap();
        offsets.push(log.len() as u64);
        assert_eq!(LogEnd::find(log.clone()).unwrap(), LogEnd { offset: log.len() as u64, trailing: 0 });
    }
    for cut in [4, 12, 20, 32_700, 60_000, log.len() - 1] {
        let end = LogEnd::find(log[..cut].to_vec()).unwrap();
        let expected = *offsets.iter().rev().find(|offset| **offset <= cut as u64).unwrap();
        assert_eq!((end.offset, end.trailing), (expected, cut as u64 - expected));
    }
    let mut padded = log.clone();
    padded.resize(log.len() + 5000, 0);
    assert_eq!(LogEnd::find(padded).unwrap(), LogEnd { offset: log.len() as u64, trailing: 5000 });
    log[8] ^= 1;
    assert_eq!(LogEnd::find(log).unwrap_err().code, "rocks-log.crc-mismatch");
}

/// Column family, and what is written to its keys.
type Batch<'a> = (u32, &'a [(&'a str, ValueType, &'a str)]);
type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// What an engine does with the pieces.
struct Store {
    files: Files,
    manifest: Manifest,
}

impl Store {
    fn new(families: &[&[u8]]) -> Self {
        let manifest = new_database(families.iter().copied(), 1);
        let mut bytes = Vec::new();
        append_edits(&mut bytes, &plan::snapshot(&manifest).unwrap()).unwrap();
        let files = [(manifest_name(1), Arc::new(bytes)), ("CURRENT".into(), Arc::new(current(1)))];
        Self { files: files.into(), manifest }
    }

    fn commit(&mut self, edits: Vec<VersionEdit>) {
        let mut bytes = self.files[&manifest_name(1)].to_vec();
        append_edits(&mut bytes, &edits).unwrap();
        let again = Manifest::read(bytes.clone());
        self.files.insert(manifest_name(1), Arc::new(bytes));
        edits.into_iter().for_each(|edit| self.manifest.apply(edit, 0));
        assert!(again.is_complete());
        assert_eq!(again.column_families, self.manifest.column_families);
        assert_eq!(again.next_file_number, self.manifest.next_file_number);
        assert_eq!(again.last_sequence, self.manifest.last_sequence);
    }

    fn table(&mut self, number: u64, family: u32, versions: &[Version]) -> NewFile {
        let (bytes, built) = build(TableOptions::new(number, family, format!("f{family}"), 50), versions).unwrap();
        self.files.insert(table_name(number), Arc::new(bytes));
        built.file
    }

    /// Flushes, per column family, entries that get the next sequence numbers.
    fn flush(&mut self, batches: &[Batch<'_>]) {
        let mut sequence = self.manifest.last_sequence.unwrap();
        let mut tables = Vec::new();
        for ((family, entries), number) in batches.iter().zip(self.manifest.next_file_number.unwrap()..) {
            let mut versions: Vec<Version> = Vec::new();
            for (key, kind, value) in *entries {
                sequence += 1;
                versions.push(version(key.as_bytes(), sequence, *kind, value.as_bytes()));
            }
            versions.sort_by(|a, b| a.key.cmp(&b.key).then(b.sequence.cmp(&a.sequence)));
            tables.push((*family, self.table(number, *family, &versions)));
        }
        self.commit(flush_edits(&self.manifest, tables, sequence).unwrap());
    }

    fn db(&self) -> Db {
        let db = Db::open(&self.files).unwrap();
        assert_eq!(db.faults(), []);
        for table in db.column_families().iter().flat_map(|family| family.tables()) {
            assert_eq!(table.check().faults, []);
        }
        db
    }

    /// Merges as `plan` says; the output has the next number.
    fn merge(&mut self, plan: MergePlan) -> Option<BuiltTable> {
        let number = self.manifest.next_file_number.unwrap();
        let mut bytes = Vec::new();
        let db = self.db();
        let family = db.column_families().iter().find(|family| family.info().id == plan.column_family).unwrap();
        let options = TableOptions { oldest_key: 0, ..TableOptions::new(number, plan.column_family, "f", 60) };
        let builder = TableBuilder::new(&mut bytes, options);
        let built = merge_tables(family, &plan, Some(&Append), builder).unwrap();
        let numbers = plan.numbers();
        let file = built.as_ref().map(|built| built.file.clone());
        self.commit(merge_edits(&self.manifest, [(plan, file)]).unwrap());
        self.files.retain(|name, _| !numbers.iter().any(|number| *name == table_name(*number)));
        if built.is_some() {
            self.files.insert(table_name(number), Arc::new(bytes));
        }
        built
    }

    /// Keys of a column family and what a reader makes of them.
    fn rows(&self, family: u32) -> Vec<(String, String)> {
        let db = self.db();
        let family = &db.column_families()[family as usize];
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let rows = family.scan().map(|row| row.unwrap());
        rows.map(|row| {
            let value = match row.entry {
                Entry::Value(value) => value,
                Entry::Merge { base, operands } => Append.full(&row.key, base.as_deref(), &operands).unwrap(),
            };
            (text(row.key), text(value))
        })
        .collect()
    }
}

/// Strings, concatenated.
struct Append;

impl MergeOperator for Append {
    fn full(&self, _: &[u8], base: Option<&[u8]>, operands: &[Vec<u8>]) -> Result<Vec<u8>> {
        Ok([base.unwrap_or_default(), &operands.concat()].concat())
    }

    fn partial(&self, key: &[u8], operands: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        self.full(key, None, operands).map(Some)
    }
}

const PUT: ValueType = ValueType::Value;
const DELETE: ValueType = ValueType::Deletion;
const MERGE: ValueType = ValueType::Merge;

#[test]
fn a_new_database_takes_flushes_and_merges() {
    let mut store = Store::new(&[b"terms", b"empty"]);
    assert_eq!(store.db().column_families().len(), 3);
    store.flush(&[(0, &[("a", PUT, "1"), ("b", PUT, "2"), ("c", MERGE, "x")]), (1, &[("t", MERGE, "r")])]);
    store.flush(&[(0, &[("b", DELETE, ""), ("c", MERGE, "y"), ("d", PUT, "4")])]);
    store.flush(&[(0, &[("a", PUT, "5"), ("c", MERGE, "z"), ("d", DELETE, ""), ("d", MERGE, "6")])]);
    let text = |rows: &[(&str, &str)]| -> Vec<_> { rows.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect() };
    let expected = text(&[("a", "5"), ("c", "xyz"), ("d", "6")]);
    assert_eq!(store.rows(0), expected);
    let family = store.manifest.column_families[&0].clone();
    let epochs: Vec<_> = family.files.values().map(NewFile::epoch).collect();
    assert_eq!(epochs, [Some(1), Some(2), Some(3)]);

    // The two newest only: deletions and operands without a value below stay.
    let plan = MergePlan::all(&family).unwrap();
    let newest = MergePlan { inputs: plan.inputs[..2].to_vec(), level: 0, bottom: false, ..plan };
    let built = store.merge(MergePlan { epoch: Some(2), ..newest }).unwrap();
    assert_eq!((built.entries, built.deletions, built.merge_operands), (4, 1, 1));
    assert_eq!(store.rows(0), expected);

    let family = store.manifest.column_families[&0].clone();
    assert_eq!(family.files.values().map(NewFile::epoch).collect::<Vec<_>>(), [Some(1), Some(2)]);
    let built = store.merge(MergePlan::all(&family).unwrap()).unwrap();
    assert_eq!((built.entries, built.deletions, built.merge_operands), (3, 0, 0));
    assert_eq!(store.rows(0), expected);
    assert_eq!(store.rows(1), text(&[("t", "r")]));
    let files: Vec<_> = store.manifest.column_families[&0].files.values().map(|file| file.level).collect();
    assert_eq!(files, [1]);

    // Everything deleted: the merge leaves no table.
    store.flush(&[(0, &[("a", DELETE, ""), ("c", DELETE, ""), ("d", DELETE, "")])]);
    let family = store.manifest.column_families[&0].clone();
    assert_eq!(store.merge(MergePlan::all(&family).unwrap()), None);
    assert_eq!(store.rows(0), []);
    assert_eq!(store.manifest.column_families[&0].files.len(), 0);
    assert_eq!(store.db().column_families()[0].get(b"a"), Lookup::Absent);
}

#[test]
fn a_group_of_edits_counts_only_when_it_is_whole() {
    let mut store = Store::new(&[b"terms"]);
    let before = store.files.clone();
    store.flush(&[(0, &[("a", PUT, "1")]), (1, &[("t", PUT, "2")])]);
    let whole = store.files[&manifest_name(1)].to_vec();
    let start = before[&manifest_name(1)].len();
    for cut in start..whole.len() {
        let manifest = Manifest::read(whole[..cut].to_vec());
        assert!(manifest.is_complete(), "what a crash leaves is no damage");
        assert!(manifest.column_families.values().all(|family| family.files.is_empty()), "cut at {cut}");
        let end = LogEnd::find_manifest(whole[..cut].to_vec()).unwrap();
        assert_eq!(end, LogEnd { offset: start as u64, trailing: (cut - start) as u64 });
    }
    // Appended behind the first half of a group, an edit is lost or worse.
    let mut broken = whole[..whole.len() - 1].to_vec();
    broken.truncate(LogEnd::find(broken.clone()).unwrap().offset as usize);
    append_edits(&mut broken, &[VersionEdit::default()]).unwrap();
    assert!(!Manifest::read(broken.clone()).is_complete());
    assert_eq!(LogEnd::find_manifest(broken).unwrap_err().code, "rocks-manifest.broken-group");
}

#[test]
fn edits_that_cannot_be_right_are_refused() {
    let mut store = Store::new(&[]);
    store.flush(&[(0, &[("a", PUT, "1")])]);
    let file = store.manifest.column_families[&0].files.values().next().unwrap().clone();
    let code = |edits: Result<Vec<VersionEdit>>| edits.unwrap_err().code;
    let manifest = &store.manifest;
    let newer = NewFile { number: 77, smallest_sequence: 5, largest_sequence: Some(6), ..file.clone() };
    assert!(flush_edits(manifest, [(0, newer.clone())], 6).is_ok());
    assert_eq!(code(flush_edits(manifest, [(0, newer.clone())], 5)), "rocks-manifest.write", "sequence in use");
    assert_eq!(code(flush_edits(manifest, [(3, newer)], 6)), "rocks-manifest.write", "no such family");
    assert_eq!(code(flush_edits(manifest, [(0, file)], 6)), "rocks-manifest.write", "not newer");
    let stale = MergePlan { column_family: 0, inputs: vec![(0, 99)], level: 1, bottom: true, epoch: None };
    assert_eq!(code(merge_edits(manifest, [(stale, None)])), "rocks-manifest.write", "inputs gone");
    let blob = VersionEdit { blob_files: vec![4], ..VersionEdit::default() };
    assert_eq!(blob.encode().unwrap_err().kind, Kind::Unsupported);
    assert!(plan::add_column_family(manifest, b"default").is_err());
    let add = plan::add_column_family(manifest, b"new").unwrap();
    store.commit(vec![add]);
    assert_eq!(store.db().column_family(b"new").unwrap().info().id, 1);
}

#[test]
fn a_damaged_input_stops_a_merge() {
    let mut store = Store::new(&[]);
    let value = "v".repeat(3000);
    store.flush(&[(0, &[("a", PUT, &value), ("b", PUT, &value), ("c", PUT, &value)])]);
    store.flush(&[(0, &[("b", DELETE, "")])]);
    let name = table_name(2);
    let mut bytes = store.files[&name].to_vec();
    bytes[5000] ^= 1;
    store.files.insert(name, Arc::new(bytes));
    let db = Db::open(&store.files).unwrap();
    let family = &db.column_families()[0];
    let plan = MergePlan::all(family.info()).unwrap();
    let builder = TableBuilder::new(Vec::new(), TableOptions::new(9, 0, "default", 0));
    let error: FormatError = merge_tables(family, &plan, None, builder).unwrap_err();
    assert_eq!(error.code, "sst.block-checksum-mismatch");
    store.files.remove(&table_name(3));
    let db = Db::open(&store.files).unwrap();
    let builder = TableBuilder::new(Vec::new(), TableOptions::new(9, 0, "default", 0));
    let error = merge_tables(&db.column_families()[0], &plan, None, builder).unwrap_err();
    assert_eq!(error.code, "rocks.merge-damaged");
}

/// A merge is worth it when the newest tables are of a size; the large old one joins when they have grown up to it.
#[test]
fn tables_of_a_size_are_merged() {
    let mut store = Store::new(&[]);
    let large = "x".repeat(40_000);
    let mut merges = Vec::new();
    for number in 0..40 {
        let key = format!("key {number:03}");
        store.flush(&[(0, &[(&key, PUT, if number == 0 { &large } else { "small" })])]);
        let family = store.manifest.column_families[&0].clone();
        if let Some(plan) = MergePlan::choose(&family, 4) {
            merges.push((number, plan.inputs.len(), plan.bottom));
            store.merge(plan);
        }
        assert!(store.manifest.column_families[&0].files.len() < 16);
    }
    assert_eq!(store.rows(0).len(), 40);
    assert!(!merges[0].2 && merges.len() > 5, "{merges:?}");
    assert!(merges.iter().all(|(_, inputs, _)| (4..=16).contains(inputs)), "{merges:?}");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        entries in proptest::collection::btree_map(
            (proptest::collection::vec(97u8..100, 0..6), 0u64..4),
            (proptest::sample::select(vec![PUT, DELETE, MERGE]), proptest::collection::vec(any::<u8>(), 0..300)),
            1..200,
        ),
        block_size in 100usize..3000,
        prefix in proptest::option::of(0usize..4),
    ) {
        let mut versions: Vec<Version> = entries
            .into_iter()
            .map(|((key, sequence), (kind, value))| {
                version(&key, sequence, kind, if kind == DELETE { &[] } else { &value })
            })
            .collect();
        versions.sort_by(|a, b| a.key.cmp(&b.key).then(b.sequence.cmp(&a.sequence)));
        let options = TableOptions { block_size, capped_prefix: prefix, ..TableOptions::new(7, 3, "family", 5) };
        let (bytes, built) = build(options, &versions).unwrap();
        let table = open(&bytes);
        prop_assert_eq!(table.faults(), &[]);
        let check = table.check();
        prop_assert_eq!(check.faults, vec![]);
        prop_assert_eq!(
            (check.entries, check.deletions, check.merge_operands, check.raw_key_size, check.raw_value_size, check.data_blocks),
            (built.entries, built.deletions, built.merge_operands, built.raw_key_size, built.raw_value_size, built.data_blocks)
        );
        prop_assert_eq!(built.file.size, bytes.len() as u64);
        prop_assert_eq!(all_versions(&table), versions.clone());
        let filter = table.meta_block(table.filter().unwrap().1).unwrap().contents;
        for v in &versions {
            let (found, _) = table.versions_of(&v.key);
            prop_assert!(found.contains(v));
            prop_assert_eq!(may_contain(&filter, &v.key), Some(true));
            let prefix = prefix.map_or(v.key.as_slice(), |length| &v.key[..length.min(v.key.len())]);
            prop_assert_eq!(may_contain(&filter, prefix), Some(true));
        }
    }
}
