//! Flush: every layer written and durable, then the next manifest, then what it made superfluous removed.
//!
//! ```text
//! WAL | forward store | scalar index | full-text index | vectors | id map | delete snapshot | directories
//! manifest.<N+1>: temporary name, sync, rename, sync of the directory
//! remove manifest.<N>, the log, the old delete snapshot
//! ```
//!
//! Until the rename the old version is in force and the log has everything. A failure ends the flush there; memory then knows more than it should, so
//! nothing is written any more until the collection is opened again.

use std::path::PathBuf;

use crate::{
    format::manifest::{self, Manifest},
    inspect::names::{delete_snapshot_path, segment_dir},
};

use super::{Collection, EngineError, files::remove_tree, segment::WritingSegment, wal::WalWriter};

/// What a flush did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Name of the manifest that was published; `None` if there was nothing to do.
    pub manifest: Option<String>,
    /// Rows of the block that was written.
    pub rows: u64,
    /// Whether a new writing segment was begun.
    pub new_segment: bool,
    /// Files that nothing names any more and that could not be removed, with the system's words.
    pub leftovers: Vec<(PathBuf, String)>,
}

impl Collection {
    /// Writes everything that is in memory and publishes the next version. Nothing to do is success and publishes nothing; files that a crash left
    /// behind go all the same. An index that was made anew, or left unnamed by a crash, is something to do.
    pub fn flush(&mut self) -> Result<Flushed, EngineError> {
        self.usable()?;
        let idle = self.segment.block.rows() == 0
            && !self.deletes.changed()
            && !self.wal.has_records()
            && self.retired.is_none()
            && self.stale.is_empty();
        if !idle {
            return self.publish(false);
        }
        let residue = std::mem::take(&mut self.residue);
        Ok(Flushed { leftovers: self.remove_files(residue), ..Flushed::default() })
    }

    /// Removes files that nothing names any more; those that stay, with the system's words.
    fn remove_files(&self, paths: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
        let tried = paths.into_iter().map(|path| (self.files.remove(&path), path));
        tried.filter_map(|(removed, path)| Some((path, removed.err()?.to_string()))).collect()
    }

    /// Flushes; the next document goes into a new segment.
    pub(super) fn roll_over(&mut self) -> Result<Flushed, EngineError> {
        self.usable()?;
        self.publish(true)
    }

    fn publish(&mut self, roll_over: bool) -> Result<Flushed, EngineError> {
        self.write_layers(roll_over).map_err(|error| self.broke(error))
    }

    fn write_layers(&mut self, roll_over: bool) -> Result<Flushed, EngineError> {
        let rows = self.segment.block.rows();
        self.wal.sync()?;
        // The block borrows what the context borrows too: taken apart by hand.
        let context = super::block::BlockContext {
            files: &self.files,
            root: &self.root,
            schema: &self.schema,
            segment: self.segment.id(),
            enable_mmap: self.enable_mmap,
            options: &self.options,
        };
        self.segment.write_block(&context)?;
        self.id_map.flush()?;
        let (deleted, suffix) = match self.deletes.changed() {
            true => self.deletes.write(&self.files, &self.root, self.options.now())?,
            false => (self.deletes.published().clone(), self.deletes.suffix()),
        };
        self.files.sync_dir(&self.root.join(self.segment.dir()))?;

        let before = self.versions.current();
        let mut manifest = Manifest::clone(&before.manifest);
        manifest.persisted_segment_metas.extend(self.retired.clone());
        if roll_over {
            let next = self.free_segment_id()?;
            let segment = WritingSegment::create(&self.files, &self.root, &self.schema, next)?;
            self.next_segment_id = next.saturating_add(1);
            let (persisted, old) = self.segment.persisted_meta(&self.files, &self.root)?;
            manifest.persisted_segment_metas.push(persisted);
            self.stale.extend(old);
            self.segment = segment;
        } else {
            self.segment.begin_block(&self.schema);
        }
        manifest::sort_segments(&mut manifest);
        manifest.writing_segment_meta = Some(self.segment.writing_meta(&self.schema, self.next_doc_id));
        manifest.delete_snapshot_path_suffix = suffix;
        manifest.next_segment_id = self.next_segment_id;
        self.files.sync_dir(&self.root)?;

        let old_suffix = self.deletes.suffix();
        let version = self.versions.publish(manifest, deleted.clone(), self.id_map.snapshot())?;
        self.deletes.published_as(deleted, suffix);
        self.retired = None;

        let mut superfluous = vec![self.root.join(before.name.to_string())];
        if self.wal.exists() {
            superfluous.push(self.wal.path().to_owned());
        }
        if suffix != old_suffix {
            superfluous.push(self.root.join(delete_snapshot_path(old_suffix)));
        }
        superfluous.append(&mut self.residue);
        self.wal = WalWriter::new(self.files.clone(), self.root.join(self.segment.wal_path()));
        let mut leftovers = self.remove_files(superfluous);
        for path in std::mem::take(&mut self.stale) {
            if let Err(error) = remove_tree(self.files.fs().as_ref(), &path) {
                leftovers.push((path, error.to_string()));
            }
        }
        Ok(Flushed { manifest: Some(version.name.to_string()), rows, new_segment: roll_over, leftovers })
    }

    /// The next segment id whose directory does not exist: one that a crash left is not written over, it may hold what nothing else has.
    pub(super) fn free_segment_id(&self) -> Result<u32, EngineError> {
        let mut id = self.next_segment_id;
        while self.files.fs().metadata(&self.root.join(segment_dir(id))).is_ok() {
            id = id
                .checked_add(1)
                .ok_or_else(|| super::Refusal::new("segment.full", "there is no segment id left to give out"))?;
        }
        Ok(id)
    }
}
