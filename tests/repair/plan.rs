//! Plans: shown, kept, carried out later, or refused.

use std::{path::Path, sync::Arc, time::Duration};

use zvecctl::{
    engine::EngineError,
    repair::{Hooks, Request, fix_of, repair, survey, take_back},
    report::{Finding, repair::Fix},
    vfs::{Vfs, VfsMut},
};

use crate::collection::{ROOT, documents, mend, rich, root, write};

fn damaged() -> zvecctl::vfs::MemoryFs {
    let fs = rich().0.fork();
    zvecctl::engine::remove_tree(&fs, &Path::new(ROOT).join("idmap.0")).unwrap();
    fs.remove_file(&Path::new(ROOT).join("LOCK")).unwrap();
    fs
}

#[test]
fn a_survey_changes_nothing_and_its_plan_is_carried_out_later() {
    let fs = damaged();
    let before = fs.fingerprint();
    let reading: Arc<dyn Vfs> = Arc::new(fs.clone());
    let request = Request { threads: 1, now: 5, ..Request::default() };
    let mut hooks = Hooks { watch: &mut |_| true };
    let survey = survey(&reading, &root(), &request, &mut hooks).unwrap();
    assert_eq!(fs.fingerprint(), before);
    let steps: Vec<Fix> = survey.plan.actions.iter().map(|action| action.fix).collect();
    assert_eq!(steps, [Fix::Lock, Fix::IdMap], "{:#?}", survey.plan);
    let json = serde_json::to_string(&survey.plan).unwrap();
    let plan = serde_json::from_str(&json).unwrap();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let report = repair(&shared, &root(), &request, Some(plan), &mut hooks).unwrap();
    assert!(report.clean && report.applied);
    assert_eq!(documents(&shared), rich().1);
}

#[test]
fn a_plan_for_another_state_is_refused() {
    let fs = damaged();
    let reading: Arc<dyn Vfs> = Arc::new(fs.clone());
    let request = Request { threads: 1, now: 5, ..Request::default() };
    let mut hooks = Hooks { watch: &mut |_| true };
    let plan = survey(&reading, &root(), &request, &mut hooks).unwrap().plan;
    write(&fs, "stranger", b"somebody was here");
    let before = fs.fingerprint();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let refused = repair(&shared, &root(), &request, Some(plan), &mut hooks).unwrap_err();
    assert!(matches!(refused, EngineError::Refused(refusal) if refusal.code == "repair.plan-outdated"));
    assert_eq!(fs.fingerprint(), before);
}

#[test]
fn only_what_is_asked_for_is_mended() {
    let fs = damaged();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    let request = Request { threads: 1, now: 5, only: Some(vec![Fix::Lock]), ..Request::default() };
    let mut hooks = Hooks { watch: &mut |_| true };
    let report = repair(&shared, &root(), &request, None, &mut hooks).unwrap();
    assert!(!report.clean);
    assert!(fs.metadata(&root().join("LOCK")).is_ok());
    assert!(fs.metadata(&root().join("idmap.1")).is_err());
}

#[test]
fn undo_is_refused_once_somebody_has_written() {
    let fs = damaged();
    let shared: Arc<dyn VfsMut> = Arc::new(fs.clone());
    mend(&shared).unwrap();
    write(&fs, "stranger", b"somebody was here");
    let before = fs.fingerprint();
    let refused = take_back(&shared, &root(), None, Duration::ZERO).unwrap_err();
    assert!(matches!(refused, EngineError::Refused(refusal) if refusal.code == "repair.changed-since"));
    assert_eq!(fs.fingerprint(), before);
}

#[test]
fn undo_without_a_repair_is_refused() {
    let shared: Arc<dyn VfsMut> = Arc::new(rich().0.fork());
    let refused = take_back(&shared, &root(), None, Duration::ZERO).unwrap_err();
    assert!(matches!(refused, EngineError::Refused(refusal) if refusal.code == "repair.nothing-to-undo"));
}

#[test]
fn what_a_newer_release_wrote_and_what_the_system_refuses_is_not_repaired() {
    let finding = |code: &str| Finding::error(code, "x").at(Path::new("idmap.0"));
    assert_eq!(fix_of(&finding("rocks-edit.newer")), None);
    assert_eq!(fix_of(&finding("io.read")), None);
    assert_eq!(fix_of(&finding("sst.bad-magic")), Some(Fix::IdMap));
}
