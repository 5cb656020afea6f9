//! What commands that write have in common.

use std::path::Path;

use clap::{Args, ValueEnum};

use crate::{
    engine::{Collection, Flushed, OpenOptions, Opening, Options, Sync},
    report::{
        Exit,
        engine::{Published, Recovery},
        show_path,
    },
};

use super::{Session, error::Failure};

#[derive(Debug, Args)]
pub struct SyncArg {
    /// When written documents are durable
    #[arg(long, value_enum, default_value = "batch", value_name = "WHEN")]
    sync: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// After each batch: it survives a power cut
    Batch,
    /// After the flush; until then they survive the end of the process, not a power cut
    Flush,
    /// Never for certain: nothing is synced
    None,
}

impl SyncArg {
    /// As the engine has it.
    pub fn sync(&self) -> Sync {
        match self.sync {
            When::Batch => Sync::Batch,
            When::Flush => Sync::Flush,
            When::None => Sync::None,
        }
    }
}

/// Opens a collection for writing.
pub fn open(session: &Session, path: &Path, sync: Sync, accept_loss: bool) -> Result<(Collection, Recovery), Failure> {
    let Opening { recovery, collection, .. } = opening(session, path, sync, accept_loss);
    Ok((collection?, recovery))
}

/// The same with what was found, also if it cannot be opened.
pub fn opening(session: &Session, path: &Path, sync: Sync, accept_loss: bool) -> Opening {
    let options = OpenOptions {
        options: Options { sync, ..Options::default() },
        lock_timeout: session.lock_timeout(),
        accept_loss,
    };
    Collection::open(session.vfs_mut(), path, options)
}

/// What a flush did, for a report.
pub fn published(flushed: Flushed) -> Published {
    let leftovers = flushed.leftovers.into_iter().map(|(path, why)| format!("{}: {why}", show_path(&path))).collect();
    Published { manifest: flushed.manifest, rows: flushed.rows, leftovers }
}

impl Published {
    /// The exit code that it calls for.
    pub fn exit(&self) -> Exit {
        if self.leftovers.is_empty() { Exit::Ok } else { Exit::Warnings }
    }
}
