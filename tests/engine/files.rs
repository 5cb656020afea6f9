//! What lies in a collection's directory.

use std::{fs, path::Path};

use zvecctl::engine::{Mode, OpenOptions, Operation};

use crate::model::{create, doc, options, real, rich_schema};

/// Vector files of segment 0: name and length.
fn vector_files(root: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(root.join("0")).unwrap().map(Result::unwrap);
    let files = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()));
    files.filter(|(name, _)| Path::new(name).extension().is_some_and(|extension| extension == "proxima")).collect()
}

/// Merging segments, zvec 0.8.0 copies the first FLAT file of a column and appends the rows of the others to it. It takes for granted
/// that a segment has the room that it would have given it: with less, rows were lost, or it crashed.
#[test]
fn vector_files_have_the_room_that_zvec_gives_them() {
    const TABLE: u64 = 1 << 20;
    const FEATURES: u64 = 4 << 20;
    const SPARSE_CHUNKS: u64 = (8 << 20) + (1 << 20);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("collection");
    let schema = rich_schema(10_000);
    let mut collection = create(real(), &root, &schema, options());
    collection.write((0..10).map(|n| Operation::Put(Mode::Insert, doc(&schema, n, 0))).collect()).unwrap();
    collection.flush().unwrap();
    let files = vector_files(&root);
    assert_eq!(files.len(), 4, "{files:?}");
    for (name, len) in files {
        let room = if name.starts_with("sparse") { SPARSE_CHUNKS } else { FEATURES };
        // Whole blocks: a feature segment is a little less than its 4 MiB.
        assert!(len >= TABLE + room, "{name} has {len} bytes");
    }
}

/// Vector files of the open block were left behind, under new names each time; zvec, which replays the log into files that it names
/// itself, would never remove them.
#[test]
fn a_collection_that_is_closed_without_a_flush_leaves_no_vector_files() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("collection");
    let schema = rich_schema(10_000);
    let mut collection = create(real(), &root, &schema, options());
    for round in 0..3 {
        let docs = (0..10).map(|n| Operation::Put(Mode::Insert, doc(&schema, round * 10 + n, 0))).collect();
        collection.write(docs).unwrap();
        assert_eq!(vector_files(&root).len(), 4);
        collection.close();
        assert_eq!(vector_files(&root), []);
        let options = OpenOptions { options: options(), ..OpenOptions::default() };
        collection = zvecctl::engine::Collection::open(real(), &root, options).collection.unwrap();
        assert_eq!(collection.len(), round * 10 + 10);
    }
    collection.flush().unwrap();
    assert_eq!(vector_files(&root).len(), 4);
}
