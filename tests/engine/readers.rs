//! Readers beside a writer.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use zvecctl::engine::{Mode, Operation};

use crate::model::{create, doc, options_with_blocks_of, pk, real, rich_schema, whole};

/// Document n is written in version v only after every document was written in version v - 1, and each round is flushed: any version
/// that a reader sees has whole rounds, with all documents in the same version.
#[test]
fn a_reader_sees_one_version_while_a_writer_flushes() {
    const DOCS: u64 = 20;
    const ROUNDS: u64 = 12;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("collection");
    let schema = rich_schema(70);
    let mut collection = create(real(), &root, &schema, options_with_blocks_of(64 << 20));
    let readers = collection.readers();
    let (done, looks) = (AtomicBool::new(false), AtomicU64::new(0));
    let old = collection.reader();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (readers, schema, done, looks) = (readers.clone(), &schema, &done, &looks);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let reader = readers();
                    let mut seen = Vec::new();
                    let findings = reader
                        .each(&mut |document| {
                            seen.push(document);
                            ControlFlow::Continue(())
                        })
                        .unwrap();
                    assert!(findings.is_empty(), "{findings:#?}");
                    let again = reader.get(&[pk(7), pk(DOCS + 1)]).unwrap();
                    assert!(again[1].is_none());
                    if seen.is_empty() {
                        continue;
                    }
                    assert_eq!(seen.len() as u64, DOCS, "whole rounds");
                    let version = (0..ROUNDS).find(|version| {
                        let expected = whole(&doc(schema, 7, *version));
                        let found = again[0].as_ref().expect("it was flushed");
                        found.fields[1] == zvecctl::inspect::documents::Cell::Value(expected[1].clone())
                    });
                    assert!(version.is_some());
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for version in 0..ROUNDS {
            let operations = (0..DOCS).map(|n| Operation::Put(Mode::Upsert, doc(&schema, n, version))).collect();
            collection.write(operations).unwrap();
            collection.flush().unwrap();
        }
        while looks.load(Ordering::Relaxed) < 10 {
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
    let mut count = 0;
    old.each(&mut |_| {
        count += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(count, 0, "a version from before the first flush still has no document");
}
