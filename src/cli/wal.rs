//! `wal ls` and `wal dump`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueHint};
use serde_json::value::RawValue;

use crate::{
    format::{
        Source,
        document::{self, Op},
        json_value,
        manifest::proto::DataType,
        wal::{Entry, Gap, GapEnd, Reader, Record, RecordFault},
    },
    inspect::{
        InspectError, Tree, View,
        documents::Fields,
        files,
        findings::from_format,
        names::{self, NameKind},
        wal,
    },
    report::{
        Exit, Finding, show_path,
        wal::{WalList, WalRecordLine},
    },
    vfs::FileType,
};

use super::{
    Session,
    args::CollectionArg,
    error::Failure,
    output::{Format, LineTable},
};

#[derive(Debug, Subcommand)]
pub enum WalCommand {
    /// List write-ahead logs: records by operation, torn tails, damage, what zvec would drop
    Ls(CollectionArg),
    /// Write every record, one line each; JSON lines with --format json
    Dump(DumpArgs),
}

#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Directory of the collection, or a WAL file
    #[arg(value_hint = ValueHint::AnyPath, value_name = "PATH|FILE")]
    pub path: PathBuf,
    /// Also show the fields of each document
    #[arg(long)]
    documents: bool,
}

pub fn run(session: &mut Session, command: &WalCommand) -> Result<Exit, Failure> {
    match command {
        WalCommand::Ls(args) => ls(session, args),
        WalCommand::Dump(args) => dump(session, args),
    }
}

fn ls(session: &mut Session, args: &CollectionArg) -> Result<Exit, Failure> {
    let held = session.open(&args.path)?;
    let view = &held.view;
    let mut findings = view.findings().to_vec();
    let mut wals = Vec::new();
    for (path, active) in logs(view) {
        let (entry, of_log) = wal::describe(view, &path, active);
        findings.extend(of_log);
        if !active && view.used().is_some() {
            let unpublished = files::unpublished_log(view, &path);
            let detail = "a log that no open replays: its block has been flushed, or belongs to another version";
            findings.push(unpublished.unwrap_or_else(|| Finding::warning("file.leftover", detail).at(&path)));
        }
        wals.push(entry);
    }
    let data = WalList { wals, findings };
    let exit = Exit::of_findings(&data.findings);
    session.out.report("wal ls", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}

/// Every WAL file, and whether an open replays it.
fn logs(view: &View) -> Vec<(PathBuf, bool)> {
    let active = view.used().and_then(|file| wal::active(view, file.manifest.as_ref()?));
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    let logs = tree
        .entries
        .into_iter()
        .filter(|entry| entry.file_type != FileType::Dir && names::classify(&entry.path).0 == NameKind::Wal);
    logs.map(|entry| (entry.path.clone(), Some(&entry.path) == active.as_ref())).collect()
}

fn dump(session: &mut Session, args: &DumpArgs) -> Result<Exit, Failure> {
    let found = session.vfs().metadata(&args.path).map_err(|error| InspectError::io(&args.path, error))?;
    let mut lines = Lines { out: Vec::new(), table: None, documents: args.documents, findings: Vec::new() };
    if found.file_type == FileType::Dir {
        let held = session.open(&args.path)?;
        lines.findings = held.view.findings().to_vec();
        let fields = held.view.used().and_then(|file| Some(Fields::of(file.manifest.as_ref()?).0)).unwrap_or_default();
        for (path, _) in logs(&held.view) {
            match held.view.source(&path) {
                Ok(source) => lines.log(session, &path, &source, &fields)?,
                Err(finding) => lines.findings.push(finding),
            }
        }
    } else {
        let source = crate::inspect::FileSource::open(session.vfs().as_ref(), &args.path)
            .map_err(|error| InspectError::io(&args.path, error))?;
        lines.log(session, &args.path, &source, &Fields::default())?;
    }
    session.out.flush()?;
    session.out.warn(&lines.findings);
    Ok(Exit::of_findings(&lines.findings))
}

/// Records on their way out, one line each.
struct Lines {
    out: Vec<u8>,
    table: Option<LineTable>,
    documents: bool,
    findings: Vec<Finding>,
}

impl Lines {
    fn log(&mut self, session: &mut Session, path: &Path, source: &dyn Source, fields: &Fields) -> Result<(), Failure> {
        let mut reader = match Reader::new(source) {
            Ok(reader) => reader,
            Err(error) => {
                self.findings.push(from_format(path, &error).loses(crate::report::Loss::Possible, None));
                return Ok(());
            }
        };
        let mut stopped = reader.header().fault.is_some();
        if let Some(fault) = &reader.header().fault {
            self.findings.push(from_format(path, fault));
        }
        loop {
            let line = match reader.next_entry() {
                Ok(None) => return Ok(()),
                Ok(Some(Entry::Record(record))) => {
                    stopped |= record.oversize();
                    self.record(path, &record, !stopped, fields)
                }
                Ok(Some(Entry::Gap(gap))) => {
                    stopped = true;
                    self.gap(path, &gap)
                }
                Err(error) => {
                    self.findings.push(from_format(path, &error).loses(crate::report::Loss::Possible, None));
                    return Ok(());
                }
            };
            self.write(session, &line)?;
        }
    }

    fn record(&mut self, path: &Path, record: &Record, replayed: bool, fields: &Fields) -> WalRecordLine {
        let mut line = WalRecordLine {
            path: show_path(path),
            offset: record.offset,
            index: Some(record.index),
            length: crate::format::wal::FRAME_LEN + record.payload.len() as u64,
            state: "ok".to_owned(),
            crc_stored: Some(format!("{:08x}", record.crc)),
            crc_computed: Some(format!("{:08x}", record.crc)),
            operation: None,
            id: None,
            doc_id: None,
            replayed_by_zvec: replayed,
            document: None,
            detail: record.oversize().then(|| "longer than zvec reads back".to_owned()),
        };
        match document::decode(&record.payload, record.payload_offset()) {
            Ok(doc) => {
                line.operation = Some(match doc.op {
                    Op::Insert => "INSERT".to_owned(),
                    Op::Upsert => "UPSERT".to_owned(),
                    Op::Update => "UPDATE".to_owned(),
                    Op::Delete => "DELETE".to_owned(),
                    Op::Unknown(number) => number.to_string(),
                });
                line.id = Some(String::from_utf8_lossy(&doc.pk).into_owned());
                line.doc_id = Some(doc.doc_id);
                line.document = self.documents.then(|| show_fields(&doc, fields)).flatten();
            }
            Err(error) => {
                line.state = "undecodable".to_owned();
                line.detail = Some(error.detail.clone());
                self.findings.push(from_format(path, &error).loses(crate::report::Loss::Certain, Some(1)));
            }
        }
        line
    }

    fn gap(&mut self, path: &Path, gap: &Gap) -> WalRecordLine {
        let (stored, computed) = match gap.fault {
            RecordFault::Crc { stored, computed, .. } => (Some(stored), Some(computed)),
            _ => (None, None),
        };
        let torn = gap.end == GapEnd::EndOfFile && !gap.is_one_record();
        let state = match gap.fault {
            _ if torn => "torn",
            RecordFault::Crc { .. } => "crc-mismatch",
            RecordFault::ZeroLength { .. } | RecordFault::ShortPayload { .. } => "bad-length",
            RecordFault::ShortFrame { .. } => "garbage",
        };
        let detail = match gap.end {
            GapEnd::Record => format!("{}; intact records follow", gap.fault),
            GapEnd::EndOfFile => format!("{}; no intact record follows", gap.fault),
            GapEnd::GivenUp => format!("{}; whether intact records follow was not found out", gap.fault),
        };
        let finding = if torn {
            Finding::warning("wal.torn-tail", detail.clone())
        } else {
            Finding::error("wal.damaged", detail.clone()).loses(crate::report::Loss::Possible, None)
        };
        self.findings.push(finding.at(path).offset(gap.range.start));
        WalRecordLine {
            path: show_path(path),
            offset: gap.range.start,
            index: None,
            length: gap.range.end.saturating_sub(gap.range.start),
            state: state.to_owned(),
            crc_stored: stored.map(|crc| format!("{crc:08x}")),
            crc_computed: computed.map(|crc| format!("{crc:08x}")),
            operation: None,
            id: None,
            doc_id: None,
            replayed_by_zvec: false,
            document: None,
            detail: Some(detail),
        }
    }

    fn write(&mut self, session: &mut Session, line: &WalRecordLine) -> Result<(), Failure> {
        if session.out.format() == Format::Json {
            self.out.clear();
            serde_json::to_writer(&mut self.out, line).map_err(std::io::Error::from)?;
            self.out.write_all(b"\n")?;
            session.out.stdout().write_all(&self.out)?;
            return Ok(());
        }
        if self.table.is_none() {
            let columns =
                [("OFFSET", 10), ("LENGTH", 8), ("STATE", 12), ("OP", 6), ("DOC ID", 8), ("WAL", 10), ("ID", 0)];
            self.table = Some(LineTable::start(session.out.stdout(), &columns)?);
        }
        let Some(table) = &self.table else { return Ok(()) };
        let dash = || "-".to_owned();
        let mut last = line.id.clone().unwrap_or_default();
        if let Some(detail) = &line.detail {
            last = format!("{last} ({detail})").trim_start().to_owned();
        }
        if let Some(document) = &line.document {
            last = format!("{last}  {}", document.get());
        }
        table.row(
            session.out.stdout(),
            &[
                line.offset.to_string(),
                line.length.to_string(),
                line.state.clone(),
                line.operation.clone().unwrap_or_else(dash),
                line.doc_id.map_or_else(dash, |id| id.to_string()),
                line.path.clone(),
                last,
            ],
        )?;
        Ok(())
    }
}

/// The fields of a WAL document as JSON; types by the schema where there is one.
fn show_fields(doc: &document::WalDoc, fields: &Fields) -> Option<Box<RawValue>> {
    let mut json = vec![b'{'];
    for (position, (name, value)) in doc.fields.iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        json_value::write_string(&mut json, name);
        json.push(b':');
        let known = fields.scalars.iter().chain(&fields.vectors).find(|field| field.name == *name);
        json_value::write_value(&mut json, value, known.map_or(DataType::Undefined, |field| field.data_type));
    }
    json.push(b'}');
    RawValue::from_string(String::from_utf8(json).ok()?).ok()
}
