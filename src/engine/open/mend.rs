//! After records of the log were given up: id map and indexes may have been written ahead of the manifest, and then know of documents
//! that are no more.

use crate::{
    format::{
        manifest::{Manifest, proto::BlockType},
        value::Value,
    },
    inspect::{
        Findings, View,
        documents::{Documents, Selection, each_live_key},
        names::block_path,
    },
};

use super::{
    super::{Collection, EngineError, fts_index::FtsIndex, reader::in_schema_order, scalar_index::ScalarIndex},
    Opener,
};

impl Opener {
    /// Makes the id map that of the published blocks: forgets ids that only the log gave out, and finds keys again that it deleted. Returns the keys
    /// that it knew ahead of the published blocks.
    pub(super) fn mend_id_map(
        &mut self,
        view: &View,
        manifest: &Manifest,
        collection: &mut Collection,
        first_id: u64,
    ) -> Result<Vec<Vec<u8>>, EngineError> {
        let ahead = collection.id_map.keys_from(first_id)?;
        for key in &ahead {
            collection.id_map.delete(key)?;
        }
        let deleted = collection.deletes.published().clone();
        let findings = Findings::default();
        let mut result = Ok(());
        each_live_key(view, manifest, &deleted, &findings, &mut |key, id| {
            if result.is_err() {
                return;
            }
            result = collection.id_map.get(&key).and_then(|known| match known {
                Some(known) if known == id => Ok(()),
                _ => collection.id_map.put(&key, id),
            });
        });
        self.findings.extend(findings.list());
        result.map(|()| ahead)
    }

    /// Builds the writing segment's indexes anew from its published rows where their end was torn, and where they have more rows than are published.
    pub(super) fn mend_indexes(&mut self, manifest: &Manifest, collection: &mut Collection) -> Result<(), EngineError> {
        let published = collection.segment.published_rows;
        let ahead = match &collection.segment.scalar_index {
            Some(index) => index.was_torn() || index.rows()? > published,
            None => false,
        };
        let fts_ahead = match &collection.segment.fts_index {
            Some(index) => index.was_torn() || index.rows()? > published,
            None => false,
        };
        if (!ahead && !fts_ahead) || collection.retired.is_some() {
            return Ok(());
        }
        let segment = collection.segment.id();
        let schema = collection.schema.clone();
        let mut kinds = Vec::new();
        kinds.extend(ahead.then_some(BlockType::ScalarIndex));
        kinds.extend(fts_ahead.then_some(BlockType::FtsIndex));
        for kind in kinds {
            let block = collection.segment.next_block;
            collection.segment.next_block += 1;
            let listed = collection.segment.meta.persisted_blocks.iter_mut();
            let Some(entry) = listed.into_iter().find(|entry| entry.block_type == kind as i32) else { continue };
            let old = block_path(segment, entry, collection.enable_mmap);
            entry.block_id = block;
            let path = self.root.join(block_path(segment, entry, collection.enable_mmap).unwrap_or_default());
            if kind == BlockType::ScalarIndex {
                collection.segment.scalar_index = Some(ScalarIndex::create(&self.files, path, &schema)?);
            } else {
                collection.segment.fts_index = Some(FtsIndex::create(&self.files, path, &schema)?);
            }
            collection.stale.extend(old.map(|old| self.root.join(old)));
        }
        let mut only = manifest.clone();
        only.persisted_segment_metas.clear();
        let name = collection.versions.current().name;
        let view = View::of_manifest(self.files.fs().clone(), &self.root, name, only);
        let mut documents = Documents::of_version(&view, collection.deletes.published().as_ref().clone())?;
        documents.select(Selection { include_deleted: true, without_wal: true });
        let mut row = 0u32;
        let mut failed = None;
        let _ = documents.each(&mut |document| {
            let values = in_schema_order(&schema, document);
            let added = values.ok_or(()).and_then(|values: Vec<Value>| {
                let scalar = collection.segment.scalar_index.as_mut().filter(|_| ahead);
                let fts = collection.segment.fts_index.as_mut().filter(|_| fts_ahead);
                scalar.map_or(Ok(()), |index| index.add(row, &values)).map_err(|error| failed = Some(error))?;
                fts.map_or(Ok(()), |index| index.add(row, &values)).map_err(|error| failed = Some(error))
            });
            row += 1;
            match added {
                Ok(()) => std::ops::ControlFlow::Continue(()),
                Err(()) => std::ops::ControlFlow::Break(()),
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if u64::from(row) != published {
            let findings = documents.findings();
            let finding = findings.into_iter().next().unwrap_or_else(|| {
                crate::report::Finding::error("segment.row-count", format!("{row} rows of {published} can be read"))
            });
            return Err(super::damaged(finding, super::MEND));
        }
        Ok(())
    }
}
