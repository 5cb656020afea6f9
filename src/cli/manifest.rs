//! `manifest dump`, `manifest ls`, `manifest diff`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};

use crate::{
    format::manifest::{Dump, Manifest, ManifestName, Style, diff, row_count},
    inspect::{
        InspectError, View,
        files::named_by,
        findings::from_format,
        manifests::{self, LoadedManifest, ManifestFile, ManifestState},
        rfc3339, segments_of,
    },
    report::{
        Exit, Finding,
        manifest::{Change, ManifestDiff, ManifestDump, ManifestEntry, ManifestList, UnknownField},
        show_path,
    },
    vfs::FileType,
};

use super::{Session, args::CollectionArg, error::Failure};

#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Show one manifest in full, unknown fields included; a damaged one as far as it decodes
    Dump(DumpArgs),
    /// List every manifest on disk: size, validity, which files it names that exist
    Ls(CollectionArg),
    /// Show what differs between two manifests
    Diff(DiffArgs),
}

#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Directory of the collection, or a manifest file
    #[arg(value_hint = ValueHint::AnyPath, value_name = "PATH|FILE")]
    pub path: PathBuf,
    /// Number of the manifest, instead of the one in force
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Manifest file, or collection (its manifest in force)
    #[arg(value_hint = ValueHint::AnyPath, value_name = "A")]
    pub from: PathBuf,
    /// Manifest file, or collection (its manifest in force)
    #[arg(value_hint = ValueHint::AnyPath, value_name = "B")]
    to: PathBuf,
}

pub fn run(session: &mut Session, command: &ManifestCommand) -> Result<Exit, Failure> {
    match command {
        ManifestCommand::Dump(args) => dump(session, args),
        ManifestCommand::Ls(args) => ls(session, args),
        ManifestCommand::Diff(args) => difference(session, args),
    }
}

fn dump(session: &mut Session, args: &DumpArgs) -> Result<Exit, Failure> {
    let found = session.vfs().metadata(&args.path).map_err(|error| InspectError::io(&args.path, error))?;
    let data = if found.file_type == FileType::Dir {
        let held = session.open(&args.path)?;
        let file = pick(&held.view, args.version)?;
        let loaded = manifests::load(held.view.vfs().as_ref(), held.view.root(), &file.path)?;
        describe(&file.path, &loaded, held.view.findings())?
    } else {
        if args.version.is_some() {
            let message = "--version chooses among the manifests of a collection; this is a file".to_owned();
            return Err(Failure::Usage(message));
        }
        let loaded = load_file(session, &args.path)?;
        describe(&args.path, &loaded, &[])?
    };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("manifest dump", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}

/// The manifest in force.
pub fn current(view: &View) -> Result<ManifestDump, InspectError> {
    let file = pick(view, None)?;
    describe(&file.path, &manifests::load(view.vfs().as_ref(), view.root(), &file.path)?, view.findings())
}

/// The manifest asked for; without a number the one in force, or the newest where none can be used.
fn pick(view: &View, number: Option<u64>) -> Result<&ManifestFile, InspectError> {
    let root = || view.root().to_owned();
    match number {
        Some(number) => view
            .manifests()
            .iter()
            .find(|file| file.name.number == number)
            .ok_or_else(|| InspectError::NoSuchManifest { path: root(), number }),
        None => view.used().or(view.manifests().first()).ok_or_else(|| InspectError::NoManifest { path: root() }),
    }
}

fn load_file(session: &Session, path: &Path) -> Result<LoadedManifest, InspectError> {
    manifests::load(session.vfs().as_ref(), Path::new(""), path)
}

fn describe(path: &Path, loaded: &LoadedManifest, of_collection: &[Finding]) -> Result<ManifestDump, InspectError> {
    let dump = &loaded.dump;
    let (state, mut findings) = manifests::judge(path, loaded);
    match &state {
        ManifestState::Valid => {}
        ManifestState::Newer(error) | ManifestState::Damaged(error) => findings.push(from_format(path, error)),
        ManifestState::Unreadable(finding) => findings.push(finding.clone()),
    }
    for finding in of_collection {
        if !findings.contains(finding) && finding.path.as_deref() != Some(&show_path(path)) {
            findings.push(finding.clone());
        }
    }
    let name = path.file_name().and_then(|name| name.to_str()).and_then(ManifestName::parse);
    let shown = dump.to_json().map_err(|error| InspectError::Format { path: path.to_owned(), error })?;
    Ok(ManifestDump {
        file: show_path(path),
        number: name.map(|name| name.number),
        size: loaded.size,
        valid: state == ManifestState::Valid && findings.iter().all(|finding| finding.path != Some(show_path(path))),
        manifest: shown.get("manifest").cloned().unwrap_or_default(),
        unknown_fields: unknown_fields(dump),
        findings,
    })
}

fn unknown_fields(dump: &Dump) -> Vec<UnknownField> {
    let fields = dump.assessment().unknown_fields.into_iter();
    fields
        .map(|field| UnknownField {
            path: field.path,
            number: field.number,
            wire_type: field.wire_type.name().to_owned(),
            offset: field.offset,
            value: field.value,
        })
        .collect()
}

fn ls(session: &mut Session, args: &CollectionArg) -> Result<Exit, Failure> {
    let held = session.open(&args.path)?;
    let view = &held.view;
    let newest_of_release = view.manifests().iter().position(|file| file.name.style == Style::Release);
    let manifests = view
        .manifests()
        .iter()
        .enumerate()
        .map(|(position, file)| entry(view, file, Some(position) == newest_of_release))
        .collect();
    let data = ManifestList { manifests, findings: view.findings().to_vec() };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("manifest ls", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}

fn entry(view: &View, file: &ManifestFile, used_by_zvec: bool) -> ManifestEntry {
    let named = file.manifest.as_ref().map(named_by);
    let missing = named.iter().flatten().filter(|named| !view.exists(&named.path));
    let metadata = view.vfs().metadata(&view.root().join(&file.path)).ok();
    let segments = file.manifest.as_ref().map(segments_of);
    ManifestEntry {
        file: show_path(&file.path),
        number: file.name.number,
        style: match file.name.style {
            Style::Release => "release".to_owned(),
            Style::Article => "article".to_owned(),
        },
        size: file.size,
        modified: metadata.and_then(|found| found.modified).map(rfc3339),
        state: file.state_code().to_owned(),
        used: view.used().is_some_and(|used| used.path == file.path),
        used_by_zvec,
        segments: segments.as_ref().map(|segments| segments.len() as u64),
        documents: segments.map(|segments| segments.iter().map(|segment| row_count(segment.meta)).sum()),
        named: named.as_ref().map(|named| named.len() as u64),
        missing: missing.map(|named| show_path(&named.path)).collect(),
    }
}

fn difference(session: &mut Session, args: &DiffArgs) -> Result<Exit, Failure> {
    let from = whole_manifest(session, &args.from)?;
    let to = whole_manifest(session, &args.to)?;
    let changes: Vec<_> = diff(&from.1, &to.1)
        .into_iter()
        .map(|change| Change { path: change.path, before: change.before, after: change.after })
        .collect();
    let data = ManifestDiff { from: from.0, to: to.0, equal: changes.is_empty(), changes };
    session.out.report("manifest diff", Some(show_path(&args.from)), Exit::Ok, &data)?;
    Ok(Exit::Ok)
}

/// A manifest that can be used, by its file or by its collection.
fn whole_manifest(session: &Session, path: &Path) -> Result<(String, Manifest), InspectError> {
    let found = session.vfs().metadata(path).map_err(|error| InspectError::io(path, error))?;
    if found.file_type == FileType::Dir {
        let held = session.open(path)?;
        let (file, _) = held.view.manifest()?;
        let loaded = manifests::load(held.view.vfs().as_ref(), held.view.root(), &file.path)?;
        return Ok((show_path(&path.join(&file.path)), loaded.dump.manifest()));
    }
    let loaded = load_file(session, path)?;
    match manifests::judge(path, &loaded).0 {
        ManifestState::Valid | ManifestState::Newer(_) => Ok((show_path(path), loaded.dump.manifest())),
        ManifestState::Damaged(error) => Err(InspectError::Format { path: path.to_owned(), error }),
        ManifestState::Unreadable(_) => Err(InspectError::NotFound { path: path.to_owned() }),
    }
}
