//! What logs besides the active one say of primary keys.

use std::{collections::HashMap, path::Path};

use roaring::RoaringTreemap;

use crate::{
    format::{
        document::{self, Op, WalDoc},
        read_vec,
        wal::{self, End, Entry, FRAME_LEN, Reader},
    },
    inspect::{Findings, View, losing, wal::WalDocument},
    report::Loss,
};

use super::sources::Log;

/// What a log says of a key in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last {
    /// Position of the log in the list.
    pub log: usize,
    /// Index of the record that adds the last version, and how many documents the log adds before it; `None`: deleted.
    pub record: Option<(u64, u64)>,
}

/// What was found while a log was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Intact records.
    pub records: u64,
    /// Records that cannot be decoded, or are damaged and can be told to be one.
    pub lost: u64,
    /// Damaged places behind which nobody knows how many records there were.
    pub gaps: u64,
    /// Codes of what is wrong.
    pub why: Vec<String>,
}

/// A record that cannot be decoded: what its head says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Undecodable {
    /// Primary key; `None` if not even that can be read.
    pub pk: Option<Vec<u8>>,
    /// Offset of the record.
    pub offset: u64,
    /// What the bytes say all the same, if they decode: no checksum vouches for it.
    pub doc: Option<WalDoc>,
    /// Code of the fault.
    pub code: &'static str,
}

/// Reads a log as a whole: how much of it is intact. `each` gets what cannot be decoded.
pub(super) fn measure(view: &View, path: &Path, each: &mut dyn FnMut(Undecodable)) -> Reading {
    let mut reading = Reading::default();
    let source = match view.source(path) {
        Ok(source) => source,
        Err(finding) => return Reading { gaps: 1, why: vec![finding.code], ..reading },
    };
    let scanned = wal::scan(&source, |record| {
        if let Err(error) = document::decode(&record.payload, record.payload_offset()) {
            reading.lost += 1;
            if !reading.why.iter().any(|code| code == error.code) {
                reading.why.push(error.code.to_owned());
            }
            let head = document::decode_head(&record.payload, record.payload_offset()).ok();
            let pk = head.map(|head| head.pk.to_vec());
            each(Undecodable { pk, offset: record.offset, doc: None, code: error.code });
        }
    });
    match scanned {
        Err(error) => {
            reading.gaps += 1;
            reading.why.push(error.code.to_owned());
        }
        Ok(scan) => {
            reading.records = scan.records;
            let end = match &scan.end {
                // A torn tail was never acknowledged as durable.
                End::TornTail(gap) if gap.is_one_record() => Some(gap),
                End::GivenUp(gap) => Some(gap),
                End::TornTail(_) | End::Clean => None,
            };
            for gap in scan.damage.iter().map(|(gap, _)| gap).chain(end) {
                if !gap.is_one_record() {
                    reading.gaps += 1;
                    continue;
                }
                reading.lost += 1;
                let (offset, end) = (gap.range.start, gap.range.end);
                let at = offset.saturating_add(FRAME_LEN);
                let payload = read_vec(&source, at, end.saturating_sub(at), "wal.damaged");
                let doc = payload.and_then(|payload| document::decode(&payload, at)).ok();
                let pk = doc.as_ref().map(|doc| doc.pk.clone());
                each(Undecodable { pk, offset, doc, code: "wal.damaged" });
            }
            if !scan.damage.is_empty() || end.is_some() {
                reading.why.push("wal.damaged".to_owned());
            }
        }
    }
    reading
}

/// What `logs`, in their order, say in the end of every key that `wanted` names; later logs count more. Ids that they delete without a key
/// go to `deleted`.
pub(super) fn last_of(
    view: &View,
    logs: &[(usize, &Log)],
    findings: &Findings,
    deleted: &mut RoaringTreemap,
    wanted: &dyn Fn(&[u8]) -> bool,
) -> HashMap<Vec<u8>, Last> {
    let mut last = HashMap::new();
    for (number, log) in logs {
        let source = match view.source(&log.path) {
            Ok(source) => source,
            Err(finding) => {
                findings.add(finding);
                continue;
            }
        };
        let mut added = 0;
        let scanned = wal::scan(&source, |record| {
            let doc = match document::decode(&record.payload, record.payload_offset()) {
                Ok(doc) => doc,
                Err(error) => return findings.add(losing(&log.path, &error, Loss::Certain, Some(1))),
            };
            let adds = matches!(doc.op, Op::Insert | Op::Upsert | Op::Update);
            if doc.op == Op::Delete && doc.pk.is_empty() {
                deleted.insert(doc.doc_id);
            } else if (adds || doc.op == Op::Delete) && wanted(&doc.pk) {
                let record = adds.then_some((record.index, added));
                last.insert(doc.pk, Last { log: *number, record });
            }
            added += u64::from(adds);
        });
        if let Err(error) = scanned {
            findings.add(losing(&log.path, &error, Loss::Possible, None));
        }
    }
    last
}

/// Gives the documents of a log that `wanted` names by the index of their records to `each`, until it says `false`.
pub(super) fn documents(
    view: &View,
    path: &Path,
    wanted: &dyn Fn(u64, &[u8]) -> bool,
    each: &mut dyn FnMut(u64, WalDocument) -> bool,
) {
    // What is wrong with the log has been told where it was measured.
    let Ok(source) = view.source(path) else { return };
    let Ok(mut reader) = Reader::new(&source) else { return };
    while let Ok(Some(entry)) = reader.next_entry() {
        let Entry::Record(record) = entry else { continue };
        let Ok(head) = document::decode_head(&record.payload, record.payload_offset()) else { continue };
        if !wanted(record.index, head.pk) {
            continue;
        }
        let Ok(doc) = document::decode(&record.payload, record.payload_offset()) else { continue };
        if !each(record.index, WalDocument { doc_id: doc.doc_id, offset: record.offset, deleted: false, doc }) {
            return;
        }
    }
}
