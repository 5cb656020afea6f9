//! What there is to check: file by file, and what is wider than a file.

use std::path::{Path, PathBuf};

use crate::{
    inspect::{
        SegmentRef, Tree,
        files::{self, Named},
        names::{self, NameKind},
        segments_of, wal,
    },
    report::Finding,
    vfs::FileType,
};

use super::{
    context::{Context, Level},
    deep::Deep,
    files as checks, wounds,
};

/// One piece of work: a file, or a directory that belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// File or directory, relative to the collection.
    pub path: PathBuf,
    /// What is to be done.
    pub work: Work,
    /// Segment it belongs to.
    pub segment: Option<u32>,
    /// Files that it is about.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Documents that are listed in it.
    pub documents: u64,
    /// Whether the manifest in force needs it; without such a manifest everything may be needed.
    pub needed: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A manifest: decoded when the view was opened.
    Manifest,
    /// A delete snapshot.
    DeleteSnapshot,
    /// The directory of an id map.
    IdMap,
    /// A write-ahead log.
    Wal,
    /// A forward block.
    Forward,
    /// A file of vectors.
    Vectors,
    /// The directory of a scalar or full-text index.
    Index,
    /// The rows of a segment, with everything that hangs on them.
    Segment,
    /// Known wounds of a segment.
    Wounds,
    /// Directories of segments that the manifest does not list.
    Orphans,
    /// What is gone since the collection was sealed.
    Seal,
    /// Id map, delete set and log against the rows of all segments.
    Collection,
}

impl Job {
    /// In words, where it is about no file of its own.
    pub fn says(&self) -> Option<String> {
        let segment = || self.segment.map_or_else(String::new, |id| format!(" of segment {id}"));
        Some(match self.work {
            Work::Segment => format!("rows, indexes and vectors{}", segment()),
            Work::Wounds => format!("known wounds{}", segment()),
            Work::Orphans => "segments that the manifest does not list".to_owned(),
            Work::Seal => "files that are gone since they were sealed".to_owned(),
            Work::Collection => "id map, delete set and log against the rows".to_owned(),
            _ => return None,
        })
    }
}

/// Whether a job of this path is about no file: its name says what else.
pub(super) fn is_wider(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with('('))
}

/// The jobs of a look at `tree`, the largest first. A segment restricts them to what is its own.
pub(super) fn plan(context: &Context<'_>, tree: &Tree, segment: Option<u32>, sealed: bool) -> Vec<Job> {
    let mut jobs = Vec::new();
    let wider =
        |path: PathBuf, work, segment| Job { path, work, segment, files: 0, bytes: 0, documents: 0, needed: true };
    let view = context.view;
    let known = view.used().is_some();
    if known {
        for Named { path, segment, documents } in files::named_by(context.manifest) {
            // What is not there is a finding of the file set.
            if tree.get(&path).is_some()
                && let Some(work) = work_of(&path)
            {
                jobs.push(Job { documents, segment, ..job(tree, path, work, true) });
            }
        }
        if let Some(path) = wal::active(view, context.manifest) {
            let (_, segment) = names::classify(&path);
            jobs.push(Job { segment, ..job(tree, path, Work::Wal, true) });
        }
        let deep = context.wants(Level::Structures);
        for listed in segments_of(context.manifest) {
            let dir = names::segment_dir(listed.id());
            if deep {
                let documents = crate::format::manifest::row_count(listed.meta);
                jobs.push(Job { documents, ..wider(dir.clone(), Work::Segment, Some(listed.id())) });
            }
            jobs.push(wider(dir.join("(wounds)"), Work::Wounds, Some(listed.id())));
        }
        jobs.push(wider("(orphans)".into(), Work::Orphans, None));
        if deep {
            jobs.push(wider("(rows)".into(), Work::Collection, None));
        }
    } else {
        undecided(tree, &mut jobs);
    }
    if sealed {
        jobs.push(wider("(seal)".into(), Work::Seal, None));
    }
    for file in view.manifests() {
        jobs.push(job(tree, file.path.clone(), Work::Manifest, false));
    }
    jobs.retain(|job| segment.is_none() || job.segment == segment);
    // What spans segments comes when they have been looked at.
    jobs.sort_by(|a, b| (b.bytes, a.work, &a.path).cmp(&(a.bytes, b.work, &b.path)));
    jobs
}

/// Without a manifest everything that one could name is looked at.
fn undecided(tree: &Tree, jobs: &mut Vec<Job>) {
    for entry in &tree.entries {
        let work = match entry.file_type {
            FileType::Dir => directory_work(&entry.path),
            FileType::File => work_of(&entry.path).filter(|work| !matches!(work, Work::IdMap | Work::Index)),
            FileType::Symlink | FileType::Other => None,
        };
        if let Some(work) = work.filter(|work| *work != Work::Manifest) {
            let (_, segment) = names::classify(&entry.path);
            jobs.push(Job { segment, ..job(tree, entry.path.clone(), work, true) });
        }
    }
}

fn job(tree: &Tree, path: PathBuf, work: Work, needed: bool) -> Job {
    let usage = tree.usage(&path);
    Job { path, work, segment: None, files: usage.files, bytes: usage.size, documents: 0, needed }
}

/// What is to be done with a path, by its name.
fn work_of(path: &Path) -> Option<Work> {
    Some(match names::classify(path).0 {
        NameKind::Manifest => Work::Manifest,
        NameKind::DeleteSnapshot => Work::DeleteSnapshot,
        NameKind::IdMap => Work::IdMap,
        NameKind::Wal => Work::Wal,
        NameKind::Forward => Work::Forward,
        NameKind::Vector | NameKind::QuantizedVector => Work::Vectors,
        NameKind::ScalarIndex | NameKind::FtsIndex => Work::Index,
        NameKind::Directory => return directory_work(path),
        NameKind::ManifestTmp | NameKind::Lock | NameKind::Unfinished | NameKind::Other => return None,
    })
}

/// The same for a directory: what its files would be.
fn directory_work(path: &Path) -> Option<Work> {
    match names::classify(&path.join("CURRENT")).0 {
        NameKind::IdMap => Some(Work::IdMap),
        NameKind::ScalarIndex | NameKind::FtsIndex => Some(Work::Index),
        _ => None,
    }
}

/// Whether files of vectors are checked with their segment: deeper levels look at those of a column together.
pub(super) fn with_segment(context: &Context<'_>) -> bool {
    context.wants(Level::Structures) && context.view.used().is_some()
}

/// Does one job.
pub(super) fn run(context: &Context<'_>, deep: &Deep, tree: &Tree, job: &Job) {
    match job.work {
        Work::Manifest => context.count(job.bytes),
        Work::DeleteSnapshot => checks::snapshot::check(context, job),
        Work::IdMap | Work::Index => checks::database::check(context, tree, job),
        Work::Wal => checks::log::check(context, job),
        Work::Forward => checks::forward::check(context, job),
        Work::Vectors if with_segment(context) => {}
        Work::Vectors => checks::vectors::check(context, job),
        Work::Segment => {
            if let Some(segment) = listed(context, job.segment) {
                deep.segment(context, segment);
            }
        }
        Work::Wounds => {
            if let Some(segment) = listed(context, job.segment) {
                wounds::of_segment(context, tree, segment);
            }
        }
        Work::Orphans => wounds::orphans(context, tree),
        // Both need more than the job; the run sees to them.
        Work::Seal | Work::Collection => {}
    }
}

fn listed<'a>(context: &Context<'a>, id: Option<u32>) -> Option<SegmentRef<'a>> {
    segments_of(context.manifest).into_iter().find(|segment| Some(segment.id()) == id)
}

/// Adds the segment and, where nothing is said yet, what is at risk.
pub(super) fn of_job(job: &Job, mut finding: Finding) -> Finding {
    finding.segment = finding.segment.or(job.segment);
    finding
}
