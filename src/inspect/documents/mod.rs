//! Documents: what id map, delete snapshot, forward blocks, vector blocks and WAL say together.

mod columns;
mod find;
mod forward;
mod json;
mod parquet;
mod schema;
mod segment;
mod told;
mod vectors;

use std::{ops::ControlFlow, path::PathBuf};

use roaring::RoaringTreemap;

use crate::{
    format::{manifest::Manifest, value::Value},
    report::{Finding, show_path},
};

use super::{
    Findings, InspectError, View,
    deleted::Deleted,
    evidence::{
        copies,
        twins::{self, Overwritten},
    },
    idmap::IdMap,
    view::segments_of,
    wal::Overlay,
};

pub use columns::{Place, places};
pub use find::Found;
pub use forward::{BlockReader, each_live_key, encoding_of, find_keys, segment_doc_ids};
pub use json::write_document;
pub use parquet::{ParquetError, ParquetExport};
pub use schema::{Field, Fields, is_vector};
pub use segment::SegmentReader;
pub use vectors::{Shift, VectorColumn};

/// One document, or one version of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Primary key.
    pub pk: Vec<u8>,
    /// Document id.
    pub doc_id: u64,
    /// Whether it is deleted, or replaced by a newer version.
    pub deleted: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// Scalar fields, in schema order.
    pub fields: Vec<Cell>,
    /// Vector fields, in schema order.
    pub vectors: Vec<Cell>,
}

/// A field's value, or that it cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// The value.
    Value(Value),
    /// It is stored in bytes that are damaged or missing.
    Unreadable,
}

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A row of a forward block.
    Block {
        /// The block's file, relative to the collection.
        path: PathBuf,
        /// Row in the block, from 0.
        row: u64,
    },
    /// A record of the WAL.
    Wal {
        /// The log, relative to the collection.
        path: PathBuf,
        /// Byte offset of the record.
        offset: u64,
    },
}

impl Origin {
    /// In words: `0/scalar.3.ipc row 17`.
    pub fn describe(&self) -> String {
        match self {
            Self::Block { path, row } => format!("{} row {row}", show_path(path)),
            Self::Wal { path, offset } => format!("{} offset {offset}", show_path(path)),
        }
    }
}

impl Document {
    /// Names of the fields that cannot be read.
    pub fn unreadable<'a>(&'a self, fields: &'a Fields) -> impl Iterator<Item = &'a str> {
        let scalars = fields.scalars.iter().zip(&self.fields);
        let vectors = fields.vectors.iter().zip(&self.vectors);
        scalars.chain(vectors).filter(|(_, cell)| **cell == Cell::Unreadable).map(|(field, _)| field.name.as_str())
    }
}

/// What to read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection {
    /// Also deleted and replaced versions that are still in the files.
    pub include_deleted: bool,
    /// Leave the WAL out: what a reader sees that does not replay it.
    pub without_wal: bool,
}

/// All documents of a collection.
pub struct Documents<'a> {
    view: &'a View,
    manifest: &'a Manifest,
    fields: Fields,
    /// What the delete snapshot marks.
    snapshot: RoaringTreemap,
    /// What the delete snapshot or the WAL marks.
    deleted: RoaringTreemap,
    id_map: IdMap,
    overlay: Overlay,
    findings: Findings,
    selection: Selection,
    /// Blocks that hold the rows of others.
    overwritten: Vec<Overwritten>,
    unreadable_rows: u64,
}

impl<'a> Documents<'a> {
    /// Opens what tells which documents live: delete snapshot, id map, WAL. Damage is a finding.
    pub fn open(view: &'a View, selection: Selection) -> Result<Self, InspectError> {
        let (_, manifest) = view.manifest()?;
        let findings = Findings::default();
        findings.extend(view.findings().iter().cloned());
        let snapshot = Deleted::load(view, manifest);
        findings.extend(snapshot.findings.iter().cloned());
        let id_map = IdMap::load(view, manifest);
        findings.extend(id_map.findings.iter().cloned());
        let snapshot = snapshot.ids();
        let overlay = if selection.without_wal {
            Overlay::default()
        } else {
            Overlay::load(view, manifest, &id_map, &snapshot, &findings)
        };
        let deleted = &snapshot | &overlay.deleted;
        let (mut fields, odd) = Fields::of(manifest);
        findings.extend(odd);
        fields.follow_files(view, manifest, &findings);
        findings.extend(copies::findings(view, manifest));
        let overwritten = twins::overwritten(view, manifest);
        Ok(Self {
            view,
            manifest,
            fields,
            snapshot,
            deleted,
            id_map,
            overlay,
            findings,
            selection,
            overwritten,
            unreadable_rows: 0,
        })
    }

    /// The documents of one published version, whose delete snapshot is `deleted`: no id map and no WAL is read.
    pub fn of_version(view: &'a View, deleted: RoaringTreemap) -> Result<Self, InspectError> {
        let (_, manifest) = view.manifest()?;
        let findings = Findings::default();
        let (fields, odd) = Fields::of(manifest);
        findings.extend(odd);
        Ok(Self {
            view,
            manifest,
            fields,
            snapshot: deleted.clone(),
            deleted,
            id_map: IdMap::absent(manifest),
            overlay: Overlay::default(),
            findings,
            selection: Selection::default(),
            overwritten: Vec::new(),
            unreadable_rows: 0,
        })
    }

    /// Reads something else than the live documents.
    pub fn select(&mut self, selection: Selection) {
        self.selection = selection;
    }

    /// The schema's fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// How many rows and records there are to read, deleted ones included: for progress.
    pub fn stored(&self) -> u64 {
        let rows = segments_of(self.manifest)
            .iter()
            .map(|segment| crate::format::manifest::row_count(segment.meta))
            .sum::<u64>();
        rows.saturating_add(self.overlay.len())
    }

    /// What has come up so far.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.list()
    }

    /// Rows whose very existence is only known by count: the batch that holds them cannot be read.
    pub fn unreadable_rows(&self) -> u64 {
        self.unreadable_rows
    }

    /// Calls `each` with every document: segment by segment in the manifest's order, then the WAL's. Holds one batch of rows and
    /// one block of vectors at a time. Returns early if `each` breaks.
    pub fn each(&mut self, each: &mut dyn FnMut(Document) -> ControlFlow<()>) -> ControlFlow<()> {
        for segment in segments_of(self.manifest) {
            if let Some(missing) = super::segments::missing_directory(self.view, segment) {
                self.unreadable_rows = self.unreadable_rows.saturating_add(missing.documents_at_risk.unwrap_or(0));
                self.findings.add(missing);
                continue;
            }
            let reader = SegmentReader::open(self.view, segment, &self.fields, &self.snapshot, &self.findings);
            let mut reader = reader.without(&self.overwritten);
            let (deleted, selection) = (&self.deleted, self.selection);
            let wanted = |doc_id: u64| {
                let deleted = deleted.contains(doc_id);
                (selection.include_deleted || !deleted).then_some(deleted)
            };
            let flow = reader.each(&wanted, each);
            self.unreadable_rows = self.unreadable_rows.saturating_add(reader.unreadable_rows());
            flow?;
        }
        self.each_of_wal(each)
    }

    fn each_of_wal(&self, each: &mut dyn FnMut(Document) -> ControlFlow<()>) -> ControlFlow<()> {
        let Some(path) = &self.overlay.path else { return ControlFlow::Continue(()) };
        let mut flow = ControlFlow::Continue(());
        let read = self.overlay.documents(self.view, |stored| {
            if stored.deleted && !self.selection.include_deleted {
                return true;
            }
            let origin = Origin::Wal { path: path.clone(), offset: stored.offset };
            let document = self.fields.conform(stored, origin, path, &self.findings);
            flow = each(document);
            flow.is_continue()
        });
        if let Err(finding) = read {
            self.findings.add(finding);
        }
        flow
    }
}
