//! `--max-duration` and `--fail-fast`: what is said of a look that ended early is what became of it.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use serde_json::Value;
use zvecctl::{
    inspect::{Tree, View},
    verify::{Ended, Flow, Job, Level, Options, Verified, Work, verify as look},
    vfs::ReadOnlyFs,
};

use super::{found, verified};
use crate::support::{Fixture, program::run};

fn options(threads: usize) -> Options {
    Options { level: Level::Contents, threads, segment: None, fail_fast: false, seal: None }
}

fn looked(root: &Path, order: impl FnOnce(&mut Vec<Job>), flow: Flow) -> (Verified, Vec<Job>) {
    let view = View::open(Arc::new(ReadOnlyFs), root).unwrap();
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let mut all = Vec::new();
    let order = |jobs: &mut Vec<Job>| {
        order(jobs);
        all = jobs.clone();
    };
    let verified = look(&view, &tree, &options(2), order, &mut |_, _| flow).unwrap();
    (verified, all)
}

/// Two keys lead to one document, which only the id map against all rows shows.
#[test]
fn what_spans_segments_can_come_before_them() {
    let fixture = Fixture::damaged("ipc_uid_flip");
    let codes = |order: fn(&mut Vec<Job>)| {
        let (verified, _) = looked(&fixture.path(), order, Flow::Continue);
        assert_eq!((verified.ended, verified.files_left, verified.parts_left.len()), (None, 0, 0));
        verified.findings.into_iter().map(|finding| (finding.code, finding.path)).collect::<BTreeSet<_>>()
    };
    let usual = codes(|_| ());
    assert!(usual.iter().any(|(code, _)| code.starts_with("idmap.")), "{usual:?}");
    assert_eq!(codes(|jobs| jobs.sort_by_key(|job| job.work != Work::Collection)), usual);
    assert_eq!(codes(|jobs| jobs.reverse()), usual);
}

#[test]
fn what_was_not_done_is_told_and_never_noted() {
    let fixture = Fixture::good("0.8.0_many_flushes");
    let (verified, jobs) = looked(&fixture.path(), |_| (), Flow::Stop(Ended::Budget));
    let (done, cut): (BTreeSet<_>, BTreeSet<_>) =
        (verified.done.iter().cloned().collect(), verified.cut.iter().cloned().collect());
    assert!(done.is_disjoint(&cut));
    let of_no_file = |job: &Job| job.says().is_some();
    let left: Vec<String> = jobs.iter().filter(|job| !done.contains(&job.path)).filter_map(|job| job.says()).collect();
    assert_eq!(verified.parts_left, left);
    assert_eq!(verified.ended.is_none(), verified.done.len() == jobs.len());
    // Vectors are checked with their segment at this level.
    for job in jobs.iter().filter(|job| job.work == Work::Vectors) {
        let segment = jobs.iter().find(|other| other.work == Work::Segment && other.segment == job.segment).unwrap();
        assert!(!done.contains(&job.path) || done.contains(&segment.path), "{:?}", job.path);
    }
    let works: BTreeSet<Work> = jobs.iter().filter(|job| of_no_file(job)).map(|job| job.work).collect();
    assert_eq!(works, BTreeSet::from([Work::Segment, Work::Wounds, Work::Orphans, Work::Collection]));
}

#[test]
fn everything_has_an_entry_in_the_state() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    run(["seal".as_ref(), fixture.path().as_os_str()]).exits(0);
    let (_, collection) = verified(&fixture.path(), &["--level", "3", "--max-duration", "100"]);
    assert_eq!((&collection["ended"], &collection["parts_left"]), (&Value::Null, &Value::Array(Vec::new())));
    let state = fs::read_to_string(fixture.outside().join("collection.verify.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    for part in ["0", "0/(wounds)", "(orphans)", "(rows)", "(seal)", "0/scalar.0.ipc"] {
        assert_eq!(state["checked"][part]["level"], 3, "{part}: {state:#}");
    }
    assert_eq!(state["cut"], serde_json::json!({}));
}

#[test]
fn a_state_that_cannot_be_kept_takes_nothing_of_the_result() {
    let fixture = Fixture::damaged("wal_bit_flip");
    // A directory is where the file should be.
    fs::create_dir_all(fixture.outside().join("collection.verify.json/x")).unwrap();
    let (run, collection) = verified(&fixture.path(), &["--max-duration", "100"]);
    assert_eq!(run.code, 4);
    let found = found(&collection);
    assert!(found.contains(&"error wal.damaged 0/5.wal".to_owned()), "{found:?}");
    assert!(found.contains(&"warning verify.state-not-kept -".to_owned()), "{found:?}");
}

/// All of its twelve files of vectors are damaged.
#[test]
fn one_error_is_enough_for_fail_fast() {
    let fixture = Fixture::good("0.8.0_many_flushes");
    let mut damaged = 0;
    for entry in fs::read_dir(fixture.join("0")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "proxima") {
            let mut bytes = fs::read(&path).unwrap();
            bytes[..64].fill(0x55);
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 12);
    for level in ["1", "3"] {
        let (_, whole) = verified(&fixture.path(), &["--threads", "1", "--level", level]);
        let (_, fast) = verified(&fixture.path(), &["--fail-fast", "--threads", "1", "--level", level]);
        let number = |value: &Value, name: &str| value[name].as_u64().unwrap();
        assert!(number(&fast, "errors") >= 1 && number(&fast, "errors") * 4 < number(&whole, "errors"), "{fast:#}");
        assert_eq!(fast["ended"], "first-error");
        assert!(number(&fast, "files_left") > 0 && fast["outlook"].is_null());
    }
}

#[test]
fn collections_behind_the_first_error_are_named() {
    let damaged = Fixture::damaged("wal_bit_flip");
    let good = Fixture::good("0.8.0_small_flushed");
    let paths = [damaged.path(), good.path()].map(|path| path.to_str().unwrap().to_owned());
    let args = ["--format", "json", "verify", "--fail-fast", &paths[0], &paths[1]];
    let envelope = run(args).exits(4).envelope();
    let second = &envelope["data"]["collections"][1];
    assert_eq!((second["path"].as_str().unwrap(), &second["checked"]), (paths[1].as_str(), &Value::from(false)));
    assert_eq!(second["ended"], "first-error");
    let text = run(["verify", "--fail-fast", &paths[0], &paths[1]]).exits(4).stdout;
    assert!(text.contains(&format!("{}: not checked: stopped at the first error", paths[1])), "{text}");
}

#[test]
fn errors_of_collections_are_on_stderr_too() {
    let good = Fixture::good("0.8.0_small_flushed");
    let run = run(["verify".as_ref(), good.path().as_os_str(), good.outside().join("nowhere").as_os_str()]).exits(5);
    assert!(run.stderr.contains("[collection.not-found]"), "{}", run.stderr);
}
