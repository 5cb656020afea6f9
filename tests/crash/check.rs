//! What must hold for an image.

use std::{
    any::Any,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use zvecctl::{
    engine::{Collection, CreateOptions, Mode, Operation, Options, Schema},
    format::manifest::Style,
    inspect::{Tree, View, files},
    report::{Severity, files::Role},
    verify::{self, Flow, Level},
    vfs::{Log, MemoryFs, Vfs, VfsMut},
};

use crate::{
    images::Image,
    model::{Docs, apply, on_disk},
    workload::{Promise, ROOT, Run, open_options, put},
};

/// What an image holds, after all that must hold for every image has been seen to; `None`: there is no collection.
pub type Outcome = Result<Option<Docs>, String>;

/// Outcomes of the images seen so far, by fingerprint.
pub struct Seen {
    /// Which of them are verified at the end, with every check there is: all, or one of so many.
    verified: Option<u128>,
    outcomes: Mutex<HashMap<u128, Arc<Outcome>>>,
    pub positions: AtomicUsize,
    pub images: AtomicUsize,
}

impl Seen {
    /// One of `verified` images goes through every check there is; with `None` none does.
    pub fn new(verified: Option<u128>) -> Self {
        Self { verified, outcomes: Mutex::default(), positions: AtomicUsize::new(0), images: AtomicUsize::new(0) }
    }

    pub fn distinct(&self) -> usize {
        self.outcomes.lock().unwrap().len()
    }

    pub fn counts(&self) -> String {
        let (positions, images) = (self.positions.load(Ordering::Relaxed), self.images.load(Ordering::Relaxed));
        format!("{positions} positions, {images} images, {} distinct", self.distinct())
    }

    fn outcome(&self, run: &Run, image: &Image) -> Arc<Outcome> {
        self.images.fetch_add(1, Ordering::Relaxed);
        let fingerprint = image.fs.fingerprint();
        if let Some(known) = self.outcomes.lock().unwrap().get(&fingerprint) {
            return known.clone();
        }
        let verified = self.verified.is_some_and(|every| fingerprint.is_multiple_of(every));
        let outcome = Arc::new(examine(&run.schema, &run.options, &image.fs, verified));
        self.outcomes.lock().unwrap().insert(fingerprint, outcome.clone());
        outcome
    }
}

/// Checks the images of a log's positions, in threads; ends early at the first failure if `stop`. Returns what failed.
pub fn check_positions(
    run: &Run,
    log: &Log,
    positions: &[usize],
    seen: &Seen,
    stop: bool,
    images: impl Fn(&Log, usize) -> Vec<Image> + Sync,
) -> Vec<String> {
    const CHUNK: usize = 8;
    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let log = log.clone();
                loop {
                    let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                    let Some(chunk) = positions.get(from..(from + CHUNK).min(positions.len())) else { return };
                    for position in chunk {
                        if stop && !failures.lock().unwrap().is_empty() {
                            return;
                        }
                        seen.positions.fetch_add(1, Ordering::Relaxed);
                        for image in images(&log, *position) {
                            if let Err(error) = check(run, &log, *position, &image, seen) {
                                failures.lock().unwrap().push(error);
                            }
                        }
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

/// Checks one image.
pub fn check(run: &Run, log: &Log, position: usize, image: &Image, seen: &Seen) -> Result<(), String> {
    let promise = run.promise(log, position);
    let found = seen.outcome(run, image);
    let result = match found.as_ref() {
        Err(error) => Err(error.clone()),
        Ok(None) if promise.created => Err("the collection is gone".to_owned()),
        Ok(None) => Ok(()),
        Ok(Some(docs)) => fits(run, promise, image.killed, docs),
    };
    result.map_err(|error| {
        let operation = position.checked_sub(1).and_then(|before| log.operations().get(before));
        let operation = operation.map_or_else(String::new, ToString::to_string);
        format!("position {position}, after {operation} ({}, {promise:?}): {error}", image.kind)
    })
}

/// Whether the documents are those after some operations that contain all that was promised.
fn fits(run: &Run, promise: Promise, killed: bool, docs: &Docs) -> Result<(), String> {
    let least = if killed { promise.acknowledged } else { promise.durable };
    if run.states[least..=promise.issued].contains(docs) {
        return Ok(());
    }
    let same: Vec<usize> = (0..run.states.len()).filter(|number| run.states[*number] == *docs).collect();
    Err(format!(
        "holds {} documents, the state after {same:?} operations; {least} to {} are right",
        docs.len(),
        promise.issued
    ))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Everything that must hold for an image, whatever was promised.
fn examine(schema: &Schema, options: &Options, image: &MemoryFs, verified: bool) -> Outcome {
    let examined = catch_unwind(AssertUnwindSafe(|| examine_or_panic(schema, options, image, verified)));
    examined.map_err(|panic| said(panic.as_ref()))
}

fn examine_or_panic(schema: &Schema, options: &Options, image: &MemoryFs, verified: bool) -> Option<Docs> {
    let root = Path::new(ROOT);
    let fs = image.fork();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    if fs.metadata(root).is_err() {
        let create = CreateOptions { enable_mmap: true, style: Style::Release };
        let created = Collection::create(shared.clone(), root, schema, create, open_options(options));
        created.unwrap_or_else(|error| panic!("cannot be created again: {error}"));
        assert!(on_disk(shared, root).is_empty());
        return None;
    }
    // What inspection alone sees is what recovery finds.
    let found = on_disk(shared.clone(), root);
    let collection = open(&shared, options);
    assert_eq!(collection.len(), found.len() as u64, "documents after recovery");
    drop(collection);
    assert_same(&on_disk(shared.clone(), root), &found, "recovery changed documents");

    // Recovery from what a recovery left, and new work.
    let mut collection = open(&shared, options);
    let mut docs = found.clone();
    let operations = new_work(schema, &docs);
    operations.iter().for_each(|operation| apply(&mut docs, operation));
    let results = collection.write(operations).unwrap_or_else(|error| panic!("cannot write: {error}"));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let flushed = collection.flush().unwrap_or_else(|error| panic!("cannot flush: {error}"));
    assert!(flushed.leftovers.is_empty(), "{:?}", flushed.leftovers);
    assert_eq!(collection.len(), docs.len() as u64, "documents after new work");
    drop(collection);
    assert_same(&on_disk(shared.clone(), root), &docs, "after new work");

    let before = fs.fingerprint();
    let collection = open(&shared, options);
    assert_eq!((collection.unflushed(), collection.len()), (0, docs.len() as u64), "opened after a flush");
    assert_eq!(before, fs.fingerprint(), "opening changed a collection that was flushed");
    drop(collection);
    if verified {
        verify_all(&shared);
    }
    let leftovers = leftovers(&shared);
    assert!(leftovers.is_empty(), "left over after a flush: {leftovers:?}");
    Some(found)
}

fn open(fs: &Arc<dyn VfsMut>, options: &Options) -> Collection {
    let opening = Collection::open(fs.clone(), Path::new(ROOT), open_options(options));
    let collection = opening.collection.unwrap_or_else(|error| panic!("{error}: {:#?}", opening.recovery));
    // No manifest is ever published before it is whole, so none is ever set aside.
    let aside: Vec<_> = opening.recovery.set_aside.iter().filter(|moved| !moved.path.ends_with(".wal")).collect();
    assert!(aside.is_empty(), "set aside: {aside:?}");
    collection
}

/// An insertion, an upsert, an update and a deletion, as far as there are documents for that.
fn new_work(schema: &Schema, docs: &Docs) -> Vec<Operation> {
    let numbers: Vec<u64> = docs.keys().map(|pk| String::from_utf8_lossy(&pk[4..]).parse().unwrap()).collect();
    let mut operations = vec![put(schema, Mode::Insert, 900, 0)];
    operations.extend(numbers.first().map(|number| put(schema, Mode::Upsert, *number, 901)));
    operations.extend(numbers.get(numbers.len() / 2).map(|number| put(schema, Mode::Update, *number, 902)));
    operations.extend(docs.keys().next_back().map(|pk| Operation::Delete(pk.clone())));
    operations
}

fn assert_same(found: &Docs, expected: &Docs, what: &str) {
    if found != expected {
        let wrong: Vec<String> = expected
            .keys()
            .chain(found.keys())
            .filter(|pk| found.get(*pk) != expected.get(*pk))
            .map(|pk| String::from_utf8_lossy(pk).into_owned())
            .collect();
        panic!("{what}: {wrong:?} of {} documents, {} expected", found.len(), expected.len());
    }
}

/// Every check there is: indexes, id map and vectors against the rows.
fn verify_all(fs: &Arc<dyn VfsMut>) {
    let view = View::open(fs.clone(), Path::new(ROOT)).unwrap();
    let tree = Tree::walk(fs.as_ref(), Path::new(ROOT));
    let options = verify::Options { level: Level::Contents, threads: 1, segment: None, fail_fast: false, seal: None };
    let verified = verify::verify(&view, &tree, &options, |_| {}, &mut |_, _| Flow::Continue).unwrap();
    assert!(verified.files > 0);
    let wrong: Vec<_> = verified.findings.into_iter().filter(|finding| finding.severity != Severity::Info).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Files that nothing needs.
fn leftovers(fs: &Arc<dyn VfsMut>) -> Vec<String> {
    let view = View::open(fs.clone(), Path::new(ROOT)).unwrap();
    let tree = Tree::walk(fs.as_ref(), Path::new(ROOT));
    let listed = files::list(&view, &tree);
    let needless = listed.into_iter().filter(|file| !matches!(file.role, Role::Manifest | Role::Named | Role::Lock));
    needless.map(|file| file.path).collect()
}
