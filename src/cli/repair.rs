//! `repair`.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, ValueHint};

use crate::{
    engine::{EngineError, Refusal},
    format::schema_file::SchemaFile,
    repair::{Hooks, JOURNAL, Request, Step, fix_of, repair, review, runs, survey, take_back},
    report::{
        Exit,
        repair::{DoneAction, Fix, Plan, RepairReport},
        show_path,
    },
};

use super::{
    Session, args::CollectionArg, error::Failure, export::lies_in, interrupt::Deferred, remedy,
    schema_source::read_schema, seal,
};

#[derive(Debug, Args)]
pub struct RepairArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Carry the plan out
    #[arg(long)]
    yes: bool,
    /// Mend only this; may be given several times
    #[arg(long, value_enum, value_name = "WHAT")]
    fix: Vec<Fix>,
    /// Where the manifest has to be made anew: a schema file that tells what no file does (`schema show --format json` prints one); - for standard input
    #[arg(long, value_hint = ValueHint::FilePath, value_name = "FILE", conflicts_with = "undo")]
    schema: Option<PathBuf>,
    /// Keep the plan in a file
    #[arg(long, value_hint = ValueHint::FilePath, value_name = "FILE", conflicts_with_all = ["yes", "apply", "undo"])]
    plan: Option<PathBuf>,
    /// Take the plan in a file, if the collection has not changed since it was made: show it, with --yes carry it out
    #[arg(long, value_hint = ValueHint::FilePath, value_name = "FILE", conflicts_with_all = ["fix", "undo"])]
    apply: Option<PathBuf>,
    /// Take the latest repair back, bit for bit
    #[arg(long, conflicts_with_all = ["fix", "yes"])]
    undo: bool,
    /// With --undo: take back the repair of this folder, not the latest
    #[arg(long, value_hint = ValueHint::DirPath, value_name = "DIR", requires = "undo")]
    quarantine: Option<PathBuf>,
}

pub fn run(session: &mut Session, args: &RepairArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    if let Some(file) = args.plan.as_ref().filter(|file| lies_in(session, file, path)) {
        return Err(Failure::Usage(format!(
            "{} lies in the collection, which is not changed by a plan",
            file.display()
        )));
    }
    // The engine would say that it cannot be read.
    if let Some(folder) = args.quarantine.as_ref().filter(|folder| !is_run(session, folder)) {
        let message = format!("{} is no folder of a repair: there is no journal in it", folder.display());
        return Err(Refusal::new("repair.nothing-to-undo", message).into());
    }
    let deferred = Deferred::new();
    let before = runs(session.vfs().as_ref(), path);
    let request = Request {
        only: (!args.fix.is_empty()).then(|| args.fix.clone()),
        lock_timeout: session.lock_timeout(),
        threads: session.threads(),
        schema: args.schema.as_deref().map(|file| schema(session, file)).transpose()?,
        now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    };
    let progress = session.out.progress("bytes", 0);
    let mut watch = |step| {
        match step {
            Step::Check(read, total) => progress.set(read, total),
            Step::Mend(done, total) => progress.set(done, total),
        }
        !deferred.asked()
    };
    let mut hooks = Hooks { watch: &mut watch };
    let result = if args.undo {
        let undone = take_back(&session.vfs_mut(), path, args.quarantine.clone(), session.lock_timeout());
        undone.map(|undone| RepairReport { undone: Some(undone), ..RepairReport::default() })
    } else {
        let plan = args.apply.as_deref().map(|file| read_plan(session, file)).transpose()?;
        if args.yes {
            repair(&session.vfs_mut(), path, &request, plan, &mut hooks)
        } else {
            let held = session.open(path)?;
            match plan {
                Some(plan) => review(session.vfs(), held.view.root(), &request, plan, &mut hooks),
                None => survey(session.vfs(), held.view.root(), &request, &mut hooks),
            }
        }
    };
    drop(progress);
    let mut report = match result {
        Err(EngineError::Io { .. }) if deferred.asked() => {
            // What was begun was taken back, or its journal is there.
            return Err(Failure::InterruptedRepair { begun: runs(session.vfs().as_ref(), path) != before });
        }
        other => other?,
    };
    told(path, &args.fix, &mut report);
    if let Some(file) = &args.plan {
        let mut json = serde_json::to_vec_pretty(&report.plan).map_err(|error| Failure::Output(error.into()))?;
        json.push(b'\n');
        seal::write(file, &json)?;
    }
    let exit = exit(&report, args.yes);
    session.out.report("repair", Some(show_path(path)), exit, &report)?;
    Ok(exit)
}

fn is_run(session: &Session, folder: &Path) -> bool {
    session.vfs().metadata(&folder.join(JOURNAL)).is_ok()
}

/// Gives findings the commands that mend them; those that this repair does not, none that it was told already.
fn told(path: &Path, only: &[Fix], report: &mut RepairReport) {
    remedy::attach(path, &mut report.findings);
    remedy::attach(path, report.after.as_deref_mut().unwrap_or_default());
    let found = report.findings.clone();
    for finding in &mut report.plan.unmended {
        let told = found
            .iter()
            .find(|other| (&other.code, &other.path, other.offset) == (&finding.code, &finding.path, finding.offset));
        let other = fix_of(finding).is_some_and(|fix| !only.is_empty() && !only.contains(&fix));
        finding.repair = told.filter(|_| other).and_then(|told| told.repair.clone());
    }
}

fn exit(report: &RepairReport, told: bool) -> Exit {
    if report.undone.is_some() {
        return Exit::Ok;
    }
    if !told && !report.plan.actions.is_empty() {
        return Exit::NotApplied;
    }
    let left = Exit::of_findings(report.after.as_deref().unwrap_or(&report.findings));
    let lossy = |done: &DoneAction| !done.lost.is_empty() || done.lost_unlisted > 0 || !done.doubtful.is_empty();
    let lost = report.done.iter().any(lossy);
    let lossy = if lost { Exit::DataLost } else { Exit::Ok };
    if lossy.gravity() > left.gravity() { lossy } else { left }
}

fn schema(session: &Session, file: &Path) -> Result<SchemaFile, Failure> {
    let schema = read_schema(session, file)?;
    match schema.faults().first() {
        Some(fault) => Err(Failure::Usage(format!("{}: {fault}", file.display()))),
        None => Ok(schema),
    }
}

fn read_plan(session: &Session, file: &Path) -> Result<Plan, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", file.display()));
    match seal::read(session, file) {
        None => Err(unreadable(&"no such file")),
        Some(Err(error)) => Err(unreadable(&error)),
        Some(Ok(json)) => serde_json::from_slice(&json).map_err(|error| unreadable(&format!("not a plan: {error}"))),
    }
}
