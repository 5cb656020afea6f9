//! `segments ls` and `segments show`.

use clap::{Args, Subcommand};

use crate::{
    inspect::{Findings, InspectError, Tree, deleted::Deleted, segments},
    report::{
        Exit,
        segments::{SegmentDetail, SegmentList},
        show_path,
    },
};

use super::{Session, args::CollectionArg, error::Failure};

#[derive(Debug, Subcommand)]
pub enum SegmentsCommand {
    /// List segments: state, documents, ids, blocks, WAL, size
    Ls(CollectionArg),
    /// Show the blocks of one segment and what their files hold
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Segment id
    #[arg(value_name = "ID")]
    id: u32,
}

pub fn run(session: &mut Session, command: &SegmentsCommand) -> Result<Exit, Failure> {
    match command {
        SegmentsCommand::Ls(args) => ls(session, args),
        SegmentsCommand::Show(args) => show(session, args),
    }
}

fn ls(session: &mut Session, args: &CollectionArg) -> Result<Exit, Failure> {
    let held = session.open(&args.path)?;
    let view = &held.view;
    let (file, manifest) = view.manifest()?;
    let findings = Findings::default();
    findings.extend(view.findings().iter().cloned());
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    findings.extend(tree.findings.iter().cloned());
    let deleted = Deleted::load(view, manifest);
    findings.extend(deleted.findings.iter().cloned());
    let ids = deleted.set.as_ref().map(|set| &set.ids);
    let listed = view.segments()?;
    let mut entries: Vec<_> =
        listed.iter().map(|segment| segments::describe(view, &tree, *segment, ids, &findings)).collect();
    let orphans = segments::orphans(view, &tree);
    findings.extend(orphans.iter().map(segments::orphan_finding));
    entries.extend(orphans);
    let data = SegmentList { manifest: show_path(&file.path), segments: entries, findings: findings.list() };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("segments ls", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}

fn show(session: &mut Session, args: &ShowArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let held = session.open(path)?;
    let view = &held.view;
    let (file, manifest) = view.manifest()?;
    let listed = view.segments()?;
    let segment = listed
        .iter()
        .find(|segment| segment.id() == args.id)
        .ok_or_else(|| InspectError::NoSuchSegment { path: path.clone(), id: args.id })?;
    let findings = Findings::default();
    findings.extend(view.findings().iter().cloned());
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let deleted = Deleted::load(view, manifest);
    findings.extend(deleted.findings.iter().cloned());
    let ids = deleted.set.as_ref().map(|set| &set.ids);
    let entry = segments::describe(view, &tree, *segment, ids, &findings);
    let blocks = segments::blocks(view, &tree, *segment, &findings);
    let data = SegmentDetail { manifest: show_path(&file.path), segment: entry, blocks, findings: findings.list() };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("segments show", Some(show_path(path)), exit, &data)?;
    Ok(exit)
}
