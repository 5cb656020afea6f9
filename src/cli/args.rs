//! What can be typed.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueHint};

use super::{
    completions::CompletionsArgs,
    create::CreateArgs,
    delete::DeleteArgs,
    deleted::DeletedCommand,
    demo::DemoArgs,
    docs::DocsCommand,
    explain::ExplainArgs,
    export::ExportArgs,
    files::FilesCommand,
    idmap::IdmapCommand,
    ingest::IngestArgs,
    man::ManArgs,
    manifest::ManifestCommand,
    output::{Color, Format},
    recover::RecoverArgs,
    repair::RepairArgs,
    report::ReportArgs,
    salvage::SalvageArgs,
    schema::SchemaCommand,
    seal::SealArgs,
    segments::SegmentsCommand,
    verify::VerifyArgs,
    wal::WalCommand,
};

/// Inspect, write and check collections of the zvec vector database
///
/// Reads what zvec 0.1.0 to 0.8.0 wrote, without zvec: damaged collections, read-only mounts and collections that zvec refuses to open
/// included. Writes what zvec 0.8.0 opens. Only create, ingest, delete, flush, recover and repair change anything;
/// salvage writes to a new place.
#[derive(Debug, Parser)]
#[command(name = "zvecctl", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 nothing wrong, 1 warnings, 2 usage, 3 corruption without loss, 4 corruption with loss, \
5 not a collection, 6 newer format, 7 refused, 10 locked, 11 I/O error, 12 plan not applied, 101 bug, 130 interrupted.";

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Tables for people, or one JSON object for scripts
    #[arg(long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub format: Format,
    /// Color in tables
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// No progress and no closing remarks on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Threads; as many as there are cores if not given
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// How long to wait for a writer to give the collection's lock back
    #[arg(long, global = true, default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub lock_timeout: std::time::Duration,
    /// Read without the lock: what a writer changes meanwhile may look like damage
    #[arg(long, global = true)]
    pub no_lock: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show manifests: what a collection consists of
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Show segments and their blocks
    #[command(subcommand)]
    Segments(SegmentsCommand),
    /// Show every file and what it is there for
    #[command(subcommand)]
    Files(FilesCommand),
    /// Show the schema
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Show write-ahead logs, record by record
    #[command(subcommand)]
    Wal(WalCommand),
    /// Show the id map: primary keys and their document ids
    #[command(subcommand)]
    Idmap(IdmapCommand),
    /// Show deleted document ids
    #[command(subcommand)]
    Deleted(DeletedCommand),
    /// Show single documents
    #[command(subcommand)]
    Docs(DocsCommand),
    /// Write all documents as JSON lines or Parquet
    Export(ExportArgs),
    /// Make a new, empty collection
    Create(CreateArgs),
    /// Insert, upsert or update documents from JSON lines, Parquet or Arrow IPC
    Ingest(IngestArgs),
    /// Delete documents by id
    Delete(DeleteArgs),
    /// Write what the write-ahead log holds into blocks, and publish a manifest
    Flush(CollectionArg),
    /// Recover a collection step by step, each told
    Recover(RecoverArgs),
    /// Mend a damaged collection from what it holds twice; nothing is changed without --yes, and --undo takes it back
    Repair(RepairArgs),
    /// A tour: create, ingest, die before the flush, recover, look
    Demo(DemoArgs),
    /// Check collections: every error that can be found, and what zvec would do with them
    Verify(VerifyArgs),
    /// Write every readable document of a damaged collection to a new place
    Salvage(SalvageArgs),
    /// Collect what a bug report needs as one JSON document: structure, sizes, headers and codes, and no document
    Report(ReportArgs),
    /// Record a hash of every file beside the collection, so that `verify` finds every flipped bit
    Seal(SealArgs),
    /// Compute a digest of the live documents: the same for the same documents, however they are stored
    Digest(CollectionArg),
    /// Say what a code of a finding or an error means, and what to do about it
    Explain(ExplainArgs),
    /// Print a shell completion script
    Completions(CompletionsArgs),
    /// Write man pages
    Man(ManArgs),
}

/// The collection that a command looks at.
#[derive(Debug, Clone, Args)]
pub struct CollectionArg {
    /// Directory of the collection
    #[arg(value_hint = ValueHint::DirPath, value_name = "PATH")]
    pub path: PathBuf,
}

impl Command {
    /// The command as typed, and the path that it was given.
    pub fn name_and_path(&self) -> (&'static str, Option<&Path>) {
        match self {
            Self::Manifest(ManifestCommand::Dump(args)) => ("manifest dump", Some(&args.path)),
            Self::Manifest(ManifestCommand::Ls(args)) => ("manifest ls", Some(&args.path)),
            Self::Manifest(ManifestCommand::Diff(args)) => ("manifest diff", Some(&args.from)),
            Self::Segments(SegmentsCommand::Ls(args)) => ("segments ls", Some(&args.path)),
            Self::Segments(SegmentsCommand::Show(args)) => ("segments show", Some(&args.collection.path)),
            Self::Files(FilesCommand::Ls(args)) => ("files ls", Some(&args.path)),
            Self::Schema(SchemaCommand::Show(args)) => ("schema show", Some(&args.path)),
            Self::Wal(WalCommand::Ls(args)) => ("wal ls", Some(&args.path)),
            Self::Wal(WalCommand::Dump(args)) => ("wal dump", Some(&args.path)),
            Self::Idmap(IdmapCommand::Get(args)) => ("idmap get", Some(&args.collection.path)),
            Self::Idmap(IdmapCommand::Dump(args)) => ("idmap dump", Some(&args.path)),
            Self::Deleted(DeletedCommand::Ls(args)) => ("deleted ls", Some(&args.path)),
            Self::Docs(DocsCommand::Get(args)) => ("docs get", Some(&args.collection.path)),
            Self::Export(args) => ("export", Some(&args.collection.path)),
            Self::Create(args) => ("create", Some(&args.collection.path)),
            Self::Ingest(args) => ("ingest", Some(&args.collection.path)),
            Self::Delete(args) => ("delete", Some(&args.collection.path)),
            Self::Flush(args) => ("flush", Some(&args.path)),
            Self::Recover(args) => ("recover", Some(&args.collection.path)),
            Self::Repair(args) => ("repair", Some(&args.collection.path)),
            Self::Demo(_) => ("demo", None),
            Self::Verify(args) => ("verify", args.one_path()),
            Self::Salvage(args) => ("salvage", Some(&args.collection.path)),
            Self::Report(args) => ("report", Some(&args.collection.path)),
            Self::Seal(args) => ("seal", Some(&args.collection.path)),
            Self::Digest(args) => ("digest", Some(&args.path)),
            Self::Explain(_) => ("explain", None),
            Self::Completions(_) => ("completions", None),
            Self::Man(_) => ("man", None),
        }
    }
}

pub(super) fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    std::time::Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
