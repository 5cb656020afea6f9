//! Workloads on a recording file system, with what was promised at each position.

use std::{path::Path, sync::Arc};

use zvecctl::{
    engine::{Collection, Mode, OpenOptions, Operation, Options, Schema, Sync},
    vfs::{Log, MemoryFs, RecordingFs, Vfs},
};

use crate::model::{self, Docs, apply, doc, pk};

/// Where the collection lies.
pub const ROOT: &str = "/data/collection";

/// One step of a workload.
#[derive(Clone)]
pub enum Step {
    Write(Vec<Operation>),
    Flush,
    Reopen,
}

/// What holds from a mark on: numbers of operations, counted from the first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Promise {
    /// The collection has been made.
    pub created: bool,
    /// Operations that were handed to the engine.
    pub issued: usize,
    /// Operations that were acknowledged: they survive the end of the process.
    pub acknowledged: usize,
    /// Operations that survive a power cut.
    pub durable: usize,
}

/// A workload that was carried out, and all that can be asked about it.
pub struct Run {
    pub log: Log,
    /// The documents after so many operations.
    pub states: Vec<Docs>,
    pub promises: Vec<Promise>,
    pub schema: Arc<Schema>,
    pub options: Options,
}

impl Run {
    /// What is promised at a position of `log`, which is that of the run or made from it.
    pub fn promise(&self, log: &Log, position: usize) -> Promise {
        let mark = log.last_mark(position).unwrap_or(0);
        self.promises[usize::try_from(mark).unwrap()]
    }
}

/// Options with a fixed clock and small blocks.
pub fn options(sync: Sync) -> Options {
    Options { sync, block_memory: 4096, ..model::options() }
}

pub fn open(fs: &RecordingFs, options: &Options) -> Collection {
    let opening = Collection::open(Arc::new(fs.clone()), Path::new(ROOT), open_options(options));
    opening.collection.unwrap_or_else(|error| panic!("{error}: {:#?}", opening.recovery))
}

pub fn open_options(options: &Options) -> OpenOptions {
    OpenOptions { options: options.clone(), ..OpenOptions::default() }
}

struct Recorder {
    fs: RecordingFs,
    promises: Vec<Promise>,
    now: Promise,
}

impl Recorder {
    fn promise(&mut self) {
        self.fs.mark(self.promises.len() as u64);
        self.promises.push(self.now);
    }
}

/// Creates a collection and takes the steps.
pub fn record(schema: Schema, sync: Sync, steps: &[Step]) -> Run {
    let base = MemoryFs::new();
    base.create_dirs(Path::new(ROOT).parent().unwrap()).unwrap();
    let fs = RecordingFs::new(&base);
    let options = options(sync);
    let mut recorder = Recorder { fs: fs.clone(), promises: vec![Promise::default()], now: Promise::default() };
    let collection = model::create(Arc::new(fs), Path::new(ROOT), &schema, options.clone());
    recorder.now.created = true;
    recorder.promise();
    take(recorder, collection, Docs::new(), schema.into(), options, steps)
}

/// Opens the collection of an image that holds `docs`, and takes the steps.
pub fn record_on(image: &MemoryFs, docs: Docs, schema: Arc<Schema>, options: Options, steps: &[Step]) -> Run {
    let fs = RecordingFs::new(image);
    let now = Promise { created: true, ..Promise::default() };
    let collection = open(&fs, &options);
    take(Recorder { fs, promises: vec![now], now }, collection, docs, schema, options, steps)
}

fn take(
    mut recorder: Recorder,
    mut collection: Collection,
    docs: Docs,
    schema: Arc<Schema>,
    options: Options,
    steps: &[Step],
) -> Run {
    let mut states = vec![docs];
    for step in steps {
        match step {
            Step::Write(operations) => {
                let before = collection.version().name.number;
                for operation in operations {
                    let mut docs = states.last().unwrap().clone();
                    apply(&mut docs, operation);
                    states.push(docs);
                }
                recorder.now.issued = states.len() - 1;
                recorder.promise();
                let results = collection.write(operations.clone()).unwrap();
                assert!(results.iter().all(Result::is_ok), "{results:?}");
                if options.sync == Sync::Batch {
                    recorder.now.durable = recorder.now.issued;
                } else if collection.version().name.number != before {
                    // A flush in between took along at least all batches before.
                    recorder.now.durable = recorder.now.acknowledged;
                }
                recorder.now.acknowledged = recorder.now.issued;
            }
            Step::Flush => {
                collection.flush().unwrap();
                recorder.now.durable = recorder.now.acknowledged;
            }
            Step::Reopen => {
                drop(collection);
                collection = open(&recorder.fs, &options);
            }
        }
        recorder.promise();
        assert_eq!(collection.len(), states.last().unwrap().len() as u64);
    }
    drop(collection);
    let Recorder { fs, promises, .. } = recorder;
    assert!(fs.metadata(Path::new(ROOT)).is_ok());
    Run { log: fs.log(), states, promises, schema, options }
}

pub fn put(schema: &Schema, mode: Mode, number: u64, version: u64) -> Operation {
    Operation::Put(mode, doc(schema, number, version))
}

fn inserts(schema: &Schema, numbers: std::ops::Range<u64>) -> Step {
    Step::Write(numbers.map(|number| put(schema, Mode::Insert, number, 0)).collect())
}

fn delete(numbers: &[u64]) -> Step {
    Step::Write(numbers.iter().map(|number| Operation::Delete(pk(*number))).collect())
}

/// An update that leaves fields as they are.
fn update(schema: &Schema, number: u64, version: u64) -> Operation {
    let mut doc = doc(schema, number, version);
    doc.values[1] = None;
    doc.values[4] = None;
    Operation::Put(Mode::Update, doc)
}

/// Everything that a collection goes through: batches of all sizes, every operation, flushes, flushes of deletions alone, full blocks,
/// full segments, reopening with and without a log.
pub fn everything(schema: &Schema) -> Vec<Step> {
    vec![
        inserts(schema, 0..5),
        inserts(schema, 5..6),
        Step::Flush,
        Step::Write(vec![
            put(schema, Mode::Upsert, 2, 1),
            Operation::Delete(pk(1)),
            update(schema, 3, 2),
            put(schema, Mode::Insert, 1, 3),
            update(schema, 1, 4),
        ]),
        Step::Reopen,
        delete(&[4]),
        Step::Flush,
        delete(&[0, 5]),
        Step::Flush,
        Step::Reopen,
        // Across the end of a segment.
        inserts(schema, 10..17),
        Step::Reopen,
        Step::Write(vec![update(schema, 3, 5), put(schema, Mode::Upsert, 12, 5), Operation::Delete(pk(15))]),
        Step::Flush,
        // More than a block.
        inserts(schema, 20..29),
        delete(&[20, 16]),
        Step::Write(vec![put(schema, Mode::Insert, 16, 7)]),
    ]
}

/// A little of all.
pub fn little(schema: &Schema) -> Vec<Step> {
    vec![
        inserts(schema, 0..3),
        Step::Flush,
        Step::Write(vec![put(schema, Mode::Upsert, 1, 1), Operation::Delete(pk(0)), update(schema, 2, 2)]),
        Step::Flush,
        // The segment is full.
        inserts(schema, 5..6),
        inserts(schema, 6..7),
    ]
}
