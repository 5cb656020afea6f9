//! Disks that fail or are full.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use zvecctl::{
    engine::{Collection, CreateOptions, EngineError, Mode, Operation, Schema, Sync},
    format::manifest::Style,
    vfs::{Failure, FaultyFs, Landed, MemoryFs, Model, RecordingFs, Trigger, Vfs, VfsMut},
};

use crate::{
    full,
    model::{Docs, apply, on_disk, rich_schema},
    tell,
    workload::{ROOT, Step, little, open_options, options, put},
};

/// What a collection may hold: after a batch that failed, any part of it from its beginning on.
struct Candidates(Vec<Docs>);

impl Candidates {
    fn acknowledged(&mut self, operations: &[Operation]) {
        for docs in &mut self.0 {
            operations.iter().for_each(|operation| apply(docs, operation));
        }
    }

    fn failed(&mut self, operations: &[Operation]) {
        let mut all = Vec::new();
        for mut docs in std::mem::take(&mut self.0) {
            all.push(docs.clone());
            for operation in operations {
                apply(&mut docs, operation);
                all.push(docs.clone());
            }
        }
        all.dedup();
        self.0 = all;
    }
}

fn is_reopen(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused(refusal) if refusal.code == "collection.reopen")
}

/// What came of a workload on a failing disk.
struct Outcome {
    recording: RecordingFs,
    /// `None`: it was not even created.
    candidates: Option<Candidates>,
    operations: u64,
    failed: u64,
    errors: usize,
}

fn run(steps: &[Step], max_docs: u64, trigger: Trigger, failure: Failure, landed: Landed) -> Outcome {
    let base = MemoryFs::new();
    base.create_dirs(Path::new(ROOT).parent().unwrap()).unwrap();
    let recording = RecordingFs::new(&base);
    let faulty = Arc::new(FaultyFs::new(Arc::new(recording.clone()), trigger, failure, landed));
    let fs: Arc<dyn VfsMut> = faulty.clone();
    let options = options(Sync::Batch);
    let create = CreateOptions { enable_mmap: true, style: Style::Release };
    let schema = rich_schema(max_docs);
    let created = Collection::create(fs.clone(), Path::new(ROOT), &schema, create, open_options(&options));
    let mut errors = usize::from(created.is_err());
    let Ok(collection) = created else {
        return Outcome {
            recording,
            candidates: None,
            operations: faulty.operations(),
            failed: faulty.failed(),
            errors,
        };
    };
    let mut collection = Some(collection);
    let mut candidates = Candidates(vec![Docs::new()]);
    for step in steps {
        let Some(open) = &mut collection else { break };
        let done = match step {
            Step::Write(operations) => {
                let written = open.write(operations.clone());
                match &written {
                    // Refusals may come of a batch that failed before: the model refuses the same.
                    Ok(results) => {
                        let done = operations.iter().zip(results).filter(|(_, result)| result.is_ok());
                        let done: Vec<Operation> = done.map(|(operation, _)| operation.clone()).collect();
                        candidates.acknowledged(&done);
                    }
                    Err(_) => candidates.failed(operations),
                }
                written.map(drop)
            }
            Step::Flush => open.flush().map(drop),
            Step::Reopen => {
                collection = None;
                let opening = Collection::open(fs.clone(), Path::new(ROOT), open_options(&options));
                opening.collection.map(|opened| collection = Some(opened))
            }
        };
        if let Err(error) = done {
            assert!(faulty.failed() > 0, "nothing failed but: {error}");
            errors += 1;
            assert!(errors == 1 || is_reopen(&error) || matches!(error, EngineError::Io { .. }), "{error}");
        }
    }
    drop(collection);
    Outcome {
        recording,
        candidates: Some(candidates),
        operations: faulty.operations(),
        failed: faulty.failed(),
        errors,
    }
}

/// The collection on a disk that works again.
fn holds(fs: &MemoryFs, candidates: &Candidates, what: &str) {
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let root = Path::new(ROOT);
    let found = on_disk(shared.clone(), root);
    assert!(candidates.0.contains(&found), "{what}: {} documents, which no part of the work leaves", found.len());
    let opening = Collection::open(shared.clone(), root, open_options(&options(Sync::Batch)));
    let mut collection = opening.collection.unwrap_or_else(|error| panic!("{what}: {error}: {:#?}", opening.recovery));
    assert_eq!(collection.len(), found.len() as u64, "{what}");
    collection.flush().unwrap();
    drop(collection);
    assert_eq!(on_disk(shared, root), found, "{what}");
}

/// Opens what a process left that ended without a word, and writes: what is there then is acknowledged.
fn go_on(fs: &RecordingFs, schema: &Schema) -> Docs {
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let mut docs = on_disk(shared.clone(), Path::new(ROOT));
    let opening = Collection::open(shared, Path::new(ROOT), open_options(&options(Sync::Batch)));
    let operation = put(schema, Mode::Insert, 77, 0);
    apply(&mut docs, &operation);
    opening.collection.unwrap().write(vec![operation]).unwrap();
    docs
}

#[test]
fn a_failing_disk_costs_nothing_that_was_acknowledged() {
    let max_docs = 5;
    let mut steps = little(&rich_schema(max_docs));
    steps.insert(4, Step::Reopen);
    let whole = run(&steps, max_docs, Trigger::Never, Failure::Device, Landed::Nothing);
    assert_eq!((whole.errors, whole.candidates.as_ref().unwrap().0.len()), (0, 1));
    holds(whole.recording.live(), whole.candidates.as_ref().unwrap(), "nothing failed");
    let ways: [(bool, Failure, Landed); 5] = [
        (false, Failure::DiskFull, Landed::Bytes(9)),
        (true, Failure::DiskFull, Landed::Nothing),
        (false, Failure::Device, Landed::Everything),
        (true, Failure::DiskFull, Landed::Bytes(9)),
        (false, Failure::Device, Landed::Nothing),
    ];
    let (next, runs, silent) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= whole.operations {
                return;
            }
            for (way, (stays, failure, landed)) in ways.into_iter().enumerate() {
                // In the short run each operation fails in one way.
                if !full() && way as u64 != number % 3 {
                    continue;
                }
                let what = format!("operation {number} fails ({failure:?}, {landed:?}, stays so: {stays})");
                let trigger = if stays { Trigger::From(number) } else { Trigger::At(number) };
                let result = run(&steps, max_docs, trigger, failure, landed);
                assert!(result.failed > 0, "{what}");
                runs.fetch_add(1, Ordering::Relaxed);
                silent.fetch_add(u64::from(result.errors == 0), Ordering::Relaxed);
                examine(result, max_docs, &what);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    tell(&format!("{runs:?} runs on failing disks; in {silent:?} the failure concerned no promise"));
}

/// What a failure left: after a power cut, after a restart, and after a restart, work and a power cut.
fn examine(result: Outcome, max_docs: u64, what: &str) {
    let candidates = result.candidates.unwrap_or_else(|| Candidates(vec![Docs::new()]));
    let root = Path::new(ROOT);
    let after_cut = result.recording.log().image(usize::MAX, Model::Synced);
    for (fs, then) in [(&after_cut, "then a power cut"), (result.recording.live(), "then a restart")] {
        if fs.metadata(root).is_ok() {
            holds(&fs.fork(), &candidates, &format!("{what}, {then}"));
        }
    }
    if result.recording.metadata(root).is_ok() {
        let docs = go_on(&result.recording, &rich_schema(max_docs));
        let after_cut = result.recording.log().image(usize::MAX, Model::Synced);
        holds(&after_cut, &Candidates(vec![docs]), &format!("{what}, then a restart, work and a power cut"));
    }
}
