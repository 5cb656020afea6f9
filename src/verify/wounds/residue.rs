//! What stands beside the log: files of the block that is being written. zvec makes the log first and removes it last, when the block is in the
//! manifest; a record is in the log before its vectors are in a file. So the log can be ahead of these files, and they never of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    format::{
        document::{self, Op},
        manifest::row_count,
        proxima::{Layout, VectorFile, header},
        wal,
    },
    inspect::{
        FileSource, SegmentRef, Tree,
        files::named_by,
        names::{self, NameKind},
    },
    report::{Finding, Loss},
    vfs::FileType,
};

use super::super::context::{Context, Level};

pub(super) fn check(context: &Context<'_>, tree: &Tree, segment: SegmentRef<'_>) {
    let block = segment.meta.writing_forward_block.as_ref().filter(|_| segment.writing);
    let (Some(block), Some(log)) = (block, segment.wal_path()) else { return };
    let dir = names::segment_dir(segment.id());
    let is_file = |path: &Path| tree.get(path).is_some_and(|entry| entry.file_type == FileType::File);
    let forward = ["ipc", "parquet"].map(|end| dir.join(format!("scalar.{}.{end}", block.block_id)));
    let forward = forward.into_iter().find(|path| is_file(path));
    let there = |path: &Path| context.view.vfs().metadata(&context.view.root().join(path)).is_ok();
    let named: BTreeSet<PathBuf> = named_by(context.manifest).into_iter().map(|named| named.path).collect();
    // By column and kind, the file with the lowest id: others were made for the whole segment by a process that was killed.
    let mut files: BTreeMap<String, (u32, &Path)> = BTreeMap::new();
    for entry in tree.entries.iter().filter(|entry| !named.contains(&entry.path)) {
        let name = entry.path.strip_prefix(&dir).ok().and_then(Path::to_str);
        let Some((column, id)) = name.and_then(vector_file).filter(|(_, id)| *id > block.block_id) else { continue };
        let lowest = files.entry(column.to_owned()).or_insert((id, &entry.path));
        *lowest = (*lowest).min((id, &entry.path));
    }
    // Opened before the log is read, which grows first. Without a forward file beside it, one with the rows of the segment may have been made for these.
    let flushed = row_count(segment.meta);
    let opened = files.values().filter_map(|(_, path)| Some((opened(context, path)?, *path)));
    let files: Vec<_> = opened.filter(|(file, _)| forward.is_some() || file.rows() != flushed).collect();
    let newest = |logged: u64| {
        let rows = files.iter().filter_map(|(file, path)| Some((rows_behind(file, logged)?, *path)));
        let mut rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            // A copy of another block's file tells of that block.
            let of = |path: &Path| header(&context.view.source(path).ok()?);
            let others: BTreeSet<_> =
                named.iter().filter(|path| is_vectors(path)).filter_map(|path| of(path)).collect();
            rows.retain(|(_, path)| of(path).is_none_or(|header| !others.contains(&header)));
        }
        rows.into_iter().max_by_key(|(rows, _)| *rows)
    };
    if tree.get(&log).is_none() {
        let trace = forward.as_deref().or_else(|| newest(0).map(|(_, path)| path));
        let Some(trace) = trace else { return };
        // A writer may have flushed since the directories were read: then the manifest went before the log.
        let overtaken = context.view.used().is_none_or(|file| !there(&file.path));
        if there(&log) || overtaken {
            return;
        }
        let detail = format!(
            "the log is gone: {} belongs to the same block and is made after the log, which is removed only when the manifest names the block, and it \
             does not. zvec opens the collection without the documents and deletions of the log",
            trace.display()
        );
        let finding = Finding::error("wal.missing", detail).at(&log).segment(segment.id());
        return context.findings.add(finding.loses(Loss::Certain, None));
    }
    if !context.wants(Level::Structures) {
        return;
    }
    let Some(logged) = logged(context, &log) else { return };
    let Some((rows, path)) = newest(logged) else { return };
    let detail = format!(
        "the log has {logged} record(s) that add a document, {} has {rows} vectors of them, and each was logged first: records are gone from the log, \
         or it is an older one",
        path.display()
    );
    let finding = Finding::error("wal.behind", detail).at(&log).segment(segment.id());
    context.findings.add(finding.loses(Loss::Certain, Some(rows - logged)));
}

fn is_vectors(path: &Path) -> bool {
    matches!(names::classify(path).0, NameKind::Vector | NameKind::QuantizedVector)
}

/// Column with kind, and block id, of a vector file in a segment's directory.
fn vector_file(name: &str) -> Option<(&str, u32)> {
    let (column, id) = name.strip_suffix(".proxima")?.rsplit_once('.')?;
    (column.ends_with(".index") || column.ends_with(".qindex")).then_some(())?;
    Some((column, id.parse().ok()?))
}

/// A file that grows by one row for each document. Other kinds are built of many blocks at once.
fn opened(context: &Context<'_>, path: &Path) -> Option<VectorFile<Arc<FileSource>>> {
    let file = VectorFile::open(context.view.source(path).ok()?).ok()?;
    matches!(file.layout, Layout::Flat(_) | Layout::FlatSparse(_)).then_some(file)
}

/// Rows of a file that has more than the log, as far as keys bear them out: a count alone may be damaged, and then tells nothing of the log.
fn rows_behind(file: &VectorFile<Arc<FileSource>>, logged: u64) -> Option<u64> {
    let mut reader = file.reader();
    let mut end = None;
    for row in logged..file.rows() {
        match file.record(row, &mut reader) {
            Ok(record) if record.key == row => end = row.checked_add(1),
            Ok(record) if record.is_null() => {}
            _ => break,
        }
    }
    // The key of the first row is zero, and so is what was zeroed.
    let is_there = |end: &u64| {
        let counted = !file.faults.iter().any(|fault| fault.code == "flat.bad-block");
        let holds = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
        *end > 1 || (counted && file.record(0, &mut file.reader()).is_ok_and(|record| holds(record.bytes)))
    };
    end.filter(is_there)
}

/// Intact records that add a document, those behind damage included.
fn logged(context: &Context<'_>, path: &Path) -> Option<u64> {
    let source = context.view.source(path).ok()?;
    let mut count = 0u64;
    let scan = wal::scan(&source, |record| {
        let adds = document::decode(&record.payload, record.payload_offset())
            .is_ok_and(|doc| matches!(doc.op, Op::Insert | Op::Upsert | Op::Update));
        count = count.saturating_add(u64::from(adds));
    });
    scan.is_ok().then_some(count)
}
