//! Options of `verify`.

use std::fs;

use serde_json::Value;

use super::{found, verified};
use crate::support::{Fixture, Snapshot, fixture, program::run};

#[test]
fn findings_are_counted_beyond_those_that_are_listed() {
    let fixture = Fixture::damaged("proxima_table_flip");
    let (all, whole) = verified(&fixture.path(), &[]);
    let (run, few) = verified(&fixture.path(), &["--max-findings", "1"]);
    assert_eq!(run.code, all.code);
    let count = whole["findings"].as_array().unwrap().len() as u64;
    assert!(count > 2);
    assert_eq!((few["findings"].as_array().unwrap().len() as u64, few["unlisted"].as_u64()), (1, Some(count - 1)));
    assert_eq!(few["errors"], whole["errors"]);
    assert_eq!(few["findings"][0], whole["findings"][0], "the gravest");
}

#[test]
fn fail_fast_stops_at_an_error() {
    let fixture = Fixture::damaged("manifest_empty_newer");
    let (run, collection) = verified(&fixture.path(), &["--fail-fast", "--threads", "1"]);
    assert_eq!(run.code, 3);
    assert!(collection["errors"].as_u64().unwrap() >= 1);
}

#[test]
fn a_segment_alone() {
    let fixture = Fixture::good("0.8.0_small_segments");
    let before = Snapshot::of(fixture.outside());
    fs::write(fixture.join("1/scalar.0.ipc"), "no block").unwrap();
    let (_, first) = verified(&fixture.path(), &["--segment", "0"]);
    assert_eq!(first["errors"], 0, "{:?}", found(&first));
    assert!(first["outlook"].is_null() && first["files"].as_u64().unwrap() > 0);
    let (run, second) = verified(&fixture.path(), &["--segment", "1"]);
    assert_eq!(run.code, 4);
    assert!(found(&second).iter().all(|finding| finding.contains(" 1/")), "{:?}", found(&second));
    let json = crate::support::program::json_on("verify", &fixture.path(), &["--segment", "99"]).exits(5).envelope();
    assert_eq!(json["error"]["code"], "segment.not-found");
    drop(before);
}

#[test]
fn of_several_collections_each_is_told() {
    let good = fixture::shared("good", "0.8.0_small_flushed").join("collection");
    let damaged = Fixture::damaged("wal_bit_flip");
    let nowhere = damaged.outside().join("nowhere");
    let paths = [good.to_str().unwrap(), nowhere.to_str().unwrap(), damaged.path().to_str().unwrap().to_owned().leak()];
    let run = run(["--format", "json", "verify"].into_iter().chain(paths)).exits(4);
    let envelope = run.envelope();
    let collections = envelope["data"]["collections"].as_array().unwrap();
    assert_eq!(collections.len(), 3);
    assert_eq!(collections[1]["error"]["code"], "collection.not-found");
    assert_eq!((&collections[0]["errors"], &collections[2]["errors"]), (&Value::from(0), &Value::from(1)));
    assert!(envelope["collection"].is_null());
    crate::support::program::run(["verify", "--segment", "0", paths[0], paths[1]]).exits(2);
}

#[test]
fn a_budget_is_remembered_beside_the_collection() {
    let fixture = Fixture::good("0.8.0_small_flushed");
    let inside = Snapshot::of(&fixture.path());
    let (run, collection) = verified(&fixture.path(), &["--max-duration", "100"]);
    assert_eq!(run.code, 0);
    assert!(collection["ended"].is_null());
    inside.assert_unchanged(&fixture.path(), "a look with a budget");
    let state = fs::read_to_string(fixture.outside().join("collection.verify.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    for path in ["manifest.2", "0/scalar.0.ipc", "idmap.0", "del.2"] {
        assert_eq!(state["checked"][path]["level"], 1, "{path}: {state:#}");
    }
    // What is there is no state: everything is checked again.
    fs::write(fixture.outside().join("collection.verify.json"), "{").unwrap();
    verified(&fixture.path(), &["--max-duration", "100"]);
}

#[test]
fn people_get_a_line_for_the_collection_and_a_remedy() {
    let fixture = Fixture::damaged("wal_bit_flip");
    let text = run(["verify".as_ref(), fixture.path().as_os_str()]).exits(4).silently().stdout;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains("level 1") && lines[0].contains("1 error"), "{text}");
    assert!(lines[1].contains("error: wal.damaged 0/5.wal"), "{text}");
    assert!(lines[2].contains("remedy: "), "{text}");
    assert!(text.contains("zvec 0.8.0 would open it") && text.contains("drops 22"), "{text}");
}
