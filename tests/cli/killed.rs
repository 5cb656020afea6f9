//! `kill -9` of `ingest`.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::support::{
    killed::{BATCH, DOCUMENTS, Killed, kill},
    program::{PROGRAM, json_on, on},
};

const MOMENTS: u64 = 50;

fn check(killed: &Killed) -> u64 {
    // What inspection alone sees is what recovery finds.
    let seen = on("export", &killed.collection);
    assert!(seen.code <= 1, "{seen:?}");
    let count = killed.check(&seen.stdout);
    let recovered = json_on("recover", &killed.collection, &[]);
    assert!(recovered.code <= 1, "{recovered:?}");
    assert_eq!(recovered.envelope()["data"]["recovery"]["documents"], count, "{recovered:?}");
    let exported = on("export", &killed.collection);
    assert_eq!((exported.code, killed.check(&exported.stdout)), (0, count), "{exported:?}");
    let verified = on("verify --level 3", &killed.collection);
    assert_eq!(verified.code, 0, "{verified:?}");
    // The same input once more: what is there stays, the rest comes.
    let again = json_on("ingest", &killed.collection, &[killed.input.to_str().unwrap(), "--mode", "upsert"]);
    assert_eq!((again.code, &again.envelope()["data"]["documents"]), (0, &DOCUMENTS.into()), "{again:?}");
    let exported = on("export", &killed.collection);
    assert_eq!((exported.code, killed.check(&exported.stdout)), (0, DOCUMENTS), "{exported:?}");
    count
}

#[test]
fn ingest_killed_at_any_moment_keeps_every_acknowledged_batch() {
    let (next, counts) = (AtomicU64::new(0), Mutex::new(BTreeSet::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= MOMENTS {
                return;
            }
            let killed = kill(Path::new(PROGRAM), seed);
            let count = check(&killed);
            assert!(count == DOCUMENTS || count <= killed.acknowledged + BATCH, "{count} of {}", killed.acknowledged);
            counts.lock().unwrap().insert(count);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    let counts = counts.into_inner().unwrap();
    assert!(counts.len() > 10, "the moments differ: {counts:?}");
}
