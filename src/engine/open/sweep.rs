//! What crashes left behind, and when it goes.
//!
//! Vector files of the open block are made anew by every opening: those of the last one go as soon as the log has been replayed. Files of the
//! other layers, older manifests, delete snapshots and logs go after the next flush. Nothing goes that may hold what nothing else has:
//! nothing at all after records were given up or a manifest was ever set aside, no log of which a block does not have every document, no
//! block whose log is gone.

use std::path::{Path, PathBuf};

use crate::{
    format::{
        document::{self, Op},
        manifest::{Manifest, ManifestName, proto::BlockType},
        wal::{End, scan},
    },
    inspect::{
        FileSource, Tree, files,
        names::{NameKind, classify, delete_snapshot_path, segment_dir, segment_id},
        segments_of,
    },
    vfs::FileType,
};

use super::{Collection, EngineError, Opener};

impl Opener {
    /// Removes what the replay has made needless, and notes what the next flush does.
    pub(super) fn sweep(
        &mut self,
        tree: &Tree,
        manifest: &Manifest,
        name: ManifestName,
        lossy: bool,
        collection: &mut Collection,
    ) -> Result<(), EngineError> {
        if lossy || self.manifest_was_set_aside() {
            return Ok(());
        }
        let Some(writing) = &manifest.writing_segment_meta else { return Ok(()) };
        let first = writing.writing_forward_block.as_ref().map_or(u32::MAX, |block| block.block_id);
        let dir = segment_dir(writing.segment_id);
        let named = files::named_by(manifest);
        let unlisted = |path: &Path| named.iter().all(|named| named.path != path);
        let mut vectors = Vec::new();
        let mut forward = Vec::new();
        for entry in tree.entries.iter().filter(|entry| entry.file_type == FileType::File && unlisted(&entry.path)) {
            let path = &entry.path;
            let in_writing = path.starts_with(&dir);
            let superfluous = match classify(path).0 {
                NameKind::Vector | NameKind::QuantizedVector if in_writing => {
                    vectors.push(path.clone());
                    false
                }
                NameKind::Forward if in_writing => {
                    forward.push(path.clone());
                    false
                }
                NameKind::Manifest => {
                    path.to_str().and_then(ManifestName::parse).is_some_and(|other| other.number < name.number)
                }
                NameKind::ManifestTmp => true,
                NameKind::DeleteSnapshot => *path != delete_snapshot_path(manifest.delete_snapshot_path_suffix),
                NameKind::Wal => self.is_published(manifest, first, path),
                NameKind::Unfinished => in_writing && path.extension().is_some_and(|end| end == "tmp"),
                _ => false,
            };
            if superfluous {
                collection.residue.push(self.root.join(path));
            }
        }
        if self.recovery.replay.records == 0 && forward.iter().any(|path| block_id(path).is_some_and(|id| id >= first))
        {
            // Not made from this log: a block of a version that was never published, whose log is gone.
            for path in forward.iter().chain(&vectors) {
                self.quarantine.take(path, "a file of a block that no manifest names and no log holds")?;
            }
            return Ok(());
        }
        for path in vectors {
            // One that stays is litter, no fault.
            let _ = self.files.remove(&self.root.join(path));
        }
        // That of the open block has the name that the next flush writes to.
        let left = forward.into_iter().filter(|path| block_id(path) != Some(first));
        collection.residue.extend(left.map(|path| self.root.join(path)));
        collection.stale.extend(self.empty_segments(tree, manifest));
        collection.stale.extend(self.unlisted_indexes(tree, manifest, &named));
        Ok(())
    }

    /// Whether a manifest was set aside when the collection was opened before: what it names may still be wanted.
    fn manifest_was_set_aside(&self) -> bool {
        let fs = self.files.fs();
        let runs = fs.list(self.quarantine.folder()).unwrap_or_default();
        runs.iter().any(|run| {
            let files = fs.list(&run.path).unwrap_or_default();
            files.iter().any(|file| file.name.to_str().and_then(ManifestName::parse).is_some())
        })
    }

    /// Whether a log that is not in use has no document that its block does not have.
    fn is_published(&self, manifest: &Manifest, first: u32, path: &Path) -> bool {
        let (_, Some(segment)) = classify(path) else { return false };
        let listed = segments_of(manifest).into_iter().find(|listed| listed.id() == segment);
        let (Some(listed), Some(block)) = (listed, block_id(path)) else { return false };
        if listed.writing && block >= first {
            return false;
        }
        let blocks = listed.meta.persisted_blocks.iter();
        let rows: u64 = blocks
            .filter(|meta| meta.block_type == BlockType::Scalar as i32 && meta.block_id == block)
            .map(|meta| u64::from(meta.doc_count))
            .sum();
        let Ok(source) = FileSource::open(self.files.fs().as_ref(), &self.root.join(path)) else { return false };
        let mut documents = 0;
        let scanned = scan(&source, |record| {
            let op = document::decode_head(&record.payload, record.payload_offset()).map(|head| head.op);
            documents += u64::from(!matches!(op, Ok(Op::Delete)));
        });
        scanned.is_ok_and(|scanned| scanned.damage.is_empty() && matches!(scanned.end, End::Clean)) && documents == rows
    }

    /// Indexes in listed segments that no manifest names: begun by an interrupted flush, or replaced by one. All that they hold is in the rows.
    fn unlisted_indexes(&self, tree: &Tree, manifest: &Manifest, named: &[files::Named]) -> Vec<PathBuf> {
        let segments: Vec<PathBuf> = segments_of(manifest).iter().map(|segment| segment_dir(segment.id())).collect();
        let directories = tree.entries.iter().filter(|entry| {
            entry.file_type == FileType::Dir
                && entry.path.extension().is_some_and(|end| end == "rocksdb")
                && segments.iter().any(|dir| entry.path.parent() == Some(dir))
                && named.iter().all(|named| named.path != entry.path)
        });
        directories.map(|dir| self.root.join(&dir.path)).collect()
    }

    /// Segments that no manifest names with nothing but empty indexes in them: an interrupted roll-over left them.
    fn empty_segments(&self, tree: &Tree, manifest: &Manifest) -> Vec<PathBuf> {
        let listed: Vec<u32> = segments_of(manifest).iter().map(|segment| segment.id()).collect();
        let directories = tree.entries.iter().filter(|entry| {
            let id = entry.path.to_str().and_then(segment_id);
            entry.file_type == FileType::Dir && id.is_some_and(|id| !listed.contains(&id))
        });
        let is_index = |path: &Path| matches!(classify(path).0, NameKind::ScalarIndex | NameKind::FtsIndex);
        let is_table = |path: &Path| path.extension().is_some_and(|end| end == "sst" || end == "log");
        let empty = directories.filter(|dir| {
            let below = tree.entries.iter().filter(|entry| entry.path.starts_with(&dir.path) && entry.path != dir.path);
            below
                .clone()
                .all(|entry| entry.file_type == FileType::Dir || (is_index(&entry.path) && !is_table(&entry.path)))
        });
        empty.map(|dir| self.root.join(&dir.path)).collect()
    }
}

/// The block id in a file name.
fn block_id(path: &Path) -> Option<u32> {
    path.file_stem()?.to_str()?.rsplit('.').next()?.parse().ok()
}
