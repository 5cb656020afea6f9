//! Disks that fail or are full.

use std::{path::Path, sync::Arc};

use zvecctl::{
    engine::{Collection, CreateOptions, EngineError, Operation, Sync},
    format::manifest::Style,
    vfs::{Failure, FaultyFs, Landed, MemoryFs, Model, RecordingFs, Trigger, Vfs, VfsMut},
};

use crate::{
    full,
    model::{Docs, apply, on_disk, rich_schema},
    tell,
    workload::{ROOT, Step, little, open_options, options},
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
struct Result {
    recording: RecordingFs,
    /// `None`: it was not even created.
    candidates: Option<Candidates>,
    operations: u64,
    failed: u64,
    errors: usize,
}

fn run(steps: &[Step], max_docs: u64, trigger: Trigger, failure: Failure, landed: Landed) -> Result {
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
        return Result {
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
    Result { recording, candidates: Some(candidates), operations: faulty.operations(), failed: faulty.failed(), errors }
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
    let ways = if full() { &ways[..] } else { &ways[..3] };
    let (mut runs, mut silent) = (0, 0);
    for number in 0..whole.operations {
        for (stays, failure, landed) in ways {
            let what = format!("operation {number} fails ({failure:?}, {landed:?}, stays so: {stays})");
            let trigger = if *stays { Trigger::From(number) } else { Trigger::At(number) };
            let result = run(&steps, max_docs, trigger, *failure, *landed);
            assert!(result.failed > 0, "{what}");
            runs += 1;
            silent += usize::from(result.errors == 0);
            let live = result.recording.live();
            let log = result.recording.log();
            let after_cut = log.image(log.len(), Model::Synced);
            match &result.candidates {
                Some(candidates) => {
                    holds(live, candidates, &what);
                    holds(&after_cut, candidates, &format!("{what}, then a power cut"));
                }
                None => {
                    for fs in [live, &after_cut] {
                        if fs.metadata(Path::new(ROOT)).is_ok() {
                            holds(fs, &Candidates(vec![Docs::new()]), &what);
                        }
                    }
                }
            }
        }
    }
    tell(&format!("{runs} runs on failing disks; {silent} failures were none of a promise's"));
}
