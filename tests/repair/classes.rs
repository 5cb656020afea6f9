//! Classes of damage, and what each leaves.

use std::{path::Path, sync::Arc};

use zvecctl::{
    engine::parts::{Files, IdMap},
    format::delete_set,
    report::repair::Fix,
    vfs::{MemoryFs, Vfs, VfsMut},
};

use crate::{
    collection::{ROOT, bytes, documents, errors, files, flushed, mend, read, rich, undo_all, write},
    model::{Docs, pk},
};

/// One class of damage.
pub struct Class {
    pub name: &'static str,
    pub fs: MemoryFs,
    /// The documents that must be there after the repair.
    pub docs: Docs,
}

fn remove_dir(fs: &MemoryFs, relative: &str) {
    zvecctl::engine::remove_tree(fs, &Path::new(ROOT).join(relative)).unwrap();
}

fn flip(fs: &MemoryFs, relative: &str, at: usize) {
    let mut content = read(fs, relative);
    content[at] ^= 0x10;
    write(fs, relative, &content);
}

fn first(fs: &dyn Vfs, begin: &str, end: &str) -> String {
    files(fs, begin, end).into_iter().next().unwrap_or_else(|| panic!("no file {begin}*{end}"))
}

fn manifest(fs: &dyn Vfs) -> String {
    first(fs, "manifest.", "")
}

/// Every class that the layers of this test mend without loss.
pub fn lossless() -> Vec<Class> {
    let mut classes = Vec::new();
    let mut class = |name, damage: &dyn Fn(&MemoryFs)| {
        let (fs, docs) = rich();
        let fs = fs.fork();
        damage(&fs);
        classes.push(Class { name, fs, docs: docs.clone() });
    };
    let remove = |fs: &MemoryFs, path: &str| fs.remove_file(&Path::new(ROOT).join(path)).unwrap();
    class("LOCK missing", &|fs| remove(fs, "LOCK"));
    class("id map missing", &|fs| remove_dir(fs, "idmap.0"));
    class("id map without CURRENT", &|fs| remove(fs, "idmap.0/CURRENT"));
    class("id map without a table", &|fs| remove(fs, &first(fs, "idmap.0/", ".sst")));
    class("a bit of a table of the id map", &|fs| flip(fs, &first(fs, "idmap.0/", ".sst"), 20));
    class("scalar index missing", &|fs| {
        remove_dir(fs, first(fs, "0/scalar.index", "CURRENT").trim_end_matches("/CURRENT"))
    });
    class("a bit of a table of a scalar index", &|fs| flip(fs, &first(fs, "0/scalar.index", ".sst"), 30));
    class("scalar index of the writing segment without its MANIFEST", &|fs| {
        let index = files(fs, "", "CURRENT").into_iter().rfind(|path| path.contains("scalar.index")).unwrap();
        let dir = index.trim_end_matches("CURRENT").to_owned();
        remove(fs, &first(fs, &(dir + "MANIFEST"), ""));
    });
    class("full-text index missing", &|fs| remove_dir(fs, first(fs, "0/fts", "CURRENT").trim_end_matches("/CURRENT")));
    class("a bit of a table of a full-text index", &|fs| flip(fs, &first(fs, "0/fts", ".sst"), 30));
    class("delete snapshot with a flipped bit", &|fs| {
        let path = first(fs, "del.", "");
        let at = read(fs, &path).len() - 3;
        flip(fs, &path, at);
    });
    class("delete snapshot missing", &|fs| remove(fs, &first(fs, "del.", "")));
    class("delete snapshot empty", &|fs| write(fs, &first(fs, "del.", ""), b""));
    class("an empty newer manifest", &|fs| {
        let number: u64 = manifest(fs).trim_start_matches("manifest.").parse().unwrap();
        write(fs, &format!("manifest.{}", number + 1), b"");
    });
    class("a cut newer manifest", &|fs| {
        let name = manifest(fs);
        let number: u64 = name.trim_start_matches("manifest.").parse().unwrap();
        let whole = read(fs, &name);
        write(fs, &format!("manifest.{}", number + 1), &whole[..whole.len() / 2]);
    });
    class("forward blocks of two segments swapped", &|fs| {
        let (one, other) = (first(fs, "0/scalar.", ".ipc"), first(fs, "1/scalar.", ".ipc"));
        let (a, b) = (read(fs, &one), read(fs, &other));
        write(fs, &one, &b);
        write(fs, &other, &a);
    });
    class("leftovers of a crash", &|fs| {
        write(fs, "manifest.99.tmp", b"half");
        write(fs, "0/title.index.77.proxima.tmp", b"half");
        write(fs, "del.77", b"");
    });
    classes
}

/// The log, damaged: what it loses is known.
fn log_classes() -> Vec<Class> {
    let mut classes = Vec::new();
    let (whole, docs) = rich();
    let log = first(whole, "", ".wal");
    let (_, flushed_docs) = {
        // What the collection is without its last three operations.
        let fs = whole.fork();
        fs.remove_file(&Path::new(ROOT).join(&log)).unwrap();
        let shared: Arc<dyn VfsMut> = Arc::new(fs);
        ((), documents(&shared))
    };
    let content = read(whole, &log);
    let fs = whole.fork();
    write(&fs, &log, &[content.as_slice(), &[7, 0, 0]].concat());
    classes.push(Class { name: "torn tail of the log", fs, docs: docs.clone() });
    let fs = whole.fork();
    write(&fs, &log, b"");
    classes.push(Class { name: "empty log", fs, docs: flushed_docs });
    classes
}

#[test]
fn every_class_without_loss_brings_every_document_back_and_undo_every_byte() {
    for Class { name, fs, docs } in lossless() {
        let before = bytes(&fs);
        let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
        let report = mend(&shared).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.clean, "{name}: {:#?}", report.after);
        assert!(report.applied, "{name}: nothing was done");
        assert!(report.done.iter().all(|done| done.ok && done.lost.is_empty()), "{name}: {:#?}", report.done);
        assert_eq!(errors(&shared), [], "{name}");
        assert_eq!(documents(&shared), docs, "{name}");
        assert_eq!(report.documents_after, Some(docs.len() as u64), "{name}");
        assert_eq!(undo_all(&shared), Ok(1), "{name}");
        let after = bytes(&fs);
        let differing: Vec<_> =
            before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(differing.is_empty(), "{name}: {differing:?}");
    }
}

#[test]
fn a_damaged_log_keeps_every_intact_record() {
    for Class { name, fs, docs } in log_classes() {
        let before = bytes(&fs);
        let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
        let report = mend(&shared).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.clean, "{name}: {:#?}", report.after);
        assert_eq!(documents(&shared), docs, "{name}");
        undo_all(&shared).unwrap();
        assert_eq!(bytes(&fs), before, "{name}");
    }
}

/// Where the records of a log begin.
fn records(log: &[u8]) -> Vec<usize> {
    let next = |at: usize| Some(at + 8 + u32::from_le_bytes(*log.get(at..)?.first_chunk()?) as usize);
    std::iter::successors(Some(64), |at| next(*at)).take_while(|at| *at < log.len()).collect()
}

/// The keys of the documents that a repair names as lost.
fn lost(report: &zvecctl::report::repair::RepairReport) -> Vec<String> {
    report.done.iter().flat_map(|done| &done.lost).filter_map(|lost| lost.id.clone()).collect()
}

#[test]
fn documents_of_damaged_records_are_named() {
    let (fs, docs) = rich();
    let log = first(fs, "", ".wal");
    let starts = records(&read(fs, &log));
    let last = |number: usize| starts.get(number + 1).copied().unwrap_or(read(fs, &log).len()) - 1;
    // INSERT of 40, DELETE of 15, UPSERT of 16. The last byte of the last record could have been torn.
    for (number, key) in [(0, 40), (2, 16)] {
        let fs = fs.fork();
        flip(&fs, &log, last(number));
        let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
        let report = mend(&shared).unwrap();
        assert_eq!(lost(&report), [String::from_utf8(pk(key)).unwrap()], "{:#?}", report.done);
        let mut left = documents(&shared);
        let back = left.remove(&pk(key));
        assert_eq!(back.is_some(), key == 16, "the version before comes back");
        let mut others = docs.clone();
        others.remove(&pk(key));
        assert_eq!(left, others);
    }
    let fs = fs.fork();
    flip(&fs, &log, starts[1] + 8 + 4 + pk(15).len());
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let report = mend(&shared).unwrap();
    assert_eq!(lost(&report), [""; 0]);
    let name = String::from_utf8(pk(15)).unwrap();
    let told = |line: &String| line.contains(&name) && line.contains("was deleted");
    assert!(report.done.iter().any(|done| done.doubtful.iter().any(told)), "{:#?}", report.done);
    assert!(documents(&shared).contains_key(&pk(15)));
}

/// A record that was not written to its end was never acknowledged as durable: nothing to repair, and yet worth its name.
#[test]
fn a_torn_record_is_named() {
    let (fs, _) = rich();
    let fs = fs.fork();
    let log = first(&fs, "", ".wal");
    let content = read(&fs, &log);
    write(&fs, &log, &content[..content.len() - 3]);
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let report = mend(&shared).unwrap();
    let said = format!("its bytes say UPSERT of {:?}", String::from_utf8(pk(16)).unwrap());
    assert!(report.findings.iter().any(|finding| finding.detail.contains(&said)), "{:#?}", report.findings);
}

/// Each has the other's metric, and no third file of those rows could be meant.
#[test]
fn vector_files_in_each_others_place_are_exchanged() {
    let (fs, docs) = flushed();
    let before = bytes(&fs);
    let (one, other) = (first(&fs, "0/dense.index", ""), first(&fs, "0/small.index", ""));
    let (of_one, of_other) = (read(&fs, &one), read(&fs, &other));
    write(&fs, &one, &of_other);
    write(&fs, &other, &of_one);
    let swapped = bytes(&fs);
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let report = mend(&shared).unwrap();
    assert!(report.clean, "{:#?}", report.after);
    assert_eq!(documents(&shared), docs);
    assert_eq!(lost(&report), [""; 0]);
    let told = |line: &String| line.contains("fit when exchanged");
    assert_eq!(report.done.iter().flat_map(|done| &done.doubtful).filter(|line| told(line)).count(), 1);
    assert_eq!(undo_all(&shared), Ok(1));
    assert_eq!(bytes(&fs), swapped);
    assert_ne!(swapped, before);
}

/// New files never get a name that is taken, not even by a file with the highest block id that there is.
#[test]
fn a_stray_file_with_the_highest_block_id_is_in_nobodys_way() {
    let (fs, docs) = rich();
    let fs = fs.fork();
    let log = first(&fs, "", ".wal");
    let segment = log.split('/').next().unwrap();
    let stray = read(&fs, &first(&fs, "0/dense.index", ""));
    for id in [u32::MAX, u32::MAX - 1] {
        write(&fs, &format!("{segment}/dense.index.{id}.proxima"), &stray);
    }
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let options = zvecctl::engine::OpenOptions::default();
    let mut collection =
        zvecctl::engine::Collection::open(shared.clone(), Path::new(ROOT), options).collection.unwrap();
    collection.flush().unwrap();
    drop(collection);
    assert_eq!(documents(&shared), *docs);
}

/// A manifest of a backup was put back. What was flushed since stands there whole, and was set aside.
#[test]
fn a_manifest_of_an_earlier_state_costs_nothing() {
    let old = rich().0.fork();
    let put = |fs: &MemoryFs, begin: &str, keep: bool| {
        let now = files(fs, begin, "");
        files(&old, begin, "").into_iter().for_each(|path| write(fs, &path, &read(&old, &path)));
        let newer = now.into_iter().filter(|path| !keep && !files(&old, begin, "").contains(path));
        newer.for_each(|path| fs.remove_file(&Path::new(ROOT).join(path)).unwrap());
    };
    for with_snapshot in [false, true] {
        let (fs, docs) = flushed();
        put(&fs, "manifest.", false);
        if with_snapshot {
            put(&fs, "del.", true);
        }
        let before = bytes(&fs);
        let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
        let codes: Vec<String> = errors(&shared).into_iter().map(|finding| finding.code).collect();
        assert!(codes.iter().any(|code| code == "manifest.behind"), "{codes:?}");
        assert!(!codes.iter().any(|code| code == "wal.missing"), "{codes:?}");
        let report = mend(&shared).unwrap();
        assert!(report.clean, "{:#?}", report.after);
        assert_eq!(documents(&shared), docs, "{with_snapshot}");
        assert_eq!(lost(&report), [""; 0]);
        assert_eq!(undo_all(&shared), Ok(1));
        assert_eq!(bytes(&fs), before);
    }
}

/// The id map may be the last that knows of documents: it is not made anew without a word about them.
#[test]
fn a_document_that_only_the_id_map_knows_is_named() {
    let (fs, docs) = flushed();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let mut map = IdMap::open(&Files::new(shared.clone()), Path::new(ROOT).join("idmap.0")).unwrap();
    map.put(b"ghost", 1000).unwrap();
    map.flush().unwrap();
    drop(map);
    let report = mend(&shared).unwrap();
    assert!(report.clean, "{:#?}", report.after);
    assert_eq!(lost(&report), ["ghost"]);
    assert_eq!(documents(&shared), docs);
}

/// A wrong length leaves nothing of the record to be trusted; zvec may have flushed the id map ahead of the manifest, and that knows the key.
#[test]
fn a_document_whose_record_is_nothing_any_more_is_named_by_the_id_map() {
    let (fs, docs) = rich();
    let fs = fs.fork();
    let log = first(&fs, "", ".wal");
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let mut map = IdMap::open(&Files::new(shared.clone()), Path::new(ROOT).join("idmap.0")).unwrap();
    let ids = 14 + 2 + 8;
    map.put(&pk(40), ids).unwrap();
    map.flush().unwrap();
    let mut content = read(&fs, &log);
    content[64..72].fill(0);
    write(&fs, &log, &content);
    let report = mend(&shared).unwrap();
    assert_eq!(lost(&report), [String::from_utf8(pk(40)).unwrap()], "{:#?}", report.done);
    let mut left = docs.clone();
    left.remove(&pk(40));
    assert_eq!(documents(&shared), left);
}

/// An id map without a key, whose checksums all fit, and a delete snapshot that is whole and older: nothing tells which of them lies.
#[test]
fn a_whole_snapshot_is_not_overruled_by_an_id_map_that_lost_a_key() {
    let (fs, docs) = flushed();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let mut map = IdMap::open(&Files::new(shared.clone()), Path::new(ROOT).join("idmap.0")).unwrap();
    map.delete(&pk(7)).unwrap();
    map.flush().unwrap();
    let path = first(&fs, "del.", "");
    let mut set = delete_set::read(&read(&fs, &path)).unwrap().ids;
    // The row that the upsert of document 4 replaced.
    assert!(set.remove(4));
    write(&fs, &path, &delete_set::write(&set, 0));
    let report = mend(&shared).unwrap();
    assert!(report.clean, "{:#?}", report.after);
    assert_eq!(documents(&shared), docs);
    let map = report.done.iter().find(|done| done.fix == Fix::IdMap).unwrap();
    assert!(map.doubtful.iter().any(|line| line.starts_with("1 document(s) are kept")), "{map:#?}");
}

#[test]
fn a_healthy_collection_is_not_touched() {
    for (name, fs) in [("with a log", rich().0.fork()), ("flushed", flushed().0)] {
        let before = fs.fingerprint();
        let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
        let report = mend(&shared).unwrap();
        assert!(report.plan.actions.is_empty() && !report.applied && report.clean, "{name}: {:#?}", report.plan);
        assert_eq!(fs.fingerprint(), before, "{name}");
    }
}

/// The index has words, not texts: it tells that a text is damaged and cannot mend it. The new index follows the text, so this must be said.
#[test]
fn a_text_that_its_index_contradicts_is_kept_and_called_doubtful() {
    let (fs, mut docs) = flushed();
    let path = first(&fs, "0/scalar.", ".ipc");
    let mut content = read(&fs, &path);
    let at = content.windows(8).position(|text| text == b"w3 w1 w3").unwrap();
    content[at + 1] ^= 4;
    write(&fs, &path, &content);
    docs.get_mut(&pk(1)).unwrap()[3] = zvecctl::format::value::Value::Bytes(b"w7 w1 w3".to_vec());
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let report = mend(&shared).unwrap();
    assert!(report.clean, "{:#?}", report.after);
    assert_eq!(documents(&shared), docs);
    assert!(
        report.done.iter().any(|done| done.doubtful.iter().any(|line| line.contains("1 documents"))),
        "{:#?}",
        report.done
    );
}
