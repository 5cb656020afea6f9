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
    },
    inspect::{
        SegmentRef, View,
        names::{self, NameKind, classify},
        segments_of,
    },
    report::{
        Finding, Loss, Severity,
        repair::{Action, Fix},
    },
};

use super::bench::shown;

/// Warnings that a repair acts on; all others are left alone.
const WARNINGS: [&str; 4] = ["file.orphan", "file.leftover", "segment.unfinished", "segment.orphan"];
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
        "inverted.other-value" => Fix::Forward,
        // The id map has checksums, the key in the forward block has none.
        "idmap.wrong-document" => Fix::Forward,
        "file.orphan" | "file.leftover" | "segment.unfinished" => Fix::Gc,
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

/// The steps for a list of findings, in the order in which they are taken, and the errors that no step mends.
pub fn plan(
    view: &View,
    manifest: &Manifest,
    findings: &[Finding],
    only: Option<&[Fix]>,
) -> (Vec<Action>, Vec<Finding>) {
    let mut wanted: BTreeMap<Target, (BTreeSet<String>, Loss, Option<u64>)> = BTreeMap::new();
    let mut unmended = Vec::new();
    for finding in findings {
        let asked = |fix| only.map_or(fix != Fix::Upgrade, |only| only.contains(&fix));
        let chosen = target(finding).filter(|target| asked(target.fix));
        let Some(target) = chosen else {
            if finding.severity == Severity::Error {
                unmended.push(finding.clone());
            }
            continue;
        };
        let (codes, loss, documents) = wanted.entry(target).or_insert_with(|| (BTreeSet::new(), Loss::None, None));
        codes.insert(finding.code.clone());
        if rank(finding.loss) > rank(*loss) {
            *loss = finding.loss;
        }
        *documents = (*documents).max(finding.documents_at_risk);
    }
    subsume(&mut wanted);
    follow_up(manifest, &mut wanted);
    let actions = wanted.into_iter().map(|(target, (codes, loss, documents))| {
        let (does, loss) = match target.fix {
            Fix::Segments => (of_segment(&codes).to_owned(), loss),
            _ => describe(view, manifest, &target, loss),
        };
        Action {
            fix: target.fix,
            path: shown(&target.path),
            segment: target.segment,
            findings: codes.into_iter().collect(),
            does,
            loss,
            documents,
        }
    });
    (actions.collect(), unmended)
}

/// What is missing with a whole segment, or stands in one that no manifest lists, is not mended on its own.
fn subsume(wanted: &mut BTreeMap<Target, (BTreeSet<String>, Loss, Option<u64>)>) {
    let whole: BTreeSet<u32> =
        wanted.keys().filter(|target| target.fix == Fix::Segments).filter_map(|target| target.segment).collect();
    wanted.retain(|target, _| {
        target.fix == Fix::Segments || target.segment.is_none_or(|segment| !whole.contains(&segment))
    });
}

fn of_segment(codes: &BTreeSet<String>) -> &'static str {
    if codes.contains("segment.missing-directory") {
        "give the segment up: its directory is gone"
    } else if codes.contains("segment.orphan-documents") {
        "adopt the segment if its documents are nowhere else and it fits in, set it aside otherwise"
    } else {
        "set the segment's directory aside: nothing lists it, and it holds nothing that others do not"
    }
}

/// Steps that others call for: rows that are given up or corrected change what indexes and id map should say.
fn follow_up(manifest: &Manifest, wanted: &mut BTreeMap<Target, (BTreeSet<String>, Loss, Option<u64>)>) {
    let mut segments: BTreeSet<u32> =
        wanted.keys().filter(|target| target.fix == Fix::Forward).filter_map(|target| target.segment).collect();
    if wanted.keys().any(|target| target.fix == Fix::Vectors) {
        // Documents without a vector may have to be given up.
        segments.extend(wanted.keys().filter(|target| target.fix == Fix::Vectors).filter_map(|target| target.segment));
    }
    let because = || (BTreeSet::new(), Loss::None, None);
    for segment in segments_of(manifest).into_iter().filter(|segment| segments.contains(&segment.id())) {
        let forward = wanted.keys().any(|target| target.fix == Fix::Forward && target.segment == Some(segment.id()));
        if !forward {
            continue;
        }
        for (fix, kind) in [(Fix::ScalarIndex, BlockType::ScalarIndex), (Fix::FtsIndex, BlockType::FtsIndex)] {
            if let Some(path) = index_path(segment, kind) {
                wanted.entry(Target { fix, path, segment: Some(segment.id()) }).or_insert_with(because);
            }
        }
    }
    let moves = wanted.iter().any(|(target, (codes, ..))| match target.fix {
        Fix::Forward | Fix::Vectors => true,
        Fix::Segments => codes.iter().any(|code| code != "segment.orphan"),
        _ => false,
    });
    if moves {
        let path = names::id_map_path(manifest.id_map_path_suffix);
        wanted.entry(Target { fix: Fix::IdMap, path, segment: None }).or_insert_with(because);
    }
}

fn index_path(segment: SegmentRef<'_>, kind: BlockType) -> Option<PathBuf> {
    let is_index = |block: &&BlockMeta| block.block_type == kind as i32;
    segment.meta.persisted_blocks.iter().find(is_index).and_then(|block| segment.block_path(block))
}

/// What a step does, and what it is known to lose.
fn describe(view: &View, manifest: &Manifest, target: &Target, loss: Loss) -> (String, Loss) {
    let rows = |segment: Option<u32>| {
        let meta = segments_of(manifest).into_iter().find(|listed| Some(listed.id()) == segment);
        meta.map_or(0, |segment| crate::format::manifest::row_count(segment.meta))
    };
    match target.fix {
        Fix::Lock => ("make the file LOCK".to_owned(), Loss::None),
        Fix::Manifest => ("publish a manifest that can be used".to_owned(), loss),
        Fix::Segments => ("put the segment right".to_owned(), loss),
        Fix::Forward => (
            "write the block anew: keys and ids from the id map, values from the indexes; rows that nothing tells are given up".to_owned(),
            loss,
        ),
        Fix::Deletes => (
            "make the snapshot anew from what can be read of it, rows replaced by later ones, and the id map".to_owned(),
            loss,
        ),
        Fix::Vectors => ("make the file anew from the vectors and from their other copy".to_owned(), loss),
        Fix::ScalarIndex => (format!("build the index anew from {} rows", rows(target.segment)), Loss::None),
        Fix::FtsIndex => (format!("build the index anew from {} rows", rows(target.segment)), Loss::None),
        Fix::IdMap => {
            let all: u64 = segments_of(manifest).iter().map(|segment| crate::format::manifest::row_count(segment.meta)).sum();
            (format!("build the id map anew from {all} rows"), Loss::None)
        }
        Fix::Wal => ("replay every intact record and flush; the damaged log goes to the quarantine".to_owned(), loss),
        Fix::Gc => {
            let what = if view.exists(&target.path) { "set aside" } else { "nothing to set aside" };
            (what.to_owned(), Loss::None)
        }
        Fix::Upgrade => ("write the file as zvec 0.8.0 has it".to_owned(), loss),
    }
}

fn rank(loss: Loss) -> u8 {
    match loss {
        Loss::None => 0,
        Loss::Possible => 1,
        Loss::Certain => 2,
    }
}
