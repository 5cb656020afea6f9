//! Segments and blocks as they are on disk.

use std::path::Path;

use roaring::RoaringTreemap;
use serde_json::{Map, Value as Json, json};

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, ForwardFile},
        manifest::proto::{BlockMeta, BlockType, SegmentMeta},
        proxima::VectorFile,
        rocks::Db,
    },
    report::{
        Finding, Loss,
        segments::{BlockEntry, SegmentEntry},
        show_path,
    },
    vfs::FileType,
};

use super::{
    Findings, SegmentRef, Tree, View,
    documents::{BlockReader, encoding_of},
    findings::{from_format, losing},
    idmap::{DatabaseDir, fault_finding},
    names, time, wal,
};

/// Describes a segment that the manifest lists. `deleted` are the ids of the delete snapshot, if it could be read.
pub fn describe(
    view: &View,
    tree: &Tree,
    segment: SegmentRef<'_>,
    deleted: Option<&RoaringTreemap>,
    findings: &Findings,
) -> SegmentEntry {
    let dir = names::segment_dir(segment.id());
    findings.extend(missing_directory(view, segment));
    let ids = Ids::read(view, segment, deleted, findings);
    let usage = tree.usage(&dir);
    let wal_path = segment.wal_path().filter(|path| tree.get(path).is_some());
    let wal_records = wal_path.map(|path| {
        let (entry, of_wal) = wal::describe(view, &path, true);
        findings.extend(of_wal);
        entry.records
    });
    SegmentEntry {
        id: segment.id(),
        state: if segment.writing { "writing" } else { "persisted" }.to_owned(),
        documents: Some(crate::format::manifest::row_count(segment.meta)),
        deleted: deleted.filter(|_| ids.complete).map(|_| ids.deleted),
        blocks: segment.meta.persisted_blocks.len() as u64,
        min_doc_id: ids.min,
        max_doc_id: ids.max,
        wal_records,
        indexed_vector_fields: segment.meta.indexed_vector_fields.clone(),
        files: usage.files,
        size: usage.size,
        allocated: usage.allocated,
    }
}

/// That the directory of a listed segment is not there, if so.
pub fn missing_directory(view: &View, segment: SegmentRef<'_>) -> Option<Finding> {
    let dir = names::segment_dir(segment.id());
    let found = view.vfs().metadata(&view.root().join(&dir));
    if found.is_ok_and(|found| found.file_type == FileType::Dir) {
        return None;
    }
    let documents = crate::format::manifest::row_count(segment.meta);
    let detail = format!("the directory of segment {}, which the manifest lists, is missing", segment.id());
    let finding = Finding::error("segment.missing-directory", detail).at(&dir).segment(segment.id());
    let loss = if documents > 0 { Loss::Certain } else { Loss::None };
    Some(finding.loses(loss, Some(documents)))
}

/// Rows of a segment's blocks that are not among `deleted`. Of a block whose document ids fill their range, the delete set alone tells; of others, as a
/// compaction or a recovery by zvec leaves them, the id column is read.
pub fn live_rows(view: &View, segment: SegmentRef<'_>, deleted: &RoaringTreemap, findings: &Findings) -> u64 {
    let mut live = 0u64;
    for block in segment.row_blocks() {
        let documents = u64::from(block.doc_count);
        let full = block.max_doc_id.checked_sub(block.min_doc_id).is_some_and(|width| width + 1 == documents);
        let dead = if full {
            let below = block.min_doc_id.checked_sub(1).map_or(0, |id| deleted.rank(id));
            deleted.rank(block.max_doc_id) - below
        } else {
            let only = SegmentMeta { persisted_blocks: vec![block.clone()], ..segment.meta.clone() };
            let alone = SegmentRef { meta: &only, ..segment };
            Ids::read(view, alone, Some(deleted), findings).deleted
        };
        live = live.saturating_add(documents.saturating_sub(dead));
    }
    live
}

/// Directories that look like segments and that the manifest does not list.
pub fn orphans(view: &View, tree: &Tree) -> Vec<SegmentEntry> {
    let listed: Vec<u32> =
        view.segments().map(|segments| segments.iter().map(SegmentRef::id).collect()).unwrap_or_default();
    let dirs = tree.entries.iter().filter(|entry| entry.file_type == FileType::Dir && entry.path.iter().count() == 1);
    let ids = dirs.filter_map(|entry| names::segment_id(entry.path.to_str()?)).filter(|id| !listed.contains(id));
    let describe = |id| {
        let usage = tree.usage(&names::segment_dir(id));
        SegmentEntry {
            id,
            state: "orphan".to_owned(),
            documents: None,
            deleted: None,
            blocks: 0,
            min_doc_id: None,
            max_doc_id: None,
            wal_records: None,
            indexed_vector_fields: Vec::new(),
            files: usage.files,
            size: usage.size,
            allocated: usage.allocated,
        }
    };
    let mut orphans: Vec<_> = ids.map(describe).collect();
    orphans.sort_by_key(|segment| segment.id);
    orphans
}

/// The document ids of a segment's rows, from the files: what the manifest says of them may be wrong after a recovery by zvec.
#[derive(Default)]
struct Ids {
    min: Option<u64>,
    max: Option<u64>,
    deleted: u64,
    complete: bool,
}

impl Ids {
    fn read(view: &View, segment: SegmentRef<'_>, deleted: Option<&RoaringTreemap>, findings: &Findings) -> Self {
        let mut ids = Self { complete: true, ..Self::default() };
        for block in segment.row_blocks() {
            let opened = segment
                .block_path(block)
                .and_then(|path| BlockReader::open(view, &path, u64::from(block.doc_count), findings));
            let Some(rows) = opened else {
                ids.complete = false;
                continue;
            };
            rows.compare_rows(block, segment.id());
            let Some(column) = rows.file().column_index(DOC_ID_COLUMN) else {
                ids.complete = false;
                continue;
            };
            for batch in rows.file().batches(Some(&[column])) {
                let read = batch.records.and_then(|records| rows.doc_ids(&records, 0));
                match read {
                    Ok(read) => {
                        for id in read.values() {
                            ids.min = Some(ids.min.map_or(*id, |min| min.min(*id)));
                            ids.max = ids.max.max(Some(*id));
                            ids.deleted += u64::from(deleted.is_some_and(|deleted| deleted.contains(*id)));
                        }
                    }
                    Err(error) => {
                        ids.complete = false;
                        let rows_at_stake = rows.file().batch_infos().get(batch.index).and_then(|info| info.rows);
                        findings.add(losing(rows.path(), &error, Loss::Certain, rows_at_stake));
                    }
                }
            }
        }
        ids
    }
}

/// Describes every block of a segment, the one that is being written last.
pub fn blocks(view: &View, tree: &Tree, segment: SegmentRef<'_>, findings: &Findings) -> Vec<BlockEntry> {
    let mut blocks: Vec<_> =
        segment.meta.persisted_blocks.iter().map(|block| block_entry(view, tree, segment, block, findings)).collect();
    if let (Some(block), Some(path)) = (&segment.meta.writing_forward_block, segment.wal_path()) {
        let entry = tree.get(&path);
        blocks.push(BlockEntry {
            id: block.block_id,
            block_type: "WRITING".to_owned(),
            columns: block.columns.clone(),
            min_doc_id: block.min_doc_id,
            max_doc_id: block.max_doc_id,
            documents: block.doc_count,
            rows: None,
            path: show_path(&path),
            exists: entry.is_some(),
            size: entry.map_or(0, |entry| entry.len),
            content: json!({"next_doc_id": block.min_doc_id}),
        });
    }
    blocks
}

fn block_entry(
    view: &View,
    tree: &Tree,
    segment: SegmentRef<'_>,
    block: &BlockMeta,
    findings: &Findings,
) -> BlockEntry {
    let path = segment.block_path(block);
    let kind = BlockType::try_from(block.block_type);
    let mut entry = BlockEntry {
        id: block.block_id,
        block_type: kind.map_or_else(|_| block.block_type.to_string(), |kind| kind.as_str_name().to_owned()),
        columns: block.columns.clone(),
        min_doc_id: block.min_doc_id,
        max_doc_id: block.max_doc_id,
        documents: block.doc_count,
        rows: None,
        path: path.as_deref().map(show_path).unwrap_or_default(),
        exists: false,
        size: 0,
        content: Json::Object(Map::new()),
    };
    let Some(path) = path else {
        let detail = format!("block {}: no file name follows from its type and columns", block.block_id);
        findings.add(Finding::error("manifest.columns", detail).segment(segment.id()).loses(Loss::Possible, None));
        return entry;
    };
    entry.exists = tree.get(&path).is_some();
    entry.size = tree.usage(&path).size;
    let content = match kind {
        Ok(BlockType::Scalar) => forward(view, &path),
        Ok(BlockType::VectorIndex | BlockType::VectorIndexQuantize) => vectors(view, &path, findings),
        Ok(BlockType::ScalarIndex | BlockType::FtsIndex) => database(view, &path, findings),
        _ => return entry,
    };
    match content {
        Ok((rows, content)) => {
            entry.rows = rows;
            entry.content = content;
        }
        Err(finding) => {
            let documents = u64::from(block.doc_count);
            // An index can be built again from the stored values; forward blocks and full vectors cannot.
            let rebuildable =
                matches!(kind, Ok(BlockType::ScalarIndex | BlockType::FtsIndex | BlockType::VectorIndexQuantize));
            let loss = if rebuildable { Loss::None } else { Loss::Certain };
            findings.add(finding.segment(segment.id()).loses(loss, (documents > 0).then_some(documents)));
        }
    }
    entry
}

type Content = Result<(Option<u64>, Json), Finding>;

fn forward(view: &View, path: &Path) -> Content {
    let source = view.source(path)?;
    let file = ForwardFile::open(source, encoding_of(path)).map_err(|error| from_format(path, &error))?;
    let columns: Map<String, Json> = file
        .columns()
        .iter()
        .map(|column| {
            let null = if column.nullable { "?" } else { "" };
            (column.name.clone(), format!("{}{null}", column.column_type).into())
        })
        .collect();
    let content =
        json!({"format": file.encoding().to_string(), "batches": file.batch_infos().len(), "columns": columns});
    Ok((file.rows(), content))
}

fn vectors(view: &View, path: &Path, findings: &Findings) -> Content {
    let source = view.source(path)?;
    let file = VectorFile::open(source).map_err(|error| from_format(path, &error))?;
    findings.extend(file.faults.iter().map(|fault| losing(path, fault, Loss::Possible, None)));
    let facts = file.facts();
    let mut content = Map::new();
    let mut put = |name: &str, value: Json| {
        if !value.is_null() && value != "" && value != false && value != 0 {
            content.insert(name.to_owned(), value);
        }
    };
    put("kind", facts.kind.name().into());
    put("container", facts.flavour.name().into());
    put("data_type", facts.data_type.into());
    put("dimension", facts.dimension.into());
    put("element_size", facts.element_size.into());
    put("metric", facts.metric.into());
    put("quantizer", facts.quantizer.into());
    put("reformer", facts.reformer.into());
    put("rotated", facts.rotated.into());
    put("layout_of_0_1_0", facts.legacy.into());
    put("max_degree", facts.max_degree.into());
    put("max_upper_degree", facts.max_upper_degree.into());
    put("max_level", facts.max_level.into());
    put("entry_point", facts.entry_point.into());
    put("lists", facts.lists.into());
    put("sections", facts.sections.len().into());
    put("segments", facts.segments.len().into());
    put("created", time::from_unix(facts.created).into());
    put("updated", time::from_unix(facts.updated).into());
    Ok((Some(facts.rows), Json::Object(content)))
}

fn database(view: &View, path: &Path, findings: &Findings) -> Content {
    let db = Db::open(&DatabaseDir { view, path }).map_err(|error| from_format(path, &error))?;
    findings.extend(db.faults().iter().map(|fault| fault_finding(path, fault)));
    let families: Map<String, Json> = db
        .column_families()
        .iter()
        .map(|family| {
            let entries = family.tables().iter().filter_map(|live| live.table.properties().num_entries());
            (family.name(), entries.fold(0, u64::saturating_add).into())
        })
        .collect();
    let tables: usize = db.column_families().iter().map(|family| family.tables().len()).sum();
    Ok((None, json!({"manifest": db.manifest_name(), "tables": tables, "entries": families})))
}

/// What an orphan means.
pub fn orphan_finding(segment: &SegmentEntry) -> Finding {
    let detail =
        "a directory of a segment that the manifest does not list; zvec 0.8.0 deletes it at the next writable open";
    Finding::warning("segment.orphan", detail).at(&names::segment_dir(segment.id)).segment(segment.id)
}
