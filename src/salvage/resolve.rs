//! Which version of each primary key counts.
//!
//! ```text
//! log of a block that was never published, behind the active one  >  active log  >  other such logs  >  rows
//! of rows: live before deleted, then the higher document id, then the earlier unit
//! ```
//!
//! A row is deleted if a delete snapshot or a log says so. Where no snapshot can be trusted, the id map tells: a key that it does not have
//! was deleted, one that it has under another id was replaced. It cannot tell deletions by filter, which leave the key in it.
//!
//! The id map is under checksums and rows are not. So a row whose key it does not know takes the key that it has for the row's id, if
//! no other row has that; a row whose id breaks the order of its block takes the id that it has for the row's key, if that fits.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

use roaring::RoaringTreemap;

use crate::{
    engine::Schema,
    format::{
        forward::{DOC_ID_COLUMN, UID_COLUMN, value_at},
        manifest::{
            Manifest, ManifestName, Style,
            proto::{BlockMeta, BlockType, SegmentMeta},
        },
        value::Value,
        wal::HEADER_LEN,
    },
    inspect::{
        Findings, Tree, View,
        documents::{BlockReader, Fields},
        evidence::{
            copies,
            twins::{self, Overwritten},
        },
        idmap::IdMap,
        segments::missing_directory,
        segments_of,
        wal::{self, Overlay},
    },
    report::{Finding, Loss, Severity},
};

use super::{
    Form, Options, SalvageError,
    discover::Files,
    keys::{Fate, KeyTable, Order},
    logs::{self, Last, Undecodable},
    residue,
    schema::{self, Decided},
    settings,
    sources::{self, Log, LogKind, Snapshots, Standing, Unit},
    tally::{Tally, shown},
};

/// Names that are put right by the id map, at most.
const CORRECTIONS: usize = 100_000;

/// Everything that is known before documents are read.
pub(super) struct Found {
    /// The collection as its manifest describes it, or as one would.
    pub view: View,
    pub decided: Decided,
    /// The schema of a new collection.
    pub schema: Option<Schema>,
    pub fields: Fields,
    pub units: Vec<Unit>,
    /// Blocks that hold the rows of others.
    pub overwritten: Vec<Overwritten>,
    pub snapshots: Snapshots,
    pub logs: Vec<Log>,
    pub overlay: Overlay,
    pub table: KeyTable,
    /// What logs that were never published say in the end of their keys.
    pub unpublished: HashMap<Vec<u8>, Last>,
    /// Keys that the id map names and no row or log has, with their ids.
    pub lost: HashMap<Vec<u8>, u64>,
    /// Keys by the document id of rows whose own key is damaged.
    pub renamed: HashMap<u64, Vec<u8>>,
    /// Stored and actual ids of rows by their key.
    pub misread: HashMap<Vec<u8>, (u64, u64)>,
    /// Whether the id map could be read whole.
    pub id_map_whole: bool,
    /// Ids of live rows whose key cannot be read and is not known.
    pub keyless: RoaringTreemap,
    /// Records that cannot be decoded, with their log.
    pub undecodable: Vec<(PathBuf, Undecodable)>,
    pub findings: Findings,
    pub tally: Tally,
}

/// Reads ids and keys of everything and decides.
pub(super) fn find(source: &View, tree: &Tree, options: &Options, form: Form) -> Result<Found, SalvageError> {
    let findings = Findings::default();
    findings.extend(source.findings().iter().chain(&tree.findings).cloned());
    let mut tally = Tally::default();
    let files = Files::of_segments(tree);
    let mut decided = schema::decide(source, tree, options.schema.as_ref(), &files)?;
    if options.schema.is_none() {
        findings.extend(settings::check(source, tree, &mut decided));
    }
    let schema = match form {
        Form::Collection => Some(schema::writable(&mut decided)?),
        Form::JsonLines | Form::Parquet => None,
    };
    let manifest = source.used().and_then(|file| file.manifest.clone());
    let units = sources::units(source, files.clone(), &findings);
    let logs = sources::logs(manifest.as_ref(), &files, &units);
    let snapshots = sources::snapshots(source, tree, manifest.as_ref(), &findings);

    let overwritten = manifest.as_ref().map(|manifest| twins::overwritten(source, manifest)).unwrap_or_default();
    if let Some(manifest) = &manifest {
        findings.extend(copies::findings(source, manifest));
    }

    let (table, keyless) = (KeyTable::default(), RoaringTreemap::new());
    let mut scan = Scan { snapshots: &snapshots, overwritten: &overwritten, table, keyless };
    for (number, unit) in units.iter().enumerate() {
        scan.unit(source, unit, u32::try_from(number).unwrap_or(u32::MAX), &findings, &mut tally);
    }
    let Scan { table, keyless, .. } = scan;

    let mut effective = manifest.clone().unwrap_or_else(|| made_up(&decided, &units, &logs, tree, &table));
    effective.schema = Some(decided.schema.clone());
    let name = source.used().map_or_else(|| ManifestName::new(Style::Release, 0), |file| file.name);
    let view = View::of_manifest(source.vfs().clone(), source.root(), name, effective.clone());
    let (fields, odd) = Fields::of(&effective);
    findings.extend(odd);

    let id_map = IdMap::load(&view, &effective);
    let overlay = Overlay::load(&view, &effective, &id_map, &snapshots.published, &findings);
    let undecodable = measure(&view, &logs, &findings, &mut tally);
    if manifest.is_some() && !residue::count(&view, tree, &effective, &findings, &mut tally) {
        log_missing(&view, &effective, &files, &findings);
    }
    let mut deleted_by_logs = RoaringTreemap::new();
    let listed: HashSet<u32> = segments_of(&effective).iter().map(|segment| segment.id()).collect();
    let is_orphan = |log: &Log| manifest.is_some() && !listed.contains(&log.place.0);
    let (orphans, others): (Vec<(usize, &Log)>, Vec<_>) = logs
        .iter()
        .enumerate()
        .filter(|(_, log)| log.kind == LogKind::Unpublished)
        .partition(|(_, log)| is_orphan(log));
    let active = logs.iter().find(|log| log.kind == LogKind::Active).map(|log| log.place);
    let mut unpublished = logs::last_of(&view, &others, &findings, &mut deleted_by_logs, &|_| true);
    unpublished.retain(|key, last| {
        let place = logs.get(last.log).map(|log| log.place);
        // The active log outranks those before it.
        place > active || overlay.latest(key).is_none()
    });
    // A log of a segment that the manifest does not name may be as old as any: what it deletes counts for nothing, and what the manifest names outranks it.
    let orphaned = logs::last_of(&view, &orphans, &findings, &mut RoaringTreemap::new(), &|_| true);
    for (key, last) in BTreeMap::from_iter(orphaned) {
        let of_row = table.get(&key).and_then(|entry| units.get(entry.unit as usize));
        let named = of_row.is_some_and(|unit| unit.standing != Standing::Orphan);
        if named || overlay.latest(&key).is_some() || unpublished.contains_key(&key) {
            if let Some(log) = logs.get(last.log).filter(|_| last.record.is_some()) {
                tally.version(&key, format!("{}, a log that no manifest names", crate::report::show_path(&log.path)));
            }
        } else if last.record.is_some() {
            tally.resurrected.add(|| shown(&key));
            unpublished.insert(key, last);
        }
    }

    let mut found = Found {
        view,
        decided,
        schema,
        fields,
        units,
        overwritten,
        snapshots,
        logs,
        overlay,
        table,
        unpublished,
        lost: HashMap::new(),
        renamed: HashMap::new(),
        misread: HashMap::new(),
        id_map_whole: false,
        keyless,
        undecodable,
        findings,
        tally,
    };
    found.by_id_map(&id_map);
    found.by_deletions(&deleted_by_logs);
    for rival in std::mem::take(&mut found.table.rivals) {
        if found.snapshots.known {
            let unit = found.units.get(rival.unit as usize).map_or("", |unit| unit.standing.word());
            found.tally.version(&rival.pk, format!("document {} in a {unit} row", rival.doc_id));
        }
    }
    if found.snapshots.known {
        // Those beyond the list count, too.
        found.tally.versions = found.tally.versions.max(found.table.rival_count);
    }
    Ok(found)
}

/// The first pass over rows.
struct Scan<'a> {
    snapshots: &'a Snapshots,
    overwritten: &'a [Overwritten],
    table: KeyTable,
    /// Ids of rows whose key cannot be read.
    keyless: RoaringTreemap,
}

impl Scan<'_> {
    fn unit(&mut self, view: &View, unit: &Unit, number: u32, findings: &Findings, tally: &mut Tally) {
        let segment = unit.segment();
        if unit.standing == Standing::Published
            && let Some(missing) = missing_directory(view, segment)
        {
            tally.lost_rows += missing.documents_at_risk.unwrap_or(0);
            findings.add(missing);
            return;
        }
        for (path, _, rows) in unit.row_blocks() {
            let (read, found) = match self.overwritten.iter().find(|block| block.path == path) {
                Some(overwritten) => {
                    findings.add(overwritten.finding());
                    (0, Some(rows))
                }
                None => self.block(view, unit, &path, rows, number, findings),
            };
            let source = tally.source(&path, unit.standing.word());
            // The manifest's count is what there was; a file without a manifest tells for itself.
            let expected = if unit.standing == Standing::Published { Some(rows) } else { found.or(Some(rows)) };
            // Read once more where the segment's files stand in for what a manifest says of them.
            let again = source.rows.is_some();
            source.rows = expected;
            source.read = read;
            source.unreadable = expected.unwrap_or(0).saturating_sub(read);
            let unreadable = source.unreadable;
            tally.lost_rows += if again { 0 } else { unreadable };
        }
    }

    /// Reads ids and keys of one row block: how many rows it could read, and how many the file says that there are.
    fn block(
        &mut self,
        view: &View,
        unit: &Unit,
        path: &std::path::Path,
        rows: u64,
        number: u32,
        findings: &Findings,
    ) -> (u64, Option<u64>) {
        let Some(reader) = BlockReader::open(view, path, rows, findings) else { return (0, None) };
        let file = reader.file();
        let Some(id_column) = file.column_index(DOC_ID_COLUMN) else { return (0, file.rows()) };
        let key_column = file.column_index(UID_COLUMN);
        let deleted = match unit.standing {
            Standing::Published => &self.snapshots.published,
            Standing::Unpublished | Standing::Orphan => &self.snapshots.any,
        };
        let mut order = Order::default();
        let mut read = 0;
        for index in 0..file.batch_infos().len() {
            // One at a time: damage in the one says nothing of the other.
            let Ok(ids) = file.read_batch(index, Some(&[id_column])) else { continue };
            let Ok(ids) = reader.doc_ids(&ids, 0) else { continue };
            let keys = key_column.and_then(|column| file.read_batch(index, Some(&[column])).ok());
            let keys = keys.and_then(|records| records.columns().first().cloned());
            for (row, id) in ids.values().iter().copied().enumerate() {
                read += 1;
                let key = keys.as_ref().and_then(|keys| match value_at(keys.as_ref(), row) {
                    Ok(Value::Bytes(key)) => Some(key),
                    _ => None,
                });
                match key {
                    Some(key) => {
                        order.next(Some((id, &key)), &mut self.table);
                        self.table.add(&key, id, number, !deleted.contains(id));
                    }
                    None => {
                        self.keyless.insert(id);
                        self.table.seen.insert(id);
                    }
                }
            }
        }
        order.next(None, &mut self.table);
        (read, file.rows())
    }
}

/// A manifest for a collection that has none: what an open would need to know.
fn made_up(decided: &Decided, units: &[Unit], logs: &[Log], tree: &Tree, table: &KeyTable) -> Manifest {
    let active = logs.iter().find(|log| log.kind == LogKind::Active);
    let writing = active.map(|log| SegmentMeta {
        segment_id: log.place.0,
        writing_forward_block: Some(BlockMeta {
            block_id: log.place.1,
            block_type: BlockType::Scalar as i32,
            min_doc_id: sources::next_id(&table.seen),
            ..BlockMeta::default()
        }),
        ..SegmentMeta::default()
    });
    let suffix = |path: &std::path::Path| path.to_str().and_then(|name| name.strip_prefix("idmap.")?.parse().ok());
    let id_map = tree.entries.iter().filter_map(|entry| suffix(&entry.path)).max();
    Manifest {
        schema: Some(decided.schema.clone()),
        enable_mmap: decided.enable_mmap,
        persisted_segment_metas: units
            .iter()
            .filter(|unit| unit.mmap == decided.enable_mmap)
            .map(|unit| unit.meta.clone())
            .collect(),
        writing_segment_meta: writing,
        id_map_path_suffix: id_map.unwrap_or(0),
        ..Manifest::default()
    }
}

/// Tells of a block that was being written, whose vectors are there and whose log is not.
fn log_missing(view: &View, manifest: &Manifest, files: &std::collections::BTreeMap<u32, Files>, findings: &Findings) {
    let Some(segment) = &manifest.writing_segment_meta else { return };
    let Some(block) = &segment.writing_forward_block else { return };
    let Some(log) = wal::path_of(manifest).filter(|path| !view.exists(path)) else { return };
    let named: HashSet<u32> = segment.persisted_blocks.iter().map(|block| block.block_id).collect();
    let vectors = files.get(&segment.segment_id).into_iter().flat_map(|files| files.vectors.values()).flatten();
    let beyond = vectors.filter(|(id, _)| **id > block.block_id && !named.contains(id));
    let rows = beyond.filter_map(|(_, path)| {
        let file = crate::format::proxima::VectorFile::open(view.source(path).ok()?).ok()?;
        Some(file.rows()).filter(|rows| *rows > 0)
    });
    if let Some(rows) = rows.max() {
        findings.add(sources::missing_log(&log, rows));
    }
}

/// Counts what every log holds and has lost.
fn measure(view: &View, logs: &[Log], findings: &Findings, tally: &mut Tally) -> Vec<(PathBuf, Undecodable)> {
    let mut undecodable = Vec::new();
    for log in logs {
        let reading = logs::measure(view, &log.path, &mut |record| undecodable.push((log.path.clone(), record)));
        let source = tally.source(&log.path, log.kind.word());
        source.rows = (reading.gaps == 0).then_some(reading.records + reading.lost);
        source.read = reading.records;
        source.unreadable = reading.lost;
        source.why = reading.why.clone();
        if log.kind == LogKind::Old {
            // Its documents are rows: what it has lost is not lost by that.
            continue;
        }
        if log.kind == LogKind::Unpublished {
            let (described, found) = wal::describe(view, &log.path, false);
            if described.size <= HEADER_LEN {
                // It never held a record.
                findings.extend(found.into_iter().map(|finding| Finding { severity: Severity::Warning, ..finding }));
                continue;
            }
            findings.extend(found);
        }
        tally.lost_records += reading.lost;
        tally.gaps += reading.gaps;
    }
    undecodable
}

impl Found {
    /// The directory for reading files by their paths, apart from everything that changes while documents are read.
    pub fn files(&self) -> View {
        let name = ManifestName::new(Style::Release, 0);
        View::of_manifest(self.view.vfs().clone(), self.view.root(), name, Manifest::default())
    }

    /// Whether a log says what becomes of a key.
    pub fn log_tells(&self, pk: &[u8]) -> bool {
        self.unpublished.contains_key(pk) || self.overlay.latest(pk).is_some()
    }

    /// Whether the logs hold a live document with this key.
    fn log_holds(&self, pk: &[u8]) -> bool {
        match self.unpublished.get(pk) {
            Some(last) => last.record.is_some(),
            None => matches!(self.overlay.latest(pk), Some(Some(_))),
        }
    }

    /// What the id map says: lost documents, keys and ids to put right.
    fn by_id_map(&mut self, id_map: &IdMap) {
        let scanned = Findings::default();
        let mut suspects: HashMap<u64, Vec<u8>> = HashMap::new();
        for (pk, id, certain) in id_map.entries(&scanned) {
            if let Some(entry) = self.table.get_mut(&pk) {
                entry.mapped = Some(id);
                if entry.doc_id == id {
                    continue;
                }
            }
            if self.log_tells(&pk) || self.is_deleted(id) {
                continue;
            }
            if !self.table.seen.contains(id) {
                // A damaged map may lack that a key was deleted. What it names all the same is the only trace of a document.
                if certain || self.table.get(&pk).is_none() {
                    self.lost.insert(pk, id);
                }
            } else if certain && suspects.len() < CORRECTIONS {
                suspects.insert(id, pk);
            }
        }
        let opened = id_map.findings.iter().chain(&scanned.list()).cloned().collect::<Vec<Finding>>();
        self.id_map_whole = opened.is_empty();
        // It costs nothing by itself: rows hold the same ids.
        self.findings.extend(opened.into_iter().map(|finding| finding.loses(Loss::None, None)));
        self.keys_of_rows(suspects);
        self.ids_of_rows();
        if self.tally.corrected.count > 0 {
            let detail = format!("{} rows have a damaged id, put right by the id map", self.tally.corrected.count);
            self.findings.add(Finding::error("salvage.corrected", detail));
        }
    }

    fn is_deleted(&self, id: u64) -> bool {
        self.snapshots.published.contains(id) || self.overlay.deleted.contains(id)
    }

    /// Rows whose key is not the one that the id map has for their id.
    fn keys_of_rows(&mut self, suspects: HashMap<u64, Vec<u8>>) {
        let wrong: HashMap<u64, Vec<u8>> = self
            .table
            .iter()
            .filter(|(pk, entry)| entry.mapped.is_none() && suspects.contains_key(&entry.doc_id) && !self.log_tells(pk))
            .map(|(pk, entry)| (entry.doc_id, pk.to_vec()))
            .collect();
        for (id, pk) in suspects {
            let entry = match wrong.get(&id) {
                Some(stored) => self.table.remove(stored),
                None if self.keyless.remove(id) => {
                    Some(super::keys::Entry { doc_id: id, unit: 0, copies: 0, fate: Fate::Live, mapped: None })
                }
                None => None,
            };
            let Some(mut entry) = entry else {
                // The row of that id is another document's: this one is nowhere.
                self.lost.insert(pk, id);
                continue;
            };
            entry.mapped = Some(id);
            self.table.insert(&pk, entry);
            self.tally.corrected.add(|| shown(&pk));
            self.renamed.insert(id, pk);
        }
    }

    /// Rows whose id breaks the order of their block.
    fn ids_of_rows(&mut self) {
        for odd in std::mem::take(&mut self.table.odd) {
            let (low, high) = odd.between;
            let Some(id) = self.lost.get(&odd.pk).copied() else { continue };
            let fits = low.is_none_or(|low| low < id) && high.is_none_or(|high| id < high);
            let Some(entry) = self.table.get_mut(&odd.pk).filter(|entry| entry.doc_id == odd.stored) else { continue };
            if fits {
                (entry.doc_id, entry.fate) = (id, Fate::Live);
                self.table.seen.insert(id);
                self.lost.remove(&odd.pk);
                self.tally.corrected.add(|| shown(&odd.pk));
                self.misread.insert(odd.pk, (odd.stored, id));
            }
        }
    }

    /// What logs, the id map and lost newer versions make of the rows.
    fn by_deletions(&mut self, deleted_by_logs: &RoaringTreemap) {
        self.keyless -= &self.snapshots.published;
        self.keyless -= &self.overlay.deleted;
        let mut table = std::mem::take(&mut self.table);
        let ask_id_map = !self.snapshots.known && self.id_map_whole;
        for (pk, entry) in table.iter_mut() {
            if self.log_holds(pk) {
                entry.fate = Fate::Done;
                continue;
            }
            let deleted = self.overlay.deleted.contains(entry.doc_id) || deleted_by_logs.contains(entry.doc_id);
            if deleted || self.log_tells(pk) {
                entry.fate = Fate::Dead;
                continue;
            }
            if ask_id_map && entry.fate == Fate::Live {
                entry.fate = match entry.mapped {
                    None => Fate::Dead,
                    Some(id) if id > entry.doc_id => Fate::Dead,
                    Some(_) => Fate::Live,
                };
            }
            if ask_id_map && self.snapshots.damaged && entry.fate == Fate::Dead && entry.mapped == Some(entry.doc_id) {
                entry.fate = Fate::Perhaps;
            }
            if self.lost.get(pk).is_some_and(|id| *id > entry.doc_id) {
                match entry.fate {
                    // By the snapshot it is the version that counts.
                    Fate::Live => self.tally.outdated.add(|| shown(pk)),
                    Fate::Dead => entry.fate = Fate::Older,
                    Fate::Older | Fate::Perhaps | Fate::Done => {}
                }
            }
        }
        self.table = table;
        if !self.snapshots.known {
            let how = match self.id_map_whole {
                true => {
                    "; the id map tells what was deleted by id and what was replaced, not what was deleted by a filter"
                }
                false => {
                    "; rows that a higher document id of the same key replaces are left out, deletions by id are not known"
                }
            };
            self.snapshots.report.detail.push_str(how);
        }
    }
}
