//! Sealing: what becomes of an open index when its segment takes no more rows.
//!
//! zvec 0.8.0 opens and searches a persisted segment whose index was left open, but `optimize` refuses to merge it. So an
//! index must be sealed, before the manifest calls its segment persisted:
//!
//! - postings are packed, with term frequencies, document lengths and bounds of the score ([`Sealer`]), as plain values;
//! - positions and totals stay;
//! - `$TF`, `$MAX_TF` and `$DOC_LEN` go, families and all ([`sealed_families`]).

use std::collections::BTreeMap;

use super::pack::{PackedRow, pack};
use super::{Bm25, Family, RowKey, decode_count, decode_row};
use crate::format::Result;
use crate::format::inverted::{EntryKind, IndexEntry};

/// All families of a sealed index of these columns, in the order in which a new one is made: number 0 is `default`. An index
/// that was sealed where it is has other numbers; readers go by name.
pub fn sealed_families<'a>(columns: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Family<'a>> {
    super::families(columns).filter(|family| {
        !matches!(family, Family::TermFrequency(_) | Family::MaxTermFrequency(_) | Family::DocumentLength(_))
    })
}

/// Number of tokens by row, from all `$DOC_LEN` entries of a column: some 12 bytes per row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lengths(BTreeMap<u32, u32>);

impl Lengths {
    /// Adds an entry.
    ///
    /// # Errors
    /// `fts.bad-row` or `fts.bad-count` if it cannot be read.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.insert(decode_row(key)?, decode_count(value, 0)?);
        Ok(())
    }

    /// Length of a row; 0 if it has none.
    pub fn of(&self, row: u32) -> u32 {
        self.0.get(&row).copied().unwrap_or(0)
    }
}

/// Makes the packed postings of a column from all its `$TF` entries by ascending key. In memory is one term, where terms
/// have no zero bytes.
#[derive(Debug)]
pub struct Sealer<'a> {
    lengths: &'a Lengths,
    scorer: Bm25,
    /// Terms that may get more rows, and those that wait for one of them.
    open: BTreeMap<Vec<u8>, Vec<PackedRow>>,
}

impl<'a> Sealer<'a> {
    /// A sealer for a column with these lengths and totals.
    pub fn new(lengths: &'a Lengths, totals: super::Totals) -> Self {
        Self { lengths, scorer: Bm25::new(totals), open: BTreeMap::new() }
    }

    /// Takes the next `$TF` entry; the postings that are complete by now, by ascending term.
    ///
    /// # Errors
    /// `fts.bad-row-key` or `fts.bad-count` if it cannot be read.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> Result<Vec<IndexEntry>> {
        let RowKey { term, row } = RowKey::decode(key)?;
        let count = decode_count(value, 0)?;
        let mut complete = Vec::new();
        if !self.open.contains_key(term) {
            // Keys of a term and of others that continue it with a zero byte mingle, so a term is complete only behind its last
            // possible key, and given out only behind the terms in front of it.
            while let Some(first) = self.open.first_entry() {
                let last = RowKey { term: first.key(), row: u32::MAX };
                if last.encode().as_slice() >= key {
                    break;
                }
                let (term, rows) = first.remove_entry();
                complete.push(self.entry(term, &rows));
            }
        }
        let row = PackedRow { row, count, length: self.lengths.of(row) };
        match self.open.get_mut(term) {
            Some(rows) => rows.push(row),
            None => {
                self.open.insert(term.to_vec(), vec![row]);
            }
        }
        Ok(complete)
    }

    /// The postings that are left.
    pub fn finish(mut self) -> Vec<IndexEntry> {
        std::mem::take(&mut self.open).into_iter().map(|(term, rows)| self.entry(term, &rows)).collect()
    }

    fn entry(&self, key: Vec<u8>, rows: &[PackedRow]) -> IndexEntry {
        IndexEntry { key, value: pack(rows, &self.scorer), kind: EntryKind::Value }
    }
}
