//! `verify`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Args, ValueHint};

use crate::{
    inspect::{Findings, Tree},
    report::{
        Exit, Finding, show_path,
        verify::{VerifiedCollection, VerifyReport},
    },
    verify::{Ended, Flow, Job, Level, Options, State, outlook, seal::Comparison, verify},
};

use super::{Session, args::seconds, error::Failure, interrupt::Deferred, output::write_error, remedy, seal};

/// The command as typed.
const NAME: &str = "verify";

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Directories of collections
    #[arg(value_hint = ValueHint::DirPath, value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// How deep to look. 1: names, sizes, every checksum, the rules of the manifest. 2: also structures against each other. 3: also
    /// contents against each other
    #[arg(long, value_name = "LEVEL", default_value = "1", value_parser = level)]
    level: Level,
    /// Check only what belongs to this segment
    #[arg(long, value_name = "ID")]
    segment: Option<u32>,
    /// List at most this many findings, the gravest; all are counted, and all count for the exit code
    #[arg(long, value_name = "N")]
    max_findings: Option<usize>,
    /// Stop at the first error
    #[arg(long)]
    fail_fast: bool,
    /// Stop after this time, begin with what was not checked for longest, and remember for the next run what was checked, in
    /// <PATH>.verify.json beside the collection
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_duration: Option<Duration>,
    /// Pass over the seal beside the collection
    #[arg(long)]
    no_seal: bool,
}

impl VerifyArgs {
    /// The path, if there is only one.
    pub fn one_path(&self) -> Option<&Path> {
        match self.paths.as_slice() {
            [path] => Some(path),
            _ => None,
        }
    }
}

/// A level of `verify` as it is typed.
pub(super) fn level(text: &str) -> Result<Level, String> {
    match text {
        "1" => Ok(Level::Files),
        "2" => Ok(Level::Structures),
        "3" => Ok(Level::Contents),
        _ => Err("1, 2 or 3".to_owned()),
    }
}

pub fn run(session: &mut Session, args: &VerifyArgs) -> Result<Exit, Failure> {
    if args.segment.is_some() && args.paths.len() > 1 {
        return Err(Failure::Usage("--segment goes with one PATH only".to_owned()));
    }
    let deferred = Deferred::new();
    let mut report = VerifyReport { level: args.level.number(), collections: Vec::new() };
    let mut exit = Exit::Ok;
    let mut over = None;
    for path in &args.paths {
        if let Some(why) = &over {
            let ended = Some(String::clone(why));
            report.collections.push(VerifiedCollection { ended, ..VerifiedCollection::new(show_path(path)) });
            continue;
        }
        let mut collection = VerifiedCollection::new(show_path(path));
        let found = match one(session, args, path, &deferred, &mut collection) {
            Ok(exit) => exit,
            // Of several collections the others are worth a look all the same.
            Err(failure) if args.paths.len() > 1 => {
                let report = failure.report();
                write_error(&report);
                collection.error = Some(report);
                failure.exit()
            }
            Err(failure) => return Err(failure),
        };
        collection.checked = collection.error.is_none();
        over = match found {
            Exit::Interrupted => Some(Ended::Interrupted),
            _ => (args.fail_fast && collection.errors > 0).then_some(Ended::FirstError),
        }
        .map(|ended| ended.word().to_owned());
        report.collections.push(collection);
        exit = if found.gravity() > exit.gravity() { found } else { exit };
    }
    let shown = args.one_path().map(show_path);
    session.out.report(NAME, shown, exit, &report)?;
    Ok(exit)
}

fn one(
    session: &Session,
    args: &VerifyArgs,
    path: &Path,
    deferred: &Deferred,
    collection: &mut VerifiedCollection,
) -> Result<Exit, Failure> {
    let start = Instant::now();
    let held = session.open(path)?;
    let view = &held.view;
    collection.manifest = view.used().map(|file| show_path(&file.path));
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let (seal_path, comparison, unusable) = match seal::find(session, path).filter(|_| !args.no_seal) {
        Some((path, Ok(file))) => (show_path(&path), Some(Arc::new(Comparison::new(file, view))), None),
        Some((path, Err(finding))) => (show_path(&path), None, Some(finding)),
        None => (String::new(), None, None),
    };
    let budget = args.max_duration.map(|time| Budget::new(session, path, start + time)).transpose()?;
    let options = Options {
        seal: comparison.clone(),
        level: args.level,
        threads: session.threads(),
        segment: args.segment,
        fail_fast: args.fail_fast,
    };
    let progress = session.out.progress("bytes", 0);
    let mut watch = |read, total| {
        progress.set(read, total);
        if deferred.asked() {
            Flow::Stop(Ended::Interrupted)
        } else if budget.as_ref().is_some_and(|budget| Instant::now() >= budget.end) {
            Flow::Stop(Ended::Budget)
        } else {
            Flow::Continue
        }
    };
    let order = |jobs: &mut Vec<Job>| {
        if let Some(budget) = &budget {
            budget.state.sort(jobs, args.level);
        }
    };
    let verified = verify(view, &tree, &options, order, &mut watch)?;
    drop(progress);
    let mut findings = verified.findings;
    findings.extend(unusable);
    if let Some(budget) = budget {
        findings.extend(budget.keep(&verified.done, &verified.cut, args.level, &tree));
    }
    if let Some(comparison) = comparison {
        let (summary, finding) = comparison.summary(seal_path);
        findings.extend(finding);
        collection.seal = Some(summary);
    }
    if verified.ended.is_none() && args.segment.is_none() {
        let more = Findings::default();
        collection.outlook = Some(outlook(view, &tree, &findings, &more));
        let all = Findings::from(findings);
        all.extend(more.list());
        findings = all.list();
    }
    let exit = match verified.ended {
        Some(Ended::Interrupted) => Exit::Interrupted,
        _ => Exit::of_findings(&findings),
    };
    collection.ended = verified.ended.map(|ended| ended.word().to_owned());
    collection.files = verified.files;
    collection.bytes = verified.bytes;
    collection.files_left = verified.files_left;
    collection.parts_left = verified.parts_left;
    remedy::attach(path, &mut findings);
    collection.take(findings, args.max_findings);
    collection.seconds = start.elapsed().as_secs_f64();
    Ok(exit)
}

/// A look that has only so much time.
struct Budget {
    end: Instant,
    path: PathBuf,
    state: State,
}

impl Budget {
    fn new(session: &Session, collection: &Path, end: Instant) -> Result<Self, Failure> {
        let path = seal::beside(session, collection, State::path_of)
            .ok_or_else(|| Failure::Usage(format!("{} has no name to call the state after", collection.display())))?;
        let state =
            seal::read(session, &path).and_then(Result::ok).map_or_else(State::default, |bytes| State::parse(&bytes));
        Ok(Self { end, path, state })
    }

    /// Keeps the state. Where that is not possible, the look was made all the same.
    fn keep(mut self, done: &[PathBuf], cut: &[PathBuf], level: Level, tree: &Tree) -> Option<Finding> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.state.note(done, cut, level, now, |path| tree.get(path).is_some());
        let error = seal::write(&self.path, &self.state.to_json()).err()?;
        let detail = format!(
            "what was checked cannot be remembered for the next run with --max-duration, which begins as this one did: {}",
            error.report().message
        );
        Some(Finding::warning("verify.state-not-kept", detail))
    }
}
