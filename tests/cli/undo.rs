//! `repair --undo`: every byte, or nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{
    Fixture, Snapshot,
    program::{json_on, run},
};

/// A repaired copy of an archive: what it was before, and the folder of the repair.
fn repaired(archive: &str) -> (Fixture, Snapshot, PathBuf) {
    let fixture = Fixture::damaged(archive);
    let before = Snapshot::of(&fixture.path());
    let report = json_on("repair", &fixture.path(), &["--yes"]).envelope();
    let folder = PathBuf::from(report["data"]["quarantine"].as_str().unwrap());
    (fixture, before, folder)
}

/// The files that a repair kept, by its journal: their places in the collection and in the folder.
fn kept(folder: &Path) -> Vec<(String, PathBuf)> {
    let journal = fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    let lines = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter_map(|line| {
            let place = line["saved"].as_str().or_else(|| line["to"].as_str().filter(|to| to.starts_with('/')))?;
            Some((line["path"].as_str().unwrap().to_owned(), folder.join(place)))
        })
        .collect()
}

#[test]
fn nothing_is_taken_back_while_any_kept_file_is_missing() {
    for archive in ["idmap_sst_flip", "del_bit_flip", "manifest_empty_newer", "ipc_docid_flip", "wal_bit_flip"] {
        let (fixture, before, folder) = repaired(archive);
        let kept = kept(&folder);
        assert!(!kept.is_empty(), "{archive}");
        let away = fixture.outside().join("away");
        for (name, file) in &kept {
            fs::rename(file, &away).unwrap();
            let then = Snapshot::of(fixture.outside());
            let refused = json_on("repair", &fixture.path(), &["--undo"]).exits(7).envelope();
            then.assert_unchanged(fixture.outside(), "an undo that was refused");
            let error = &refused["error"];
            assert_eq!(error["code"], "repair.kept-missing", "{archive}: {}", file.display());
            assert!(error["message"].as_str().unwrap().contains(name.as_str()), "{archive}: {name}: {error:#}");
            assert!(!error["hint"].is_null());
            fs::rename(&away, file).unwrap();
        }
        json_on("repair", &fixture.path(), &["--undo"]).exits(0);
        before.assert_contents(&fixture.path());
    }
}

#[test]
fn what_was_taken_back_already_is_said_to_be() {
    let (fixture, before, folder) = repaired("idmap_sst_flip");
    let arguments = ["repair", fixture.path().to_str().unwrap(), "--undo", "--quarantine", folder.to_str().unwrap()]
        .map(str::to_owned);
    let first = run(&arguments).exits(0).stdout;
    assert!(first.contains("in place again"), "{first}");
    let then = Snapshot::of(fixture.outside());
    let second = run(&arguments).exits(0).stdout;
    assert!(second.contains("was taken back already"), "{second}");
    let json = run(["--format", "json"].map(str::to_owned).iter().chain(&arguments)).exits(0).envelope();
    assert_eq!(json["data"]["undone"]["already"], true);
    then.assert_unchanged(fixture.outside(), "an undo of what is undone");
    before.assert_contents(&fixture.path());
}
