//! `report`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};

use crate::{
    bundle::bundle,
    report::{Envelope, Exit, show_path},
    verify::{Ended, Flow, Level},
    vfs::{RealFs, ReplacedFile},
};

use super::{Session, args::CollectionArg, error::Failure, export::lies_in, interrupt::Deferred, verify::level};

/// The command as typed.
const NAME: &str = "report";

#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Hash the names of fields, of the collection and of foreign files, too
    #[arg(long)]
    redact: bool,
    /// File to write instead of stdout
    #[arg(short, long, value_hint = ValueHint::FilePath, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How deep to check, as `verify --level`
    #[arg(long, default_value = "2", value_name = "LEVEL", value_parser = level)]
    level: Level,
}

pub fn run(session: &mut Session, args: &ReportArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let held = session.open(path)?;
    if let Some(file) = args.output.as_deref().filter(|file| lies_in(session, file, path)) {
        return Err(Failure::Usage(format!("{} lies in the collection, which is only read", file.display())));
    }
    let deferred = Deferred::new();
    let progress = session.out.progress("bytes", 0);
    let mut watch = |read, total| {
        progress.set(read, total);
        if deferred.asked() { Flow::Stop(Ended::Interrupted) } else { Flow::Continue }
    };
    let made = bundle(&held.view, args.redact, args.level, &mut watch)?;
    drop(progress);
    let Some((data, findings)) = made else { return Err(Failure::Interrupted) };
    let exit = Exit::of_findings(&findings);
    // The path may tell as much as a name.
    let shown = (!args.redact).then(|| show_path(path));
    let mut envelope = Envelope::new(NAME, shown, exit.code());
    envelope.data = Some(&data);
    match &args.output {
        None => session.out.document(&envelope)?,
        Some(file) => {
            write(file, &envelope)?;
            if session.out.is_json() {
                session.out.document(&envelope)?;
            }
        }
    }
    Ok(exit)
}

fn write<T: serde::Serialize>(file: &Path, envelope: &T) -> Result<(), Failure> {
    let failed = |error| Failure::Target { path: file.to_owned(), error };
    let text = serde_json::to_vec_pretty(envelope).map_err(|error| failed(error.into()))?;
    let mut out = ReplacedFile::create(&RealFs, file).map_err(failed)?;
    out.write_all(&text).and_then(|()| out.write_all(b"\n")).map_err(failed)?;
    out.commit().map_err(failed)
}
