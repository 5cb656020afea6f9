//! The second pass: documents, one at a time, with what stands in for values that cannot be read.
//!
//! A document that is not whole waits for a copy of it: in a unit further on, or in the log that its block was made from. Only where there is none
//! does a vector come from the quantised file, or become null where the schema lets it.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use roaring::RoaringTreemap;

use crate::{
    format::{
        manifest::{proto::BlockType, row_count},
        value::Value,
    },
    inspect::{
        Findings,
        documents::{Cell, Document, Fields, Origin, SegmentReader, VectorColumn},
        wal::WalDocument,
    },
    report::{salvage::SalvageReport, show_path},
};

use super::{
    Options, SalvageError, Target,
    keys::Fate,
    logs,
    resolve::Found,
    sources::{LogKind, Unit},
    tally::{settle, shown},
    target::{Out, Rejects},
};

/// Documents that wait for a better copy, at most; further ones are taken as they are.
const WAITING: usize = 2000;

/// Writes everything that `found` has decided on, and fills in the report.
pub(super) fn write(
    found: Found,
    options: &Options,
    target: &Target,
    each: &mut dyn FnMut(u64, u64) -> bool,
    report: &mut SalvageReport,
) -> Result<(), SalvageError> {
    let rows: u64 = found.units.iter().map(|unit| row_count(&unit.meta)).sum();
    let total = rows.saturating_add(found.overlay.len());
    let schema = found.schema.clone();
    let out = Out::begin(target, &found.fields, schema, found.decided.enable_mmap)?;
    let mut writer = Writer {
        fields: found.fields.clone(),
        include_deleted: options.include_deleted,
        has_old_logs: found.logs.iter().any(|log| log.kind == LogKind::Old),
        found,
        out,
        rejects: Rejects::new(target),
        waiting: HashMap::new(),
        each,
        done: 0,
        total,
        failure: None,
    };
    let flow = writer.everything();
    if let Some(error) = writer.failure.take() {
        return Err(error);
    }
    debug_assert!(flow.is_continue(), "a break has its failure");
    let Writer { mut found, out, rejects, .. } = writer;
    out.finish()?;
    report.rejects = rejects.finish()?.map(|path| show_path(&path));
    report.deletions = found.snapshots.report.clone();
    if found.id_map_whole {
        // What rows that cannot be read held is known by id.
        found.tally.lost_rows = 0;
    }
    report.findings = found.findings.list();
    found.tally.fill(report);
    let complete = report.complete();
    settle(&mut report.findings, complete);
    Ok(())
}

/// A document that is not whole, and what could stand in for its vectors.
struct Partial {
    document: Document,
    /// The vector of the quantised file by position of the field.
    approximate: HashMap<usize, Cell>,
}

impl Partial {
    fn missing(&self) -> usize {
        let cells = self.document.fields.iter().chain(&self.document.vectors);
        cells.filter(|cell| **cell == Cell::Unreadable).count()
    }
}

struct Writer<'t, 'w> {
    fields: Fields,
    include_deleted: bool,
    has_old_logs: bool,
    found: Found,
    out: Out<'t>,
    rejects: Rejects<'t>,
    waiting: HashMap<Vec<u8>, Partial>,
    each: &'w mut dyn FnMut(u64, u64) -> bool,
    done: u64,
    total: u64,
    /// Why it ended.
    failure: Option<SalvageError>,
}

impl Writer<'_, '_> {
    fn everything(&mut self) -> ControlFlow<()> {
        self.undecodable()?;
        let units = std::mem::take(&mut self.found.units);
        for unit in &units {
            self.unit(unit)?;
        }
        self.active_log()?;
        self.unpublished_logs()?;
        self.old_logs()?;
        for (_, partial) in std::mem::take(&mut self.waiting) {
            self.settle(partial)?;
        }
        self.lost()
    }

    /// Notes a failure and ends.
    fn fail(&mut self, error: SalvageError) -> ControlFlow<()> {
        self.failure.get_or_insert(error);
        ControlFlow::Break(())
    }

    fn attempt(&mut self, result: Result<(), SalvageError>) -> ControlFlow<()> {
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.fail(error),
        }
    }

    fn step(&mut self) -> ControlFlow<()> {
        self.done += 1;
        if (self.each)(self.done, self.total) {
            ControlFlow::Continue(())
        } else {
            self.fail(SalvageError::Interrupted)
        }
    }

    /// Records whose bytes are damaged: what their heads say.
    fn undecodable(&mut self) -> ControlFlow<()> {
        for (path, record) in std::mem::take(&mut self.found.undecodable) {
            let place = Origin::Wal { path, offset: record.offset }.describe();
            let written = self.rejects.record(record.pk.as_deref(), record.doc, &place, &self.fields, record.code);
            self.attempt(written)?;
        }
        ControlFlow::Continue(())
    }

    fn unit(&mut self, unit: &Unit) -> ControlFlow<()> {
        // The readers borrow these while documents change the rest.
        let (fields, findings) = (self.fields.clone(), self.found.findings.clone());
        let view = self.found.files();
        let overwritten = self.found.overwritten.clone();
        let snapshot = self.found.snapshots.published.clone();
        let wanted = self.wanted();
        if wanted.is_empty() {
            return ControlFlow::Continue(());
        }
        let segment = unit.segment();
        if !view.exists(&crate::inspect::names::segment_dir(segment.id())) {
            return ControlFlow::Continue(());
        }
        let starts: HashMap<PathBuf, u64> =
            unit.row_blocks().into_iter().map(|(path, first, _)| (path, first)).collect();
        let quiet = Findings::default();
        let quantized = fields.vectors.iter();
        let mut quantized: Vec<_> = quantized
            .map(|field| VectorColumn::new(BlockType::VectorIndexQuantize, &view, segment, field, &snapshot, &quiet))
            .collect();
        let mut reader =
            SegmentReader::open(&view, segment, &fields, &snapshot, &findings).keyless().without(&overwritten);
        reader.each(&|id| wanted.contains(id).then_some(false), &mut |document| {
            self.step()?;
            let Some(document) = self.chosen(document) else { return ControlFlow::Continue(()) };
            let mut approximate = HashMap::new();
            for (position, cell) in document.vectors.iter().enumerate() {
                let (Cell::Unreadable, Origin::Block { path, row }) = (cell, &document.origin) else { continue };
                let (Some(start), Some(column)) = (starts.get(path), quantized.get_mut(position)) else { continue };
                let value = column.value(start.saturating_add(*row));
                if value != Cell::Unreadable {
                    approximate.insert(position, value);
                }
            }
            self.row(Partial { document, approximate })
        })
    }

    /// Stored ids of the rows that are to be read.
    fn wanted(&self) -> RoaringTreemap {
        let mut wanted = RoaringTreemap::new();
        for (_, entry) in self.found.table.iter() {
            let take = match entry.fate {
                Fate::Live | Fate::Older | Fate::Perhaps => true,
                Fate::Dead => self.include_deleted,
                Fate::Done => false,
            };
            if take {
                wanted.insert(entry.doc_id);
            }
        }
        wanted.extend(self.found.misread.values().map(|(stored, _)| *stored));
        wanted | &self.found.keyless
    }

    /// The document, its key and id put right, if it is the version that counts.
    fn chosen(&mut self, mut document: Document) -> Option<Document> {
        if let Some(pk) = self.found.renamed.get(&document.doc_id) {
            document.pk.clone_from(pk);
        } else if let Some((stored, id)) = self.found.misread.get(&document.pk)
            && *stored == document.doc_id
        {
            document.doc_id = *id;
        }
        if document.pk.is_empty() {
            return Some(document);
        }
        let entry = self.found.table.get(&document.pk)?;
        if entry.doc_id != document.doc_id {
            return None;
        }
        document.deleted = match entry.fate {
            Fate::Live | Fate::Older | Fate::Perhaps => false,
            Fate::Dead if self.include_deleted => true,
            Fate::Dead | Fate::Done => return None,
        };
        Some(document)
    }

    fn row(&mut self, partial: Partial) -> ControlFlow<()> {
        let pk = partial.document.pk.clone();
        let entry = self.found.table.get_mut(&pk);
        let (fate, copies) = entry.as_ref().map_or((Fate::Live, 0), |entry| (entry.fate, entry.copies));
        if pk.is_empty() {
            return self.reject(&partial.document, "key-unreadable");
        }
        match fate {
            Fate::Older => {
                self.mark_done(&pk);
                return self.reject(&partial.document, "outdated");
            }
            Fate::Perhaps => {
                self.mark_done(&pk);
                return self.reject(&partial.document, "perhaps-deleted");
            }
            Fate::Live | Fate::Dead | Fate::Done => {}
        }
        if partial.missing() == 0 {
            self.waiting.remove(&pk);
            self.mark_done(&pk);
            return self.deliver(partial.document);
        }
        if let Some(entry) = self.found.table.get_mut(&pk) {
            entry.copies = copies.saturating_sub(1);
        }
        let better = self.waiting.remove(&pk).filter(|other| other.missing() <= partial.missing());
        let partial = better.unwrap_or(partial);
        if (copies > 0 || self.has_old_logs) && self.waiting.len() < WAITING {
            self.waiting.insert(pk, partial);
            return ControlFlow::Continue(());
        }
        self.settle(partial)
    }

    fn mark_done(&mut self, pk: &[u8]) {
        if let Some(entry) = self.found.table.get_mut(pk) {
            entry.fate = Fate::Done;
        }
    }

    /// Takes a document as it is: approximations and nulls in place of what is lost, or into the rejects.
    fn settle(&mut self, partial: Partial) -> ControlFlow<()> {
        let Partial { mut document, mut approximate } = partial;
        self.mark_done(&document.pk);
        let mut changes = Vec::new();
        for (field, cell) in self.fields.scalars.iter().zip(&mut document.fields) {
            if *cell == Cell::Unreadable && field.nullable {
                *cell = Cell::Value(Value::Null);
                changes.push((field.name.clone(), false));
            }
        }
        for (position, (field, cell)) in self.fields.vectors.iter().zip(&mut document.vectors).enumerate() {
            if *cell != Cell::Unreadable {
                continue;
            }
            if let Some(found) = approximate.remove(&position) {
                *cell = found;
                changes.push((field.name.clone(), true));
            } else if field.nullable {
                *cell = Cell::Value(Value::Null);
                changes.push((field.name.clone(), false));
            }
        }
        let unreadable: Vec<&str> = document.unreadable(&self.fields).collect();
        if !unreadable.is_empty() {
            let reason = format!("unreadable: {}", unreadable.join(", "));
            return self.reject(&document, &reason);
        }
        let before = self.found.tally.documents;
        self.deliver(document)?;
        if self.found.tally.documents > before {
            for (field, quantized) in changes {
                self.found.tally.degraded(&field, quantized);
            }
        }
        ControlFlow::Continue(())
    }

    fn deliver(&mut self, document: Document) -> ControlFlow<()> {
        let pk = document.pk.clone();
        let (deleted, origin) = (document.deleted, document.origin.clone());
        let of_row = matches!(origin, Origin::Block { .. });
        match self.out.add(document) {
            Err(error) => return self.fail(error),
            Ok(Some((document, refusal))) => return self.reject(&document, refusal.code),
            Ok(None) => {}
        }
        let (Origin::Block { path, .. } | Origin::Wal { path, .. }) = &origin;
        let tally = &mut self.found.tally;
        tally.written(path);
        tally.deleted += u64::from(deleted);
        tally.version_written(&pk, &origin.describe());
        if of_row && !deleted && !self.found.snapshots.known {
            tally.resurrected.add(|| shown(&pk));
        }
        ControlFlow::Continue(())
    }

    fn reject(&mut self, document: &Document, reason: &str) -> ControlFlow<()> {
        self.found.tally.rejected += 1;
        let written = self.rejects.document(document, &self.fields, reason);
        self.attempt(written)
    }

    /// The documents that a replay of the active log would leave.
    fn active_log(&mut self) -> ControlFlow<()> {
        let Some(path) = self.found.overlay.path.clone() else { return ControlFlow::Continue(()) };
        let overlay = std::mem::take(&mut self.found.overlay);
        let view = self.found.files();
        // Of a key that the log deletes in the end, the last version; asked for only with --include-deleted.
        let mut dead: HashMap<Vec<u8>, u64> = HashMap::new();
        if self.include_deleted {
            let _ = overlay.documents(&view, |stored| {
                if overlay.latest(&stored.doc.pk) == Some(None) && !self.found.unpublished.contains_key(&stored.doc.pk)
                {
                    dead.insert(stored.doc.pk, stored.doc_id);
                }
                true
            });
        }
        let mut flow = ControlFlow::Continue(());
        let read = overlay.documents(&view, |stored| {
            flow = self.of_active_log(&path, &overlay, &dead, stored);
            flow.is_continue()
        });
        if let Err(finding) = read {
            self.found.findings.add(finding);
        }
        self.found.overlay = overlay;
        flow
    }

    fn of_active_log(
        &mut self,
        path: &Path,
        overlay: &crate::inspect::wal::Overlay,
        dead: &HashMap<Vec<u8>, u64>,
        mut stored: WalDocument,
    ) -> ControlFlow<()> {
        self.step()?;
        let pk = &stored.doc.pk;
        if self.found.unpublished.contains_key(pk) {
            return ControlFlow::Continue(());
        }
        let last = match overlay.latest(pk) {
            Some(Some(id)) => id == stored.doc_id,
            _ => dead.get(pk) == Some(&stored.doc_id),
        };
        if !last {
            if !stored.deleted {
                let place = Origin::Wal { path: path.to_owned(), offset: stored.offset }.describe();
                self.found.tally.version(&pk.clone(), place);
            }
            return ControlFlow::Continue(());
        }
        stored.deleted = dead.contains_key(pk);
        if stored.deleted {
            self.mark_done(&stored.doc.pk.clone());
        }
        self.of_log(path, stored)
    }

    fn of_log(&mut self, path: &Path, stored: WalDocument) -> ControlFlow<()> {
        let origin = Origin::Wal { path: path.to_owned(), offset: stored.offset };
        let document = self.fields.conform(stored, origin, path, &self.found.findings);
        self.deliver(document)
    }

    /// Documents of logs whose block was never published.
    fn unpublished_logs(&mut self) -> ControlFlow<()> {
        let last = std::mem::take(&mut self.found.unpublished);
        let flow = self.of_logs(&last, LogKind::Unpublished, &mut |writer, path, _, stored| {
            // A row of the same key is older by all that is known.
            if writer.found.table.get(&stored.doc.pk).is_some() {
                let other = "a row that a log which no manifest names replaces".to_owned();
                writer.found.tally.version(&stored.doc.pk.clone(), other);
            }
            writer.of_log(path, stored)
        });
        self.found.unpublished = last;
        flow
    }

    /// Gives the last documents of keys to `each`, log by log, with the number of documents that the log adds before it.
    #[expect(clippy::type_complexity, reason = "a callback of this type alone")]
    fn of_logs(
        &mut self,
        last: &HashMap<Vec<u8>, logs::Last>,
        kind: LogKind,
        each: &mut dyn FnMut(&mut Self, &Path, (usize, u64), WalDocument) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        for (number, log) in self.found.logs.clone().into_iter().enumerate().filter(|(_, log)| log.kind == kind) {
            let view = self.found.files();
            let mut flow = ControlFlow::Continue(());
            let of_record = |index: u64, pk: &[u8]| {
                let last = last.get(pk).filter(|last| last.log == number)?;
                last.record.filter(|(record, _)| *record == index).map(|(_, before)| before)
            };
            let wanted = |index: u64, pk: &[u8]| of_record(index, pk).is_some();
            logs::documents(&view, &log.path, &wanted, &mut |index, stored| {
                let before = of_record(index, &stored.doc.pk).unwrap_or(0);
                flow = each(self, &log.path, (number, before), stored);
                flow.is_continue()
            });
            flow?;
        }
        ControlFlow::Continue(())
    }

    /// What blocks have lost and the logs that they were made from still hold.
    fn old_logs(&mut self) -> ControlFlow<()> {
        if !self.has_old_logs {
            return ControlFlow::Continue(());
        }
        let found = &self.found;
        let unread: HashSet<Vec<u8>> =
            found.table.iter().filter(|(_, entry)| entry.fate == Fate::Live).map(|(pk, _)| pk.to_vec()).collect();
        let waiting: HashSet<Vec<u8>> = self.waiting.keys().cloned().collect();
        // A key that nothing else knows was deleted since, unless the id map that would tell is damaged.
        let unknown = |pk: &[u8]| !found.id_map_whole && found.table.get(pk).is_none() && !found.log_tells(pk);
        let asked =
            |pk: &[u8]| found.lost.contains_key(pk) || unread.contains(pk) || waiting.contains(pk) || unknown(pk);
        let old: Vec<_> = found.logs.iter().enumerate().filter(|(_, log)| log.kind == LogKind::Old).collect();
        let mut ignored = RoaringTreemap::new();
        let last = logs::last_of(&found.view, &old, &Findings::default(), &mut ignored, &asked);
        self.of_logs(&last, LogKind::Old, &mut |writer, path, (log, before), stored| {
            let pk = stored.doc.pk.clone();
            let first = writer.found.logs.get(log).and_then(|log| log.first_id);
            let id = first.map(|first| first.saturating_add(before));
            let expected = match (writer.found.lost.get(&pk), writer.found.table.get(&pk)) {
                (Some(id), _) => Some(*id),
                (None, Some(entry)) => Some(entry.doc_id),
                (None, None) => None,
            };
            match expected {
                Some(expected) if id == Some(expected) => {}
                // Another version: what waits is at least the right one.
                Some(_) if waiting.contains(&pk) => return ControlFlow::Continue(()),
                Some(_) => writer.found.tally.outdated.add(|| shown(&pk)),
                None => writer.found.tally.resurrected.add(|| shown(&pk)),
            }
            writer.waiting.remove(&pk);
            writer.found.lost.remove(&pk);
            writer.mark_done(&pk);
            writer.of_log(path, stored)
        })
    }

    /// What is nowhere: by name.
    fn lost(&mut self) -> ControlFlow<()> {
        let mut lost: Vec<(Vec<u8>, u64)> = std::mem::take(&mut self.found.lost).into_iter().collect();
        let unread = self.found.table.iter().filter(|(_, entry)| entry.fate == Fate::Live);
        lost.extend(unread.map(|(pk, entry)| (pk.to_vec(), entry.doc_id)));
        lost.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        for (pk, id) in lost {
            self.found.tally.lost.add(|| shown(&pk));
            let written = self.rejects.id(&pk, id, "lost");
            self.attempt(written)?;
        }
        ControlFlow::Continue(())
    }
}
