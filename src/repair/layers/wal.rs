//! The write-ahead log: replayed by the engine's own recovery, which passes over damage and cuts a torn tail, and flushed.

use std::time::Duration;

use crate::{
    engine::{Collection, EngineError, GivenUp, OpenOptions, Opening},
    inspect::{
        Tree, View, files,
        names::{NameKind, classify, segment_dir},
    },
    report::{
        Firsts,
        repair::{Action, DoneAction, LostDocument},
    },
    vfs::FileType,
};

use super::{super::bench::Bench, NAMED, done, doubt, lose};

/// Findings of a log of which nobody can tell how much it held.
const HEADLESS: [&str; 3] = ["wal.empty", "wal.header-truncated", "wal.missing"];

/// Replays the log with every intact record and flushes. Returns the manifest that was published.
pub fn replay(bench: &Bench, action: &Action) -> Result<(DoneAction, Option<String>), EngineError> {
    let options = OpenOptions { lock_timeout: Duration::ZERO, accept_loss: true, ..OpenOptions::default() };
    let Opening { recovery, given_up, collection } = Collection::open(bench.fs().clone(), bench.root(), options);
    let mut collection = collection?;
    let mut named = done(action, String::new());
    let mut firsts = Firsts::<NAMED>::default();
    for GivenUp { key, lost, reason } in &given_up {
        let id = String::from_utf8_lossy(key);
        if *lost {
            let document = LostDocument { id: Some(id.into_owned()), doc_id: None, reason: reason.clone() };
            lose(bench.list(), &mut named, document, &[]);
        } else {
            doubt(bench.list(), &named, (Some(&id), None), &[], reason);
            firsts.add(|| format!("{id:?}: {reason}"));
        }
    }
    // The flush publishes a manifest.
    bench.list().sync()?;
    let flushed = collection.flush()?;
    drop(collection);
    let found = |codes: &[&str]| action.findings.iter().any(|code| codes.contains(&code.as_str()));
    let replay = &recovery.replay;
    if found(&HEADLESS) && replay.records == 0 {
        unfinished(bench)?;
    }
    let mut report = done(
        action,
        format!(
            "{} records replayed: {} documents added, {} deleted or replaced; {} bytes of a torn tail and {} damaged bytes passed over",
            replay.records, replay.documents, replay.deleted, replay.torn_bytes, replay.damaged_bytes
        ),
    );
    report.documents = Some(replay.documents);
    let lost = given_up.iter().filter(|document| document.lost).count() as u64;
    if replay.damaged_bytes > 0 {
        let records = match replay.lost_records {
            0 => "an unknown number of records".to_owned(),
            1 => "1 record".to_owned(),
            records => format!("{records} records"),
        };
        report.doubtful.push(format!(
            "lost with the {} damaged bytes: {records}; documents of them that are named: {lost}",
            replay.damaged_bytes
        ));
    }
    (report.lost, report.lost_unlisted) = (named.lost, named.lost_unlisted);
    let more = firsts.count.saturating_sub(firsts.list.len() as u64);
    report.doubtful.extend(firsts.list);
    if more > 0 {
        report.doubtful.push(format!("{more} more documents of which records were given up"));
    }
    // The vector files of the open block tell how many documents the log has lost.
    let unnamed = action.documents.filter(|_| found(&["wal.behind"])).map_or(0, |missing| missing.saturating_sub(lost));
    if found(&HEADLESS) || unnamed > 0 {
        let count = if unnamed > 0 { format!(" (documents missing: {unnamed})") } else { String::new() };
        let torn = recovery.findings.iter().find(|finding| finding.code == "wal.torn-tail");
        report.doubtful.push(format!(
            "what was written since the last flush and is not in the log any more is lost{count}; {}",
            torn.map_or("nothing tells what that was", |torn| torn.detail.as_str())
        ));
    }
    Ok((report, flushed.manifest))
}

/// Sets aside the files of the open block, which the log was the whole of: what is left of them would say for ever that the log is gone.
fn unfinished(bench: &Bench) -> Result<(), EngineError> {
    let view = View::open(bench.fs().clone(), bench.root())?;
    let Some(manifest) = view.used().and_then(|file| file.manifest.as_ref()) else { return Ok(()) };
    let Some(writing) = &manifest.writing_segment_meta else { return Ok(()) };
    let Some(block) = &writing.writing_forward_block else { return Ok(()) };
    let named = files::named_by(manifest);
    let tree = Tree::walk(view.vfs().as_ref(), view.root());
    for entry in tree.below(&segment_dir(writing.segment_id)).filter(|entry| entry.file_type == FileType::File) {
        let of_block =
            matches!(classify(&entry.path).0, NameKind::Forward | NameKind::Vector | NameKind::QuantizedVector);
        let id = entry.path.file_stem().and_then(|stem| stem.to_str()?.rsplit('.').next()?.parse::<u32>().ok());
        let is_newer = id.is_some_and(|id| id >= block.block_id);
        if of_block && is_newer && named.iter().all(|named| named.path != entry.path) {
            bench.remove(&entry.path)?;
        }
    }
    Ok(())
}
