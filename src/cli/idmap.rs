//! `idmap get` and `idmap dump`.

use clap::{Args, Subcommand};
use roaring::RoaringTreemap;
use serde_json::json;

use crate::{
    inspect::{
        Findings,
        deleted::Deleted,
        idmap::{IdMap, Mapped},
    },
    report::{
        Exit, Finding,
        idmap::{IdMapEntry, IdMapReport},
        show_path,
    },
};

use super::{
    Session,
    args::CollectionArg,
    error::Failure,
    output::{Format, LineTable, StreamedReport},
};

#[derive(Debug, Subcommand)]
pub enum IdmapCommand {
    /// Look primary keys up
    Get(GetArgs),
    /// List every primary key in key order
    Dump(CollectionArg),
}

#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Primary keys
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub fn run(session: &mut Session, command: &IdmapCommand) -> Result<Exit, Failure> {
    match command {
        IdmapCommand::Get(args) => get(session, args),
        IdmapCommand::Dump(args) => dump(session, args),
    }
}

fn get(session: &mut Session, args: &GetArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let held = session.open(path)?;
    let view = &held.view;
    let (_, manifest) = view.manifest()?;
    let findings = Findings::default();
    findings.extend(view.findings().iter().cloned());
    let snapshot = Deleted::load(view, manifest);
    findings.extend(snapshot.findings.iter().cloned());
    let id_map = IdMap::load(view, manifest);
    findings.extend(id_map.findings.iter().cloned());
    let entries = args
        .ids
        .iter()
        .map(|id| {
            let (state, doc_id) = match id_map.get(id.as_bytes(), &findings) {
                Mapped::To(doc_id) => ("mapped", Some(doc_id)),
                Mapped::Absent => {
                    findings
                        .add(Finding::warning("idmap.absent", format!("{id} is not in the id map")).at(&id_map.path));
                    ("absent", None)
                }
                Mapped::Unknown(best) => ("unknown", best),
            };
            let deleted = doc_id.zip(snapshot.set.as_ref()).map(|(doc_id, set)| set.ids.contains(doc_id));
            IdMapEntry { id: id.clone(), state: state.to_owned(), doc_id, deleted }
        })
        .collect();
    let data = IdMapReport { path: show_path(&id_map.path), entries, findings: findings.list() };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("idmap get", Some(show_path(path)), exit, &data)?;
    Ok(exit)
}

fn dump(session: &mut Session, args: &CollectionArg) -> Result<Exit, Failure> {
    let held = session.open(&args.path)?;
    let view = &held.view;
    let (_, manifest) = view.manifest()?;
    let findings = Findings::default();
    findings.extend(view.findings().iter().cloned());
    let snapshot = Deleted::load(view, manifest);
    findings.extend(snapshot.findings.iter().cloned());
    let ids = snapshot.set.as_ref().map(|set| &set.ids);
    let id_map = IdMap::load(view, manifest);
    findings.extend(id_map.findings.iter().cloned());
    let entries = id_map.entries(&findings).map(|(pk, doc_id, certain)| entry(&pk, doc_id, certain, ids));
    match session.out.format() {
        Format::Table => {
            let table =
                LineTable::start(session.out.stdout(), &[("DOC ID", 12), ("STATE", 7), ("DELETED", 7), ("ID", 0)])?;
            for entry in entries {
                let deleted = entry.deleted.map_or("-", |deleted| if deleted { "yes" } else { "no" });
                let doc_id = entry.doc_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
                table.row(session.out.stdout(), &[doc_id, entry.state, deleted.to_owned(), entry.id])?;
            }
            session.out.flush()?;
            session.out.warn(&findings.list());
        }
        Format::Json => {
            let collection = show_path(&args.path);
            let facts = [("path", json!(show_path(&id_map.path)))];
            let mut report =
                StreamedReport::start(session.out.stdout(), "idmap dump", Some(&collection), &facts, "entries")?;
            for entry in entries {
                report.entry(session.out.stdout(), &entry)?;
            }
            let found = findings.list();
            report.finish(session.out.stdout(), &[("findings", json!(found))], Exit::of_findings(&found))?;
            session.out.flush()?;
        }
    }
    Ok(Exit::of_findings(&findings.list()))
}

fn entry(pk: &[u8], doc_id: u64, certain: bool, deleted: Option<&RoaringTreemap>) -> IdMapEntry {
    IdMapEntry {
        id: String::from_utf8_lossy(pk).into_owned(),
        state: if certain { "mapped" } else { "unknown" }.to_owned(),
        doc_id: Some(doc_id),
        deleted: deleted.map(|ids| ids.contains(doc_id)),
    }
}
