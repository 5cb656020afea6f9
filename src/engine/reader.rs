//! Reading one version of a collection while others are written.

use std::{collections::HashMap, ops::ControlFlow, path::PathBuf, sync::Arc};

use crate::{
    format::value::Value,
    inspect::{
        documents::{Cell, Document, Documents},
        names::id_map_path,
    },
    report::Finding,
};

use super::{Doc, EngineError, FieldKind, Schema, files::Files, id_map::look_up, version::Version};

/// Sees one version of a collection. It takes no lock and holds nothing up: blocks never change, and what a later flush removes is not
/// needed any more.
#[derive(Clone)]
pub struct Reader {
    files: Files,
    root: PathBuf,
    version: Arc<Version>,
}

impl Reader {
    pub(super) fn new(files: Files, root: PathBuf, version: Arc<Version>) -> Self {
        Self { files, root, version }
    }

    /// The version that it sees.
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Calls `each` with every live document, until it breaks. Returns what is wrong with the files, if anything.
    pub fn each(&self, each: &mut dyn FnMut(Document) -> ControlFlow<()>) -> Result<Vec<Finding>, EngineError> {
        let view = self.version.view(&self.files, &self.root);
        let mut documents = Documents::of_version(&view, self.version.deleted.as_ref().clone())?;
        // A break is the caller's wish, and no news to it.
        let _ = documents.each(each);
        Ok(documents.findings())
    }

    /// The live documents with these primary keys, in their order; `None` where there is none, or none that can be read, or where the id
    /// map leads to another document's row.
    pub fn get(&self, pks: &[Vec<u8>]) -> Result<Vec<Option<Document>>, EngineError> {
        let path = self.root.join(id_map_path(self.version.manifest.id_map_path_suffix));
        let mut ids = Vec::with_capacity(pks.len());
        for pk in pks {
            let id = look_up(&self.version.id_map, &path, pk)?;
            ids.push(id.filter(|id| !self.version.deleted.contains(*id)));
        }
        let wanted: Vec<u64> = ids.iter().flatten().copied().collect();
        let view = self.version.view(&self.files, &self.root);
        let mut documents = Documents::of_version(&view, self.version.deleted.as_ref().clone())?;
        let found = documents.by_ids(&wanted);
        let of_key = |(id, pk): (Option<u64>, &Vec<u8>)| found.get(&id?).filter(|document| document.pk == *pk).cloned();
        Ok(ids.into_iter().zip(pks).map(of_key).collect())
    }

    /// Published documents as they can be written again; those that cannot be read whole are left out.
    pub(super) fn docs_by_ids(&self, schema: &Schema, ids: &[u64]) -> Result<HashMap<u64, Doc>, EngineError> {
        let view = self.version.view(&self.files, &self.root);
        let mut documents = Documents::of_version(&view, self.version.deleted.as_ref().clone())?;
        let found = documents.by_ids(ids);
        let docs = found.into_iter().filter_map(|(id, document)| {
            let pk = document.pk.clone();
            let values = in_schema_order(schema, document)?;
            Some((id, Doc { pk, values: values.into_iter().map(Some).collect() }))
        });
        Ok(docs.collect())
    }
}

/// Scalars and vectors of a document put together again; `None` if one of them cannot be read.
pub(super) fn in_schema_order(schema: &Schema, document: Document) -> Option<Vec<Value>> {
    let (mut scalars, mut vectors) = (document.fields.into_iter(), document.vectors.into_iter());
    let cells = schema.fields().iter().map(|field| match field.kind {
        FieldKind::Scalar { .. } => scalars.next(),
        FieldKind::Vector(_) => vectors.next(),
    });
    cells
        .map(|cell| match cell? {
            Cell::Value(value) => Some(value),
            Cell::Unreadable => None,
        })
        .collect()
}
