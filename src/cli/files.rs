//! `files ls`.

use clap::Subcommand;

use crate::{
    inspect::{Tree, files, lock},
    report::{Exit, files::FileList, show_path},
};

use super::{Session, args::CollectionArg, error::Failure};

#[derive(Debug, Subcommand)]
pub enum FilesCommand {
    /// List every file with its role: named by the manifest, WAL, leftover, orphan, stranger, missing
    Ls(CollectionArg),
}

pub fn run(session: &mut Session, command: &FilesCommand) -> Result<Exit, Failure> {
    let FilesCommand::Ls(args) = command;
    let held = session.open(&args.path)?;
    let view = &held.view;
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let list = files::list(view, &tree);
    let mut findings = view.findings().to_vec();
    findings.extend(tree.findings.iter().cloned());
    findings.extend(files::findings(&list, view));
    let usage = tree.usage(std::path::Path::new(""));
    let data = FileList {
        manifest: view.used().map(|file| show_path(&file.path)),
        lock: lock::state(view.vfs().as_ref(), view.root()),
        files: list,
        size: usage.size,
        allocated: usage.allocated,
        findings,
    };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("files ls", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}
