//! `export`.

use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum, ValueHint};

use crate::{
    inspect::documents::{
        Cell, Document, Documents, Fields, Origin, ParquetError, ParquetExport, Selection, write_document,
    },
    report::{Exit, documents::ExportSummary, show_path},
    vfs::{RealFs, ReplacedFile, parent},
};

use super::{Session, args::CollectionArg, error::Failure, interrupt::Deferred};

#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Format of the documents
    #[arg(long, value_enum, default_value = "jsonl", value_name = "FORMAT")]
    to: Target,
    /// File to write instead of stdout; it appears when everything is written. Parquet needs one
    #[arg(short, long, value_hint = ValueHint::FilePath, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also deleted and replaced versions that are still in the files
    #[arg(long)]
    include_deleted: bool,
    /// Leave the write-ahead log out: documents that were never flushed
    #[arg(long)]
    no_wal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// One JSON object a line
    Jsonl,
    /// A Parquet file
    Parquet,
}

pub fn run(session: &mut Session, args: &ExportArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    if args.to == Target::Parquet && args.output.is_none() {
        return Err(Failure::Usage("--to parquet needs --output FILE".to_owned()));
    }
    if args.to == Target::Parquet && args.include_deleted {
        let message = "--include-deleted writes several versions of one id, which only --to jsonl can tell apart";
        return Err(Failure::Usage(message.to_owned()));
    }
    let held = session.open(path)?;
    if let Some(file) = args.output.as_deref().filter(|file| lies_in(session, file, path)) {
        let message = format!("{} lies in the collection, which is only read", file.display());
        return Err(Failure::Usage(message));
    }
    let selection = Selection { include_deleted: args.include_deleted, without_wal: args.no_wal };
    let mut documents = Documents::open(&held.view, selection)?;
    let fields = documents.fields().clone();
    let mut export = Export {
        progress: session.out.progress("documents", documents.stored()),
        counts: Counts::default(),
        deferred: None,
    };
    match (&args.output, args.to) {
        (None, _) => export.json_lines(session.out.stdout(), &mut documents, &fields)?,
        (Some(file), target) => {
            let failed = |error| Failure::Target { path: file.clone(), error };
            export.deferred = Some(Deferred::new());
            let out = BufWriter::new(ReplacedFile::create(&RealFs, file).map_err(failed)?);
            let out = match target {
                Target::Jsonl => {
                    let mut out = out;
                    export.json_lines(&mut out, &mut documents, &fields).map_err(|error| match error {
                        Failure::Output(error) => failed(error),
                        other => other,
                    })?;
                    out
                }
                Target::Parquet => export.parquet(out, &mut documents, &fields, &failed)?,
            };
            out.into_inner().map_err(io::IntoInnerError::into_error).and_then(ReplacedFile::commit).map_err(failed)?;
        }
    }
    let Export { progress, counts, .. } = export;
    drop(progress);
    let summary = ExportSummary {
        documents: counts.documents,
        from_wal: counts.from_wal,
        deleted: counts.deleted,
        incomplete: counts.incomplete,
        unreadable: documents.unreadable_rows(),
        findings: documents.findings(),
    };
    let exit = Exit::of_findings(&summary.findings);
    let sentence = describe(&summary);
    session.out.summary("export", Some(show_path(path)), exit, &summary, &summary.findings, &sentence)?;
    Ok(exit)
}

/// Whether a file that need not exist yet would stand in or below a directory.
pub fn lies_in(session: &Session, file: &Path, dir: &Path) -> bool {
    let parent = parent(file);
    let (parent, dir) = (session.vfs().canonical(parent), session.vfs().canonical(dir));
    parent.is_ok_and(|parent| dir.is_ok_and(|dir| parent.starts_with(dir)))
}

struct Export {
    progress: super::output::Progress,
    counts: Counts,
    /// Held while a file is written, which must not be left half done.
    deferred: Option<Deferred>,
}

#[derive(Default)]
struct Counts {
    documents: u64,
    from_wal: u64,
    deleted: u64,
    incomplete: u64,
}

impl Export {
    fn json_lines(
        &mut self,
        out: &mut dyn Write,
        documents: &mut Documents<'_>,
        fields: &Fields,
    ) -> Result<(), Failure> {
        let mut line = Vec::new();
        self.each(documents, &mut |document| {
            line.clear();
            write_document(&mut line, &document, fields);
            line.push(b'\n');
            out.write_all(&line).map_err(Failure::Output)
        })
    }

    fn parquet<W: Write + Send>(
        &mut self,
        out: W,
        documents: &mut Documents<'_>,
        fields: &Fields,
        failed: &dyn Fn(io::Error) -> Failure,
    ) -> Result<W, Failure> {
        let failed = |error: ParquetError| failed(io::Error::other(error));
        let mut writer = ParquetExport::new(out, fields).map_err(failed)?;
        self.each(documents, &mut |document| writer.add(document).map_err(failed))?;
        writer.finish().map_err(failed)
    }

    /// Gives every document to `write`, counted, until that fails or Ctrl-C asks to stop.
    fn each(
        &mut self,
        documents: &mut Documents<'_>,
        write: &mut dyn FnMut(Document) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut result = Ok(());
        let (progress, counts, deferred) = (&self.progress, &mut self.counts, &self.deferred);
        let flow = documents.each(&mut |document| {
            if deferred.as_ref().is_some_and(Deferred::asked) {
                result = Err(Failure::Interrupted);
                return ControlFlow::Break(());
            }
            counts.add(&document);
            progress.add(1);
            result = write(document);
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        debug_assert_eq!(flow.is_break(), result.is_err());
        result
    }
}

impl Counts {
    fn add(&mut self, document: &Document) {
        self.documents += 1;
        self.from_wal += u64::from(matches!(document.origin, Origin::Wal { .. }));
        self.deleted += u64::from(document.deleted);
        let incomplete = document.fields.iter().chain(&document.vectors).any(|cell| *cell == Cell::Unreadable);
        self.incomplete += u64::from(incomplete);
    }
}

fn describe(summary: &ExportSummary) -> String {
    let plural = if summary.documents == 1 { "" } else { "s" };
    let mut sentence = format!("{} document{plural}", summary.documents);
    let mut parts = Vec::new();
    for (count, what) in [
        (summary.from_wal, "from the write-ahead log"),
        (summary.deleted, "deleted or replaced"),
        (summary.incomplete, "with fields that cannot be read"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if !parts.is_empty() {
        sentence.push_str(&format!(", {}", parts.join(", ")));
    }
    if summary.unreadable > 0 {
        sentence.push_str(&format!("; {} rows cannot be read at all", summary.unreadable));
    }
    sentence
}
