//! What is healthy gives no error; what is damaged gives the kept findings.

use std::{env, fs};

use super::{found, verified};
use crate::support::{Fixture, Snapshot, fixture, repository};

#[test]
fn healthy_collections_of_every_release_and_state_give_no_error() {
    for folder in ["good", "samples"] {
        for name in fixture::names(folder) {
            let path = fixture::shared(folder, &name).join("collection");
            let (run, collection) = verified(&path, &[]);
            assert_eq!(collection["errors"], 0, "{name}: {:?}", found(&collection));
            assert!(run.code <= 1, "{name}: exit {}", run.code);
            assert!(collection["ended"].is_null() && collection["files_left"] == 0, "{name}");
            let warnings = collection["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "warning");
            for finding in warnings {
                let code = finding["code"].as_str().unwrap();
                // Files that zvec 0.8.0 left behind or cannot open any more.
                assert!(
                    ["vectors.legacy-layout", "vectors.legacy-quantiser", "file.orphan"].contains(&code),
                    "{name}: {finding}"
                );
            }
        }
    }
}

/// `UPDATE_CONTRACT=1` writes `tests/snapshots/verify.txt` anew.
#[test]
fn damaged_collections_give_the_kept_findings() {
    let mut said =
        "What verify finds in each damaged archive: exit code, what zvec 0.8.0 would do, findings.\n".to_owned();
    for name in fixture::names("damaged") {
        let fixture = Fixture::damaged(&name);
        let before = Snapshot::of(fixture.outside());
        let (run, collection) = verified(&fixture.path(), &["--level", "1"]);
        before.assert_unchanged(fixture.outside(), &run.command);
        let outlook = &collection["outlook"];
        said.push_str(&format!("\n{name}  {}  {}", run.code, outlook["open"].as_str().unwrap()));
        if outlook["open"] == "opens" && outlook["accepts_inserts"] == false {
            said.push_str(", refuses inserts");
        }
        if let Some(removes) = outlook["removes"].as_array().filter(|removes| !removes.is_empty()) {
            let removes: Vec<_> = removes.iter().filter_map(|path| path.as_str()).collect();
            said.push_str(&format!(", removes {}", removes.join(" ")));
        }
        if let Some(wal) = outlook["wal"].as_object().filter(|wal| wal["dropped"] != 0) {
            said.push_str(&format!(", replays {} and drops {}", wal["replayed"], wal["dropped"]));
        }
        for (what, ids) in outlook["documents"].as_object().into_iter().flatten().filter(|(_, ids)| ids["count"] != 0) {
            said.push_str(&format!(", {what} {}", ids["count"]));
        }
        said.push('\n');
        for line in found(&collection) {
            said.push_str(&format!("  {line}\n"));
        }
    }
    let kept = repository("tests/snapshots/verify.txt");
    if env::var_os("UPDATE_CONTRACT").is_some() {
        fs::write(&kept, &said).unwrap();
    }
    let kept = fs::read_to_string(kept).unwrap();
    for (kept, said) in kept.lines().zip(said.lines()) {
        assert_eq!(said, kept, "UPDATE_CONTRACT=1 writes tests/snapshots/verify.txt anew, if that is meant");
    }
    assert_eq!(kept.len(), said.len());
}
