//! Which documents were in the parts of a log that were given up. Two things may still name them: the bytes of a damaged record, for which no checksum
//! vouches, and the id map, if it was written ahead of the manifest.

use std::{collections::BTreeMap, path::Path};

use super::{
    super::{Collection, EngineError},
    Opener,
    replay::Replayed,
};
use crate::{
    format::document::Op,
    inspect::DamagedRecord,
    report::{Finding, Firsts, Loss},
};

/// Documents that one finding names.
const NAMED: usize = 20;

/// A document of which a record of the log was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its primary key.
    pub key: Vec<u8>,
    /// Whether the document is gone, or an older version of it is back. Else only a deletion may have been lost, or something may be there twice.
    pub lost: bool,
    /// What names it, and what that means.
    pub reason: String,
}

impl Opener {
    /// Names, after the replay, the documents whose records were given up: `known_ahead` are the keys that the id map had ahead of the published rows.
    pub(super) fn name_given_up(
        &mut self,
        relative: &Path,
        collection: &Collection,
        known_ahead: Vec<Vec<u8>>,
        records: &[DamagedRecord],
        replayed: &Replayed,
    ) -> Result<(), EngineError> {
        let mut named: BTreeMap<Vec<u8>, GivenUp> = BTreeMap::new();
        for record in records {
            let (offset, op) = (record.offset, record.op);
            let id = collection.id_map.get(&record.key)?;
            let newer = replayed.latest(collection, &record.key)?.is_some();
            let (lost, means) = match (op, id, newer) {
                (_, _, true) => (false, "other records of it were replayed"),
                (Op::Delete, Some(_), false) => (false, "it is there, and was deleted"),
                (Op::Delete, None, false) => continue,
                (_, Some(_), false) => (true, "the version before it is back"),
                (_, None, false) => (true, "it is gone"),
            };
            let reason = format!(
                "{op} at byte {offset} of {}, whose bytes no checksum vouches for: {means}",
                relative.display()
            );
            named.insert(record.key.clone(), GivenUp { key: record.key.clone(), lost, reason });
        }
        for key in known_ahead {
            if named.contains_key(&key) || replayed.latest(collection, &key)?.is_some() {
                continue;
            }
            let means =
                if collection.id_map.get(&key)?.is_some() { "the version before it is back" } else { "it is gone" };
            let reason = format!("named by the id map, its record is not in {}: {means}", relative.display());
            named.insert(key.clone(), GivenUp { key, lost: true, reason });
        }
        let lost = named.values().filter(|document| document.lost);
        let lost: Firsts<NAMED> =
            lost.map(|document| format!("{:?}", String::from_utf8_lossy(&document.key))).collect();
        if lost.count > 0 {
            let detail = format!("documents of records that were given up: {lost}");
            let finding = Finding::error("wal.lost-documents", detail).at(relative);
            self.findings.add(finding.loses(Loss::Certain, Some(lost.count)));
        }
        self.given_up.extend(named.into_values());
        Ok(())
    }
}
