//! The bench on which a collection is repaired: a draft of the next manifest, new files beside the old ones, and a list of what they replace.
//!
//! Nothing that is in force is touched before the draft is published. A kill before that leaves the old state with files that nothing names; a kill
//! after it the new state with files that nothing names any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use roaring::RoaringTreemap;

use crate::{
    engine::{
        EngineError, Refusal, Schema,
        parts::{Deletes, Files, block_ids_on_disk, next_block_id, write_manifest},
        remove_tree,
    },
    format::{
        manifest::{
            self, Manifest, ManifestName, Style,
            proto::{BlockMeta, BlockType, SegmentMeta},
            row_count,
        },
        value::Value,
    },
    inspect::{
        View,
        deleted::Deleted,
        documents::{Cell, Documents, Selection},
        names::{block_path, delete_snapshot_path, segment_dir},
        segments_of,
    },
    report::Finding,
    vfs::{FileType, VfsMut},
};

use super::documents::DocumentList;

/// Bytes of an index that are held in memory before they are written.
pub const MOST_UNWRITTEN: usize = 32 << 20;

/// A repair under way.
pub struct Bench {
    files: Files,
    root: PathBuf,
    /// The draft of the next manifest.
    pub manifest: Manifest,
    style: Style,
    base: Option<ManifestName>,
    /// Highest number of a manifest on disk, valid or not.
    highest: u64,
    /// Block ids given out, by segment.
    blocks: BTreeMap<u32, u32>,
    /// What the draft does not name any more, relative to the collection.
    retired: BTreeSet<PathBuf>,
    /// Documents that are given up: their rows stay, so that row numbers stay, and are marked deleted.
    given_up: RoaringTreemap,
    /// Documents that no row has and that have been told lost.
    told_lost: RoaringTreemap,
    /// Whether ids or keys of rows differ from what was in force, or documents were given up.
    rows_changed: bool,
    changed: bool,
    /// Whether the id map is the one that the repair found: evidence of its own.
    pub found_id_map: bool,
    /// Whether rows have come in that the repair did not find named: they may be older versions, and nothing else is wrong.
    pub adopted: bool,
    now: u64,
    list: Arc<DocumentList>,
}

impl Bench {
    /// A bench for the collection `root`, beginning with `manifest`, whose name is `base` if it is one that stands there.
    pub fn new(
        fs: Arc<dyn VfsMut>,
        view: &View,
        base: Option<ManifestName>,
        manifest: Manifest,
        now: u64,
        list: Arc<DocumentList>,
    ) -> Self {
        let highest = view.manifests().first().map_or(0, |file| file.name.number);
        let style =
            base.or_else(|| view.manifests().first().map(|file| file.name)).map_or(Style::Release, |name| name.style);
        Self {
            files: Files::new(fs),
            root: view.root().to_owned(),
            manifest,
            style,
            base,
            highest,
            blocks: BTreeMap::new(),
            retired: BTreeSet::new(),
            given_up: RoaringTreemap::new(),
            told_lost: RoaringTreemap::new(),
            rows_changed: false,
            changed: base.is_none(),
            found_id_map: true,
            adopted: false,
            now,
            list,
        }
    }

    /// The list of documents that cannot be brought back whole.
    pub fn list(&self) -> &DocumentList {
        &self.list
    }

    /// Steps on files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The file system.
    pub fn fs(&self) -> &Arc<dyn VfsMut> {
        self.files.fs()
    }

    /// The collection's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The schema of the draft.
    pub fn schema(&self) -> Result<Schema, EngineError> {
        Ok(Schema::load(&self.manifest.schema.clone().unwrap_or_default())?)
    }

    /// The collection as the draft has it.
    pub fn view(&self) -> View {
        self.view_of(self.manifest.clone())
    }

    /// The collection as another manifest has it.
    pub fn view_of(&self, manifest: Manifest) -> View {
        let name = self.base.unwrap_or(ManifestName::new(self.style, self.highest));
        View::of_manifest(self.files.fs().clone(), &self.root, name, manifest)
    }

    /// Says that the draft differs from what is in force.
    pub fn change(&mut self) {
        self.changed = true;
    }

    /// Gives a document up: its row stays and is marked deleted when the draft is published.
    pub fn give_up(&mut self, doc_id: u64) {
        self.changed = true;
        self.rows_changed = true;
        self.given_up.insert(doc_id);
    }

    /// Says that a document that no row has has been told lost.
    pub fn tell_lost(&mut self, doc_id: u64) {
        self.told_lost.insert(doc_id);
    }

    /// Documents that have been told lost, or were given up.
    pub fn told_lost(&self) -> RoaringTreemap {
        &self.told_lost | &self.given_up
    }

    /// Says that rows have other ids or keys now.
    pub fn change_rows(&mut self) {
        self.changed = true;
        self.rows_changed = true;
    }

    /// Whether the id map may have to follow.
    pub fn rows_changed(&self) -> bool {
        self.rows_changed
    }

    /// Ids that the delete snapshot of the draft marks, and those of documents that are given up.
    pub fn deleted(&self) -> RoaringTreemap {
        Deleted::load(&self.view(), &self.manifest).ids() | &self.given_up
    }

    /// Writes a delete snapshot and has the draft name it.
    pub fn write_deleted(&mut self, ids: &RoaringTreemap) -> Result<PathBuf, EngineError> {
        let current = self.manifest.delete_snapshot_path_suffix;
        let mut deletes = Deletes::new(RoaringTreemap::new(), self.free_suffix("del.", current)?.saturating_sub(1));
        for id in ids {
            deletes.insert(id);
        }
        let (_, suffix) = deletes.write(&self.files, &self.root, self.now)?;
        self.retire(delete_snapshot_path(current));
        self.manifest.delete_snapshot_path_suffix = suffix;
        Ok(delete_snapshot_path(suffix))
    }

    /// A segment of the draft.
    pub fn segment(&self, id: u32) -> Option<&SegmentMeta> {
        segments_of(&self.manifest).into_iter().find(|segment| segment.id() == id).map(|segment| segment.meta)
    }

    /// A segment of the draft, to be changed.
    pub fn segment_mut(&mut self, id: u32) -> Option<&mut SegmentMeta> {
        self.changed = true;
        let manifest = &mut self.manifest;
        let persisted = manifest.persisted_segment_metas.iter_mut();
        persisted.chain(manifest.writing_segment_meta.iter_mut()).find(|segment| segment.segment_id == id)
    }

    /// Whether a segment is the writing one.
    pub fn is_writing(&self, id: u32) -> bool {
        self.manifest.writing_segment_meta.as_ref().is_some_and(|segment| segment.segment_id == id)
    }

    /// A block id of a segment that nothing has yet, on disk or in the draft.
    pub fn block_id(&mut self, segment: u32) -> Result<u32, EngineError> {
        let next = match self.blocks.get(&segment) {
            Some(last) => last
                .checked_add(1)
                .ok_or_else(|| Refusal::new("segment.full", "there is no block id left to give out"))?,
            None => {
                let meta = self.segment(segment);
                let blocks =
                    meta.iter().flat_map(|meta| meta.persisted_blocks.iter().chain(&meta.writing_forward_block));
                let on_disk = block_ids_on_disk(&self.files, &self.root.join(segment_dir(segment)))?;
                next_block_id(blocks.map(|block| block.block_id), on_disk)?
            }
        };
        self.blocks.insert(segment, next);
        Ok(next)
    }

    /// The number behind `prefix` that no entry of the collection's directory has, above `current`.
    pub fn free_suffix(&self, prefix: &str, current: u32) -> Result<u32, EngineError> {
        let entries = self.fs().list(&self.root).map_err(|error| EngineError::io(&self.root, error))?;
        let taken = entries.iter().filter_map(|entry| entry.name.to_str()?.strip_prefix(prefix)?.parse::<u32>().ok());
        let last = taken.chain([current]).max().unwrap_or(current);
        last.checked_add(1).ok_or_else(|| Refusal::new("segment.full", "there is no suffix left to give out").into())
    }

    /// The path of a block of a segment, relative to the collection.
    pub fn block_path(&self, segment: u32, block: &BlockMeta) -> PathBuf {
        block_path(segment, block, self.manifest.enable_mmap).unwrap_or_default()
    }

    /// Says that the draft does not name a path any more: it goes to the quarantine once the draft is in force.
    pub fn retire(&mut self, relative: PathBuf) {
        self.changed = true;
        if !relative.as_os_str().is_empty() {
            self.retired.insert(relative);
        }
    }

    /// Puts `new` in the place of a segment's blocks for which `old` holds, and retires their files.
    pub fn replace_blocks(&mut self, segment: u32, old: impl Fn(&BlockMeta) -> bool, new: Vec<BlockMeta>) {
        let Some(meta) = self.segment(segment) else { return };
        let gone: Vec<PathBuf> = meta
            .persisted_blocks
            .iter()
            .filter(|block| old(block))
            .map(|block| self.block_path(segment, block))
            .collect();
        if let Some(meta) = self.segment_mut(segment) {
            let place = meta.persisted_blocks.iter().position(&old).unwrap_or(meta.persisted_blocks.len());
            meta.persisted_blocks.retain(|block| !old(block));
            let place = place.min(meta.persisted_blocks.len());
            meta.persisted_blocks.splice(place..place, new);
        }
        gone.into_iter().for_each(|path| self.retire(path));
    }

    /// Calls `each` with every row of a segment, deleted ones included: its number and its scalars in schema order, where vectors are null.
    /// Vectors are not read.
    ///
    /// # Errors
    /// What `each` says; or a row cannot be read whole.
    pub fn each_row(
        &self,
        segment: u32,
        schema: &Schema,
        each: &mut dyn FnMut(u32, u64, Vec<Value>) -> Result<(), EngineError>,
    ) -> Result<u64, EngineError> {
        let Some(meta) = self.segment(segment) else { return Ok(0) };
        let rows = row_count(meta);
        let mut only = self.manifest.clone();
        only.persisted_segment_metas = vec![SegmentMeta { writing_forward_block: None, ..meta.clone() }];
        only.writing_segment_meta = None;
        let kinds: Vec<bool> =
            schema.fields().iter().map(|field| matches!(field.kind, crate::engine::FieldKind::Scalar { .. })).collect();
        if let Some(schema) = &mut only.schema {
            let mut scalar = kinds.iter();
            schema.fields.retain(|_| scalar.next().copied().unwrap_or(true));
        }
        let view = self.view_of(only);
        let mut documents = Documents::of_version(&view, RoaringTreemap::new())?;
        documents.select(Selection { include_deleted: true, without_wal: true });
        let mut row = 0u32;
        let mut result = Ok(());
        let mut unreadable = false;
        let _ = documents.each(&mut |document| {
            let mut scalars = document.fields.into_iter();
            let values: Option<Vec<Value>> = kinds
                .iter()
                .map(|scalar| match scalar {
                    false => Some(Value::Null),
                    true => match scalars.next() {
                        Some(Cell::Value(value)) => Some(value),
                        _ => None,
                    },
                })
                .collect();
            let Some(values) = values else {
                unreadable = true;
                return ControlFlow::Break(());
            };
            result = each(row, document.doc_id, values);
            row = row.saturating_add(1);
            if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        result?;
        if unreadable || u64::from(row) != rows {
            let first = documents.findings().into_iter().next();
            let finding = first.unwrap_or_else(|| {
                let detail = format!("{row} of {rows} rows of segment {segment} can be read");
                Finding::error("segment.row-count", detail).at(&segment_dir(segment))
            });
            return Err(damaged(finding));
        }
        Ok(rows)
    }

    /// Makes all that the draft names durable and publishes it; then what it does not name any more leaves. Returns the manifest's name.
    pub fn publish(&mut self) -> Result<Option<String>, EngineError> {
        if !self.changed {
            return Ok(None);
        }
        self.list.sync()?;
        if !self.given_up.is_empty() {
            let ids = self.deleted();
            self.write_deleted(&ids)?;
            self.given_up.clear();
        }
        manifest::sort_segments(&mut self.manifest);
        for segment in segments_of(&self.manifest) {
            let dir = self.root.join(segment_dir(segment.id()));
            if self.fs().metadata(&dir).is_ok_and(|found| found.file_type == FileType::Dir) {
                self.files.sync_dir(&dir)?;
            }
        }
        self.files.sync_dir(&self.root)?;
        let number =
            self.highest.checked_add(1).ok_or_else(|| Refusal::new("segment.full", "no manifest number is left"))?;
        let name = ManifestName::new(self.style, number);
        write_manifest(&self.files, &self.root, &name, &self.manifest)?;
        self.changed = false;
        // What was in force, and newer ones that cannot be used: both are kept in the quarantine.
        let entries = self.fs().list(&self.root).map_err(|error| EngineError::io(&self.root, error))?;
        for entry in entries {
            let older = entry.name.to_str().and_then(ManifestName::parse).is_some_and(|other| other != name);
            if older {
                self.remove(Path::new(&entry.name))?;
            }
        }
        for path in std::mem::take(&mut self.retired) {
            self.remove(&path)?;
        }
        self.highest = number;
        self.base = Some(name);
        Ok(Some(name.to_string()))
    }

    /// Takes a file, or a directory with all in it, out of the collection. The journal keeps it.
    pub fn remove(&self, relative: &Path) -> Result<(), EngineError> {
        let path = self.root.join(relative);
        match self.fs().metadata(&path).map(|found| found.file_type) {
            Ok(FileType::Dir) => remove_tree(self.fs().as_ref(), &path),
            _ => self.files.remove(&path),
        }
    }
}

/// A block of a draft, without documents.
pub fn block(kind: BlockType, id: u32, columns: Vec<String>) -> BlockMeta {
    BlockMeta { block_id: id, block_type: kind as i32, columns, ..BlockMeta::default() }
}

/// Damage that a step of a repair cannot go on over.
pub fn damaged(finding: Finding) -> EngineError {
    let hint = "`zvecctl salvage PATH --out DIR` writes every readable document to a new place";
    EngineError::Damaged { finding: Box::new(finding), hint }
}
