//! `demo`: the tour in a few seconds, on a collection of its own.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::{Args, ValueHint};

use crate::{
    engine::{
        Collection, CreateOptions, EngineError, OpenOptions, Opening, Schema, Sync, remove_tree, schema::shorthand,
    },
    format::{manifest::Style, schema_file::SchemaFile},
    inspect::{View, wal},
    report::{Exit, engine::DemoReport, show_path},
    vfs::{RealFs, VfsMut},
};

use super::{
    Session,
    error::Failure,
    writing::{opening, published},
};

/// Documents that the process which is to be killed gets.
const DOCUMENTS: u64 = 1000;
/// Longest to wait for them to be in the log.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder for the collection, which is kept there; a temporary one that is removed if left out
    #[arg(long, value_hint = ValueHint::DirPath, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub fn run(session: &mut Session, args: &DemoArgs) -> Result<Exit, Failure> {
    let temporary = std::env::temp_dir().join(format!("zvecctl-demo-{}", std::process::id()));
    let folder = args.keep.as_ref().unwrap_or(&temporary);
    let made = args.keep.is_none() || session.vfs().metadata(folder).is_err();
    if made {
        RealFs.create_dir(folder).map_err(|error| EngineError::io(folder, error))?;
    }
    let result = tour(session, &folder.join("collection"));
    if args.keep.is_none() {
        // What is left in a temporary folder is only litter.
        let _ = remove_tree(&RealFs, folder);
    }
    let mut data = result?;
    data.kept = args.keep.is_some();
    session.out.report("demo", Some(data.collection.clone()), Exit::Ok, &data)?;
    Ok(Exit::Ok)
}

fn tour(session: &Session, path: &Path) -> Result<DemoReport, Failure> {
    let schema = Schema::create(&SchemaFile {
        name: "demo".to_owned(),
        max_doc_count_per_segment: 10_000_000,
        fields: vec![
            shorthand::scalar("title:STRING?")?,
            shorthand::scalar("year:INT32:INVERT(enable_range_optimization=true)")?,
        ],
        vectors: vec![shorthand::vector("dense:VECTOR_FP32:8:HNSW(metric=COSINE)")?],
    })?;
    let create = CreateOptions { enable_mmap: true, style: Style::Release };
    let collection = Collection::create(session.vfs_mut(), path, &schema, create, OpenOptions::default())?;
    let created = collection.version().name.to_string();
    drop(collection);

    let mut victim = Victim::start(path)?;
    let killed_at = victim.feed_and_kill(session, path)?;

    let view = View::open(session.vfs().clone(), path)?;
    let (_, manifest) = view.manifest()?;
    let before = super::manifest::current(&view)?;
    let log = wal::active(&view, manifest).map(|log| wal::describe(&view, &log, true).0);

    let Opening { recovery, collection, .. } = opening(session, path, Sync::Batch, false);
    let mut collection = collection?;
    let published = published(collection.flush()?);
    let documents = collection.len();
    drop(collection);

    let view = View::open(session.vfs().clone(), path)?;
    let after = super::manifest::current(&view)?;
    Ok(DemoReport {
        collection: show_path(path),
        created,
        killed_at,
        log,
        before,
        recovery,
        published,
        after,
        documents,
        kept: false,
    })
}

/// The process that dies in the middle of its work.
struct Victim {
    child: Child,
}

impl Victim {
    fn start(path: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|error| EngineError::io(Path::new("zvecctl"), error))?;
        let mut command = Command::new(&program);
        command.args(["--quiet", "ingest", "--no-flush", "--batch-size", "100"]).arg(path).arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| EngineError::io(&program, error))?;
        Ok(Self { child })
    }

    /// Hands it documents, waits until all of them are in the log, and kills it: it never comes to flush, or to close anything.
    fn feed_and_kill(&mut self, session: &Session, path: &Path) -> Result<u64, Failure> {
        let failed = |error| EngineError::io(path, error);
        // Held open: at the end of its input it would end by itself.
        let mut stdin = self.child.stdin.take();
        if let Some(stdin) = &mut stdin {
            for number in 0..DOCUMENTS {
                stdin.write_all(line(number).as_bytes()).map_err(failed)?;
            }
            stdin.flush().map_err(failed)?;
        }
        let start = Instant::now();
        let mut records = 0;
        while records < DOCUMENTS && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
            let view = View::open(session.vfs().clone(), path)?;
            let (_, manifest) = view.manifest()?;
            records = wal::active(&view, manifest).map_or(0, |log| wal::describe(&view, &log, true).0.records);
        }
        self.child.kill().and_then(|()| self.child.wait()).map_err(failed)?;
        Ok(records)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Dead already, unless something failed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(number: u64) -> String {
    let part = |k: u64| ((number * (2 * k + 3) % 101) as f32 / 50.5) - 1.0;
    let vector: Vec<f32> = (0..8).map(part).collect();
    let document = serde_json::json!({
        "id": format!("doc_{number:04}"),
        "fields": {"title": format!("title {number}"), "year": 1950 + number % 75},
        "vectors": {"dense": vector},
    });
    format!("{document}\n")
}
