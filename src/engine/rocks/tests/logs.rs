//! Writes that are only in a log.

use super::*;
use crate::format::rocks::write::LogWriter;

/// A batch of puts, merges and deletions of the family with this id.
fn batch(sequence: u64, operations: &[(u8, &str, Option<&str>)]) -> Vec<u8> {
    let mut bytes = sequence.to_le_bytes().to_vec();
    bytes.extend((operations.len() as u32).to_le_bytes());
    for (tag, key, value) in operations {
        bytes.extend([*tag, 1, key.len() as u8]);
        bytes.extend(key.as_bytes());
        if let Some(value) = value {
            bytes.push(value.len() as u8);
            bytes.extend(value.as_bytes());
        }
    }
    bytes
}

fn write_log(path: &Path, batches: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    let mut log = LogWriter::new(&mut bytes);
    batches.iter().for_each(|batch| log.append(batch).unwrap());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn writes_of_a_log_are_taken_over_once() {
    let parent = tempfile::tempdir().unwrap();
    let (mut store, dir) = new_store(parent.path());
    store.put(b"a", b"gone", b"0").unwrap();
    store.merge(b"a", b"more", b"0").unwrap();
    store.flush().unwrap();
    drop(store);
    // The ids of families, and the tags of operations in them: 5 put, 6 merge, 4 delete.
    let first = batch(50, &[(5, "k", Some("1")), (6, "more", Some("1")), (4, "gone", None)]);
    let second = batch(53, &[(6, "k", Some("2")), (6, "more", Some("2"))]);
    write_log(&dir.join("000008.log"), &[first, second]);
    let expected = Rows::from([row("k", "12"), row("more", "012")]);

    let mut store = open(&dir);
    assert!(store.is_dirty());
    assert_eq!(rows(&store, b"a"), expected);
    assert!(dir.join("000008.log").exists());
    assert_eq!(rows(&open(&dir), b"a"), expected, "taken over again, as it was not flushed");
    store.merge(b"a", b"more", b"3").unwrap();
    let log = std::fs::read(dir.join("000008.log")).unwrap();
    store.flush().unwrap();
    assert!(!dir.join("000008.log").exists());
    // Had the crash come before it was removed:
    std::fs::write(dir.join("000008.log"), log).unwrap();
    let store = open(&dir);
    assert!(!store.is_dirty());
    assert_eq!(rows(&store, b"a"), Rows::from([row("k", "12"), row("more", "0123")]));
    assert!(store.manifest.last_sequence.unwrap() >= 55);
}

#[test]
fn an_empty_log_and_a_torn_one_are_no_obstacle() {
    let parent = tempfile::tempdir().unwrap();
    let (store, dir) = new_store(parent.path());
    drop(store);
    std::fs::write(dir.join("000008.log"), "").unwrap();
    assert!(!open(&dir).is_dirty());
    write_log(&dir.join("000009.log"), &[batch(1, &[(5, "k", Some("1"))]), batch(2, &[(5, "k", Some("2"))])]);
    let bytes = std::fs::read(dir.join("000009.log")).unwrap();
    std::fs::write(dir.join("000009.log"), &bytes[..bytes.len() - 2]).unwrap();
    assert_eq!(rows(&open(&dir), b"a"), Rows::from([row("k", "1")]));
    // A range deletion, which a table of ours cannot hold.
    write_log(&dir.join("000010.log"), &[batch(3, &[(14, "a", Some("b"))])]);
    assert!(matches!(RocksStore::open(Arc::new(RealFs), &dir, options), Err(EngineError::Format { .. })));
}
