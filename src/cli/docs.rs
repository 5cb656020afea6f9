//! `docs get`.

use clap::{Args, Subcommand};
use serde_json::value::RawValue;

use crate::{
    inspect::documents::{Documents, Fields, Found, Selection, write_document},
    report::{
        Exit, Finding,
        documents::{DocLookup, DocsReport},
        show_path,
    },
};

use super::{Session, args::CollectionArg, error::Failure};

#[derive(Debug, Subcommand)]
pub enum DocsCommand {
    /// Show the live documents with the given primary keys
    Get(GetArgs),
}

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Primary keys
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Leave the write-ahead log out
    #[arg(long)]
    no_wal: bool,
}

pub fn run(session: &mut Session, command: &DocsCommand) -> Result<Exit, Failure> {
    let DocsCommand::Get(args) = command;
    let path = &args.collection.path;
    let held = session.open(path)?;
    let selection = Selection { include_deleted: false, without_wal: args.no_wal };
    let mut documents = Documents::open(&held.view, selection)?;
    let pks: Vec<_> = args.ids.iter().map(|id| id.clone().into_bytes()).collect();
    let found = documents.find(&pks);
    let mut findings = documents.findings();
    let lookups = args.ids.iter().zip(&found).map(|(id, found)| {
        if *found == Found::Absent {
            findings.push(Finding::warning("document.absent", format!("there is no document {id}")));
        }
        lookup(id, found, documents.fields())
    });
    let lookups = lookups.collect();
    let data = DocsReport { documents: lookups, findings };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("docs get", Some(show_path(path)), exit, &data)?;
    Ok(exit)
}

fn lookup(id: &str, found: &Found, fields: &Fields) -> DocLookup {
    let mut lookup = DocLookup { id: id.to_owned(), state: String::new(), doc_id: None, origin: None, document: None };
    match found {
        Found::Document(document) => {
            let mut json = Vec::new();
            write_document(&mut json, document, fields);
            lookup.state = "found".to_owned();
            lookup.doc_id = Some(document.doc_id);
            lookup.origin = Some(document.origin.describe());
            lookup.document = String::from_utf8(json).ok().and_then(|json| RawValue::from_string(json).ok());
        }
        Found::Absent => lookup.state = "absent".to_owned(),
        Found::Unreadable(doc_id) => {
            lookup.state = "unreadable".to_owned();
            lookup.doc_id = *doc_id;
        }
    }
    lookup
}
