//! `schema show`.

use clap::Subcommand;

use crate::{
    format::schema_file::SchemaFile,
    inspect::InspectError,
    report::{Exit, show_path},
};

use super::{Session, args::CollectionArg, error::Failure};

#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Show the schema; with --format json, `data` is a schema file
    Show(CollectionArg),
}

pub fn run(session: &mut Session, command: &SchemaCommand) -> Result<Exit, Failure> {
    let SchemaCommand::Show(args) = command;
    let held = session.open(&args.path)?;
    let (file, manifest) = held.view.manifest()?;
    let schema = manifest.schema.clone().unwrap_or_default();
    let data = SchemaFile::from_manifest(&schema)
        .map_err(|error| InspectError::Format { path: held.view.root().join(&file.path), error })?;
    let exit = Exit::of_findings(held.view.findings());
    session.out.warn(held.view.findings());
    session.out.report("schema show", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}
