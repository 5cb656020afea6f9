//! What there is to read: segments of the manifest, blocks and segments that it does not name, delete snapshots, logs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use roaring::RoaringTreemap;

use crate::{
    format::manifest::{
        Manifest,
        proto::{BlockMeta, BlockType, DataType, SegmentMeta},
        row_count,
    },
    inspect::{
        Findings, SegmentRef, Tree, View,
        deleted::Deleted,
        documents::is_vector,
        manifests::ManifestState,
        names::{self, NameKind},
        segments_of, wal,
    },
    report::{Finding, salvage::Deletions, show_path},
};

use super::discover::{self, Files};

/// What a manifest says of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The manifest in force names it.
    Published,
    /// It lies in a segment of the manifest, which does not name it.
    Unpublished,
    /// It lies in a segment that no manifest in force names.
    Orphan,
}

impl Standing {
    /// The word for reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Orphan => "orphan",
        }
    }
}

/// Blocks that are read together: a segment, or what of it a manifest does not name.
#[derive(Debug)]
pub(super) struct Unit {
    /// What a manifest says of it, or would say.
    pub meta: SegmentMeta,
    /// Whether forward blocks are Arrow IPC files.
    pub mmap: bool,
    /// What the manifest says.
    pub standing: Standing,
}

impl Unit {
    /// As the readers of `inspect` want it.
    pub fn segment(&self) -> SegmentRef<'_> {
        SegmentRef { meta: &self.meta, writing: false, enable_mmap: self.mmap }
    }

    /// Row blocks with their paths and the row of the segment at which each begins.
    pub fn row_blocks(&self) -> Vec<(PathBuf, u64, u64)> {
        let mut first = 0u64;
        let blocks = self.segment().row_blocks().map(|block| {
            let (at, rows) = (first, u64::from(block.doc_count));
            first = first.saturating_add(rows);
            (self.segment().block_path(block).unwrap_or_default(), at, rows)
        });
        blocks.collect()
    }
}

/// Units in order of preference: what a manifest names, what lies beside that, what it does not name at all.
///
/// No checksum covers a manifest. Where it contradicts itself or the blocks of a segment, that segment is read as its files say, for a wrong count
/// gives every later row another one's vector. Where a file that it names is missing, the segment as its files say stands in.
pub(super) fn units(view: &View, mut files: BTreeMap<u32, Files>, findings: &Findings) -> Vec<Unit> {
    let (mut published, mut unpublished, mut orphans) = (Vec::new(), Vec::new(), Vec::new());
    let used = view.used().and_then(|file| Some((file, file.manifest.as_ref()?)));
    for segment in used.map(|(_, manifest)| segments_of(manifest)).unwrap_or_default() {
        let id = segment.id();
        let as_told = Unit { meta: segment.meta.clone(), mmap: segment.enable_mmap, standing: Standing::Published };
        let there = files.get(&id).cloned().unwrap_or_default();
        let rules_broken =
            used.is_some_and(|(file, _)| file.findings.iter().any(|finding| finding.segment == Some(id)));
        let wrong_count = count_differs(view, segment);
        let by_files = || {
            let made = there.segments(view, id).into_iter().map(|(meta, mmap)| Unit {
                meta,
                mmap,
                standing: Standing::Published,
            });
            made.filter(|unit| unit.segment().row_blocks().next().is_some()).collect::<Vec<_>>()
        };
        // What a build does not know may be a flipped bit in what it does.
        let unknown =
            used.is_some_and(|(file, manifest)| file.state != ManifestState::Valid && lacks_vectors(manifest, segment));
        if rules_broken || unknown || wrong_count.is_some() {
            let made = by_files();
            if !made.is_empty() {
                files.remove(&id);
                published.extend(made);
                if let Some((path, told, held)) = wrong_count {
                    let detail = format!("the manifest says {told} rows, the file has {held}: read as the files say");
                    findings.add(Finding::error("segment.row-count", detail).at(&path).segment(id));
                }
                continue;
            }
        }
        let missing = |path: PathBuf| !view.exists(&path);
        let blocks = &segment.meta.persisted_blocks;
        let gone = blocks
            .iter()
            .filter(|block| holds_values(block))
            .filter_map(|block| segment.block_path(block))
            .any(missing);
        published.push(as_told);
        if gone {
            let made = by_files().into_iter().map(|unit| Unit { standing: Standing::Unpublished, ..unit });
            unpublished.extend(made);
            files.remove(&id);
        } else if let Some(files) = files.get_mut(&id) {
            files.without(segment);
        }
    }
    for (id, files) in files {
        let named = published.iter().any(|unit| unit.meta.segment_id == id);
        let standing = if named { Standing::Unpublished } else { Standing::Orphan };
        for (meta, mmap) in files.segments(view, id) {
            let unit = Unit { meta, mmap, standing };
            if unit.segment().row_blocks().next().is_some() {
                if named { unpublished.push(unit) } else { orphans.push(unit) }
            }
        }
    }
    published.into_iter().chain(unpublished).chain(orphans).collect()
}

/// Whether rows of a segment have no block of a vector column by what a manifest says.
fn lacks_vectors(manifest: &Manifest, segment: SegmentRef<'_>) -> bool {
    let fields = manifest.schema.iter().flat_map(|schema| &schema.fields);
    let mut vectors = fields.filter(|field| DataType::try_from(field.data_type).is_ok_and(is_vector));
    vectors.any(|field| {
        let full = segment.meta.persisted_blocks.iter().filter(|block| {
            block.block_type == BlockType::VectorIndex as i32 && block.columns.first() == Some(&field.name)
        });
        full.map(|block| u64::from(block.doc_count)).sum::<u64>() < row_count(segment.meta)
    })
}

fn holds_values(block: &BlockMeta) -> bool {
    let types = [BlockType::Scalar, BlockType::VectorIndex, BlockType::VectorIndexQuantize];
    types.iter().any(|block_type| block.block_type == *block_type as i32)
}

/// The first row block that is whole and has another number of rows than the manifest says: file, told, held.
fn count_differs(view: &View, segment: SegmentRef<'_>) -> Option<(PathBuf, u32, u64)> {
    segment.row_blocks().find_map(|block| {
        let path = segment.block_path(block)?;
        let file = discover::open_forward(view, &path).filter(|file| file.faults().is_empty())?;
        let held = file.rows().filter(|held| *held != u64::from(block.doc_count))?;
        Some((path, block.doc_count, held))
    })
}

/// Which documents are deleted, by the snapshots alone.
pub(super) struct Snapshots {
    /// Deleted in what the manifest names.
    pub published: RoaringTreemap,
    /// Deleted by any snapshot: for what no manifest names.
    pub any: RoaringTreemap,
    /// Whether `published` is all that there is to know.
    pub known: bool,
    /// Whether what is left of a damaged snapshot is in it.
    pub damaged: bool,
    /// For the report.
    pub report: Deletions,
}

/// Reads every delete snapshot. Without a manifest the highest that can be read counts.
pub(super) fn snapshots(view: &View, tree: &Tree, manifest: Option<&Manifest>, findings: &Findings) -> Snapshots {
    let number = |path: &Path| path.to_str().and_then(|name| name.strip_prefix("del.")?.parse::<u32>().ok());
    let mut found: Vec<u32> = tree
        .entries
        .iter()
        .filter(|entry| names::classify(&entry.path).0 == NameKind::DeleteSnapshot)
        .filter_map(|entry| number(&entry.path))
        .collect();
    found.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    let load =
        |suffix: u32| Deleted::load(view, &Manifest { delete_snapshot_path_suffix: suffix, ..Manifest::default() });
    let named = manifest.map(|manifest| load(manifest.delete_snapshot_path_suffix));
    let mut others = Vec::new();
    for suffix in found.iter().filter(|suffix| manifest.is_none_or(|m| m.delete_snapshot_path_suffix != **suffix)) {
        let deleted = load(*suffix);
        if manifest.is_none() {
            findings.extend(deleted.findings.iter().cloned());
        }
        others.push(deleted);
    }
    findings.extend(named.iter().flat_map(|deleted| deleted.findings.iter().cloned()));
    let any = others.iter().chain(&named).fold(RoaringTreemap::new(), |all, deleted| all | deleted.ids());
    let whole = |deleted: &&Deleted| deleted.set.as_ref().is_some_and(|set| set.faults.is_empty());
    let readable = |deleted: &&Deleted| deleted.set.is_some();
    let shown = |deleted: &Deleted| show_path(&deleted.path);
    if let Some(deleted) = named.as_ref().filter(whole) {
        let detail = "the snapshot that the manifest names".to_owned();
        let report = Deletions { snapshots: vec![shown(deleted)], known: true, detail };
        return Snapshots { published: deleted.ids(), any, known: true, damaged: false, report };
    }
    if manifest.is_none()
        && let Some(newest) = others.iter().find(whole)
    {
        let newer = others.iter().take_while(|other| !std::ptr::eq(*other, newest)).next().is_some();
        let detail =
            if newer { "the newest snapshot that is whole; a newer one is damaged" } else { "the newest snapshot" };
        let report = Deletions { snapshots: vec![shown(newest)], known: !newer, detail: detail.to_owned() };
        return Snapshots { published: newest.ids(), any, known: !newer, damaged: false, report };
    }
    // The set only grows: what an older or damaged snapshot says is deleted is so, unless a bit says so that changed.
    let used: Vec<&Deleted> = named.iter().chain(&others).filter(readable).collect();
    let detail = match used.is_empty() {
        true => "no delete snapshot can be read",
        false => "the snapshot in force is damaged or missing: what is left of it, and older ones",
    };
    let snapshots = used.into_iter().map(shown).collect();
    let report = Deletions { snapshots, known: false, detail: detail.to_owned() };
    let damaged = named.iter().chain(&others).any(|deleted| readable(&deleted) && !whole(&deleted));
    Snapshots { published: any.clone(), any, known: false, damaged, report }
}

/// What a write-ahead log is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogKind {
    /// The one that an open replays.
    Active,
    /// Its block was never published, and it is not the one that an open replays.
    Unpublished,
    /// Its block is there: the records have become rows.
    Old,
}

impl LogKind {
    /// The word for reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "log",
            Self::Unpublished => "unpublished log",
            Self::Old => "old log",
        }
    }
}

/// A write-ahead log.
#[derive(Debug, Clone)]
pub(super) struct Log {
    /// Path relative to the collection.
    pub path: PathBuf,
    /// Segment and block.
    pub place: (u32, u32),
    /// What it is.
    pub kind: LogKind,
    /// The document id that the first document of its block has, if a manifest says so.
    pub first_id: Option<u64>,
}

/// Every log, ascending. Without a manifest the last one whose block is not there is the active one.
pub(super) fn logs(manifest: Option<&Manifest>, files: &BTreeMap<u32, Files>, units: &[Unit]) -> Vec<Log> {
    let active = manifest.and_then(wal::path_of);
    let block = |place: (u32, u32)| {
        let of_segment = units.iter().filter(move |unit| unit.meta.segment_id == place.0);
        let mut blocks = of_segment.flat_map(|unit| unit.meta.persisted_blocks.iter().map(move |block| (unit, block)));
        blocks.find(|(_, block)| block.block_type == BlockType::Scalar as i32 && block.block_id == place.1)
    };
    let mut logs: Vec<Log> = files
        .iter()
        .flat_map(|(segment, files)| files.logs.iter().map(|(id, path)| ((*segment, *id), path.clone())))
        .map(|(place, path)| {
            let found = block(place);
            let published = found.filter(|(unit, _)| unit.standing == Standing::Published);
            let kind = match found {
                _ if active.as_ref() == Some(&path) => LogKind::Active,
                Some((_, block)) if block.doc_count > 0 => LogKind::Old,
                _ => LogKind::Unpublished,
            };
            Log { path, place, kind, first_id: published.map(|(_, block)| block.min_doc_id) }
        })
        .collect();
    if manifest.is_none()
        && let Some(last) = logs.iter_mut().rev().find(|log| log.kind == LogKind::Unpublished)
    {
        last.kind = LogKind::Active;
    }
    logs
}

/// The next document id after all that is stored.
pub(super) fn next_id(seen: &RoaringTreemap) -> u64 {
    seen.max().map_or(0, |id| id.saturating_add(1))
}

/// What is said where a block that was being written has vectors and no log.
pub(super) fn missing_log(path: &Path, rows: u64) -> Finding {
    let detail =
        format!("vectors of {rows} documents of the open block are there, the log that holds the documents is not");
    Finding::error("salvage.log-missing", detail).at(path).loses(crate::report::Loss::Possible, Some(rows))
}
