//! Write-ahead logs: what they hold, and what replaying them makes of the collection.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use roaring::RoaringTreemap;

use crate::{
    format::{
        Source,
        document::{self, Op, WalDoc},
        manifest::Manifest,
        wal::{self, End, Entry, Reader, Record, ZvecView},
    },
    report::{
        Finding, Loss,
        wal::{Operations, WalEntry},
    },
};

use super::{
    DamagedRecord, Findings, View,
    findings::{from_format, losing},
    idmap::IdMap,
    names::{self, NameKind},
    old_ids::{first_id, old_ids},
    view::segments_of,
};

/// Path of the WAL that an open replays, whether it exists or not; `None` where the manifest has no writing block.
pub fn path_of(manifest: &Manifest) -> Option<PathBuf> {
    segments_of(manifest).iter().find_map(|segment| segment.wal_path())
}

/// The WAL that an open replays; `None` where the manifest has no writing block or there is no such file.
pub fn active(view: &View, manifest: &Manifest) -> Option<PathBuf> {
    let path = path_of(manifest)?;
    view.exists(&path).then_some(path)
}

/// Keys of documents in a log that no open replays and that never became rows: its segment is listed and has no row block of its number. zvec
/// forgets such a log where an operation fails behind a replay. `None` for every other log.
///
/// In memory are the keys of one log, which is one block.
pub fn unpublished_keys(view: &View, manifest: &Manifest, path: &Path) -> Option<BTreeSet<Vec<u8>>> {
    let (NameKind::Wal, Some(id)) = names::classify(path) else { return None };
    let block: u32 = path.file_stem()?.to_str()?.parse().ok()?;
    let listed = segments_of(manifest);
    let segment = listed.iter().find(|segment| segment.id() == id)?;
    if segment.wal_path().as_deref() == Some(path) || segment.row_blocks().any(|known| known.block_id == block) {
        return None;
    }
    let mut keys = BTreeSet::new();
    let source = view.source(path).ok()?;
    // What is wrong with its bytes is told where logs are described.
    let _ = wal::scan(&source, |record| match document::decode_head(&record.payload, record.payload_offset()) {
        Ok(head) if head.op == Op::Delete => {
            keys.remove(head.pk);
        }
        Ok(head) if !matches!(head.op, Op::Unknown(_)) => {
            keys.insert(head.pk.to_vec());
        }
        _ => {}
    });
    (!keys.is_empty()).then_some(keys)
}

/// Describes a WAL file as a whole.
pub fn describe(view: &View, path: &Path, active: bool) -> (WalEntry, Vec<Finding>) {
    let (_, segment) = names::classify(path);
    let mut entry = WalEntry {
        path: crate::report::show_path(path),
        segment,
        active,
        size: 0,
        records: 0,
        operations: Operations::default(),
        state: "damaged".to_owned(),
        fault_offset: None,
        intact_after_fault: 0,
        replayed_by_zvec: 0,
        dropped_by_zvec: 0,
    };
    let source = match view.source(path) {
        Ok(source) => source,
        Err(finding) => return (entry, vec![finding]),
    };
    entry.size = source.size();
    let mut findings = Vec::new();
    let mut undecodable = 0;
    let scanned = wal::scan(&source, |record| match document::decode(&record.payload, record.payload_offset()) {
        Ok(doc) => count(&mut entry.operations, doc.op),
        Err(error) => {
            undecodable += 1;
            if undecodable == 1 {
                let mut finding = losing(path, &error, Loss::Certain, Some(1));
                finding.detail.push_str("; zvec 0.8.0 crashes on such a record");
                findings.push(finding);
            }
        }
    });
    let scan = match scanned {
        Ok(scan) => scan,
        Err(error) => {
            let mut finding = losing(path, &error, Loss::Possible, None);
            finding.detail.push_str("; zvec 0.8.0 refuses to open the collection");
            return (entry, vec![finding]);
        }
    };
    entry.records = scan.records;
    entry.state = match (&scan.end, scan.damage.is_empty()) {
        (End::Clean, true) => "clean",
        (End::TornTail(_), true) => "torn",
        _ => "damaged",
    }
    .to_owned();
    entry.replayed_by_zvec = match scan.zvec {
        ZvecView::Refused => 0,
        ZvecView::Replayed { records, .. } => records,
    };
    entry.dropped_by_zvec = scan.records.saturating_sub(entry.replayed_by_zvec);
    let first = scan.damage.first();
    entry.intact_after_fault = first.map_or(0, |(_, after)| *after);
    entry.fault_offset = match (first, &scan.end) {
        (Some((gap, _)), _) => Some(gap.range.start),
        (None, End::TornTail(gap) | End::GivenUp(gap)) => Some(gap.range.start),
        (None, End::Clean) => None,
    };
    findings.extend(scan_findings(path, &scan, &source));
    (entry, findings)
}

fn scan_findings(path: &Path, scan: &wal::Scan, source: &dyn Source) -> Vec<Finding> {
    let like = |gap: &wal::Gap| match DamagedRecord::at(source, gap) {
        Ok(Some(record)) => format!("; its bytes say {record}"),
        _ => String::new(),
    };
    let mut findings = Vec::new();
    findings.extend(scan.header.fault.as_ref().map(|fault| {
        let mut finding = from_format(path, fault);
        finding.detail.push_str("; zvec 0.8.0 refuses to open the collection, the records are intact");
        finding
    }));
    for (gap, after) in &scan.damage {
        let bytes = gap.range.end - gap.range.start;
        let detail = format!(
            "{}; {bytes} bytes are no record, {after} intact records follow, which zvec 0.8.0 would drop{}",
            gap.fault,
            like(gap)
        );
        let finding = Finding::error("wal.damaged", detail).at(path).offset(gap.range.start);
        findings.push(finding.loses(Loss::Possible, gap.is_one_record().then_some(1)));
    }
    match &scan.end {
        End::Clean => {}
        End::TornTail(gap) if gap.is_one_record() => {
            let detail = format!("the last record: {}{}", gap.fault, like(gap));
            let finding = Finding::error("wal.damaged", detail).at(path).offset(gap.range.start);
            findings.push(finding.loses(Loss::Possible, Some(1)));
        }
        End::TornTail(gap) => {
            let bytes = gap.range.end - gap.range.start;
            let detail =
                format!("torn tail: {}; the last {bytes} bytes are no record and none follows{}", gap.fault, like(gap));
            findings.push(Finding::warning("wal.torn-tail", detail).at(path).offset(gap.range.start));
        }
        End::GivenUp(gap) => {
            let detail =
                format!("{}; the search for intact records behind it was given up, there may be more", gap.fault);
            let finding = Finding::error("wal.damaged", detail).at(path).offset(gap.range.start);
            findings.push(finding.loses(Loss::Possible, None));
        }
    }
    if scan.oversize > 0 {
        let detail = format!(
            "{} record(s) longer than {} bytes: zvec 0.8.0 stops there and drops everything from there on",
            scan.oversize,
            wal::ZVEC_MAX_PAYLOAD
        );
        findings.push(Finding::warning("wal.oversize-record", detail).at(path));
    }
    findings
}

fn count(operations: &mut Operations, op: Op) {
    *match op {
        Op::Insert => &mut operations.insert,
        Op::Upsert => &mut operations.upsert,
        Op::Update => &mut operations.update,
        Op::Delete => &mut operations.delete,
        Op::Unknown(_) => &mut operations.unknown,
    } += 1;
}

/// What replaying the WAL makes of the collection, worked out in memory: which documents it adds, and which it deletes or replaces.
/// It holds the keys and ids of the log's records, not their documents.
#[derive(Debug, Default)]
pub struct Overlay {
    /// The log, relative to the collection; `None` if there is none.
    pub path: Option<PathBuf>,
    /// Document id of every record that adds a document, by record index.
    added: HashMap<u64, u64>,
    /// Ids that the log deletes or replaces, its own included.
    pub deleted: RoaringTreemap,
    /// Primary keys that the log touches, with their last document id.
    latest: HashMap<Vec<u8>, Option<u64>>,
}

/// A document that lives in the WAL.
#[derive(Debug)]
pub struct WalDocument {
    /// Document id that a replay assigns.
    pub doc_id: u64,
    /// Byte offset of its record.
    pub offset: u64,
    /// Whether a later record deletes or replaces it.
    pub deleted: bool,
    /// The record.
    pub doc: WalDoc,
}

impl Overlay {
    /// Replays the active WAL. Ids are assigned as zvec's replay does: inserts, upserts and updates take the next one. Which document an update
    /// or delete means is told by its primary key; the id in the record is used where the key tells nothing, because after
    /// a kill behind a block switch zvec's own ids in the log are off by one.
    ///
    /// Which row of the forward blocks a key means is told by [`old_ids`]; `snapshot` are the ids that the delete snapshot marks.
    pub fn load(
        view: &View,
        manifest: &Manifest,
        id_map: &IdMap,
        snapshot: &RoaringTreemap,
        findings: &Findings,
    ) -> Self {
        let Some(path) = active(view, manifest) else { return Self::default() };
        let source = match view.source(&path) {
            Ok(source) => source,
            Err(finding) => {
                findings.add(finding);
                return Self { path: Some(path), ..Self::default() };
            }
        };
        // Where the log cannot be read, the replay below tells why.
        let old = old_ids(view, manifest, id_map, snapshot, &source, findings).unwrap_or_default();
        let first_id = first_id(manifest);
        let mut replay = Replay { first_id, next_id: first_id, overlay: Self::default(), shifted: None, old };
        let scanned = wal::scan(&source, |record| match document::decode(&record.payload, record.payload_offset()) {
            Ok(doc) => replay.apply(&record, &doc),
            Err(error) => findings.add(losing(&path, &error, Loss::Certain, Some(1))),
        });
        match scanned {
            Ok(scan) => findings.extend(scan_findings(&path, &scan, &source)),
            Err(error) => findings.add(losing(&path, &error, Loss::Possible, None)),
        }
        if let Some((offset, stored, actual)) = replay.shifted {
            let detail = format!(
                "the record names document {stored}, its key belongs to {actual}: a record before it is missing (zvec loses one \
                 when it is killed behind a block switch); keys are followed here, zvec 0.8.0 follows the ids and changes the \
                 wrong documents"
            );
            let finding = Finding::error("wal.shifted-ids", detail).at(&path).offset(offset);
            findings.add(finding.loses(Loss::Possible, Some(1)));
        }
        Self { path: Some(path), ..replay.overlay }
    }

    /// Number of documents that the log adds, those that it deletes again included.
    pub fn len(&self) -> u64 {
        self.added.len() as u64
    }

    /// The document id of a record that adds a document, by the record's index.
    pub fn added(&self, index: u64) -> Option<u64> {
        self.added.get(&index).copied()
    }

    /// Whether the log adds no document.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
    }

    /// What the log says of a primary key: nothing (`None`), that it is deleted (`Some(None)`), or its document id.
    pub fn latest(&self, pk: &[u8]) -> Option<Option<u64>> {
        let latest = self.latest.get(pk)?;
        Some(latest.filter(|id| !self.deleted.contains(*id)))
    }

    /// Reads the documents that the log adds, in log order, `each` record once; stops when `each` says so.
    pub fn documents(&self, view: &View, mut each: impl FnMut(WalDocument) -> bool) -> Result<(), Finding> {
        let Some(path) = self.path.as_ref().filter(|_| !self.is_empty()) else { return Ok(()) };
        let source = view.source(path)?;
        let mut reader = Reader::new(&source).map_err(|error| from_format(path, &error))?;
        while let Some(entry) = reader.next_entry().map_err(|error| from_format(path, &error))? {
            let Entry::Record(record) = entry else { continue };
            let Some(doc_id) = self.added.get(&record.index).copied() else { continue };
            let Ok(doc) = document::decode(&record.payload, record.payload_offset()) else { continue };
            let deleted = self.deleted.contains(doc_id);
            if !each(WalDocument { doc_id, offset: record.offset, deleted, doc }) {
                break;
            }
        }
        Ok(())
    }
}

struct Replay {
    first_id: u64,
    next_id: u64,
    overlay: Overlay,
    /// Offset, stored id and actual id of the first record whose id belongs to another document.
    shifted: Option<(u64, u64, u64)>,
    /// Ids of the rows in the forward blocks that the log's keys mean.
    old: HashMap<Vec<u8>, u64>,
}

impl Replay {
    fn apply(&mut self, record: &Record<'_>, doc: &WalDoc) {
        match doc.op {
            Op::Insert => self.add(record, doc),
            Op::Upsert => {
                if let Some(id) = self.current(&doc.pk) {
                    self.overlay.deleted.insert(id);
                }
                self.add(record, doc);
            }
            Op::Update => {
                self.replace(record, doc);
                self.add(record, doc);
            }
            Op::Delete => {
                self.replace(record, doc);
                if !doc.pk.is_empty() {
                    self.overlay.latest.insert(doc.pk.clone(), None);
                }
            }
            // zvec skips what it does not know, and so does this.
            Op::Unknown(_) => {}
        }
    }

    fn add(&mut self, record: &Record<'_>, doc: &WalDoc) {
        self.overlay.added.insert(record.index, self.next_id);
        self.overlay.latest.insert(doc.pk.clone(), Some(self.next_id));
        self.next_id = self.next_id.saturating_add(1);
    }

    /// Marks the document that an update or delete means.
    fn replace(&mut self, record: &Record<'_>, doc: &WalDoc) {
        if doc.pk.is_empty() {
            self.overlay.deleted.insert(doc.doc_id);
            return;
        }
        let id = match self.current(&doc.pk) {
            Some(id) => id,
            None if doc.doc_id < self.first_id => doc.doc_id,
            // An id of this log, whose record is not in it: by now that id may be another document's.
            None => return,
        };
        if id != doc.doc_id && self.shifted.is_none() {
            self.shifted = Some((record.offset, doc.doc_id, id));
        }
        self.overlay.deleted.insert(id);
    }

    /// The document id that a key has at this point of the log.
    fn current(&self, pk: &[u8]) -> Option<u64> {
        self.overlay.latest.get(pk).copied().unwrap_or_else(|| self.old.get(pk).copied())
    }
}
