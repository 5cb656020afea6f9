//! Where id map, delete snapshot and rows do not agree, and nothing tells which of them is right: nothing is lost, and every document in question is named.

use std::{path::Path, sync::Arc};

use zvecctl::{
    engine::parts::{Files, IdMap},
    format::delete_set,
    report::repair::RepairReport,
    vfs::{MemoryFs, VfsMut},
};

use crate::{
    collection::{ROOT, documents, files, flushed, mend, read, write},
    model::pk,
};

fn name(number: u64) -> String {
    String::from_utf8(pk(number)).unwrap()
}

fn doubts(report: &RepairReport) -> Vec<&str> {
    report.done.iter().flat_map(|done| &done.doubtful).map(String::as_str).collect()
}

fn map(fs: &MemoryFs) -> IdMap {
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    IdMap::open(&Files::new(shared), Path::new(ROOT).join("idmap.0")).unwrap()
}

fn snapshot(fs: &MemoryFs) -> String {
    files(fs, "del.", "").remove(0)
}

fn repaired(fs: &MemoryFs) -> RepairReport {
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let report = mend(&shared).unwrap();
    assert!(report.clean, "{:#?}", report.after);
    report
}

fn live(fs: &MemoryFs) -> Vec<Vec<u8>> {
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    documents(&shared).into_keys().collect()
}

/// The snapshot of an earlier state: documents that were deleted since have no key in the map.
#[test]
fn what_an_older_snapshot_brings_back_is_named() {
    let (fs, docs) = flushed();
    let path = snapshot(&fs);
    let mut set = delete_set::read(&read(&fs, &path)).unwrap().ids;
    assert!(set.remove(3) && set.remove(4), "3 was deleted, 4 replaced");
    write(&fs, &path, &delete_set::write(&set, 0));
    let report = repaired(&fs);
    assert!(live(&fs).contains(&pk(3)) && live(&fs).len() == docs.len() + 1);
    let doubts = doubts(&report);
    assert!(
        doubts.iter().any(|line| line.starts_with("1 document(s) are kept") && line.contains(&name(3))),
        "{doubts:?}"
    );
    assert!(doubts.iter().any(|line| line.starts_with("the snapshot lacks 1 replaced rows")), "{doubts:?}");
}

/// The map of an earlier state lacks what came later: that says nothing against it.
#[test]
fn what_an_older_id_map_lacks_is_not_in_doubt() {
    let (fs, docs) = flushed();
    let mut older = map(&fs);
    older.delete(&pk(40)).unwrap();
    older.delete(&pk(16)).unwrap();
    older.flush().unwrap();
    let report = repaired(&fs);
    assert_eq!(doubts(&report), [""; 0]);
    assert_eq!(live(&fs), docs.into_keys().collect::<Vec<_>>());
}

/// Without a snapshot, too, the newest documents are not taken for deleted because an older map has never heard of them.
#[test]
fn without_a_snapshot_an_older_id_map_deletes_nothing_that_came_later() {
    let (fs, docs) = flushed();
    let mut older = map(&fs);
    older.delete(&pk(40)).unwrap();
    older.delete(&pk(16)).unwrap();
    older.flush().unwrap();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    shared.remove_file(&Path::new(ROOT).join(snapshot(&fs))).unwrap();
    let report = repaired(&fs);
    assert!(live(&fs).contains(&pk(40)) && live(&fs).contains(&pk(16)));
    assert_eq!(live(&fs), docs.into_keys().collect::<Vec<_>>(), "deleted ones below that are known by the map");
    assert!(doubts(&report).iter().any(|line| line.contains("may have come back")));
}

/// A damaged snapshot may mark what never was deleted.
#[test]
fn what_a_damaged_snapshot_marks_and_the_id_map_has_is_named() {
    let (fs, docs) = flushed();
    let path = snapshot(&fs);
    let mut set = delete_set::read(&read(&fs, &path)).unwrap().ids;
    set.insert(7);
    let mut content = delete_set::write(&set, 0);
    content[0] ^= 1;
    write(&fs, &path, &content);
    let report = repaired(&fs);
    assert_eq!(live(&fs).len(), docs.len() - 1);
    let doubts = doubts(&report);
    let told = |line: &&str| line.starts_with("1 document(s) stay deleted") && line.contains(&name(7));
    assert!(doubts.iter().any(told), "{doubts:?}");
}

/// A key of a row is damaged, and the map is, too, so that it does not vouch for the right one.
#[test]
fn a_key_that_a_damaged_id_map_has_otherwise_is_named() {
    let (fs, _) = flushed();
    let path = files(&fs, "0/scalar.", ".ipc").remove(0);
    let mut content = read(&fs, &path);
    let key = pk(5);
    let at = content.windows(key.len()).position(|bytes| bytes == key).unwrap();
    content[at] ^= 1;
    let other = String::from_utf8(content[at..at + key.len()].to_vec()).unwrap();
    write(&fs, &path, &content);
    // The end of what the MANIFEST says is lost.
    let log = files(&fs, "idmap.0/MANIFEST", "").remove(0);
    let mut content = read(&fs, &log);
    let end = content.len() - 3;
    content[end] ^= 1;
    write(&fs, &log, &content);
    let report = repaired(&fs);
    let named = format!("{other} ({} in the map)", name(5));
    assert!(doubts(&report).iter().any(|line| line.contains(&named)), "{:#?}", report.done);
}
