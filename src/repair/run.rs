//! A repair from its findings to its report.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use roaring::RoaringTreemap;

use crate::{
    engine::{
        EngineError, Refusal, lock,
        parts::{Files, free_run, quarantine_of},
    },
    format::{
        manifest::{self, Manifest, ManifestName, Style, proto::BlockType},
        schema_file::SchemaFile,
    },
    inspect::{
        Findings, InspectError, Tree, View, deleted::Deleted, idmap::IdMap, names, segments::live_rows, segments_of,
        wal::Overlay,
    },
    report::{
        Finding, Severity,
        repair::{Action, DoneAction, Fix, Plan, RepairReport, UndoReport},
        show_path,
    },
    verify::{Flow, Level, Options, verify},
    vfs::{LockGuard, Vfs, VfsMut},
};

use super::{
    bench::Bench,
    diagnose,
    documents::DocumentList,
    fingerprint::fingerprint,
    journal::JournalFs,
    layers::{self, manifest::Base},
    undo,
};

/// Mending one thing may bring another to light; more often than this nothing new comes up.
const ROUNDS: usize = 4;

/// What to repair, and how.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Only these.
    pub only: Option<Vec<Fix>>,
    /// How long to wait for the lock.
    pub lock_timeout: Duration,
    /// Threads of the checks; 0 = one for each core.
    pub threads: usize,
    /// What no file tells of the schema, for a manifest that has to be made.
    pub schema: Option<SchemaFile>,
    /// Unix seconds, for the quarantine and for what the formats want dated.
    pub now: u64,
}

/// Where a repair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Checking, before or after: bytes read, and bytes to read.
    Check(u64, u64),
    /// Taking a step: which, and of how many.
    Mend(u64, u64),
}

/// How a caller watches, and stops, a repair.
pub struct Hooks<'a> {
    /// Called now and then; `false` ends the repair at the next place where nothing is half done.
    pub watch: &'a mut dyn FnMut(Step) -> bool,
}

/// What is there, and what would be done about it.
struct Survey {
    base: Base,
    findings: Vec<Finding>,
    plan: Plan,
    documents: Option<u64>,
}

/// Works out what is wrong and what a repair would do. Nothing is changed.
pub fn survey(
    fs: &Arc<dyn Vfs>,
    root: &Path,
    request: &Request,
    hooks: &mut Hooks<'_>,
) -> Result<RepairReport, EngineError> {
    let mut survey = look(fs, root, request, hooks)?;
    survey.plan.fingerprint = state(fs.as_ref(), root, hooks)?;
    Ok(report_of(survey))
}

/// Whether a plan can be carried out: what it would do, if the collection has not changed since it was made. Nothing is changed.
///
/// # Errors
/// The collection has changed since, or the plan has a step that nothing calls for.
pub fn review(
    fs: &Arc<dyn Vfs>,
    root: &Path,
    request: &Request,
    plan: Plan,
    hooks: &mut Hooks<'_>,
) -> Result<RepairReport, EngineError> {
    let request = Request { only: plan.only.clone(), ..request.clone() };
    let mut survey = look(fs, root, &request, hooks)?;
    survey.plan.fingerprint = state(fs.as_ref(), root, hooks)?;
    adopt(&mut survey, plan)?;
    Ok(report_of(survey))
}

fn report_of(survey: Survey) -> RepairReport {
    RepairReport {
        clean: is_clean(&survey.findings),
        findings: survey.findings,
        plan: survey.plan,
        documents_before: survey.documents,
        ..RepairReport::default()
    }
}

/// The fingerprint of a collection.
fn state(fs: &dyn Vfs, root: &Path, hooks: &mut Hooks<'_>) -> Result<String, EngineError> {
    fingerprint(fs, root, &mut || (hooks.watch)(Step::Check(0, 0))).map_err(|error| EngineError::io(root, error))
}

/// Puts a plan that was made before in the place of the one that a survey made.
fn adopt(survey: &mut Survey, plan: Plan) -> Result<(), EngineError> {
    let refuse = |message: String| Err(Refusal::new("repair.plan-outdated", message).into());
    if plan.fingerprint != survey.plan.fingerprint {
        return refuse("the collection has changed since the plan was made; make a new one".to_owned());
    }
    // The state is the same, so the steps are, unless another release made the plan, or a schema file that it was made with is not given now.
    let same = |planned: &Action| {
        let found =
            survey.plan.actions.iter().find(|action| {
                (action.fix, &action.path, action.segment) == (planned.fix, &planned.path, planned.segment)
            });
        found.is_some_and(|action| action.does == planned.does)
    };
    if let Some(other) = plan.actions.iter().find(|planned| !same(planned)) {
        let step = format!("{} {}", other.fix.name(), other.path);
        return refuse(format!(
            "the plan's step `{}` is not what this zvecctl, with these options, would do; make a new one",
            step.trim_end()
        ));
    }
    survey.plan.only = plan.only;
    survey.plan.actions = plan.actions;
    Ok(())
}

fn look(fs: &Arc<dyn Vfs>, root: &Path, request: &Request, hooks: &mut Hooks<'_>) -> Result<Survey, EngineError> {
    let view = View::open(fs.clone(), root)?;
    let tree = Tree::walk(fs.as_ref(), root);
    let mut base = layers::manifest::base(&view, &tree, request.schema.as_ref())?;
    let options =
        Options { level: Level::Contents, threads: request.threads, segment: None, fail_fast: false, seal: None };
    let mut stopped = false;
    let mut watch = |read, total| {
        if (hooks.watch)(Step::Check(read, total)) {
            Flow::Continue
        } else {
            stopped = true;
            Flow::Stop(crate::verify::Ended::Interrupted)
        }
    };
    let mut check = |seen: &View| -> Result<Vec<Finding>, EngineError> {
        let findings = verify(seen, &tree, &options, |_| {}, &mut watch)?.findings;
        Ok(findings)
    };
    if let (Some(name), true) = (base.name, base.changed) {
        // A manifest that nothing is known against stays, whatever the files would make of it.
        let (_, manifest) = view.manifest()?;
        if is_clean(&check(&view)?) {
            base = layers::manifest::as_it_is(name, manifest);
        }
    }
    // A manifest that is rebuilt is judged by what is on disk, like one that stands there.
    let rebuilt;
    let seen = if !base.changed {
        &view
    } else {
        let highest = view.manifests().first().map_or(0, |file| file.name.number);
        let name = base.name.unwrap_or(ManifestName::new(Style::Release, highest));
        rebuilt = View::of_manifest(fs.clone(), root, name, base.manifest.clone());
        &rebuilt
    };
    let mut findings = check(seen)?;
    if stopped {
        return Err(EngineError::io(root, io::ErrorKind::Interrupted.into()));
    }
    if base.changed {
        // The segment that is to be made is not missing.
        let made = base.makes.map(names::segment_dir);
        let of_it = |finding: &Finding| {
            made.as_ref().is_some_and(|dir| finding.is_about(dir))
                || (base.makes.is_some() && finding.segment == base.makes)
        };
        findings.retain(|finding| !of_it(finding));
        if base.name.is_none() {
            let of_index = |finding: &mut Finding| blame_the_index(&base.manifest, finding);
            findings.iter_mut().filter(|finding| finding.code == "fts.other-text").for_each(of_index);
        }
        findings.splice(0..0, view.findings().iter().chain(&base.behind).cloned());
    }
    let (mut actions, mut unmended, held) = diagnose::plan(seen, &base.manifest, &findings, request.only.as_deref());
    if let Some(action) = actions.iter_mut().find(|action| action.fix == Fix::Manifest) {
        action.does = format!("publish a new manifest: {}", base.how);
    } else if base.changed {
        actions.insert(
            0,
            Action {
                fix: Fix::Manifest,
                path: String::new(),
                segment: None,
                findings: view.findings().iter().map(|finding| finding.code.clone()).collect(),
                does: format!("publish a new manifest: {}", base.how),
                loss: crate::report::Loss::None,
                documents: None,
            },
        );
        actions.sort_by_key(|action| action.fix);
        unmended.retain(|finding| diagnose::fix_of(finding) != Some(Fix::Manifest));
    }
    // What is put right on the way is no reason to begin.
    let told = |action: &Action| action.fix != Fix::Manifest || !action.findings.is_empty();
    if request.only.as_ref().is_some_and(|only| !only.contains(&Fix::Manifest)) && !actions.iter().any(told) {
        actions.clear();
    }
    // A manifest whose rules stay broken may lack what a file belongs to.
    if !manifest::check(&base.manifest).is_empty() {
        actions.retain(|action| !matches!(action.fix, Fix::Gc | Fix::Segments));
    }
    // Publishing what is in force already changes nothing, unless something that cannot be used stands above it.
    let above = view.manifests().first().map(|file| file.name) != base.name;
    if !base.changed && !above {
        actions.retain(|action| action.fix != Fix::Manifest);
        let of_manifest = |finding: &&Finding| diagnose::fix_of(finding) == Some(Fix::Manifest);
        unmended
            .extend(findings.iter().filter(of_manifest).filter(|finding| finding.severity == Severity::Error).cloned());
    }
    let plan = Plan {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        fingerprint: String::new(),
        only: request.only.clone(),
        manifest: base.name.map(|name| name.to_string()),
        actions,
        unmended,
        held,
    };
    let documents = count(seen, &base.manifest);
    Ok(Survey { base, findings, plan, documents })
}

/// Errors by code and segment, and how many there are.
fn errors(findings: &[Finding]) -> BTreeMap<(&str, Option<u32>), usize> {
    let mut errors = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
        *errors.entry((finding.code.as_str(), finding.segment)).or_default() += 1;
    }
    errors
}

/// Whether any error is gone, whatever came to light instead.
fn is_less(findings: &[Finding], before: &[Finding]) -> bool {
    let now = errors(findings);
    errors(before).into_iter().any(|(error, count)| now.get(&error).is_none_or(|left| *left < count))
}

fn is_clean(findings: &[Finding]) -> bool {
    errors(findings).is_empty()
}

/// How a made manifest says that texts are cut may be a guess: where the index holds other terms it is made anew, and no text is touched.
fn blame_the_index(manifest: &Manifest, finding: &mut Finding) {
    let segment = names::classify(Path::new(finding.path.as_deref().unwrap_or_default())).1.or(finding.segment);
    let listed = segments_of(manifest).into_iter().find(|listed| Some(listed.id()) == segment);
    let block = listed.and_then(|listed| {
        let blocks = &listed.meta.persisted_blocks;
        let index = blocks.iter().find(|block| block.block_type == BlockType::FtsIndex as i32)?;
        listed.block_path(index)
    });
    if let Some(path) = block {
        finding.path = Some(show_path(&path));
    }
}

/// Live documents, as far as they can be counted without reading them.
fn count(view: &View, manifest: &Manifest) -> Option<u64> {
    let findings = Findings::default();
    let deleted = Deleted::load(view, manifest).ids();
    let map = IdMap::load(view, manifest);
    let overlay = Overlay::load(view, manifest, &map, &deleted, &findings);
    let gone: RoaringTreemap = &deleted | &overlay.deleted;
    let stored: u64 = segments_of(manifest).into_iter().map(|segment| live_rows(view, segment, &gone, &findings)).sum();
    let end = crate::inspect::first_id(manifest);
    let dead = overlay.deleted.len() - overlay.deleted.range_cardinality(..end);
    Some(stored + overlay.len().saturating_sub(dead))
}

/// Repairs a collection. With a plan it is carried out as it was made, if the collection has not changed since; without one a plan is made.
///
/// # Errors
/// The collection is locked, or has changed since the plan was made; or the system refuses to write: then what was begun is taken back as far as the
/// system lets it.
pub fn repair(
    fs: &Arc<dyn VfsMut>,
    root: &Path,
    request: &Request,
    plan: Option<Plan>,
    hooks: &mut Hooks<'_>,
) -> Result<RepairReport, EngineError> {
    let root = &fs.canonical(root).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => InspectError::NotFound { path: root.to_owned() }.into(),
        _ => EngineError::io(root, error),
    })?;
    // Whether it is a collection at all is the better answer than what became of its lock.
    View::open(fs.clone(), root)?;
    let mut lock = lock::exclusive(&Files::new(fs.clone()), root, request.lock_timeout)?;
    let reading: Arc<dyn Vfs> = fs.clone();
    let mut request = request.clone();
    if let Some(plan) = &plan {
        request.only.clone_from(&plan.only);
    }
    let mut survey = look(&reading, root, &request, hooks)?;
    survey.plan.fingerprint = state(fs.as_ref(), root, hooks)?;
    // What was agreed to: without a plan that was shown before, everything that comes to light.
    let mut agreed = None;
    if let Some(plan) = plan {
        adopt(&mut survey, plan)?;
        let fixes: BTreeSet<Fix> = survey.plan.actions.iter().map(|action| action.fix).collect();
        let only = request.only.take();
        request.only =
            Some(fixes.iter().copied().filter(|fix| only.as_ref().is_none_or(|only| only.contains(fix))).collect());
        agreed = Some(fixes);
    }
    let request = &request;
    let mut report = RepairReport {
        findings: survey.findings.clone(),
        plan: survey.plan.clone(),
        documents_before: survey.documents,
        ..RepairReport::default()
    };
    if survey.plan.actions.is_empty() {
        report.documents_after = survey.documents;
        report.clean = is_clean(&report.findings);
        return Ok(report);
    }
    let folder = free_run(fs.as_ref(), &quarantine_of(root).join(request.now.to_string()));
    let journal = Arc::new(JournalFs::new(fs.clone(), root, folder.clone(), survey.plan.fingerprint.clone()));
    let list = Arc::new(DocumentList::new(fs.clone(), folder.clone()));
    let worked = work(&journal, &list, fs, root, request, survey, agreed.as_ref(), &mut report, &mut lock, hooks);
    if let Err(error) = worked {
        // The system does not let it go on. What it lets be taken back is taken back; the rest is in the journal.
        if journal.changes() > 0 {
            let _ = undo::undo(fs, root, &folder);
        }
        return Err(error);
    }
    if journal.changes() > 0 {
        report.applied = true;
        report.quarantine = Some(show_path(&folder));
        report.named = list.report();
    }
    drop(lock);
    Ok(report)
}

#[allow(clippy::too_many_arguments, reason = "the state of one run, taken apart")]
fn work(
    journal: &Arc<JournalFs>,
    list: &Arc<DocumentList>,
    fs: &Arc<dyn VfsMut>,
    root: &Path,
    request: &Request,
    first: Survey,
    agreed: Option<&BTreeSet<Fix>>,
    report: &mut RepairReport,
    lock: &mut Option<LockGuard>,
    hooks: &mut Hooks<'_>,
) -> Result<(), EngineError> {
    if lock.is_none() {
        *lock = Some(lock::make(&Files::new(journal.clone()), root, request.lock_timeout)?);
    }
    journal.hold_lock();
    let reading: Arc<dyn Vfs> = fs.clone();
    let mut survey = first;
    for round in 1..=ROUNDS {
        let before = survey.findings.clone();
        take_steps(journal, list, root, request, survey, report, hooks)?;
        survey = look(&reading, root, request, hooks)?;
        // What a step could not mend it will not mend the second time.
        if survey.plan.actions.is_empty() || !is_less(&survey.findings, &before) || round == ROUNDS {
            break;
        }
        if is_clean(&survey.findings) && request.only.is_some() {
            break;
        }
        // Of a plan that was agreed to, the kinds of its steps are taken, no others.
        let agreed_to = |action: &Action| agreed.is_none_or(|agreed| agreed.contains(&action.fix));
        if !survey.plan.actions.iter().all(agreed_to) {
            break;
        }
    }
    let now = fingerprint(fs.as_ref(), root, &mut || true).map_err(|error| EngineError::io(root, error))?;
    journal.finish(now).map_err(|error| EngineError::io(&journal.folder(), error))?;
    report.documents_after = survey.documents;
    report.clean = is_clean(&survey.findings);
    report.after = Some(survey.findings);
    Ok(())
}

/// Takes the steps of one plan and publishes what comes of them.
fn take_steps(
    journal: &Arc<JournalFs>,
    list: &Arc<DocumentList>,
    root: &Path,
    request: &Request,
    survey: Survey,
    report: &mut RepairReport,
    hooks: &mut Hooks<'_>,
) -> Result<(), EngineError> {
    let fs: Arc<dyn VfsMut> = journal.clone();
    let view = View::open(fs.clone(), root)?;
    let mut bench = Bench::new(fs, &view, survey.base.name, survey.base.manifest, request.now, list.clone());
    bench.found_id_map = !report.done.iter().any(|done| done.fix == Fix::IdMap && done.ok);
    let fixes = report.done.iter().map(|done| done.fix).chain(survey.plan.actions.iter().map(|action| action.fix));
    bench.adopted = fixes.into_iter().any(|fix| matches!(fix, Fix::Manifest | Fix::Segments));
    let total = survey.plan.actions.len() as u64;
    let (before, after): (Vec<&Action>, Vec<&Action>) =
        survey.plan.actions.iter().partition(|action| !matches!(action.fix, Fix::Wal | Fix::Gc));
    let (mut taken, earlier) = (0, report.done.len());
    for action in before {
        if !(hooks.watch)(Step::Mend(taken, total)) {
            return Err(EngineError::io(root, io::ErrorKind::Interrupted.into()));
        }
        taken += 1;
        if let Some(failed) = report.done.iter().skip(earlier).find(|done| !done.ok && reads_from(action, done)) {
            let message = format!("{} {} could not be mended before", failed.fix.name(), failed.path);
            report.done.push(not_done(action, &Refusal::new("repair.impossible", message).into()));
            continue;
        }
        // A step that another one called for, which in the end changed no row.
        let others = survey.plan.actions.iter().any(|other| matches!(other.fix, Fix::Manifest | Fix::Segments));
        if action.fix == Fix::IdMap && action.findings.is_empty() && !others && !bench.rows_changed() {
            report.done.push(layers::done(action, "as it was: no document was given up or put right"));
            continue;
        }
        let mark = (journal.mark(), list.mark());
        match layer(&mut bench, action, &survey.base.assumed, survey.base.makes) {
            Ok(done) => report.done.push(done),
            Err(error @ EngineError::Io { .. }) => return Err(error),
            Err(error) => {
                journal.discard(mark.0).map_err(|error| EngineError::io(root, error))?;
                list.discard(mark.1)?;
                report.done.push(not_done(action, &error));
            }
        }
    }
    if let Some(name) = bench.publish()? {
        report.published = Some(name);
    }
    for action in after {
        taken += 1;
        (hooks.watch)(Step::Mend(taken, total));
        let outcome = match action.fix {
            Fix::Wal => layers::wal::replay(&bench, action).map(|(done, published)| {
                report.published = published.or(report.published.take());
                done
            }),
            _ => layers::gc::set_aside(&mut bench, action),
        };
        match outcome {
            Ok(done) => report.done.push(done),
            Err(error @ EngineError::Io { .. }) => return Err(error),
            Err(error) => report.done.push(not_done(action, &error)),
        }
    }
    list.sync()
}

fn layer(
    bench: &mut Bench,
    action: &Action,
    assumed: &[String],
    makes: Option<u32>,
) -> Result<DoneAction, EngineError> {
    match action.fix {
        Fix::Lock => Ok(layers::done(action, "made")),
        Fix::Manifest => layers::manifest::publish(bench, action, assumed, makes),
        Fix::Segments => layers::segments::mend(bench, action),
        Fix::Forward => layers::forward::rebuild(bench, action),
        Fix::Deletes => layers::deletes::rebuild(bench, action),
        Fix::ScalarIndex => layers::index::scalar(bench, action),
        Fix::FtsIndex => layers::index::full_text(bench, action),
        Fix::IdMap => layers::id_map::rebuild(bench, action),
        Fix::Vectors | Fix::Upgrade => layers::vectors::rebuild(bench, action),
        Fix::Wal | Fix::Gc => Err(Refusal::new("repair.impossible", "nothing can mend this").into()),
    }
}

/// Whether a step makes something from what another should have mended. Made from damage it would destroy the better copy.
fn reads_from(action: &Action, other: &DoneAction) -> bool {
    let rows = matches!(other.fix, Fix::Manifest | Fix::Segments | Fix::Forward);
    rows && matches!(action.fix, Fix::Deletes | Fix::ScalarIndex | Fix::FtsIndex | Fix::IdMap)
}

fn not_done(action: &Action, error: &EngineError) -> DoneAction {
    let mut done = layers::done(action, format!("not done: {error}"));
    done.ok = false;
    done
}

/// Takes back the latest repair, or the one whose folder is given.
///
/// # Errors
/// There is none; or the collection has been written since.
pub fn take_back(
    fs: &Arc<dyn VfsMut>,
    root: &Path,
    folder: Option<PathBuf>,
    lock_timeout: Duration,
) -> Result<UndoReport, EngineError> {
    let root = &fs.canonical(root).map_err(|error| EngineError::io(root, error))?;
    let _lock = lock::exclusive(&Files::new(fs.clone()), root, lock_timeout)?;
    let folder = folder.or_else(|| undo::runs(fs.as_ref(), root).into_iter().next());
    let Some(folder) = folder else {
        let message = format!("no repair in {} can be taken back", quarantine_of(root).display());
        return Err(Refusal::new("repair.nothing-to-undo", message).into());
    };
    undo::undo(fs, root, &folder)
}
