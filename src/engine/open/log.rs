//! The log before its replay: what of it can be replayed, and what has to be cut off or passed over first.

use std::{io, path::Path};

use crate::{
    format::{
        self, FormatError, Source,
        document::{self, Op},
        wal::{End, Entry, HEADER_LEN, Reader, Scan, encode_header, encode_record, scan},
    },
    inspect::{DamagedRecord, FileSource, losing},
    report::{Finding, Loss},
};

use super::{ACCEPT, EngineError, Opener, damaged};

/// What is to be replayed.
pub(super) struct Log {
    /// Offset behind the last record.
    pub end: u64,
    /// Records were given up: id map and indexes may know of them.
    pub lossy: bool,
    /// Records that were given up, as far as their bytes tell what they were.
    pub damaged_records: Vec<DamagedRecord>,
}

/// What a log is like as a whole.
pub(super) struct Looked {
    scan: Scan,
    /// The first intact record that makes no sense.
    undecodable: Option<FormatError>,
}

/// Reads a whole log for damage.
pub(super) fn look(source: &FileSource) -> format::Result<Looked> {
    let mut undecodable = None;
    let scan = scan(source, |record| {
        if let Err(error) = document::decode_head(&record.payload, record.payload_offset()) {
            undecodable.get_or_insert(error);
        }
    })?;
    Ok(Looked { scan, undecodable })
}

impl Opener {
    /// Opens the log. `None`: there is none, or nothing in it.
    pub(super) fn open_log(&mut self, relative: &Path) -> Result<Option<FileSource>, EngineError> {
        let path = self.root.join(relative);
        let source = match FileSource::open(self.files.fs().as_ref(), &path) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EngineError::io(&path, error)),
        };
        if source.size() < HEADER_LEN {
            // Its first write never came to an end: nothing of it was acknowledged as durable.
            let detail =
                format!("the log ends within its header ({} bytes): its first write was interrupted", source.size());
            self.findings.add(Finding::warning("wal.torn-tail", detail).at(relative).offset(0));
            self.recovery.replay.torn_bytes = source.size();
            drop(source);
            if self.recovery.replay.torn_bytes > 0 {
                self.quarantine.take(relative, "a log that ends within its header")?;
            } else {
                self.files.remove(&path)?;
                self.files.sync_dir(path.parent().unwrap_or(&self.root))?;
            }
            return Ok(None);
        }
        Ok(Some(source))
    }

    /// Cuts off what a crash left at the end of the log, and, if loss is accepted, writes it anew without its damaged parts. Refuses a damaged one
    /// otherwise, and leaves it alone.
    pub(super) fn settle(
        &mut self,
        relative: &Path,
        source: &FileSource,
        looked: Looked,
        first_id: u64,
    ) -> Result<Log, EngineError> {
        let Looked { scan, undecodable } = looked;
        let first_fault = scan.damage.first().map(|(gap, after)| (gap.clone(), *after));
        let (torn, at_end) = match scan.end {
            End::Clean => (None, None),
            End::TornTail(gap) if !gap.is_one_record() => (Some(gap), None),
            End::TornTail(gap) | End::GivenUp(gap) => (None, Some((gap, 0))),
        };
        let fault = first_fault.or(at_end);
        let finding = match (&fault, &undecodable) {
            (Some((gap, after)), _) => {
                let bytes = gap.range.end - gap.range.start;
                let detail = format!("{}; {bytes} bytes are no record, {after} intact records follow", gap.fault);
                let finding = Finding::error("wal.damaged", detail).at(relative).offset(gap.range.start);
                Some(finding.loses(Loss::Possible, gap.is_one_record().then_some(1)))
            }
            (None, Some(error)) => Some(losing(relative, error, Loss::Certain, Some(1))),
            (None, None) => None,
        };
        if let Some(finding) = finding.as_ref().filter(|_| !self.options.accept_loss) {
            return Err(damaged(finding.clone(), ACCEPT));
        }
        let mut end = source.size();
        if let Some(gap) = torn {
            let record = DamagedRecord::at(source, &gap)
                .map_err(|error| EngineError::format(&self.root.join(relative), error))?;
            self.cut_tail(relative, gap.range.start, end, &gap.fault.to_string(), record.as_ref())?;
            end = gap.range.start;
        }
        if let Some(finding) = finding {
            self.findings.add(finding.clone());
            let cut = self.reopen(relative)?;
            let (end, damaged_records) = self.rewrite(relative, &cut, first_id, &finding.detail)?;
            return Ok(Log { end, lossy: true, damaged_records });
        }
        if scan.header.fault.is_some() {
            self.mend_header(relative)?;
        }
        Ok(Log { end, lossy: false, damaged_records: Vec::new() })
    }

    /// The log as it is by now.
    pub(super) fn reopen(&self, relative: &Path) -> Result<FileSource, EngineError> {
        let path = self.root.join(relative);
        FileSource::open(self.files.fs().as_ref(), &path).map_err(|error| EngineError::io(&path, error))
    }

    fn cut_tail(
        &mut self,
        relative: &Path,
        start: u64,
        size: u64,
        fault: &str,
        record: Option<&DamagedRecord>,
    ) -> Result<(), EngineError> {
        let bytes = size - start;
        let like = record.map_or_else(String::new, |record| format!("; its bytes say {record}"));
        let detail = format!("torn tail: {fault}; the last {bytes} bytes are no record and none follows{like}");
        self.findings.add(Finding::warning("wal.torn-tail", detail).at(relative).offset(start));
        self.quarantine.copy(relative, start, "the torn tail of the log, which is cut off")?;
        self.recovery.replay.torn_bytes = bytes;
        let path = self.root.join(relative);
        let failed = |error| EngineError::io(&path, error);
        let file = self.files.fs().open_write(&path).map_err(failed)?;
        file.truncate(start).map_err(failed)?;
        self.files.sync(&path, file.as_ref())
    }

    /// A version that cannot be: zvec refuses such a log, whose records are intact.
    fn mend_header(&mut self, relative: &Path) -> Result<(), EngineError> {
        let path = self.root.join(relative);
        self.quarantine.copy(relative, 0, "a log whose header is damaged; the header is written anew")?;
        let failed = |error| EngineError::io(&path, error);
        let file = self.files.fs().open_write(&path).map_err(failed)?;
        file.write_all_at(0, &encode_header()).map_err(failed)?;
        self.files.sync(&path, file.as_ref())?;
        let detail = "the version in the header was not 0; the header has been written anew, all records are intact";
        self.findings.add(Finding::warning("wal.version", detail).at(relative).offset(0));
        Ok(())
    }

    /// Copies the log aside and puts one in its place that has its intact records alone. Returns where that ends, and what was left out.
    fn rewrite(
        &mut self,
        relative: &Path,
        source: &FileSource,
        first_id: u64,
        reason: &str,
    ) -> Result<(u64, Vec<DamagedRecord>), EngineError> {
        let path = self.root.join(relative);
        let broken = |error| EngineError::format(&path, error);
        self.quarantine.copy(relative, 0, &format!("a damaged log: {reason}"))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let file = self.files.create(&temporary)?;
        let failed = |error| EngineError::io(&temporary, error);
        let mut out = encode_header().to_vec();
        let mut written = 0u64;
        let mut given_up = false;
        let mut records = Vec::new();
        let mut reader = Reader::new(source).map_err(broken)?;
        while let Some(entry) = reader.next_entry().map_err(broken)? {
            let record = match entry {
                Entry::Record(record) => record,
                Entry::Gap(gap) => {
                    given_up = true;
                    self.recovery.replay.damaged_bytes += gap.range.end - gap.range.start;
                    self.recovery.replay.lost_records += u64::from(gap.is_one_record());
                    records.extend(DamagedRecord::at(source, &gap).map_err(broken)?);
                    continue;
                }
            };
            let doc = match document::decode(&record.payload, record.payload_offset()) {
                Ok(doc) => doc,
                Err(error) => {
                    given_up = true;
                    self.recovery.replay.lost_records += 1;
                    self.findings.add(losing(relative, &error, Loss::Certain, Some(1)));
                    records.extend(DamagedRecord::of(record.offset, &record.payload));
                    continue;
                }
            };
            if given_up && doc.op == Op::Delete && doc.pk.is_empty() && doc.doc_id >= first_id {
                // The number counts a document of this log, and one before it is gone: it would hit another one.
                self.recovery.replay.lost_records += 1;
                let detail = format!(
                    "a deletion by filter of document {}, counted behind the damage: which one is meant cannot be told; it stays",
                    doc.doc_id
                );
                let finding = Finding::warning("wal.ambiguous-delete", detail).at(relative).offset(record.offset);
                self.findings.add(finding.loses(Loss::Possible, Some(1)));
                continue;
            }
            encode_record(&record.payload, &mut out).map_err(broken)?;
            if out.len() >= 1 << 20 {
                file.write_all_at(written, &out).map_err(failed)?;
                written += out.len() as u64;
                out.clear();
            }
        }
        file.write_all_at(written, &out).map_err(failed)?;
        written += out.len() as u64;
        self.files.sync(&temporary, file.as_ref())?;
        self.files.fs().rename(&temporary, &path).map_err(|error| EngineError::io(&path, error))?;
        self.files.sync_dir(path.parent().unwrap_or(&self.root))?;
        Ok((written, records))
    }
}
