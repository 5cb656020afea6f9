//! `recover`.

use std::{path::Path, sync::Arc};

use clap::Args;

use crate::{
    engine::{Collection, EngineError, OpenOptions, Opening, Sync},
    inspect::{Findings, Tree},
    report::{
        Exit, Finding, Loss, Severity,
        engine::{RecoverReport, RecoveryStep},
        many,
        outlook::Outlook,
        show_path,
    },
    verify::{Flow, Level, Options, outlook, verify},
    vfs::OverlayFs,
};

use super::{
    Session,
    args::CollectionArg,
    error::Failure,
    writing::{opening, published},
};

#[derive(Debug, Args)]
pub struct RecoverArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Change nothing: tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// Go on past damage in the write-ahead log: every intact record is kept, the damaged log is put aside
    #[arg(long)]
    accept_loss: bool,
    /// Leave the documents in the write-ahead log
    #[arg(long)]
    no_flush: bool,
}

pub fn run(session: &mut Session, args: &RecoverArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let Opening { mut recovery, collection, .. } = match args.dry_run {
        true => rehearse(session, path, args.accept_loss),
        false => opening(session, path, Sync::Batch, args.accept_loss),
    };
    let mut data = RecoverReport { dry_run: args.dry_run, ..RecoverReport::default() };
    if args.dry_run {
        data.outlook = zvec_would(session, path);
    }
    let mut failure = None;
    match collection {
        Err(error) => failure = Some(error),
        Ok(mut collection) => {
            let unflushed = collection.unflushed();
            if args.no_flush || args.dry_run {
                let detail = match (args.dry_run, unflushed) {
                    (_, 0) => "nothing to flush".to_owned(),
                    (true, documents) => format!("{} would be flushed", many(documents, "document")),
                    (false, documents) => format!("{} not flushed, in the log", many(documents, "document")),
                };
                recovery.steps.push(step("skipped", detail));
                collection.close();
            } else {
                match collection.flush() {
                    Ok(flushed) => {
                        let published = published(flushed);
                        let detail = match &published.manifest {
                            Some(manifest) => {
                                format!("{manifest} published, {} flushed", many(published.rows, "document"))
                            }
                            None => "nothing to flush".to_owned(),
                        };
                        recovery.steps.push(step("ok", detail));
                        data.published = Some(published);
                    }
                    Err(error) => {
                        recovery.steps.push(step("failed", error.to_string()));
                        failure = Some(error);
                    }
                }
            }
        }
    }
    data.recovery = recovery;
    if let Some(error) = failure {
        let failure = match error {
            // A rehearsal reads, and can do so without the lock.
            EngineError::Open(error) if args.dry_run => Failure::Inspect(error),
            error => error.into(),
        };
        session.out.partial("recover", Some(show_path(path)), failure.exit(), &data, &failure.report());
        return Ok(failure.exit());
    }
    if !args.dry_run {
        data.recovery.findings.iter_mut().for_each(done_with);
    }
    let exit = Exit::of_findings(&data.recovery.findings);
    session.out.report("recover", Some(show_path(path)), exit, &data)?;
    Ok(exit)
}

/// What cost nothing and is mended by now is worth a warning.
fn done_with(finding: &mut Finding) {
    if finding.severity == Severity::Error && finding.loss == Loss::None && !finding.is_newer_format() {
        finding.severity = Severity::Warning;
    }
}

/// Recovers on a file system whose changes stay in memory.
fn rehearse(session: &Session, path: &Path, accept_loss: bool) -> Opening {
    let options = OpenOptions { lock_timeout: session.lock_timeout(), accept_loss, ..OpenOptions::default() };
    let fs = OverlayFs::new(session.vfs().clone());
    let fs = if session.no_lock() { fs.without_lock() } else { fs };
    Collection::open(Arc::new(fs), path, options)
}

/// What zvec would do with the collection as it is. What stands in the way of telling is told by the steps.
fn zvec_would(session: &Session, path: &Path) -> Option<Outlook> {
    let held = session.open(path).ok()?;
    let tree = Tree::walk(held.view.vfs().as_ref(), held.view.root());
    let options =
        Options { level: Level::Files, threads: session.threads(), segment: None, fail_fast: false, seal: None };
    let verified = verify(&held.view, &tree, &options, |_| {}, &mut |_, _| Flow::Continue).ok()?;
    Some(outlook(&held.view, &tree, &verified.findings, &Findings::default()))
}

fn step(state: &str, detail: String) -> RecoveryStep {
    RecoveryStep { step: "flush".to_owned(), state: state.to_owned(), detail }
}
