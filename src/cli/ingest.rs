//! `ingest`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use clap::{Args, ValueEnum, ValueHint};

use crate::{
    engine::{
        Collection, Mode, Operation, Refusal, Schema, Sync,
        input::{self, DocReader, InputError, InputOptions, Item, Kind, Place},
    },
    report::{
        Exit,
        engine::{IngestReport, Published, Rejection},
        show_path,
    },
    vfs::Vfs,
};

use super::{
    Session,
    args::CollectionArg,
    error::Failure,
    interrupt::Deferred,
    output::Progress,
    writing::{SyncArg, open, published},
};

/// Rejected documents that are named.
const NAMED: usize = 100;
/// Batches that are read ahead.
const AHEAD: usize = 2;

#[derive(Debug, Args)]
pub struct IngestArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Files of JSON lines, Parquet or Arrow IPC; - for standard input, which is read if none is given
    #[arg(value_hint = ValueHint::FilePath, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// What becomes of documents that are there already
    #[arg(long, value_enum, default_value = "insert", value_name = "MODE")]
    mode: IngestMode,
    /// What to do at a document that is rejected
    #[arg(long, value_enum, default_value = "stop", value_name = "WHAT")]
    on_error: OnError,
    #[command(flatten)]
    sync: SyncArg,
    /// Leave the documents in the write-ahead log
    #[arg(long)]
    no_flush: bool,
    /// Documents that are written, and acknowledged, together
    #[arg(long, default_value = "1000", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch_size: u32,
    /// Print a line of JSON on stderr as soon as a batch is acknowledged: documents read and written so far
    #[arg(long)]
    acknowledge: bool,
    /// Column of the primary key in Parquet and Arrow files; `_zvec_uid_` or `id` if left out
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    /// Format of the inputs, if name and first bytes do not tell
    #[arg(long, value_enum, value_name = "FORMAT")]
    input_format: Option<InputFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IngestMode {
    /// New documents; an id that exists is rejected
    Insert,
    /// New documents, or whole new versions; the same input twice leaves the same documents
    Upsert,
    /// New values of some fields; an id that does not exist is rejected
    Update,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnError {
    /// Write what comes before it, and end
    Stop,
    /// Go on with the next one
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    /// One JSON object a line
    Jsonl,
    /// Parquet
    Parquet,
    /// Arrow IPC, file or stream
    Arrow,
}

pub fn run(session: &mut Session, args: &IngestArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let sync = args.sync.sync();
    let (collection, recovery) = open(session, path, sync, false)?;
    session.out.warn(&recovery.findings);
    let report = IngestReport { recovery, ..IngestReport::default() };
    let mut ingest = Ingest { collection, args, report, deferred: Deferred::new(), interrupted: false };
    let start = Instant::now();
    let result = ingest.inputs(session);
    let Ingest { mut collection, mut report, interrupted, .. } = ingest;
    // What has been acknowledged is flushed also if the input ended badly; a broken collection refuses by itself.
    let flushed = match args.no_flush {
        true => Ok(None),
        false => collection.flush().map(|flushed| Some(published(flushed))),
    };
    report.seconds = start.elapsed().as_secs_f64();
    report.rate = if report.seconds > 0.0 { report.written as f64 / report.seconds } else { 0.0 };
    report.documents = collection.len();
    if args.no_flush {
        collection.close();
    }
    report.stopped |= interrupted || result.is_err();
    report.durable = durable(sync, matches!(flushed, Ok(Some(_)))).to_owned();
    let failure = match (result, flushed) {
        (Err(failure), flushed) => {
            report.published = flushed.ok().flatten();
            Some(failure)
        }
        (Ok(()), Err(error)) => Some(error.into()),
        (Ok(()), Ok(published)) => {
            report.published = published;
            None
        }
    };
    let collection_path = Some(show_path(path));
    if let Some(failure) = failure {
        session.out.partial("ingest", collection_path, failure.exit(), &report, &failure.report());
        return Ok(failure.exit());
    }
    let exit = match (interrupted, report.rejected) {
        (true, _) => Exit::Interrupted,
        (false, 0) => report.published.as_ref().map_or(Exit::Ok, Published::exit),
        (false, _) => Exit::Refused,
    };
    session.out.report("ingest", collection_path, exit, &report)?;
    Ok(exit)
}

fn durable(sync: Sync, flushed: bool) -> &'static str {
    match (sync, flushed) {
        (Sync::Batch, _) | (Sync::Flush, true) => "everything",
        (Sync::Flush, false) => "what was flushed",
        (Sync::None, _) => "nothing for certain",
    }
}

struct Ingest<'a> {
    collection: Collection,
    args: &'a IngestArgs,
    report: IngestReport,
    deferred: Deferred,
    interrupted: bool,
}

/// What the reading thread sends.
type Batch = Result<(Vec<Item>, u64), InputError>;

impl Ingest<'_> {
    fn inputs(&mut self, session: &Session) -> Result<(), Failure> {
        let standard = [PathBuf::from("-")];
        let inputs = if self.args.inputs.is_empty() { &standard[..] } else { &self.args.inputs };
        let options = InputOptions {
            kind: self.args.input_format.map(|format| match format {
                InputFormat::Jsonl => Kind::JsonLines,
                InputFormat::Parquet => Kind::Parquet,
                InputFormat::Arrow => Kind::Arrow,
            }),
            id_column: self.args.id_column.clone(),
        };
        for input in inputs {
            let schema = self.collection.schema().clone();
            let reader = reader(session.vfs().as_ref(), input, &schema, &options)?;
            let progress = session.out.progress_bytes(&show_path(input), reader.bytes_total());
            self.input(session, input, reader, &progress)?;
            if self.interrupted || self.report.stopped {
                break;
            }
        }
        Ok(())
    }

    /// Writes one input, read by a thread of its own.
    fn input(
        &mut self,
        session: &Session,
        input: &Path,
        mut reader: Box<dyn DocReader>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let most = self.args.batch_size as usize;
        let (send, receive) = mpsc::sync_channel::<Batch>(AHEAD);
        thread::scope(|scope| {
            scope.spawn(move || {
                loop {
                    let mut items = Vec::with_capacity(most);
                    let more = reader.next_batch(most, &mut items);
                    // An error comes behind the documents that were read before it.
                    let sent = items.is_empty() || send.send(Ok((items, reader.bytes_read()))).is_ok();
                    match more {
                        Ok(true) if sent => {}
                        Ok(_) => return,
                        Err(error) => {
                            // Nobody listens any more if it has stopped for another reason.
                            let _ = send.send(Err(error));
                            return;
                        }
                    }
                }
            });
            let receive = receive;
            for batch in &receive {
                let (items, bytes) = batch?;
                progress.at(bytes);
                self.batch(input, items)?;
                if self.args.acknowledge {
                    session.out.acknowledge(self.report.read, self.report.written);
                }
                if self.deferred.asked() {
                    self.interrupted = true;
                }
                if self.interrupted || self.report.stopped {
                    break;
                }
            }
            Ok(())
        })
    }

    fn batch(&mut self, input: &Path, items: Vec<Item>) -> Result<(), Failure> {
        let mode = match self.args.mode {
            IngestMode::Insert => Mode::Insert,
            IngestMode::Upsert => Mode::Upsert,
            IngestMode::Update => Mode::Update,
        };
        let stop = self.args.on_error == OnError::Stop;
        let mut places = Vec::with_capacity(items.len());
        let mut operations = Vec::with_capacity(items.len());
        let mut unreadable = Vec::new();
        for Item { place, doc } in items {
            match doc {
                Ok(doc) => {
                    places.push(place);
                    operations.push(Operation::Put(mode, doc));
                }
                Err(refusal) => {
                    unreadable.push((place, refusal));
                    if stop {
                        break;
                    }
                }
            }
        }
        // With `stop` one at a time would be needed to end exactly at the first refusal: the engine is told to do so.
        let results =
            if stop { self.collection.write_until_refused(operations)? } else { self.collection.write(operations)? };
        let refused = places.iter().zip(&results).filter_map(|(place, result)| Some((*place, result.as_ref().err()?)));
        let mut rejected: Vec<(Place, Refusal)> = refused.map(|(place, refusal)| (place, refusal.clone())).collect();
        let done = results.len() as u64;
        self.report.written += done - rejected.len() as u64;
        if !stop || rejected.is_empty() {
            rejected.extend(unreadable);
        }
        self.report.read +=
            done + rejected.len() as u64 - results.iter().filter(|result| result.is_err()).count() as u64;
        rejected.sort_by_key(|(place, _)| number(*place));
        self.report.stopped |= stop && !rejected.is_empty();
        for (place, refusal) in rejected {
            self.report.rejected += 1;
            if self.report.rejections.len() < NAMED {
                self.report.rejections.push(Rejection {
                    file: show_path(input),
                    position: number(place),
                    code: refusal.code.to_owned(),
                    message: refusal.message,
                });
            }
        }
        Ok(())
    }
}

fn number(place: Place) -> u64 {
    let (Place::Line(number) | Place::Row(number)) = place;
    number
}

fn reader(
    vfs: &dyn Vfs,
    input: &Path,
    schema: &Arc<Schema>,
    options: &InputOptions,
) -> Result<Box<dyn DocReader>, InputError> {
    if input.as_os_str() == "-" {
        return input::open_stream("-", Box::new(std::io::stdin()), schema, options);
    }
    input::open(vfs, input, schema, options)
}
