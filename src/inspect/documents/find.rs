//! Finding single documents by primary key.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
};

use crate::{
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN, value_at},
        value::Value,
    },
    report::{Finding, Loss},
};

use super::{
    super::{SegmentRef, findings::losing, idmap::Mapped, view::segments_of},
    Document, Documents,
    forward::BlockReader,
    segment::SegmentReader,
};

/// What was found under a primary key.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The live document.
    Document(Box<Document>),
    /// There is no live document with that key.
    Absent,
    /// There should be one, and it cannot be read. Its document id.
    Unreadable(Option<u64>),
}

/// What a key leads to, before the document is read.
enum Target {
    DocId(u64),
    Absent,
    /// The id map cannot tell: the forward blocks are searched for the key.
    Search,
}

impl Documents<'_> {
    /// Finds the live documents with the given primary keys, in that order. The WAL has the last word, then the id map; where that is damaged the
    /// forward blocks are searched.
    pub fn find(&mut self, pks: &[Vec<u8>]) -> Vec<Found> {
        let targets: Vec<_> = pks.iter().map(|pk| self.target(pk)).collect();
        let mut by_id: HashMap<u64, Document> = HashMap::new();
        let ids: Vec<u64> = targets
            .iter()
            .filter_map(|target| match target {
                Target::DocId(id) => Some(*id),
                _ => None,
            })
            .collect();
        let searched: Vec<&[u8]> = pks
            .iter()
            .zip(&targets)
            .filter(|(_, target)| matches!(target, Target::Search))
            .map(|(pk, _)| pk.as_slice())
            .collect();
        self.collect(&ids, &searched, &mut by_id);

        let mut by_pk: HashMap<&[u8], &Document> = HashMap::new();
        for document in by_id.values().filter(|document| !document.deleted) {
            by_pk
                .entry(&document.pk)
                .and_modify(|other| {
                    if document.doc_id > other.doc_id {
                        *other = document;
                    }
                })
                .or_insert(document);
        }
        let found = pks.iter().zip(&targets).map(|(pk, target)| match target {
            Target::Absent => Found::Absent,
            Target::DocId(id) => match by_id.get(id) {
                Some(document) if document.pk == *pk => Found::Document(Box::new(document.clone())),
                Some(document) => {
                    let other = String::from_utf8_lossy(&document.pk).into_owned();
                    let detail = format!("the id map gives document {id}, whose forward row has the key {other}");
                    self.findings.add(Finding::error("idmap.wrong-document", detail).at(&self.id_map.path));
                    Found::Unreadable(Some(*id))
                }
                None => {
                    let detail = format!("the id map gives document {id}, which no readable forward row has");
                    self.findings.add(
                        Finding::error("idmap.dangling", detail).at(&self.id_map.path).loses(Loss::Possible, Some(1)),
                    );
                    Found::Unreadable(Some(*id))
                }
            },
            Target::Search => match by_pk.get(pk.as_slice()) {
                Some(document) => Found::Document(Box::new((*document).clone())),
                None => Found::Absent,
            },
        });
        found.collect()
    }

    /// Reads the documents with the given document ids, deleted ones included; those that no readable row has are left out.
    pub fn by_ids(&mut self, ids: &[u64]) -> HashMap<u64, Document> {
        let mut found = HashMap::new();
        self.collect(ids, &[], &mut found);
        found
    }

    fn target(&self, pk: &[u8]) -> Target {
        match self.overlay.latest(pk) {
            Some(Some(id)) => return Target::DocId(id),
            Some(None) => return Target::Absent,
            None => {}
        }
        match self.id_map.get(pk, &self.findings) {
            // A key whose document is deleted: left behind by a delete by filter.
            Mapped::To(id) if self.deleted.contains(id) => Target::Absent,
            Mapped::To(id) => Target::DocId(id),
            Mapped::Absent => Target::Absent,
            Mapped::Unknown(_) => Target::Search,
        }
    }

    /// Reads the documents with the given ids, and the live ones with the given keys. Only batches that hold one of them are decoded,
    /// and of others at most the id column.
    fn collect(&mut self, ids: &[u64], pks: &[&[u8]], into: &mut HashMap<u64, Document>) {
        let flow = self.each_of_wal(&mut |document| {
            if ids.contains(&document.doc_id) || pks.contains(&document.pk.as_slice()) {
                into.insert(document.doc_id, document);
            }
            ControlFlow::Continue(())
        });
        debug_assert!(flow.is_continue());

        let mut wanted: BTreeSet<u64> = ids.iter().copied().filter(|id| !into.contains_key(id)).collect();
        let mut missing = wanted.clone();
        let segments = segments_of(self.manifest);
        let mut rows: Vec<_> = segments.iter().map(|segment| self.rows_by_range(*segment, &mut missing)).collect();
        if !missing.is_empty() || !pks.is_empty() {
            for (segment, rows) in segments.iter().zip(&mut rows) {
                self.rows_by_scan(*segment, &missing, pks, &mut wanted, rows);
            }
        }
        for (segment, rows) in segments.into_iter().zip(rows).filter(|(_, rows)| !rows.is_empty()) {
            let deleted = &self.deleted;
            let reader = SegmentReader::open(self.view, segment, &self.fields, &self.snapshot, &self.findings);
            let is_wanted = |id: u64| wanted.contains(&id).then(|| deleted.contains(id));
            let flow = reader.only(rows).without(&self.overwritten).each(&is_wanted, &mut |document| {
                into.insert(document.doc_id, document);
                ControlFlow::Continue(())
            });
            debug_assert!(flow.is_continue());
        }
    }

    /// The rows of a segment that hold the documents `missing`, found by the ranges in the manifest and by bisection, since ids ascend. What
    /// is found is missing no more.
    fn rows_by_range(&self, segment: SegmentRef<'_>, missing: &mut BTreeSet<u64>) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut first_row = 0u64;
        for block in segment.row_blocks() {
            let documents = u64::from(block.doc_count);
            let start = first_row;
            first_row = first_row.saturating_add(documents);
            if block.min_doc_id > block.max_doc_id {
                continue;
            }
            let here: Vec<u64> = missing.range(block.min_doc_id..=block.max_doc_id).copied().collect();
            if here.is_empty() {
                continue;
            }
            let Some(path) = segment.block_path(block) else { continue };
            let Some(rows) = BlockReader::open(self.view, &path, documents, &self.findings) else { continue };
            for id in here {
                if let Some(row) = rows.row_of(id).filter(|row| *row < documents) {
                    found.insert(start.saturating_add(row));
                    missing.remove(&id);
                }
            }
        }
        found
    }

    /// The rows that hold the documents `missing` or the live ones with the keys `pks`, wherever the segment has them: for when the
    /// manifest's ranges or the order of the ids are not what they should be. Ids of such keys become `wanted`.
    fn rows_by_scan(
        &self,
        segment: SegmentRef<'_>,
        missing: &BTreeSet<u64>,
        pks: &[&[u8]],
        wanted: &mut BTreeSet<u64>,
        found: &mut BTreeSet<u64>,
    ) {
        let mut first_row = 0u64;
        for block in segment.row_blocks() {
            let documents = u64::from(block.doc_count);
            let start = first_row;
            first_row = first_row.saturating_add(documents);
            let Some(path) = segment.block_path(block) else { continue };
            let Some(rows) = BlockReader::open(self.view, &path, documents, &self.findings) else { continue };
            let file = rows.file();
            let Some((ids, keys)) = file.column_index(DOC_ID_COLUMN).zip(file.column_index(UID_COLUMN)) else {
                continue;
            };
            let projection = if pks.is_empty() { vec![ids] } else { vec![ids, keys] };
            for batch in file.batches(Some(&projection)) {
                let records = match batch.records {
                    Ok(records) => records,
                    Err(error) => {
                        let rows = file.batch_infos().get(batch.index).and_then(|info| info.rows);
                        self.findings.add(losing(&path, &error, Loss::Certain, rows));
                        continue;
                    }
                };
                let (Ok(ids), Some(batch_row)) = (rows.doc_ids(&records, 0), batch.first_row) else { continue };
                for (at, id) in ids.values().iter().copied().enumerate() {
                    let by_key = !pks.is_empty() && !self.deleted.contains(id) && {
                        let key = records.columns().get(1).and_then(|array| value_at(array.as_ref(), at).ok());
                        matches!(key, Some(Value::Bytes(key)) if pks.contains(&key.as_slice()))
                    };
                    if by_key {
                        wanted.insert(id);
                    }
                    if by_key || missing.contains(&id) {
                        found.insert(start.saturating_add(batch_row).saturating_add(at as u64));
                    }
                }
            }
        }
    }
}
