//! The delete store: ids of all documents that were ever deleted or replaced.

use std::{path::Path, sync::Arc};

use roaring::RoaringTreemap;

use crate::{format::delete_set, inspect::names::delete_snapshot_path};

use super::{EngineError, files::Files};

/// Deleted document ids, and what the last snapshot has of them.
pub struct Deletes {
    ids: RoaringTreemap,
    /// What the published version has.
    published: Arc<RoaringTreemap>,
    /// Suffix of the published snapshot.
    suffix: u32,
    changed: bool,
}

impl Deletes {
    /// What a snapshot holds.
    pub fn new(ids: RoaringTreemap, suffix: u32) -> Self {
        Self { published: Arc::new(ids.clone()), ids, suffix, changed: false }
    }

    /// Marks a document; whether it was not marked yet.
    pub fn insert(&mut self, doc_id: u64) -> bool {
        let new = self.ids.insert(doc_id);
        self.changed |= new;
        new
    }

    /// Whether a document is marked.
    pub fn contains(&self, doc_id: u64) -> bool {
        self.ids.contains(doc_id)
    }

    /// Whether documents have been marked since the last snapshot.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Suffix of the published snapshot.
    pub fn suffix(&self) -> u32 {
        self.suffix
    }

    /// What the published version has.
    pub fn published(&self) -> &Arc<RoaringTreemap> {
        &self.published
    }

    /// Writes a snapshot under the first free suffix above the published one, content durable, its name not yet. Returns ids and suffix for the
    /// next version; [`published_as`](Self::published_as) makes them current.
    pub fn write(&self, files: &Files, root: &Path, now: u64) -> Result<(Arc<RoaringTreemap>, u32), EngineError> {
        let mut suffix = self.suffix;
        let path = loop {
            suffix = suffix.saturating_add(1);
            let path = root.join(delete_snapshot_path(suffix));
            // One that a crash left is not written over: nobody has looked at it yet.
            if files.fs().metadata(&path).is_err() {
                break path;
            }
        };
        files.write(&path, &delete_set::write(&self.ids, now))?;
        Ok((Arc::new(self.ids.clone()), suffix))
    }

    /// Says that a snapshot is in force.
    pub fn published_as(&mut self, ids: Arc<RoaringTreemap>, suffix: u32) {
        self.changed = ids.len() != self.ids.len();
        self.published = ids;
        self.suffix = suffix;
    }
}
