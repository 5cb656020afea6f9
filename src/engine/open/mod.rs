//! Opening for writing: the recovery protocol, each step told.
//!
//! ```text
//! lock | latest valid manifest, invalid newer ones set aside | schema, enable_mmap | id map | delete snapshot
//! persisted segments, read only | writing segment | its log replayed | segment ids
//! ```
//!
//! Damage is never guessed away. What a crash leaves (a torn tail, a manifest that was never finished) is put right and told; anything else
//! ends the opening, unless loss has been accepted, and then what is given up is put aside first.

mod given_up;
mod log;
mod mend;
mod replay;
mod sweep;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use roaring::RoaringTreemap;

use crate::{
    format::{
        manifest::{Manifest, proto::SegmentMeta},
        rocks::OF_A_CRASH,
    },
    inspect::{
        self, Findings, SegmentRef, Tree, View,
        deleted::Deleted,
        manifests::ManifestState,
        names::{segment_dir, segment_id},
        segments, segments_of,
    },
    report::{
        Finding, Severity,
        engine::{Recovery, RecoveryStep},
        many,
    },
    vfs::{FileType, LockGuard, Vfs, VfsMut},
};

use super::{
    Collection, EngineError, Options, Schema,
    deletes::Deletes,
    files::Files,
    fts_index::FtsIndex,
    id_map::IdMap,
    lock,
    options::Sync,
    quarantine::Quarantine,
    scalar_index::ScalarIndex,
    segment::WritingSegment,
    unsynced::UnsyncedFs,
    version::{Version, VersionManager},
    wal::WalWriter,
};

pub use given_up::GivenUp;

const ACCEPT: &str = "`zvecctl recover --accept-loss` keeps every intact record and puts the damaged bytes aside";
const MEND: &str = "`zvecctl verify` tells all that is wrong; nothing is written into a damaged collection";

/// The steps, in order.
const STEPS: [&str; 9] =
    ["lock", "manifest", "schema", "id-map", "delete-snapshot", "segments", "writing-segment", "wal", "segment-ids"];

/// How to open.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// How the collection is then written.
    pub options: Options,
    /// How long to wait for another process to give the lock back.
    pub lock_timeout: Duration,
    /// Pass over damaged parts of the log, which are put aside.
    pub accept_loss: bool,
}

/// What came of opening: the steps, also of an opening that failed.
pub struct Opening {
    /// What each step found and did.
    pub recovery: Recovery,
    /// Documents whose records were given up, as far as anything names them.
    pub given_up: Vec<GivenUp>,
    /// The collection, or why it cannot be written.
    pub collection: Result<Collection, EngineError>,
}

impl Collection {
    /// Opens a collection for writing, replaying what its log holds. Nothing is flushed.
    pub fn open(fs: Arc<dyn VfsMut>, root: &Path, options: OpenOptions) -> Opening {
        let fs: Arc<dyn VfsMut> = match options.options.sync {
            Sync::None => Arc::new(UnsyncedFs::new(fs)),
            Sync::Batch | Sync::Flush => fs,
        };
        let files = Files::new(fs);
        // The quarantine lies beside the directory, whose name `.` does not tell.
        let root = files.fs().canonical(root).unwrap_or_else(|_| root.to_owned());
        let quarantine = Quarantine::new(files.clone(), &root, options.options.now());
        let mut opener = Opener {
            files,
            root,
            options,
            quarantine,
            recovery: Recovery::default(),
            findings: Findings::default(),
            given_up: Vec::new(),
        };
        let collection = opener.run();
        if let Err(error) = &collection {
            opener.fail(error);
        }
        let mut recovery = opener.recovery;
        recovery.findings = opener.findings.list();
        recovery.set_aside = opener.quarantine.moves().to_vec();
        if let Ok(collection) = &collection {
            recovery.documents = collection.len();
        }
        Opening { recovery, given_up: opener.given_up, collection }
    }
}

struct Opener {
    files: Files,
    root: PathBuf,
    options: OpenOptions,
    quarantine: Quarantine,
    recovery: Recovery,
    findings: Findings,
    given_up: Vec<GivenUp>,
}

impl Opener {
    fn run(&mut self) -> Result<Collection, EngineError> {
        let lock = self.lock()?;
        let view = View::open(self.vfs(), &self.root)?;
        let (version_name, manifest) = self.manifest(&view)?;
        let highest = view.manifests().first().map_or(version_name.number, |file| file.name.number);
        let schema = self.schema(&manifest)?;
        let id_map = self.id_map(&manifest)?;
        let ids = self.delete_snapshot(&view, &manifest)?;
        let tree = Tree::walk(self.files.fs().as_ref(), &self.root);
        self.persisted_segments(&view, &tree, &manifest)?;
        let (segment, retired, stale) = self.writing_segment(&view, &tree, &manifest, &schema)?;
        let version = Version {
            name: version_name,
            manifest: Arc::new(manifest.clone()),
            deleted: Arc::new(ids.clone()),
            id_map: id_map.snapshot(),
        };
        let wal = WalWriter::new(self.files.clone(), self.root.join(segment.wal_path()));
        let live = segments_of(&manifest)
            .into_iter()
            .map(|listed| segments::live_rows(&view, listed, &ids, &self.findings))
            .sum();
        let mut collection = Collection {
            files: self.files.clone(),
            root: self.root.clone(),
            options: self.options.options.clone(),
            schema: Arc::new(schema),
            enable_mmap: manifest.enable_mmap,
            versions: Arc::new(VersionManager::new(self.files.clone(), self.root.clone(), version, highest)),
            id_map,
            deletes: Deletes::new(ids, manifest.delete_snapshot_path_suffix),
            next_doc_id: inspect::first_id(&manifest),
            live,
            next_segment_id: manifest.next_segment_id,
            segment,
            retired,
            wal,
            residue: Vec::new(),
            stale: stale.into_iter().collect(),
            broken: None,
            _lock: lock,
        };
        self.mend_torn(&view, &manifest, &mut collection)?;
        let lossy = self.replay(&view, &manifest, &mut collection)?;
        self.sweep(&tree, &manifest, version_name, lossy, &mut collection)?;
        self.segment_ids(&tree, &manifest, &mut collection)?;
        self.make_names_durable()?;
        Ok(collection)
    }

    /// A torn end of the id map or of an index is what a crash does to writes that were never acknowledged, or damage. Nobody can tell, and all of
    /// it can be made again from the published rows.
    fn mend_torn(&mut self, view: &View, manifest: &Manifest, collection: &mut Collection) -> Result<(), EngineError> {
        if collection.id_map.was_torn() {
            let first_id = collection.next_doc_id;
            self.mend_id_map(view, manifest, collection, first_id)?;
        }
        let segment = &collection.segment;
        let torn = segment.scalar_index.as_ref().is_some_and(ScalarIndex::was_torn)
            || segment.fts_index.as_ref().is_some_and(FtsIndex::was_torn);
        if torn { self.mend_indexes(manifest, collection) } else { Ok(()) }
    }

    /// The name of the manifest in force, and that of the collection, may be in the system's cache alone, if the process that gave it was killed. What is
    /// written from now on belongs to them, and must not be acknowledged before they are durable.
    fn make_names_durable(&self) -> Result<(), EngineError> {
        self.files.sync_dir(&self.root)?;
        let Some(parent) = self.root.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
        match self.files.fs().sync_dir(parent) {
            // Others may own it, and then it is theirs to keep.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced.map_err(|error| EngineError::io(parent, error)),
        }
    }

    fn vfs(&self) -> Arc<dyn Vfs> {
        self.files.fs().clone()
    }

    fn step(&mut self, state: &str, detail: impl Into<String>) {
        let step = STEPS.get(self.recovery.steps.len()).copied().unwrap_or_default().to_owned();
        self.recovery.steps.push(RecoveryStep { step, state: state.to_owned(), detail: detail.into() });
    }

    /// Notes the step that failed, and that the others were not taken.
    fn fail(&mut self, error: &EngineError) {
        self.step("failed", error.to_string());
        while self.recovery.steps.len() < STEPS.len() {
            self.step("skipped", "");
        }
    }

    fn lock(&mut self) -> Result<LockGuard, EngineError> {
        // Whether it is a collection at all is the better answer than what became of its lock.
        View::open(self.vfs(), &self.root)?;
        let (lock, made) = match lock::exclusive(&self.files, &self.root, self.options.lock_timeout)? {
            Some(lock) => (lock, false),
            None => (lock::make(&self.files, &self.root, self.options.lock_timeout)?, true),
        };
        let detail = if made { "LOCK was missing and has been made; held exclusively" } else { "held exclusively" };
        self.step(if made { "changed" } else { "ok" }, detail);
        Ok(lock)
    }

    /// The latest valid manifest. Newer ones that are not valid leave the directory, or zvec would obey them.
    fn manifest(&mut self, view: &View) -> Result<(crate::format::manifest::ManifestName, Manifest), EngineError> {
        let (file, manifest) = view.manifest()?;
        if let ManifestState::Newer(error) = &file.state {
            return Err(EngineError::format(&self.root.join(&file.path), error.clone()));
        }
        if let Some(finding) = file.findings.iter().find(|finding| finding.severity == Severity::Error) {
            return Err(damaged(finding.clone(), MEND));
        }
        self.recovery.manifest = Some(file.name.to_string());
        let newer = view.manifests().iter().take_while(|other| other.name.number > file.name.number);
        let newer: Vec<_> = newer.map(|other| (other.path.clone(), other.state_code().to_owned())).collect();
        let mut aside = Vec::new();
        for (path, code) in &newer {
            self.quarantine
                .take(path, &format!("a manifest newer than the one in force that cannot be used: {code}"))?;
            aside.push(format!("{} ({code})", path.display()));
        }
        if aside.is_empty() {
            self.step("ok", file.name.to_string());
        } else {
            self.findings.extend(view.findings().iter().cloned());
            self.step("changed", format!("{}; set aside: {}", file.name, aside.join(", ")));
        }
        Ok((file.name, manifest.clone()))
    }

    fn schema(&mut self, manifest: &Manifest) -> Result<Schema, EngineError> {
        let schema = Schema::load(&manifest.schema.clone().unwrap_or_default())?;
        schema.writable()?;
        let fields = schema.fields().len();
        self.step("ok", format!("{fields} fields, enable_mmap={}", manifest.enable_mmap));
        Ok(schema)
    }

    fn id_map(&mut self, manifest: &Manifest) -> Result<IdMap, EngineError> {
        let relative = inspect::names::id_map_path(manifest.id_map_path_suffix);
        let id_map = IdMap::open(&self.files, self.root.join(&relative))?;
        self.step("ok", relative.display().to_string());
        Ok(id_map)
    }

    fn delete_snapshot(&mut self, view: &View, manifest: &Manifest) -> Result<RoaringTreemap, EngineError> {
        let deleted = Deleted::load(view, manifest);
        if let Some(finding) = deleted.findings.iter().find(|finding| finding.severity == Severity::Error) {
            return Err(damaged(finding.clone(), MEND));
        }
        // The documents of the log would get these ids, and be gone with the next flush.
        if let Some(finding) = deleted.beyond_end(inspect::first_id(manifest)) {
            return Err(damaged(finding, MEND));
        }
        let ids = deleted.ids();
        self.step("ok", format!("{}: {}", deleted.path.display(), many(ids.len(), "document")));
        Ok(ids)
    }

    fn persisted_segments(&mut self, view: &View, tree: &Tree, manifest: &Manifest) -> Result<(), EngineError> {
        let mut blocks = 0;
        let mut segments = 0;
        for segment in segments_of(manifest).into_iter().filter(|segment| !segment.writing) {
            blocks += self.check_blocks(view, tree, segment)?;
            segments += 1;
        }
        self.step("ok", format!("{segments} persisted, {}, opened for reading", many(blocks as u64, "block")));
        Ok(())
    }

    /// Opens every published block of a segment as far as its headers.
    fn check_blocks(&mut self, view: &View, tree: &Tree, segment: SegmentRef<'_>) -> Result<usize, EngineError> {
        let findings = Findings::default();
        if let Some(missing) = segments::missing_directory(view, segment) {
            return Err(damaged(missing, MEND));
        }
        let blocks = segments::blocks(view, tree, segment, &findings);
        // A crash tears what is being written; a persisted segment was complete before a manifest named it so.
        let of_a_crash = |finding: &Finding| OF_A_CRASH.contains(&finding.code.as_str());
        let bad = |finding: &Finding| finding.severity == Severity::Error || (!segment.writing && of_a_crash(finding));
        if let Some(finding) = findings.list().into_iter().find(bad) {
            return Err(damaged(finding, MEND));
        }
        // A vector file ends with its last vector; rows behind that have none.
        let short = blocks.iter().find(|block| {
            let documents = u64::from(block.documents);
            block
                .rows
                .is_some_and(|rows| if block.block_type == "SCALAR" { rows != documents } else { rows > documents })
        });
        if let Some(block) = short {
            let detail = format!(
                "the file has {} rows, the manifest says {} documents",
                block.rows.unwrap_or_default(),
                block.documents
            );
            return Err(damaged(Finding::error("segment.row-count", detail).at(Path::new(&block.path)), MEND));
        }
        Ok(blocks.len())
    }

    /// The writing segment; if zvec has sealed it, a new one that takes its place at the next flush.
    fn writing_segment(
        &mut self,
        view: &View,
        tree: &Tree,
        manifest: &Manifest,
        schema: &Schema,
    ) -> Result<(WritingSegment, Option<SegmentMeta>, Option<PathBuf>), EngineError> {
        let meta = manifest.writing_segment_meta.as_ref().ok_or_else(|| {
            damaged(Finding::error("manifest.incomplete", "the manifest names no writing segment"), MEND)
        })?;
        let listed = segments_of(manifest).into_iter().find(|segment| segment.writing);
        if let Some(segment) = listed {
            self.check_blocks(view, tree, segment)?;
        }
        let mut segment = WritingSegment::open(&self.files, &self.root, schema, meta)?;
        if !segment.is_sealed()? {
            let detail =
                format!("segment {}: {}, open block {}", segment.id(), many(segment.rows(), "row"), segment.block.id);
            self.step("ok", detail);
            return Ok((segment, None, None));
        }
        let (persisted, old) = segment.persisted_meta(&self.files, &self.root)?;
        let mut id = manifest.next_segment_id.max(segment.id() + 1);
        while self.files.fs().metadata(&self.root.join(segment_dir(id))).is_ok() {
            id += 1;
        }
        let new = WritingSegment::create(&self.files, &self.root, schema, id)?;
        let detail = format!(
            "segment {} was sealed by an interrupted operation of zvec, which then refuses every insert; segment {id} takes its place at the \
             next flush",
            segment.id()
        );
        self.step("changed", detail);
        Ok((new, Some(persisted), old))
    }

    fn segment_ids(
        &mut self,
        tree: &Tree,
        manifest: &Manifest,
        collection: &mut Collection,
    ) -> Result<(), EngineError> {
        let listed = segments_of(manifest).into_iter().map(|segment| segment.id());
        let used = listed.chain([collection.segment.id()]).max().unwrap_or(0);
        collection.next_segment_id = manifest.next_segment_id.max(used.saturating_add(1));
        let orphans = tree
            .entries
            .iter()
            .filter(|entry| entry.file_type == FileType::Dir && entry.path.iter().count() == 1)
            .filter_map(|entry| segment_id(entry.path.to_str()?))
            .filter(|id| segments_of(manifest).iter().all(|segment| segment.id() != *id))
            .count();
        let mut detail = format!("next segment {}", collection.next_segment_id);
        if orphans > 0 {
            detail.push_str(&format!("; {orphans} directories that no manifest names were left as they are"));
        }
        self.step("ok", detail);
        Ok(())
    }
}

fn damaged(finding: Finding, hint: &'static str) -> EngineError {
    EngineError::Damaged { finding: Box::new(finding), hint }
}
