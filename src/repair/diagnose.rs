//! From findings to the steps that mend them.
//!
//! Most findings name the structure that is wrong by their path, and each kind of structure has one step that makes it anew. Where the structure
//! that is named is not the one that is wrong, [`exception`] says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    format::manifest::{
        Manifest,
        proto::{BlockMeta, BlockType},
        row_count,
    },
    inspect::{
        SegmentRef, View,
        names::{self, NameKind, classify},
        segments_of,
    },
    report::{
        Finding, Loss, Severity,
        repair::{Action, Fix, HeldAction},
        show_path,
    },
};

/// Warnings that a repair acts on; all others are left alone.
const WARNINGS: [&str; 5] = ["file.orphan", "file.leftover", "wal.unpublished", "segment.unfinished", "segment.orphan"];
/// Warnings of files that are intact: an upgrade acts on them, and only if it is asked for.
const LEGACY: [&str; 2] = ["vectors.legacy-layout", "vectors.legacy-quantiser"];

/// What is to be mended, and where: the file or directory, and its segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The step.
    pub fix: Fix,
    /// The file or directory that is made anew.
    pub path: PathBuf,
    /// Its segment.
    pub segment: Option<u32>,
}

/// The step that mends a finding, without a look at the collection; `None` if there is none.
pub fn fix_of(finding: &Finding) -> Option<Fix> {
    target(finding).map(|target| target.fix)
}

/// What a finding calls for.
pub fn target(finding: &Finding) -> Option<Target> {
    // A seal tells that a file is another, not what it was.
    if finding.code == "seal.mismatch" {
        return None;
    }
    let acts = match finding.severity {
        Severity::Error => !finding.is_newer_format() && !finding.is_io(),
        Severity::Warning => WARNINGS.iter().chain(&LEGACY).any(|code| *code == finding.code),
        Severity::Info => false,
    };
    if !acts {
        return None;
    }
    let path = PathBuf::from(finding.path.clone().unwrap_or_default());
    if let Some(fix) = exception(&finding.code) {
        let segment = finding.segment.or(classify(&path).1).filter(|_| fix != Fix::Manifest);
        let place = match fix {
            Fix::ScalarIndex | Fix::FtsIndex | Fix::Forward | Fix::Vectors | Fix::Upgrade | Fix::Gc => structure(&path),
            // One step for all that is wrong with it, and for one segment.
            Fix::Manifest => PathBuf::new(),
            Fix::Segments => segment.map_or(path, names::segment_dir),
            _ => path,
        };
        return Some(Target { fix, path: place, segment });
    }
    let place = structure(&path);
    let (mut kind, segment) = classify(&path);
    if kind == NameKind::Directory {
        kind = classify(&path.join("CURRENT")).0;
    }
    let fix = match kind {
        NameKind::Manifest => return Some(Target { fix: Fix::Manifest, path: PathBuf::new(), segment: None }),
        NameKind::Lock => Fix::Lock,
        NameKind::DeleteSnapshot => Fix::Deletes,
        NameKind::IdMap => Fix::IdMap,
        NameKind::Wal => Fix::Wal,
        NameKind::Forward => Fix::Forward,
        NameKind::ScalarIndex => Fix::ScalarIndex,
        NameKind::FtsIndex => Fix::FtsIndex,
        NameKind::Vector | NameKind::QuantizedVector => Fix::Vectors,
        NameKind::ManifestTmp | NameKind::Unfinished | NameKind::Directory | NameKind::Other => return None,
    };
    Some(Target { fix, path: place, segment: segment.or(finding.segment) })
}

/// Findings whose path is not, or not alone, that of the structure to be mended.
fn exception(code: &str) -> Option<Fix> {
    Some(match code {
        "lock.missing" => Fix::Lock,
        // The delete snapshot has lost the mark of the older row.
        "forward.duplicate-key" => Fix::Deletes,
        // The index' checksums fit, so what is stored in the forward block is wrong.
        "inverted.other-value" | "inverted.nulls" => Fix::Forward,
        // The id map has checksums, the key in the forward block has none.
        "idmap.wrong-document" => Fix::Forward,
        "file.orphan" | "file.leftover" | "wal.unpublished" | "segment.unfinished" => Fix::Gc,
        "segment.orphan" | "segment.orphan-documents" | "segment.missing-directory" => Fix::Segments,
        // The engine's own recovery gives the writing segment a successor.
        "segment.sealed-writing" | "inverted.sealed-writing" | "fts.sealed-writing" => Fix::Wal,
        "segment.stale-block" => Fix::Manifest,
        // Some of them name no file.
        code if code.starts_with("manifest.") => Fix::Manifest,
        "segment.shifted-vectors" | "segment.vector-count" | "segment.vectors-missing" | "segment.vector-missing" => {
            Fix::Vectors
        }
        "segment.index-missing" => Fix::ScalarIndex,
        "vectors.legacy-layout" | "vectors.legacy-quantiser" => Fix::Upgrade,
        _ => return None,
    })
}

/// The file or directory that a path belongs to: what a manifest names.
fn structure(path: &Path) -> PathBuf {
    let parts = match path.iter().next().and_then(|first| names::segment_id(first.to_str()?)) {
        Some(_) => 2,
        None => 1,
    };
    path.iter().take(parts).collect()
}

/// What is known of a step before it is taken.
#[derive(Debug, Default)]
struct Cause {
    codes: BTreeSet<String>,
    loss: Loss,
    documents: Option<u64>,
}

type Wanted = BTreeMap<Target, Cause>;

/// The steps for a list of findings, in the order in which they are taken, the errors that no step mends, and the steps that have to wait.
pub fn plan(
    view: &View,
    manifest: &Manifest,
    findings: &[Finding],
    only: Option<&[Fix]>,
) -> (Vec<Action>, Vec<Finding>, Vec<HeldAction>) {
    let mut wanted = Wanted::new();
    let (mut unmended, mut sources) = (Vec::new(), Vec::new());
    for finding in findings {
        let asked = |fix| only.map_or(fix != Fix::Upgrade, |only| only.contains(&fix));
        if finding.severity == Severity::Error
            && let Some(target) = target(finding).filter(|target| !asked(target.fix))
            && matches!(target.fix, Fix::Segments | Fix::Forward)
        {
            sources.push((target, finding));
        }
        let Some(target) = target(finding).filter(|target| asked(target.fix)) else {
            if finding.severity == Severity::Error {
                unmended.push(finding.clone());
            }
            continue;
        };
        for target in blocks_of(manifest, target) {
            let cause = wanted.entry(target).or_default();
            cause.codes.insert(finding.code.clone());
            cause.loss = cause.loss.max(finding.loss);
            cause.documents = cause.documents.max(finding.documents_at_risk);
        }
    }
    let whole = subsume(&mut wanted);
    let goes_along = |target: &Target| target.segment.is_some_and(|segment| whole.contains(&segment));
    sources.retain(|(source, _)| !goes_along(source));
    unmended.retain(|finding| !target(finding).is_some_and(|target| goes_along(&target)));
    follow_up(manifest, &mut wanted);
    // Without its directory nothing else of a segment can be mended.
    sources.sort_by_key(|(source, _)| source.fix);
    let held = hold_back(&sources, &mut wanted);
    let actions = wanted.into_iter().map(|(target, cause)| {
        // What is made anew from rows loses nothing, whatever was wrong with it; but of an index that fits no text nobody knows which is right,
        // documents of an id map that no row has may be found nowhere else, and a log that never became rows is made of none.
        let made_of_rows = matches!(target.fix, Fix::Lock | Fix::ScalarIndex | Fix::FtsIndex | Fix::IdMap | Fix::Gc)
            && !["fts.other-text", "idmap.dangling", "wal.unpublished"].iter().any(|code| cause.codes.contains(*code));
        Action {
            fix: target.fix,
            path: show_path(&target.path),
            segment: target.segment,
            does: describe(view, manifest, &target, &cause.codes),
            findings: cause.codes.into_iter().collect(),
            loss: if made_of_rows { Loss::None } else { cause.loss },
            documents: cause.documents,
        }
    });
    (actions.collect(), unmended, held)
}

/// Takes out what would be made from rows that are damaged, where their repair is not asked for.
fn hold_back(sources: &[(Target, &Finding)], wanted: &mut Wanted) -> Vec<HeldAction> {
    let mut held = Vec::new();
    wanted.retain(|target, cause| {
        let Some((first, finding)) = sources.iter().find(|(source, _)| is_made_from(target, source)) else {
            return true;
        };
        // One that another step called for is no answer to anybody's question.
        if !cause.codes.is_empty() {
            let place = finding.path.as_deref().unwrap_or("the collection");
            let because = match first.fix {
                Fix::Segments => format!("segment {place} has to be restored or given up first ({})", finding.code),
                _ => format!("it is made from rows that are damaged themselves ({} in {place})", finding.code),
            };
            held.push(HeldAction { fix: target.fix, path: show_path(&target.path), first: first.fix, because });
        }
        false
    });
    held
}

/// Whether a step makes something of what another mends.
fn is_made_from(target: &Target, source: &Target) -> bool {
    let here = target.segment == source.segment;
    match (source.fix, target.fix) {
        (Fix::Segments, Fix::Forward | Fix::Vectors) => here,
        (_, Fix::ScalarIndex | Fix::FtsIndex) => here,
        (_, Fix::Deletes | Fix::IdMap) => true,
        _ => false,
    }
}

/// A finding that stands at an index and concerns the rows: the forward blocks of the segment.
fn blocks_of(manifest: &Manifest, target: Target) -> Vec<Target> {
    if target.fix != Fix::Forward || classify(&target.path).0 == NameKind::Forward {
        return vec![target];
    }
    let segments = segments_of(manifest).into_iter().filter(|segment| Some(segment.id()) == target.segment);
    let is_forward = |block: &&BlockMeta| block.block_type == BlockType::Scalar as i32;
    let paths = segments.flat_map(|segment| {
        segment.meta.persisted_blocks.iter().filter(is_forward).filter_map(move |block| segment.block_path(block))
    });
    paths.map(|path| Target { path, ..target.clone() }).collect()
}

/// What is missing with a whole segment, or stands in one that no manifest lists, is not mended on its own. These segments.
fn subsume(wanted: &mut Wanted) -> BTreeSet<u32> {
    let whole: BTreeSet<u32> =
        wanted.keys().filter(|target| target.fix == Fix::Segments).filter_map(|target| target.segment).collect();
    wanted.retain(|target, _| {
        target.fix == Fix::Segments || target.segment.is_none_or(|segment| !whole.contains(&segment))
    });
    whole
}

/// Steps that others call for: rows that are given up or corrected change what indexes and id map should say.
fn follow_up(manifest: &Manifest, wanted: &mut Wanted) {
    let corrected: BTreeSet<u32> =
        wanted.keys().filter(|target| target.fix == Fix::Forward).filter_map(|target| target.segment).collect();
    for segment in segments_of(manifest).into_iter().filter(|segment| corrected.contains(&segment.id())) {
        for (fix, kind) in [(Fix::ScalarIndex, BlockType::ScalarIndex), (Fix::FtsIndex, BlockType::FtsIndex)] {
            if let Some(path) = index_path(segment, kind) {
                wanted.entry(Target { fix, path, segment: Some(segment.id()) }).or_default();
            }
        }
    }
    let changes_rows = wanted.iter().any(|(target, cause)| match target.fix {
        // Documents without a vector may have to be given up.
        Fix::Forward | Fix::Vectors => true,
        Fix::Segments => cause.codes.iter().any(|code| code != "segment.orphan"),
        _ => false,
    });
    if changes_rows {
        let path = names::id_map_path(manifest.id_map_path_suffix);
        wanted.entry(Target { fix: Fix::IdMap, path, segment: None }).or_default();
    }
}

fn index_path(segment: SegmentRef<'_>, kind: BlockType) -> Option<PathBuf> {
    let is_index = |block: &&BlockMeta| block.block_type == kind as i32;
    segment.meta.persisted_blocks.iter().find(is_index).and_then(|block| segment.block_path(block))
}

/// What a step does.
fn describe(view: &View, manifest: &Manifest, target: &Target, codes: &BTreeSet<String>) -> String {
    let rows = |of: Option<u32>| -> u64 {
        let listed = segments_of(manifest).into_iter().filter(|segment| of.is_none_or(|id| id == segment.id()));
        listed.map(|segment| row_count(segment.meta)).sum()
    };
    let has = |code: &str| codes.contains(code);
    let does = match target.fix {
        Fix::Lock => "make the file LOCK",
        Fix::Manifest => "publish a manifest that can be used",
        Fix::Segments if has("segment.missing-directory") => "give the segment up: its directory is gone",
        Fix::Segments if has("segment.orphan-documents") => {
            "adopt the segment if its documents are nowhere else and it fits in, set it aside otherwise"
        }
        Fix::Segments => "set the segment's directory aside: nothing lists it, and it holds nothing that others do not",
        Fix::Forward => {
            "write the block anew: keys and ids from the id map, values from the indexes; rows that nothing tells are given up"
        }
        Fix::Deletes => {
            "make the snapshot anew from what can be read of it, rows replaced by later ones, and the id map"
        }
        Fix::Vectors if view.exists(&target.path) => {
            "make the file anew from what can be read of it and from the other copy of its vectors"
        }
        Fix::Vectors => "make the file anew from the other copy of its vectors, if there is one",
        Fix::ScalarIndex | Fix::FtsIndex => return format!("build the index anew from {} rows", rows(target.segment)),
        Fix::IdMap => return format!("build the id map anew from {} rows", rows(None)),
        Fix::Wal => "replay every intact record and flush; the damaged log goes to the quarantine",
        Fix::Gc if has("wal.unpublished") => {
            "set aside: `salvage` reads the documents of the log before, and only the quarantine has them behind"
        }
        Fix::Gc if view.exists(&target.path) => "set aside",
        Fix::Gc => "nothing to set aside",
        Fix::Upgrade => "write the file as zvec 0.8.0 has it",
    };
    does.to_owned()
}
