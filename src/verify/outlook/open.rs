//! Whether it opens.

use std::path::{Path, PathBuf};

use crate::{
    engine::Schema,
    format::{
        manifest::{Manifest, Style, proto::BlockType},
        rocks::Db,
    },
    inspect::{
        SegmentRef, Tree, View,
        idmap::DatabaseDir,
        manifests::{ManifestFile, ManifestState},
        names::{self, NameKind},
        segments_of,
    },
    report::{Finding, Severity, outlook::OpenOutlook, show_path},
    vfs::FileType,
};

/// What becomes of an open.
pub struct Opened {
    pub open: OpenOutlook,
    pub message: Option<String>,
    pub reasons: Vec<String>,
    pub manifest: Option<String>,
    /// Directories that it removes.
    pub removes: Vec<PathBuf>,
}

impl Opened {
    fn refuses(message: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            open: OpenOutlook::Refuses,
            message: Some(message.into()),
            reasons: vec![reason.into()],
            manifest: None,
            removes: Vec::new(),
        }
    }
}

pub fn open(view: &View, tree: &Tree, findings: &[Finding]) -> Opened {
    let shown = |path: &Path| show_path(&view.root().join(path));
    if !is_file(tree, Path::new("LOCK")) {
        let message = format!("Can't open lock file: {}", shown(Path::new("LOCK")));
        return Opened::refuses(message, "there is no lock file");
    }
    // The highest number of its own style, whatever is in it.
    let Some(file) =
        view.manifests().iter().find(|file| file.name.style == Style::Release && is_file(tree, &file.path))
    else {
        return Opened::refuses("Failed to find the version file", "there is no manifest.<N>");
    };
    let opened = by_manifest(view, tree, findings, file);
    Opened { manifest: Some(show_path(&file.path)), ..opened }
}

fn by_manifest(view: &View, tree: &Tree, findings: &[Finding], file: &ManifestFile) -> Opened {
    let shown = |path: &Path| show_path(&view.root().join(path));
    let none = Manifest::default();
    let empty = match &file.state {
        ManifestState::Valid | ManifestState::Newer(_) => false,
        ManifestState::Damaged(error) if matches!(error.code, "manifest.empty" | "manifest.incomplete") => true,
        ManifestState::Damaged(error) => return Opened::refuses("Failed to parse manifest", error.detail.clone()),
        ManifestState::Unreadable(finding) => {
            return Opened::refuses("Failed to parse manifest", finding.detail.clone());
        }
    };
    let manifest = file.manifest.as_ref().unwrap_or(&none);
    let id_map = names::id_map_path(manifest.id_map_path_suffix);
    if let Some(reason) = database_fault(view, tree, findings, &id_map) {
        return Opened::refuses(format!("recovery idmap failed, path: {}", shown(&id_map)), reason);
    }
    let snapshot = names::delete_snapshot_path(manifest.delete_snapshot_path_suffix);
    let message = format!("recovery delete store failed, path: {}", shown(&snapshot));
    if !is_file(tree, &snapshot) {
        return Opened::refuses(message, format!("there is no {}", snapshot.display()));
    }
    if let Some(fault) = fault_at(findings, &snapshot) {
        return Opened::refuses(message, fault.detail.clone());
    }
    let removes = removed(tree, manifest);
    if empty {
        let reason = "the manifest lists no segment: every segment directory is removed before that is noticed";
        return Opened {
            open: OpenOutlook::Destroys,
            message: None,
            reasons: vec![reason.to_owned()],
            manifest: None,
            removes,
        };
    }
    let refusal =
        segments_of(manifest).into_iter().find_map(|segment| segment_fault(view, tree, manifest, findings, segment));
    match refusal {
        Some((message, reason)) => Opened { removes, ..Opened::refuses(message, reason) },
        None => Opened { open: OpenOutlook::Opens, message: None, reasons: Vec::new(), manifest: None, removes },
    }
}

/// Directories that an open removes once id map and delete snapshot are open, even where it fails later.
fn removed(tree: &Tree, manifest: &Manifest) -> Vec<PathBuf> {
    let listed: Vec<u32> = segments_of(manifest).iter().map(SegmentRef::id).collect();
    let directories =
        tree.entries.iter().filter(|entry| entry.file_type == FileType::Dir && entry.path.iter().count() == 1);
    let removed = directories.filter(|entry| {
        let (kind, segment) = names::classify(&entry.path);
        kind == NameKind::Unfinished || segment.is_some_and(|id| !listed.contains(&id))
    });
    removed.map(|entry| entry.path.clone()).collect()
}

/// What it says of a segment that it cannot open, and why.
fn segment_fault(
    view: &View,
    tree: &Tree,
    manifest: &Manifest,
    findings: &[Finding],
    segment: SegmentRef<'_>,
) -> Option<(String, String)> {
    let shown = |path: &Path| show_path(&view.root().join(path));
    let dir = names::segment_dir(segment.id());
    if tree.get(&dir).is_none_or(|entry| entry.file_type != FileType::Dir) {
        let message = format!("Segment open failed: segment path not found [{}]", shown(&dir));
        return Some((message, "a listed segment has no directory".to_owned()));
    }
    // Forward blocks, then indexes, then vectors.
    let rank = |block_type| match BlockType::try_from(block_type) {
        Ok(BlockType::Scalar) => 0,
        Ok(BlockType::ScalarIndex) => 1,
        Ok(BlockType::FtsIndex) => 2,
        _ => 3,
    };
    let mut blocks: Vec<_> = segment.meta.persisted_blocks.iter().collect();
    blocks.sort_by_key(|block| rank(block.block_type));
    for block in blocks {
        let Some(path) = segment.block_path(block) else { continue };
        let fault = match BlockType::try_from(block.block_type) {
            Ok(BlockType::Scalar) => {
                forward_fault(tree, findings, &path).map(|reason| (format!("cannot open {}", shown(&path)), reason))
            }
            Ok(BlockType::ScalarIndex) => database_fault(view, tree, findings, &path)
                .or_else(|| family_fault(findings, &path, ""))
                .map(|reason| ("Failed to open scalar indexer".to_owned(), reason)),
            Ok(BlockType::FtsIndex) => database_fault(view, tree, findings, &path)
                .or_else(|| fts_settings_fault(manifest))
                // Without other families it opens, and finds less; without this one a sealed index does not.
                .or_else(|| family_fault(findings, &path, "$FTS_STAT").filter(|_| !segment.writing))
                .map(|reason| (format!("open_fts_indexers: open failed at [{}]", shown(&path)), reason)),
            Ok(BlockType::VectorIndex | BlockType::VectorIndexQuantize) => {
                vector_fault(tree, findings, &path).map(|reason| ("Failed to open index".to_owned(), reason))
            }
            _ => None,
        };
        if fault.is_some() {
            return fault;
        }
    }
    let log = segment.wal_path()?;
    let header = ["wal.empty", "wal.header-truncated", "wal.version", "wal.newer"];
    let fault = findings.iter().find(|finding| is_at(finding, &log) && header.contains(&finding.code.as_str()))?;
    Some((format!("Failed to prepare WAL file for reading: path[{}]", shown(&log)), fault.detail.clone()))
}

fn forward_fault(tree: &Tree, findings: &[Finding], path: &Path) -> Option<String> {
    if !is_file(tree, path) {
        return Some(format!("{} is missing", path.display()));
    }
    // It reads footer and schema when it opens, batches later.
    let at_open =
        ["bad-magic", "truncated", "no-footer", "bad-footer", "bad-schema", "bad-thrift", "unknown-type", "bad-block"];
    let found = findings.iter().find(|finding| {
        is_at(finding, path) && finding.code.strip_prefix("forward.").is_some_and(|fault| at_open.contains(&fault))
    });
    found.map(|finding| finding.detail.clone())
}

fn vector_fault(tree: &Tree, findings: &[Finding], path: &Path) -> Option<String> {
    if !is_file(tree, path) {
        return Some(format!("{} is missing", path.display()));
    }
    let found = findings.iter().find(|finding| {
        let code = finding.code.as_str();
        // Content is not looked at.
        let container = (code.starts_with("proxima.") || code.starts_with("index-meta."))
            && !matches!(
                code,
                "proxima.segment-crc-mismatch"
                    | "proxima.content-crc-mismatch"
                    | "proxima.segment-crc"
                    | "proxima.content-crc"
            );
        let of_release = matches!(code, "vectors.legacy-layout" | "vectors.legacy-quantiser");
        is_at(finding, path)
            && (container
                || of_release
                || code == "hnsw.bad-entry-point"
                || code == "rabitq.bad-header"
                || code.ends_with(".missing-segment"))
    });
    found.map(|finding| finding.detail.clone())
}

/// zvec makes the tokenizers when it opens an index.
fn fts_settings_fault(manifest: &Manifest) -> Option<String> {
    let rule = Schema::broken_rule(manifest.schema.as_ref()?)?;
    (rule.code == "schema.fts").then_some(rule.message)
}

fn family_fault(findings: &[Finding], path: &Path, name: &str) -> Option<String> {
    let found = findings.iter().find(|finding| {
        is_at(finding, path) && finding.code == "index.family-missing" && finding.detail.contains(name)
    });
    found.map(|finding| finding.detail.clone())
}

/// Why RocksDB would not open a directory. It reads CURRENT, MANIFEST, and of each table the footer and the blocks that its index and properties are.
fn database_fault(view: &View, tree: &Tree, findings: &[Finding], path: &Path) -> Option<String> {
    if tree.get(path).is_none_or(|entry| entry.file_type != FileType::Dir) {
        return Some(format!("{} is missing", path.display()));
    }
    // Every fault of an opening is a finding, and opening a large one takes long.
    let about = |finding: &Finding| finding.path.as_deref().is_some_and(|place| Path::new(place).starts_with(path));
    if !findings.iter().any(about) {
        return None;
    }
    let db = match Db::open(&DatabaseDir { view, path }) {
        Ok(db) => db,
        Err(error) => return Some(error.detail),
    };
    let fault =
        db.faults().iter().find(|fault| !fault.file.ends_with(".log") && fault.error.code != "rocks-log.torn-tail")?;
    Some(format!("{}: {}", fault.file, fault.error.detail))
}

fn fault_at<'a>(findings: &'a [Finding], path: &Path) -> Option<&'a Finding> {
    findings.iter().find(|finding| finding.severity == Severity::Error && is_at(finding, path))
}

fn is_at(finding: &Finding, path: &Path) -> bool {
    finding.path.as_deref() == path.to_str()
}

fn is_file(tree: &Tree, path: &Path) -> bool {
    tree.get(path).is_some_and(|entry| entry.file_type == FileType::File)
}
