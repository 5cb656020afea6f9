//! `seal`, and how `verify` finds seals.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use clap::{Args, ValueHint};

use crate::{
    inspect::{Tree, rfc3339},
    report::{
        Exit, Finding, Severity,
        seal::{SealFile, SealReport},
        show_path,
    },
    verify::{Flow, Level, Options, seal, verify},
    vfs::{RealFs, ReplacedFile},
};

use super::{Session, args::CollectionArg, error::Failure, export::lies_in, interrupt::Deferred};

/// A seal is read whole; a million files take less.
const MAX_SEAL: u64 = 1 << 30;

/// The command as typed.
const NAME: &str = "seal";

#[derive(Debug, Args)]
pub struct SealArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// File to write instead of <PATH>.seal.json, where `verify` looks for it
    #[arg(short, long, value_hint = ValueHint::FilePath, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seal even though there are errors: what is damaged stays damaged
    #[arg(long)]
    force: bool,
}

pub fn run(session: &mut Session, args: &SealArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let held = session.open(path)?;
    let view = &held.view;
    let target = match &args.output {
        Some(file) => file.clone(),
        None => beside(session, path, seal::path_of).ok_or_else(|| {
            Failure::Usage(format!("{} has no name to call the seal after; use --output FILE", path.display()))
        })?,
    };
    if lies_in(session, &target, path) {
        return Err(Failure::Usage(format!("{} lies in the collection, which is only read", target.display())));
    }
    view.manifest()?;
    let deferred = Deferred::new();
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let options =
        Options { level: Level::Files, threads: session.threads(), segment: None, fail_fast: false, seal: None };
    let mut watch =
        |_, _| if deferred.asked() { Flow::Stop(crate::verify::Ended::Interrupted) } else { Flow::Continue };
    let checked = verify(view, &tree, &options, |_| (), &mut watch)?;
    if checked.ended.is_some() {
        return Err(Failure::Interrupted);
    }
    let mut data = SealReport {
        file: show_path(&target),
        manifest: view.used().map(|file| show_path(&file.path)).unwrap_or_default(),
        files: 0,
        bytes: 0,
        findings: checked.findings,
    };
    let exit = Exit::of_findings(&data.findings);
    let damaged = data.findings.iter().any(|finding| finding.severity == Severity::Error);
    if !damaged || args.force {
        let progress = session.out.progress("bytes", 0);
        let (done, total) = (AtomicU64::new(0), tree.usage(Path::new("")).size);
        let each = |bytes| {
            progress.set(done.fetch_add(bytes, Ordering::Relaxed) + bytes, total);
            !deferred.asked()
        };
        let made = seal::make(view, &tree, rfc3339(SystemTime::now()), &each);
        drop(progress);
        let made = made.map_err(|finding| Failure::Target {
            path: target.clone(),
            error: std::io::Error::other(format!("{}: {}", finding.path.unwrap_or_default(), finding.detail)),
        })?;
        let Some(seal) = made else { return Err(Failure::Interrupted) };
        let text = serde_json::to_vec_pretty(&seal).unwrap_or_default();
        write(&target, &text)?;
        data.files = seal.files.len() as u64;
        data.bytes = seal.files.iter().map(|file| file.size).sum();
    }
    session.out.report(NAME, Some(show_path(path)), exit, &data)?;
    Ok(exit)
}

/// The file beside a collection that `name` says; `.` and `..` have no name, but lead to one, and a link leads to the collection that has it.
pub fn beside(session: &Session, collection: &Path, name: fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let Ok(real) = session.vfs().canonical(collection) else { return name(collection) };
    let parent = collection.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let direct = collection.file_name().zip(session.vfs().canonical(parent).ok());
    let is_link = direct.is_some_and(|(name, parent)| parent.join(name) != real);
    if is_link { name(&real) } else { name(collection).or_else(|| name(&real)) }
}

/// Writes a file beside a collection, whole or not at all.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let written = ReplacedFile::create(&RealFs, path).and_then(|mut file| {
        file.write_all(content)?;
        file.commit()
    });
    written.map_err(|error| Failure::Target { path: path.to_owned(), error })
}

/// Reads a file beside a collection; `None` if there is none.
pub fn read(session: &Session, path: &Path) -> Option<Result<Vec<u8>, std::io::Error>> {
    let file = match session.vfs().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(error)),
    };
    Some(file.len().and_then(|len| {
        if len > MAX_SEAL {
            return Err(std::io::Error::other(format!("{len} bytes are too many")));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }))
}

/// The seal of a collection, if there is one: its file, and what it says or why it cannot be used.
pub fn find(session: &Session, collection: &Path) -> Option<(PathBuf, Result<SealFile, Finding>)> {
    let path = beside(session, collection, seal::path_of)?;
    let unusable = |detail: String| {
        let detail = format!("{}: {detail}; the collection is checked without it", path.display());
        Finding::warning("seal.unreadable", detail)
    };
    let seal = match read(session, &path)? {
        Err(error) => Err(unusable(error.to_string())),
        Ok(bytes) => match serde_json::from_slice::<SealFile>(&bytes) {
            Ok(seal) if seal.schema == SealFile::SCHEMA => Ok(seal),
            Ok(seal) => Err(unusable(format!("its schema is {}", seal.schema))),
            Err(error) => Err(unusable(error.to_string())),
        },
    };
    Some((path, seal))
}
