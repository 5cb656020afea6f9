//! A collection that is open for writing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    format::manifest::proto::SegmentMeta,
    vfs::{LockGuard, VfsMut},
};

use super::{
    EngineError, Options, Reader, Refusal, Schema,
    deletes::Deletes,
    files::Files,
    id_map::IdMap,
    segment::WritingSegment,
    version::{Version, VersionManager},
    wal::WalWriter,
};

/// A collection that is open for writing; its lock is held until this is dropped. Dropping it does not flush: what was acknowledged
/// is in the log.
pub struct Collection {
    pub(super) files: Files,
    pub(super) root: PathBuf,
    pub(super) options: Options,
    pub(super) schema: Arc<Schema>,
    pub(super) enable_mmap: bool,
    pub(super) versions: Arc<VersionManager>,
    pub(super) id_map: IdMap,
    pub(super) deletes: Deletes,
    pub(super) segment: WritingSegment,
    /// The segment that the manifest still has as the writing one, if `segment` is to take its place at the next flush.
    pub(super) retired: Option<SegmentMeta>,
    pub(super) wal: WalWriter,
    pub(super) next_doc_id: u64,
    /// Live documents.
    pub(super) live: u64,
    pub(super) next_segment_id: u32,
    /// Files of the writing segment that a crash left, made from what the log holds: removed once that is published.
    pub(super) residue: Vec<PathBuf>,
    /// Directories that the next version does not name any more.
    pub(super) stale: Vec<PathBuf>,
    /// Why nothing can be written any more until the collection is opened again.
    pub(super) broken: Option<String>,
    pub(super) _lock: LockGuard,
}

impl Collection {
    /// The collection's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file system.
    pub fn fs(&self) -> &Arc<dyn VfsMut> {
        self.files.fs()
    }

    /// The schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Whether forward blocks are Arrow IPC files.
    pub fn enable_mmap(&self) -> bool {
        self.enable_mmap
    }

    /// Live documents, those in the open block included.
    pub fn len(&self) -> u64 {
        self.live
    }

    /// Whether there is no live document.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Documents that are in the log and in no published block.
    pub fn unflushed(&self) -> u64 {
        self.segment.block.rows()
    }

    /// The version in force.
    pub fn version(&self) -> Arc<Version> {
        self.versions.current()
    }

    /// A reader of the version in force: it goes on seeing that one, whatever is written and flushed meanwhile.
    pub fn reader(&self) -> Reader {
        Reader::new(self.files.clone(), self.root.clone(), self.versions.current())
    }

    /// Gives out readers, from any thread, of the version that is then in force.
    pub fn readers(&self) -> impl Fn() -> Reader + Send + Sync + Clone + 'static {
        let (files, root, versions) = (self.files.clone(), self.root.clone(), self.versions.clone());
        move || Reader::new(files.clone(), root.clone(), versions.current())
    }

    /// Ends without a flush. What was acknowledged stays in the log; the vector files of the open block, which the next opening makes
    /// anew from it under other names, are removed: zvec would never do so.
    pub fn close(self) {
        if self.broken.is_none() {
            self.discard_open_block();
        }
    }

    /// Removes the vector files of the open block. One that cannot be removed wastes room and nothing else.
    pub(super) fn discard_open_block(&self) {
        for path in self.segment.block.vector_paths() {
            self.files.remove(path).ok();
        }
    }

    /// Refuses if an earlier failure left the state in memory uncertain.
    pub(super) fn usable(&self) -> Result<(), EngineError> {
        match &self.broken {
            None => Ok(()),
            Some(why) => {
                let message = format!("nothing is written any more until the collection is opened again: {why}");
                Err(Refusal::new("collection.reopen", message).into())
            }
        }
    }

    /// Notes a failure after which memory and disk may differ; what is on disk is whole.
    pub(super) fn broke(&mut self, error: EngineError) -> EngineError {
        self.broken.get_or_insert_with(|| error.to_string());
        error
    }
}
