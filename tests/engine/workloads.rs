//! Workloads beside the model.

use proptest::prelude::*;
use zvecctl::engine::{Collection, Mode, OpenOptions, Operation};

use crate::model::{self, Docs, apply, create, doc, on_disk, options, pk, real, rich_schema};

fn open(root: &std::path::Path) -> Collection {
    let options = OpenOptions { options: options(), ..OpenOptions::default() };
    let opening = Collection::open(real(), root, options);
    match opening.collection {
        Ok(collection) => collection,
        Err(error) => panic!("{error}: {:#?}", opening.recovery),
    }
}

fn write(collection: &mut Collection, docs: &mut Docs, operations: Vec<Operation>) {
    for operation in &operations {
        apply(docs, operation);
    }
    collection.write(operations).unwrap();
}

#[test]
fn documents_are_there_after_flush_and_without() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("collection");
    let schema = rich_schema(10_000);
    let mut docs = Docs::new();
    let mut collection = create(real(), &root, &schema, options());
    let inserts = |range: std::ops::Range<u64>| {
        range.map(|n| Operation::Put(Mode::Insert, doc(&schema, n, 0))).collect::<Vec<_>>()
    };
    write(&mut collection, &mut docs, inserts(0..50));
    assert_eq!(collection.unflushed(), 50);
    let flushed = collection.flush().unwrap();
    assert_eq!((flushed.manifest.as_deref(), flushed.rows), (Some("manifest.1"), 50));
    assert_eq!(collection.flush().unwrap().manifest, None, "nothing to do publishes nothing");
    write(&mut collection, &mut docs, inserts(50..80));
    write(&mut collection, &mut docs, vec![Operation::Delete(pk(3)), Operation::Delete(pk(60))]);
    let mut update = doc(&schema, 10, 4);
    update.values[0] = None;
    update.values[4] = None;
    write(
        &mut collection,
        &mut docs,
        vec![
            Operation::Put(Mode::Update, update.clone()),
            Operation::Put(Mode::Update, doc(&schema, 70, 1)),
            Operation::Put(Mode::Upsert, doc(&schema, 10, 5)),
            Operation::Put(Mode::Upsert, doc(&schema, 200, 5)),
        ],
    );
    drop(collection);
    assert_eq!(on_disk(real(), &root), docs);

    let mut collection = open(&root);
    assert_eq!(collection.len(), docs.len() as u64);
    update.pk = pk(71);
    write(&mut collection, &mut docs, vec![Operation::Put(Mode::Update, update)]);
    collection.flush().unwrap();
    assert_eq!(on_disk(real(), &root), docs);
    collection.flush().unwrap();
    drop(collection);
    let collection = open(&root);
    assert_eq!((collection.unflushed(), collection.len()), (0, docs.len() as u64));
}

#[test]
fn refusals_leave_the_others_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("collection");
    let schema = rich_schema(10_000);
    let mut collection = create(real(), &root, &schema, options());
    let mut wrong = doc(&schema, 3, 0);
    wrong.values[4] = Some(zvecctl::format::value::Value::F32s(vec![1.0]));
    let results = collection
        .write(vec![
            Operation::Put(Mode::Insert, doc(&schema, 1, 0)),
            Operation::Put(Mode::Insert, doc(&schema, 1, 1)),
            Operation::Put(Mode::Update, doc(&schema, 2, 1)),
            Operation::Delete(pk(9)),
            Operation::Put(Mode::Insert, wrong),
            Operation::Put(Mode::Insert, doc(&schema, 4, 0)),
        ])
        .unwrap();
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().err().map(|refusal| refusal.code)).collect();
    let expected = [
        None,
        Some("document.exists"),
        Some("document.not-found"),
        Some("document.not-found"),
        Some("document.dimension"),
        None,
    ];
    assert_eq!(codes, expected);
    assert_eq!(collection.len(), 2);
}

#[test]
fn a_full_segment_is_followed_by_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("collection");
    let schema = rich_schema(7);
    let mut docs = Docs::new();
    let mut collection = create(real(), &root, &schema, options());
    let inserts = (0..30).map(|n| Operation::Put(Mode::Insert, doc(&schema, n, 0))).collect();
    write(&mut collection, &mut docs, inserts);
    let manifest = collection.version().manifest.clone();
    let persisted: Vec<u32> = manifest.persisted_segment_metas.iter().map(|segment| segment.segment_id).collect();
    assert_eq!(persisted, [0, 1, 2, 3]);
    assert_eq!(manifest.next_segment_id, 5);
    drop(collection);
    assert_eq!(on_disk(real(), &root), docs);
}

#[test]
fn a_full_block_is_flushed_before_the_next_record() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("collection");
    let schema = rich_schema(10_000);
    let mut docs = Docs::new();
    let mut collection = create(real(), &root, &schema, model::options_with_blocks_of(4096));
    for n in 0..200 {
        write(&mut collection, &mut docs, vec![Operation::Put(Mode::Insert, doc(&schema, n, 0))]);
    }
    let blocks = collection.version().manifest.writing_segment_meta.clone().unwrap().persisted_blocks.len();
    assert!(blocks > 10, "only {blocks} blocks");
    drop(collection);
    assert_eq!(on_disk(real(), &root), docs);
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, u64, u64)>),
    Flush,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let writes = prop::collection::vec((0..5u8, 0..25u64, 0..9u64), 1..12).prop_map(Step::Write);
    prop::collection::vec(prop_oneof![4 => writes, 1 => Just(Step::Flush), 1 => Just(Step::Reopen)], 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_workload_leaves_what_the_model_says(steps in steps(), max_docs in 5..60u64) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("collection");
        let schema = rich_schema(max_docs);
        let mut docs = Docs::new();
        let mut collection = create(real(), &root, &schema, options());
        for step in steps {
            match step {
                Step::Write(writes) => {
                    let operations = writes.into_iter().map(|(kind, number, version)| match kind {
                        0 => Operation::Delete(pk(number)),
                        1 => Operation::Put(Mode::Insert, doc(&schema, number, version)),
                        2 => Operation::Put(Mode::Update, doc(&schema, number, version)),
                        _ => Operation::Put(Mode::Upsert, doc(&schema, number, version)),
                    });
                    write(&mut collection, &mut docs, operations.collect());
                }
                Step::Flush => drop(collection.flush().unwrap()),
                Step::Reopen => {
                    drop(collection);
                    collection = open(&root);
                }
            }
            prop_assert_eq!(collection.len(), docs.len() as u64);
        }
        prop_assert_eq!(&on_disk(real(), &root), &docs);
        collection.flush().unwrap();
        drop(collection);
        prop_assert_eq!(&on_disk(real(), &root), &docs);
    }
}
