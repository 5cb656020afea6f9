//! `delete`.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};

use crate::{
    engine::{Collection, Operation},
    report::{
        Exit,
        engine::{DeleteReport, Published},
        show_path,
    },
};

use super::{
    Session,
    args::CollectionArg,
    error::Failure,
    interrupt::Deferred,
    writing::{SyncArg, open, published},
};

/// Ids that are written together.
const BATCH: usize = 1000;
/// Missing ids that are named.
const NAMED: usize = 100;
/// Bytes of a line of `--ids-from`: far more than any id has.
const LONGEST: usize = 1 << 20;

#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Primary keys
    #[arg(value_name = "ID", required_unless_present = "ids_from")]
    ids: Vec<String>,
    /// File with an id in each line; - for standard input
    #[arg(long, value_hint = ValueHint::FilePath, value_name = "FILE")]
    ids_from: Option<PathBuf>,
    #[command(flatten)]
    sync: SyncArg,
    /// Leave the deletions in the write-ahead log
    #[arg(long)]
    no_flush: bool,
}

pub fn run(session: &mut Session, args: &DeleteArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let (mut collection, recovery) = open(session, path, args.sync.sync(), false)?;
    let mut data = DeleteReport { recovery, ..DeleteReport::default() };
    let deferred = Deferred::new();
    let mut batch: Vec<Vec<u8>> = Vec::new();
    let mut interrupted = false;
    let from_file = args.ids_from.as_ref().map(|file| lines(session, file)).transpose()?;
    let ids = args.ids.iter().map(|id| Ok(id.clone().into_bytes())).chain(from_file.into_iter().flatten());
    for id in ids {
        batch.push(id?);
        if batch.len() >= BATCH {
            delete(&mut collection, &mut data, std::mem::take(&mut batch))?;
            if deferred.asked() {
                interrupted = true;
                break;
            }
        }
    }
    if !interrupted {
        delete(&mut collection, &mut data, batch)?;
    }
    data.published = match args.no_flush {
        true => None,
        false => Some(published(collection.flush()?)),
    };
    data.documents = collection.len();
    if args.no_flush {
        collection.close();
    }
    let exit = match (interrupted, data.not_found_count) {
        (true, _) => Exit::Interrupted,
        (false, 0) => data.published.as_ref().map_or(Exit::Ok, Published::exit),
        (false, _) => Exit::Warnings,
    };
    session.out.warn(&data.recovery.findings);
    session.out.report("delete", Some(show_path(path)), exit, &data)?;
    Ok(exit)
}

fn delete(collection: &mut Collection, data: &mut DeleteReport, ids: Vec<Vec<u8>>) -> Result<(), Failure> {
    let operations = ids.iter().cloned().map(Operation::Delete).collect();
    for (id, result) in ids.iter().zip(collection.write(operations)?) {
        if result.is_ok() {
            data.deleted += 1;
            continue;
        }
        data.not_found_count += 1;
        if data.not_found.len() < NAMED {
            data.not_found.push(String::from_utf8_lossy(id).into_owned());
        }
    }
    Ok(())
}

type Lines = Box<dyn Iterator<Item = Result<Vec<u8>, Failure>>>;

/// The lines of a file, empty ones left out.
fn lines(session: &Session, path: &Path) -> Result<Lines, Failure> {
    let reader: Box<dyn BufRead> = match path.as_os_str() == "-" {
        true => Box::new(BufReader::new(std::io::stdin())),
        false => {
            let source = crate::inspect::FileSource::open(session.vfs().as_ref(), path)
                .map_err(|error| crate::engine::EngineError::io(path, error))?;
            Box::new(BufReader::new(crate::inspect::SourceReader::new(source)))
        }
    };
    let shown = path.to_owned();
    Ok(Box::new(Split { reader, path: shown }.filter(|line| line.as_ref().map_or(true, |line| !line.is_empty()))))
}

struct Split {
    reader: Box<dyn BufRead>,
    path: PathBuf,
}

impl Iterator for Split {
    type Item = Result<Vec<u8>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        let mut limited = std::io::Read::take(&mut self.reader, LONGEST as u64);
        match limited.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    line.pop();
                }
                Some(Ok(line))
            }
            Err(error) => Some(Err(crate::engine::EngineError::io(&self.path, error).into())),
        }
    }
}
