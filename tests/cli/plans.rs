//! `repair --plan` and `--apply`: what was shown is what is done, on the state for which it was shown, and only when told.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::support::{
    Fixture, Snapshot,
    program::{Run, json_on},
};

/// A plan for an archive, made with options, beside the copy.
fn planned(archive: &str, options: &[&str]) -> (Fixture, PathBuf) {
    let fixture = Fixture::damaged(archive);
    let file = fixture.outside().join("plan.json");
    json_on("repair", &fixture.path(), &[options, &["--plan", file.to_str().unwrap()]].concat()).exits(12);
    (fixture, file)
}

fn apply(fixture: &Fixture, plan: &std::path::Path, more: &[&str]) -> Run {
    json_on("repair", &fixture.path(), &[&["--apply", plan.to_str().unwrap()], more].concat())
}

#[test]
fn a_plan_is_carried_out_only_with_yes() {
    let (fixture, plan) = planned("idmap_sst_flip", &[]);
    let before = Snapshot::of(fixture.outside());
    let shown = apply(&fixture, &plan, &[]).exits(12).envelope();
    before.assert_unchanged(fixture.outside(), "--apply without --yes");
    assert_eq!(shown["data"]["applied"], false);
    assert_eq!(shown["data"]["plan"], serde_json::from_slice::<Value>(&fs::read(&plan).unwrap()).unwrap());
    let done = apply(&fixture, &plan, &["--yes"]).exits(0).envelope();
    assert_eq!((&done["data"]["applied"], &done["data"]["clean"]), (&true.into(), &true.into()));
}

#[test]
fn no_other_kind_of_step_is_taken_than_the_plan_has() {
    // What is wrong with the id map once the rows are mended is left: somebody has struck that step out.
    let (fixture, plan) = planned("ipc_docid_flip", &[]);
    let mut edited: Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    edited["actions"].as_array_mut().unwrap().retain(|action| action["fix"] != "id-map");
    fs::write(&plan, edited.to_string()).unwrap();
    let steps = |run: Run| -> Vec<String> {
        let envelope = run.envelope();
        let done = envelope["data"]["done"].as_array().unwrap().iter();
        done.map(|done| done["fix"].as_str().unwrap().to_owned()).collect()
    };
    let taken = steps(apply(&fixture, &plan, &["--yes"]));
    assert!(taken.contains(&"forward".to_owned()) && !taken.contains(&"id-map".to_owned()), "{taken:?}");
    // A plan for everything that calls for these steps takes all of them.
    let (fixture, plan) = planned("ipc_docid_flip", &[]);
    let taken = steps(apply(&fixture, &plan, &["--yes"]).exits(0));
    assert!(
        ["forward", "scalar-index", "id-map"].iter().all(|fix| taken.iter().any(|taken| taken == fix)),
        "{taken:?}"
    );
}

#[test]
fn one_changed_byte_of_any_file_makes_a_plan_outdated() {
    let (fixture, plan) = planned("idmap_sst_flip", &[]);
    let block = fixture.join("0/scalar.0.ipc");
    let intact = fs::read(&block).unwrap();
    let mut changed = intact.clone();
    changed[1200] ^= 1;
    fs::write(&block, &changed).unwrap();
    for more in [&[][..], &["--yes"]] {
        let before = Snapshot::of(fixture.outside());
        let refused = apply(&fixture, &plan, more).exits(7).envelope();
        assert_eq!(refused["error"]["code"], "repair.plan-outdated");
        before.assert_unchanged(fixture.outside(), "an outdated plan");
    }
    // The time of the write is no difference.
    fs::write(&block, intact).unwrap();
    apply(&fixture, &plan, &["--yes"]).exits(0);
}

#[test]
fn a_step_that_nothing_calls_for_is_refused() {
    let (fixture, plan) = planned("idmap_sst_flip", &[]);
    let mut edited: Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    let mut stray = edited["actions"][0].clone();
    stray["fix"] = "gc".into();
    stray["path"] = "0/scalar.0.ipc".into();
    edited["actions"].as_array_mut().unwrap().push(stray);
    fs::write(&plan, edited.to_string()).unwrap();
    let before = Snapshot::of(fixture.outside());
    let refused = apply(&fixture, &plan, &["--yes"]).exits(7).envelope();
    assert_eq!(refused["error"]["code"], "repair.plan-outdated");
    before.assert_unchanged(fixture.outside(), "a plan with a step of its own");
}
