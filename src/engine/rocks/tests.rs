//! Stores on the real file system, compared with maps; writes that fail, one after the other.

mod failing;
mod logs;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::prelude::*;

use failing::Failing;

use super::*;
use crate::{
    format::{Result as FormatResult, rocks::Db},
    vfs::RealFs,
};

/// Strings, concatenated: unlike a union it shows order and repetition.
struct Append {
    partial: bool,
}

impl MergeOperator for Append {
    fn full(&self, _: &[u8], base: Option<&[u8]>, operands: &[Vec<u8>]) -> FormatResult<Vec<u8>> {
        Ok([base.unwrap_or_default(), &operands.concat()].concat())
    }

    fn partial(&self, key: &[u8], operands: &[Vec<u8>]) -> FormatResult<Option<Vec<u8>>> {
        if self.partial { self.full(key, None, operands).map(Some) } else { Ok(None) }
    }
}

/// `a` puts operands together, `b` does not, others take none.
fn options(family: &[u8]) -> FamilyOptions {
    let merge = |partial| Some(Arc::new(Append { partial }) as Operator);
    let merge = match family {
        b"a" => merge(true),
        b"b" => merge(false),
        _ => None,
    };
    FamilyOptions { merge, capped_prefix: (family == b"b").then_some(2), ..FamilyOptions::default() }
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn rows(store: &RocksStore, family: &[u8]) -> Rows {
    let rows: Vec<_> = store.scan(family).unwrap().map(Result::unwrap).collect();
    assert!(rows.is_sorted_by(|a, b| a.0 < b.0));
    rows.into_iter().collect()
}

fn snapshot_rows(snapshot: &RocksSnapshot, family: &[u8]) -> Rows {
    snapshot.scan(family).unwrap().map(Result::unwrap).collect()
}

fn row(key: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (key.into(), value.into())
}

fn new_store(parent: &Path) -> (RocksStore, PathBuf) {
    let dir = parent.join("db");
    let mut store = RocksStore::create(Arc::new(Failing::default()), &dir, &[b"a", b"b"], options).unwrap();
    store.set_clock(|| 1_700_000_000);
    (store, dir)
}

fn open(dir: &Path) -> RocksStore {
    RocksStore::open(Arc::new(Failing::default()), dir, options).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_database_is_empty_and_opens_again() {
    let parent = tempfile::tempdir().unwrap();
    let (store, dir) = new_store(parent.path());
    assert_eq!(names(&dir), ["CURRENT", "MANIFEST-000001"]);
    assert!(RocksStore::create(Arc::new(RealFs), &dir, &[], options).is_err());
    drop(store);
    let mut store = open(&dir);
    assert_eq!(store.families().collect::<Vec<_>>(), [&b"default"[..], b"a", b"b"]);
    assert_eq!((store.get(b"a", b"k").unwrap(), store.is_dirty(), store.memory_size()), (None, false, 0));
    assert_eq!(store.flush().unwrap(), Flushed::default());
    assert_eq!(names(&dir), ["CURRENT", "MANIFEST-000001"]);
    assert!(matches!(store.get(b"c", b"k"), Err(EngineError::Refused(_))));
    assert!(matches!(store.merge(b"default", b"k", b"v"), Err(EngineError::Format { .. })));
}

#[test]
fn writes_are_seen_at_once_and_in_snapshots_once_flushed() {
    let parent = tempfile::tempdir().unwrap();
    let (mut store, dir) = new_store(parent.path());
    for (key, value) in [("k1", "one"), ("k2", "two"), ("k3", "three")] {
        store.put(b"default", key.as_bytes(), value.as_bytes()).unwrap();
    }
    store.merge(b"a", b"m", b"x").unwrap();
    assert!(store.is_dirty() && store.memory_size() > 0);
    assert_eq!(store.get(b"default", b"k2").unwrap().unwrap(), b"two");
    let before = store.snapshot();
    assert_eq!(before.get(b"default", b"k2").unwrap(), None);
    let done = store.flush().unwrap();
    assert_eq!((done.tables, done.merged, store.is_dirty(), store.memory_size()), (2, 0, false, 0));

    let flushed = store.snapshot();
    store.delete(b"default", b"k2").unwrap();
    store.put(b"default", b"k3", &[b'v'; 100]).unwrap();
    store.merge(b"a", b"m", b"y").unwrap();
    assert_eq!(store.get(b"default", b"k2").unwrap(), None);
    assert_eq!(store.get(b"a", b"m").unwrap().unwrap(), b"xy");
    assert_eq!(flushed.get(b"default", b"k2").unwrap().unwrap(), b"two");
    assert_eq!(rows(&store, b"default"), Rows::from([row("k1", "one"), row("k3", &"v".repeat(100))]));
    assert_eq!(rows(&store, b"a"), Rows::from([row("m", "xy")]));
    // Until tables are merged and the old ones removed.
    for round in 0..20 {
        store.put(b"default", b"k4", format!("{round}").as_bytes()).unwrap();
        store.flush().unwrap();
    }
    assert!(names(&dir).iter().filter(|name| name.ends_with(".sst")).count() < 8);
    assert_eq!(
        snapshot_rows(&flushed, b"default"),
        Rows::from([row("k1", "one"), row("k2", "two"), row("k3", "three")])
    );
    assert_eq!(snapshot_rows(&flushed, b"a"), Rows::from([row("m", "x")]));
    assert_eq!(snapshot_rows(&before, b"default"), Rows::new());
    assert_eq!(snapshot_rows(&store.snapshot(), b"a"), rows(&open(&dir), b"a"));
}

#[test]
fn many_operands_of_a_key_are_put_together_in_order() {
    let parent = tempfile::tempdir().unwrap();
    let (mut store, dir) = new_store(parent.path());
    let mut expected = Vec::new();
    for family in [b"a", b"b"] {
        expected.clear();
        for number in 0..2000u32 {
            store.merge(family, b"k", &number.to_le_bytes()).unwrap();
            expected.extend(number.to_le_bytes());
            if number == 700 || number == 1100 {
                store.flush().unwrap();
            }
        }
        assert_eq!(store.get(family, b"k").unwrap().unwrap(), expected);
    }
    let kept_apart = store.memory_size();
    store.flush().unwrap();
    let store = open(&dir);
    assert_eq!(store.get(b"a", b"k").unwrap().unwrap(), expected);
    assert_eq!(store.get(b"b", b"k").unwrap().unwrap(), expected);
    assert!(kept_apart > 900 * 44, "operands of `b` stay as they are: {kept_apart} bytes");
}

#[test]
fn families_come_and_go() {
    let parent = tempfile::tempdir().unwrap();
    let (mut store, dir) = new_store(parent.path());
    store.put(b"a", b"k", b"in table").unwrap();
    store.flush().unwrap();
    store.put(b"b", b"k", b"in memory").unwrap();
    store.add_family(b"new").unwrap();
    assert!(store.add_family(b"new").is_err());
    store.put(b"new", b"n", b"1").unwrap();
    let snapshot = store.snapshot();
    store.drop_family(b"a").unwrap();
    assert!(store.drop_family(b"default").is_err());
    assert!(!names(&dir).iter().any(|name| name.ends_with(".sst")));
    assert_eq!(snapshot.get(b"a", b"k").unwrap().unwrap(), b"in table");
    assert_eq!(store.get(b"b", b"k").unwrap().unwrap(), b"in memory");
    store.flush().unwrap();
    store.add_family(b"a").unwrap();
    let store = open(&dir);
    assert_eq!(store.families().collect::<Vec<_>>(), [&b"default"[..], b"b", b"new", b"a"]);
    assert_eq!(store.get(b"b", b"k").unwrap().unwrap(), b"in memory");
    assert_eq!(store.get(b"new", b"n").unwrap().unwrap(), b"1");
    assert_eq!(rows(&store, b"a"), Rows::new());
}

#[test]
fn a_manifest_that_has_grown_is_begun_anew() {
    let parent = tempfile::tempdir().unwrap();
    let (mut store, dir) = new_store(parent.path());
    store.manifest_file.set_limit(600);
    let mut manifests = std::collections::BTreeSet::new();
    for number in 0..30u32 {
        store.put(b"a", &number.to_be_bytes(), b"v").unwrap();
        store.flush().unwrap();
        let now: Vec<_> = names(&dir).into_iter().filter(|name| name.starts_with("MANIFEST")).collect();
        assert_eq!(now.len(), 1);
        assert_eq!(std::fs::read_to_string(dir.join("CURRENT")).unwrap(), format!("{}\n", now[0]));
        manifests.extend(now);
        store = open(&dir);
        store.manifest_file.set_limit(600);
    }
    assert!(manifests.len() > 3, "{manifests:?}");
    assert_eq!(rows(&store, b"a").len(), 30);
}

#[test]
fn what_a_crash_leaves_is_replaced_or_removed() {
    let parent = tempfile::tempdir().unwrap();
    let (mut store, dir) = new_store(parent.path());
    store.put(b"a", b"k", b"1").unwrap();
    store.put(b"b", b"k", b"1").unwrap();
    store.flush().unwrap();
    let manifest = dir.join("MANIFEST-000001");
    let whole = std::fs::read(&manifest).unwrap();
    store.put(b"a", b"k", b"2").unwrap();
    store.put(b"b", b"k", b"2").unwrap();
    store.flush().unwrap();
    drop(store);
    let longer = std::fs::read(&manifest).unwrap();
    // Half a record, the first half of a group, half a record of its second half.
    for cut in [whole.len() + 3, longer.len() - 60, longer.len() - 1] {
        std::fs::write(&manifest, &longer[..cut]).unwrap();
        for litter in ["000004.sst", "000005.sst", "000077.sst", "000006.dbtmp", "MANIFEST-000006", "keep.me"] {
            std::fs::write(dir.join(litter), "litter").unwrap();
        }
        let mut store = open(&dir);
        assert_eq!(std::fs::read(&manifest).unwrap().len(), cut, "opening changes nothing");
        assert_eq!(rows(&store, b"a"), Rows::from([row("k", "1")]));
        store.put(b"b", b"k", b"3").unwrap();
        store.flush().unwrap();
        let store = open(&dir);
        assert_eq!(
            (rows(&store, b"a"), rows(&store, b"b")),
            (Rows::from([row("k", "1")]), Rows::from([row("k", "3")]))
        );
        let left: Vec<_> = names(&dir).into_iter().filter(|name| name != "CURRENT").collect();
        assert_eq!(left, ["000002.sst", "000003.sst", "000004.sst", "MANIFEST-000001", "keep.me"]);
    }
}

#[test]
fn damage_is_refused_with_its_file() {
    let parent = tempfile::tempdir().unwrap();
    let (mut store, dir) = new_store(parent.path());
    for number in 0..2000u32 {
        store.put(b"default", &number.to_be_bytes(), b"some value").unwrap();
    }
    store.flush().unwrap();
    drop(store);
    let refused = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = dir.join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        change(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        let error = RocksStore::open(Arc::new(RealFs), &dir, options).map(drop);
        std::fs::write(&path, whole).unwrap();
        match error {
            Err(EngineError::Format { path, .. } | EngineError::Io { path, .. }) => {
                path.strip_prefix(&dir).unwrap().to_owned()
            }
            other => panic!("{name}: {other:?}"),
        }
    };
    assert_eq!(refused("CURRENT", &|bytes| bytes[0] = b'X'), Path::new("CURRENT"));
    assert_eq!(refused("MANIFEST-000001", &|bytes| bytes[12] ^= 1), Path::new("MANIFEST-000001"));
    assert_eq!(refused("000002.sst", &|bytes| bytes.truncate(bytes.len() - 1)), Path::new("000002.sst"));

    // A block is looked at when it is needed.
    let path = dir.join("000002.sst");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let store = open(&dir);
    assert!(
        matches!(store.get(b"default", &[0; 4]), Err(EngineError::Format { path, .. }) if path.ends_with("000002.sst"))
    );
    assert_eq!(store.get(b"default", &1999u32.to_be_bytes()).unwrap().unwrap(), b"some value");
    let mut scan = store.scan(b"default").unwrap();
    assert!(scan.next().unwrap().is_err());
    assert!(scan.next().unwrap().is_ok());
}

#[test]
fn stores_and_snapshots_go_between_threads() {
    fn both<T: Send + Sync>() {}
    both::<RocksStore>();
    both::<RocksSnapshot>();
}

#[test]
fn operators_of_zvec_unite_and_keep_the_largest() {
    use crate::format::{inverted, roaring as set};
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("scalar");
    let mut store = RocksStore::create(Arc::new(RealFs), &dir, &[b"c$TERMS"], scalar_index).unwrap();
    let posting = |rows: &[u32]| inverted::encode(&rows.iter().copied().collect()).unwrap();
    for round in 0..6u32 {
        for row in 0..300 {
            store.merge(b"c$TERMS", b"t", &posting(&[row * 6 + round])).unwrap();
        }
        store.flush().unwrap();
    }
    let all: Vec<u32> = (0..1800).collect();
    assert_eq!(store.get(b"c$TERMS", b"t").unwrap().unwrap(), posting(&all));

    let dir = parent.path().join("fts");
    let families: [&[u8]; 3] = [b"c", b"c$MAX_TF", b"$FTS_STAT"];
    let mut store = RocksStore::create(Arc::new(RealFs), &dir, &families, full_text_index).unwrap();
    for round in 0..3u32 {
        store.merge(b"c", b"t", &set::encode(&[round, 7].into_iter().collect())).unwrap();
        store.merge(b"c$MAX_TF", b"t", &(5 - round).to_le_bytes()).unwrap();
        store.put(b"$FTS_STAT", b"c_total_docs", &u64::from(round).to_be_bytes()).unwrap();
        store.flush().unwrap();
    }
    assert_eq!(store.get(b"c", b"t").unwrap().unwrap(), set::encode(&[0, 1, 2, 7].into_iter().collect()));
    assert_eq!(store.get(b"c$MAX_TF", b"t").unwrap().unwrap(), 5u32.to_le_bytes());
    assert_eq!(store.get(b"$FTS_STAT", b"c_total_docs").unwrap().unwrap(), 2u64.to_be_bytes());
    assert!(matches!(store.merge(b"$FTS_STAT", b"x", b"y"), Err(EngineError::Format { .. })));
    let db = Db::open(&directory::StoreDir { fs: &RealFs, path: &dir }).unwrap();
    let table = &db.column_family(b"c$MAX_TF").unwrap().tables()[0].table;
    assert_eq!(table.properties().merge_operator(), Some(&b"FtsMaxTfMerge"[..]));
    assert_eq!(table.properties().text("rocksdb.prefix.extractor.name").unwrap(), "rocksdb.CappedPrefix.8");
    assert!((0..100).filter(|n| table.may_contain(format!("none {n}").as_bytes())).count() < 20);
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, u8, Vec<u8>),
    Delete(usize, u8),
    Merge(usize, u8, Vec<u8>),
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let family = 0usize..2;
    let value = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        6 => (family.clone(), 0u8..12, value()).prop_map(|(f, k, v)| Step::Put(f, k, v)),
        4 => (family.clone(), 0u8..12).prop_map(|(f, k)| Step::Delete(f, k)),
        6 => (family, 0u8..12, value()).prop_map(|(f, k, v)| Step::Merge(f, k, v)),
        3 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_store_is_a_map(steps in prop::collection::vec(step(), 1..120)) {
        const FAMILIES: [&[u8]; 2] = [b"a", b"b"];
        let parent = tempfile::tempdir().unwrap();
        let (mut store, dir) = new_store(parent.path());
        let mut model = [Rows::new(), Rows::new()];
        let mut flushed = model.clone();
        for step in steps {
            match step {
                Step::Put(family, key, value) => {
                    store.put(FAMILIES[family], &[b'k', key], &value).unwrap();
                    model[family].insert(vec![b'k', key], value);
                }
                Step::Delete(family, key) => {
                    store.delete(FAMILIES[family], &[b'k', key]).unwrap();
                    model[family].remove(&[b'k', key][..]);
                }
                Step::Merge(family, key, operand) => {
                    store.merge(FAMILIES[family], &[b'k', key], &operand).unwrap();
                    model[family].entry(vec![b'k', key]).or_default().extend(operand);
                }
                Step::Flush => {
                    store.flush().unwrap();
                    flushed = model.clone();
                }
                Step::Reopen => {
                    store = open(&dir);
                    model = flushed.clone();
                }
            }
            for key in 0..12 {
                for (family, model) in FAMILIES.iter().zip(&model) {
                    prop_assert_eq!(&store.get(family, &[b'k', key]).unwrap(), &model.get(&[b'k', key][..]).cloned());
                }
            }
        }
        let snapshot = store.snapshot();
        for (number, family) in FAMILIES.iter().enumerate() {
            prop_assert_eq!(&rows(&store, family), &model[number]);
            prop_assert_eq!(&snapshot_rows(&snapshot, family), &flushed[number]);
        }
    }
}
