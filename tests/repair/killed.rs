//! A repair that is killed, or cut off from its power, at every place.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use zvecctl::vfs::{Model, RecordingFs, VfsMut};

use crate::{
    classes::{Class, lossless},
    collection::{bytes, documents, errors, mend, undo_all},
    full,
};

/// What must hold for what a crash left.
fn examine(class: &Class, image: &zvecctl::vfs::MemoryFs) -> Result<(), String> {
    // Taking it back gives what was there before, wherever it died.
    let fs = image.fork();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    undo_all(&shared).map_err(|error| format!("undo: {error}"))?;
    if bytes(&fs) != bytes(&class.fs) {
        let (after, before) = (bytes(&fs), bytes(&class.fs));
        let wrong: Vec<_> =
            before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
        return Err(format!("undo left other bytes in {wrong:?}"));
    }
    // Repairing again reaches the same end.
    let shared: Arc<dyn VfsMut> = Arc::new(image.fork());
    let report = mend(&shared).map_err(|error| format!("repair: {error}"))?;
    if !report.clean {
        return Err(format!("not clean: {:#?}", report.after));
    }
    let wrong = errors(&shared);
    if !wrong.is_empty() {
        return Err(format!("{wrong:#?}"));
    }
    if documents(&shared) != class.docs {
        return Err("other documents".to_owned());
    }
    Ok(())
}

#[test]
fn a_crash_at_any_place_leaves_what_repair_and_undo_can_go_on_from() {
    let every = if full() { 1 } else { 23 };
    let classes = lossless();
    let work: Vec<_> = classes
        .iter()
        .flat_map(|class| {
            let recording = RecordingFs::new(&class.fs);
            let shared: Arc<dyn VfsMut> = Arc::new(recording.clone());
            mend(&shared).unwrap_or_else(|error| panic!("{}: {error}", class.name));
            let log = recording.log();
            assert!(log.len() > 5, "{}", class.name);
            // Of a sample, too, those right before a manifest is published, and the last.
            let next_publishes = |position: usize| {
                let next = log.operations().get(position).map_or_else(String::new, ToString::to_string);
                next.starts_with("rename") && next.contains("/manifest.")
            };
            let chosen = |position: &usize| {
                position.is_multiple_of(every) || log.len() - position < 4 || next_publishes(*position)
            };
            let positions: Vec<usize> = (0..=log.len()).filter(chosen).collect();
            positions.into_iter().map(move |position| (class, log.clone(), position))
        })
        .collect();
    let (next, images) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (failures, seen) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((class, log, position)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for model in [Model::Applied, Model::Synced] {
                        let image = log.image(*position, model);
                        if !seen.lock().unwrap().insert((class.name, image.fingerprint())) {
                            continue;
                        }
                        images.fetch_add(1, Ordering::Relaxed);
                        if let Err(error) = examine(class, &image) {
                            let operation = position.checked_sub(1).and_then(|at| log.operations().get(at));
                            let operation = operation.map_or_else(String::new, ToString::to_string);
                            failures
                                .lock()
                                .unwrap()
                                .push(format!("{} at {position} ({operation}), {model:?}: {error}", class.name));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let shown: Vec<&String> = failures.iter().take(5).collect();
    assert!(failures.is_empty(), "{} of {images:?} images: {shown:#?}", failures.len());
    assert!(images.load(Ordering::Relaxed) > classes.len(), "{images:?} images");
}
