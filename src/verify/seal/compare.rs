//! A collection against its seal.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Mutex,
};

use crate::{
    format::{Source, read_vec, rocks::log::LogReader, wal},
    inspect::{
        Tree, View,
        files::named_by,
        names::{self, NameKind},
        rfc3339,
    },
    report::{
        Finding, Loss,
        seal::{SealFile, SealedFile},
        verify::SealSummary,
    },
};

use super::super::{context::Context, jobs::Job};

/// A comparison under way; threads share it.
pub struct Comparison {
    seal: SealFile,
    by_path: BTreeMap<PathBuf, usize>,
    /// Whether a manifest that was published later is in force.
    moved_on: bool,
    /// Paths that the manifest in force names.
    named: BTreeSet<PathBuf>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    seen: BTreeSet<PathBuf>,
    unchanged: u64,
    replaced: u64,
    mismatches: u64,
}

/// What became of a file.
enum Verdict {
    Unchanged,
    /// An engine may have done that.
    Replaced,
    Mismatch(String),
}

impl Comparison {
    /// A comparison with nothing compared yet.
    pub fn new(seal: SealFile, view: &View) -> Self {
        let by_path = seal.files.iter().enumerate().map(|(at, file)| (PathBuf::from(&file.path), at)).collect();
        let used = view.used();
        let moved_on = used.is_some_and(|file| file.name.number > seal.manifest_number);
        let named = used.and_then(|file| file.manifest.as_ref()).map(named_by).unwrap_or_default();
        let named = named.into_iter().map(|named| named.path).collect();
        Self { seal, by_path, moved_on, named, counts: Mutex::default() }
    }

    /// Compares the files of one job. Hashing counts as reading them once more.
    pub(in crate::verify) fn job(&self, context: &Context<'_>, tree: &Tree, job: &Job) {
        // Those that read what other jobs are about compare nothing again.
        if job.says().is_some() {
            return;
        }
        let anew = self.made_anew(context, tree, &job.path);
        for path in super::files(tree, &job.path) {
            if context.stopped() {
                return;
            }
            let Some(sealed) = self.by_path.get(path).and_then(|at| self.seal.files.get(*at)) else {
                // Not there when it was sealed.
                self.count(None, &Verdict::Replaced);
                continue;
            };
            let verdict = if anew { Some(Verdict::Replaced) } else { self.file(context, tree, path, sealed) };
            let Some(verdict) = verdict else { return };
            self.count(Some(path), &verdict);
            if let Verdict::Mismatch(detail) = verdict {
                context.findings.add(self.mismatch(path, detail));
            }
        }
    }

    /// Judges what is gone: what no job compares.
    pub(in crate::verify) fn finish(&self, context: &Context<'_>, tree: &Tree, jobs: &[Job]) {
        let mut left: BTreeSet<&Path> = self.by_path.keys().map(PathBuf::as_path).collect();
        for job in jobs.iter().filter(|job| job.says().is_none()) {
            for path in super::files(tree, &job.path) {
                left.remove(path);
            }
        }
        for path in left {
            let verdict = if tree.get(path).is_some() && !self.is_named(path) && self.moved_on {
                // It is there, and nothing needs it any more.
                Verdict::Replaced
            } else {
                self.gone(context, tree, path)
            };
            self.count(Some(path), &verdict);
            if let Verdict::Mismatch(detail) = verdict {
                context.findings.add(self.mismatch(path, detail));
            }
        }
    }

    /// What came of it. A stale seal is a remark.
    pub fn summary(&self, file: String) -> (SealSummary, Option<Finding>) {
        let counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let stale = self.moved_on || counts.replaced > 0;
        let state = if counts.mismatches > 0 {
            "broken"
        } else if stale {
            "stale"
        } else {
            "current"
        };
        let finding = (state == "stale").then(|| {
            let detail = format!(
                "the collection was changed since it was sealed ({}): {} files are as they were, {} were replaced or added. \
                 `zvecctl seal` makes a new one",
                self.seal.sealed, counts.unchanged, counts.replaced
            );
            Finding::info("seal.stale", detail)
        });
        let summary = SealSummary {
            file,
            sealed: self.seal.sealed.clone(),
            state: state.to_owned(),
            unchanged: counts.unchanged,
            replaced: counts.replaced,
            mismatches: counts.mismatches,
        };
        (summary, finding)
    }

    /// Compares one file; `None` if the look was stopped. What cannot be read is told elsewhere.
    fn file(&self, context: &Context<'_>, tree: &Tree, path: &Path, sealed: &SealedFile) -> Option<Verdict> {
        let Ok(source) = context.view.source(path) else {
            return Some(Verdict::Mismatch("it cannot be read".to_owned()));
        };
        let go_on = |_| !context.stopped();
        let same_start = if source.size() >= sealed.size {
            match super::hash(&source, sealed.size, &sealed.zeroed, &go_on) {
                Ok(Some(hash)) => hash.to_hex().as_str() == sealed.blake3,
                Ok(None) => return None,
                Err(error) => return Some(Verdict::Mismatch(error.0)),
            }
        } else {
            false
        };
        Some(match (same_start, source.size() == sealed.size) {
            (true, true) => Verdict::Unchanged,
            (true, false) if may_grow(path) && has_record_from(&source, path, sealed.size) => Verdict::Replaced,
            _ if self.may_be_another(context, tree, path) => Verdict::Replaced,
            _ => Verdict::Mismatch(self.describe(tree, path, sealed, source.size())),
        })
    }

    fn describe(&self, tree: &Tree, path: &Path, sealed: &SealedFile, size: u64) -> String {
        let now = tree.get(path).and_then(|entry| entry.modified).map(rfc3339);
        let time = if now == sealed.modified {
            "; its time is that of the seal: nothing has written it since, the bytes changed by themselves".to_owned()
        } else {
            now.map_or_else(String::new, |now| format!("; it was written at {now}"))
        };
        let what = match size.cmp(&sealed.size) {
            std::cmp::Ordering::Equal => format!("its {size} bytes are not those that were sealed"),
            std::cmp::Ordering::Less => format!("it has {size} bytes, {} were sealed", sealed.size),
            std::cmp::Ordering::Greater => {
                format!("it has {size} bytes, {} were sealed, and no engine lets it grow", sealed.size)
            }
        };
        format!("{what}{time}")
    }

    /// Whether an engine may have put another file in its place.
    fn may_be_another(&self, context: &Context<'_>, tree: &Tree, path: &Path) -> bool {
        match names::classify(path).0 {
            // Adding a column makes the writing segment anew under its old id.
            NameKind::Wal => self.moved_on,
            NameKind::IdMap | NameKind::ScalarIndex | NameKind::FtsIndex if is_current(path) => {
                path.parent().is_some_and(|dir| self.database_moved_on(context, tree, dir))
            }
            _ => false,
        }
    }

    /// Whether a sealed file that is not there may have been removed by an engine.
    fn gone(&self, context: &Context<'_>, tree: &Tree, path: &Path) -> Verdict {
        let rightly = match names::classify(path).0 {
            NameKind::Manifest => self.moved_on,
            NameKind::IdMap | NameKind::ScalarIndex | NameKind::FtsIndex => {
                let dir = path.parent().unwrap_or(Path::new(""));
                if self.is_named(path) {
                    self.database_moved_on(context, tree, dir) || self.made_anew(context, tree, dir)
                } else {
                    self.moved_on
                }
            }
            _ => self.moved_on && !self.is_named(path),
        };
        if rightly { Verdict::Replaced } else { Verdict::Mismatch("it is gone".to_owned()) }
    }

    fn is_named(&self, path: &Path) -> bool {
        path.ancestors().any(|part| self.named.contains(part))
    }

    /// Whether RocksDB has published something in a directory since: a higher MANIFEST is current, or the sealed one has grown.
    fn database_moved_on(&self, context: &Context<'_>, tree: &Tree, dir: &Path) -> bool {
        let Some((sealed, highest)) = self.sealed_manifest(dir) else { return false };
        let current = context.view.source(&dir.join("CURRENT")).ok();
        let current = current.and_then(|source| read_vec(&source, 0, source.size().min(64), "rocks.bad-current").ok());
        let current = current.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| {
            let name = text.strip_suffix('\n')?;
            tree.get(&dir.join(name)).and_then(|_| manifest_number(name))
        });
        let grown = tree.get(Path::new(&sealed.path)).is_some_and(|entry| entry.len > sealed.size);
        current.is_some_and(|current| current > highest || (current == highest && grown))
    }

    /// The sealed MANIFEST of a directory with the highest number.
    fn sealed_manifest(&self, dir: &Path) -> Option<(&SealedFile, u64)> {
        let below = self.seal.files.iter().filter(|file| Path::new(&file.path).parent() == Some(dir));
        let manifests = below.filter_map(|file| {
            let name = Path::new(&file.path).file_name()?.to_str()?;
            Some((file, manifest_number(name)?))
        });
        manifests.max_by_key(|(_, number)| *number)
    }

    /// Whether a RocksDB directory was made anew under its old name: another identity, written since.
    fn made_anew(&self, context: &Context<'_>, tree: &Tree, dir: &Path) -> bool {
        if !self.moved_on {
            return false;
        }
        let differs = |path: PathBuf| {
            let sealed = self.by_path.get(&path).and_then(|at| self.seal.files.get(*at));
            let Some(sealed) = sealed.filter(|_| tree.get(&path).is_some()) else { return true };
            let Ok(source) = context.view.source(&path) else { return true };
            let len = sealed.size.min(source.size());
            let hash = super::hash(&source, len, &[], &|_| true).ok().flatten();
            len < sealed.size || hash.is_none_or(|hash| hash.to_hex().as_str() != sealed.blake3)
        };
        let identity = dir.join("IDENTITY");
        let Some(sealed) = self.by_path.get(&identity).and_then(|at| self.seal.files.get(*at)) else { return false };
        // One whose time is that of the seal was not written anew: its bytes rotted.
        let written = tree.get(&identity).is_some_and(|entry| entry.modified.map(rfc3339) != sealed.modified);
        written && differs(identity)
    }

    fn mismatch(&self, path: &Path, detail: String) -> Finding {
        let (kind, segment) = names::classify(path);
        let index = matches!(kind, NameKind::ScalarIndex | NameKind::FtsIndex);
        let detail = format!("not what was sealed at {}: {detail}", self.seal.sealed);
        let mut finding = Finding::error("seal.mismatch", detail).at(path);
        finding.segment = segment;
        finding.loses(if index { Loss::None } else { Loss::Possible }, None)
    }

    fn count(&self, path: Option<&Path>, verdict: &Verdict) {
        let mut counts = self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(path) = path
            && !counts.seen.insert(path.to_owned())
        {
            return;
        }
        match verdict {
            Verdict::Unchanged => counts.unchanged += 1,
            Verdict::Replaced => counts.replaced += 1,
            Verdict::Mismatch(_) => counts.mismatches += 1,
        }
    }
}

/// Files that engines append to.
fn may_grow(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match names::classify(path).0 {
        NameKind::Wal => true,
        NameKind::IdMap | NameKind::ScalarIndex | NameKind::FtsIndex => {
            manifest_number(name).is_some() || name.ends_with(".log")
        }
        _ => false,
    }
}

/// Whether an intact record stands behind what was sealed. Without one nobody has appended anything.
fn has_record_from(source: &impl Source, path: &Path, sealed: u64) -> bool {
    if names::classify(path).0 == NameKind::Wal {
        let mut found = false;
        return wal::scan(source, |record| found |= record.offset >= sealed).is_ok() && found;
    }
    LogReader::new(source, None).flatten().any(|record| record.offset >= sealed)
}

fn is_current(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "CURRENT")
}

fn manifest_number(name: &str) -> Option<u64> {
    name.strip_prefix("MANIFEST-")?.parse().ok()
}
