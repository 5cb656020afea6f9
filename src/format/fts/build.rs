//! Builds the content of a full-text index from rows: what an index holds that is still open for more of them.
//!
//! The column families follow the schema:
//!
//! ```text
//! default | per column: <c>, <c>$POSITIONS, <c>$TF, <c>$MAX_TF, <c>$DOC_LEN | $FTS_STAT
//! ```
//!
//! All but the totals may be written twice without harm: the same row gives the same entries. The totals are those of the
//! whole index, so a builder that continues one is given what it has so far. If the index is ahead of what was published, as
//! after a crash, [`surplus`] says what to take off before the rows come again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use super::tokenize::Tokenizer;
use super::{Family, RowKey, StatKey, encode_count, encode_positions, encode_row, encode_stat};
use super::{decode_count, decode_row};
use crate::format::inverted::{EntryKind, IndexEntry};
use crate::format::roaring as set;
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// What a term costs in memory besides its bytes.
const TERM_OVERHEAD: usize = 160;
/// What an occurrence costs in memory besides its positions, and what a row costs besides its terms.
const ROW_COST: usize = 12;

/// Totals of a column, as BM25 uses them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows with a text, also an empty one.
    pub docs: u64,
    /// Tokens in all texts.
    pub tokens: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.docs = self.docs.saturating_add(other.docs);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

impl Totals {
    /// These without `other`; `None` if `other` is larger.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self { docs: self.docs.checked_sub(other.docs)?, tokens: self.tokens.checked_sub(other.tokens)? })
    }
}

/// What rows from `published` on have contributed to the totals, by the `$DOC_LEN` entries of a column, whichever order they
/// have.
///
/// # Errors
/// `fts.bad-row` or `fts.bad-count` if an entry cannot be read.
pub fn surplus<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    lengths: impl IntoIterator<Item = (K, V)>,
    published: u32,
) -> Result<Totals> {
    let mut totals = Totals::default();
    for (key, value) in lengths {
        let length = decode_count(value.as_ref(), 0)?;
        if decode_row(key.as_ref())? >= published {
            totals += Totals { docs: 1, tokens: length.into() };
        }
    }
    Ok(totals)
}

/// A full-text column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumn {
    /// Name.
    pub name: String,
    /// What makes its terms.
    pub tokenizer: Tokenizer,
    /// Totals of the index before the first row that is added.
    pub totals: Totals,
}

/// All families that an index of these columns must have, in the order in which they are created: number 0 is `default`.
pub fn families<'a>(columns: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Family<'a>> {
    let of_columns = columns.into_iter().flat_map(|name| {
        [
            Family::Postings(name),
            Family::Positions(name),
            Family::TermFrequency(name),
            Family::MaxTermFrequency(name),
            Family::DocumentLength(name),
        ]
    });
    std::iter::once(Family::Default).chain(of_columns).chain(std::iter::once(Family::Statistics))
}

/// Where a term occurs in one row.
#[derive(Debug)]
struct Occurrence {
    row: u32,
    count: u32,
    positions: Box<[u8]>,
}

#[derive(Debug)]
struct ColumnContent {
    column: TextColumn,
    /// Rows ascend.
    terms: BTreeMap<Vec<u8>, Vec<Occurrence>>,
    /// Row and length, rows ascend.
    lengths: Vec<(u32, u32)>,
}

/// Collects the rows of a segment, and gives them out as the entries of its full-text index.
#[derive(Debug)]
pub struct FtsBuilder {
    columns: Vec<ColumnContent>,
    last_row: Option<u32>,
    memory: usize,
}

impl FtsBuilder {
    /// A builder without rows.
    ///
    /// # Errors
    /// `fts.wrong-value` if a name is empty or occurs twice.
    pub fn new(columns: Vec<TextColumn>) -> Result<Self> {
        let mut names = BTreeSet::new();
        if let Some(column) = columns.iter().find(|column| column.name.is_empty() || !names.insert(&column.name)) {
            return Err(wrong(format!("a full-text column named {:?}, which is empty or taken", column.name)));
        }
        let content = |column| ColumnContent { column, terms: BTreeMap::new(), lengths: Vec::new() };
        Ok(Self { columns: columns.into_iter().map(content).collect(), last_row: None, memory: 0 })
    }

    /// Adds a row with one value per column, all or none. `row` is its position in the segment.
    ///
    /// # Errors
    /// `fts.wrong-value`: not one value per column, or one that is neither text nor null; `fts.row-order`: a row that is not
    /// behind the last one.
    pub fn add(&mut self, row: u32, values: &[Value]) -> Result<()> {
        if let Some(last) = self.last_row.filter(|last| row <= *last) {
            let detail = format!("row {row} is added behind row {last}");
            return Err(FormatError::malformed("fts.row-order", 0, detail));
        }
        if values.len() != self.columns.len() {
            return Err(wrong(format!("{} values for {} full-text columns", values.len(), self.columns.len())));
        }
        for (content, value) in self.columns.iter().zip(values) {
            if !matches!(value, Value::Null | Value::Bytes(_)) {
                return Err(wrong(format!("column {}: a value that is not a text", content.column.name)));
            }
        }
        for (content, value) in self.columns.iter_mut().zip(values) {
            if let Value::Bytes(text) = value {
                self.memory = self.memory.saturating_add(content.add(row, text));
            }
        }
        self.last_row = Some(row);
        Ok(())
    }

    /// The last row, which is the largest.
    pub fn last_row(&self) -> Option<u32> {
        self.last_row
    }

    /// Bytes that the rows take in memory, about.
    pub fn memory_size(&self) -> usize {
        self.memory
    }

    /// Totals of a column with the rows that were added; `None` if there is no such column.
    pub fn totals(&self, name: &str) -> Option<Totals> {
        self.content(name).map(|content| content.column.totals)
    }

    /// The families, in the order in which they are created.
    pub fn families(&self) -> impl Iterator<Item = Family<'_>> {
        families(self.columns.iter().map(|content| content.column.name.as_str()))
    }

    /// The entries of one family by ascending key, encoded one at a time. Operands are for the operators `FtsPostingsMerge`, in
    /// postings, and `FtsMaxTfMerge`, in `$MAX_TF`. A family that the index does not have holds nothing.
    pub fn entries<'a>(&'a self, family: Family<'_>) -> Box<dyn Iterator<Item = IndexEntry> + 'a> {
        if family == Family::Statistics {
            return Box::new(self.statistics().into_iter());
        }
        let Some(content) = family.column().and_then(|name| self.content(name)) else {
            return Box::new(std::iter::empty());
        };
        match family {
            Family::Postings(_) => Box::new(content.terms.iter().map(|(term, occurrences)| {
                let rows = occurrences.iter().map(|occurrence| occurrence.row).collect();
                entry(term.clone(), set::encode(&rows), EntryKind::Operand)
            })),
            Family::MaxTermFrequency(_) => Box::new(content.terms.iter().map(|(term, occurrences)| {
                let largest = occurrences.iter().map(|occurrence| occurrence.count).max().unwrap_or_default();
                entry(term.clone(), encode_count(largest).to_vec(), EntryKind::Operand)
            })),
            Family::Positions(_) => Box::new(content.occurrences().map(|(term, occurrence)| {
                let key = RowKey { term, row: occurrence.row }.encode();
                entry(key, occurrence.positions.to_vec(), EntryKind::Value)
            })),
            Family::TermFrequency(_) => Box::new(content.occurrences().map(|(term, occurrence)| {
                let key = RowKey { term, row: occurrence.row }.encode();
                entry(key, encode_count(occurrence.count).to_vec(), EntryKind::Value)
            })),
            Family::DocumentLength(_) => {
                let mut lengths: Vec<_> =
                    content.lengths.iter().map(|(row, length)| (encode_row(*row), *length)).collect();
                lengths.sort_unstable();
                let of = |(row, length): ([u8; 4], u32)| {
                    entry(row.to_vec(), encode_count(length).to_vec(), EntryKind::Value)
                };
                Box::new(lengths.into_iter().map(of))
            }
            Family::Statistics | Family::Default => Box::new(std::iter::empty()),
        }
    }

    fn content(&self, name: &str) -> Option<&ColumnContent> {
        self.columns.iter().find(|content| content.column.name == name)
    }

    fn statistics(&self) -> Vec<IndexEntry> {
        let mut entries = Vec::new();
        for ColumnContent { column, .. } in &self.columns {
            let name = column.name.as_bytes();
            for (key, total) in
                [(StatKey::TotalDocs(name), column.totals.docs), (StatKey::TotalTokens(name), column.totals.tokens)]
            {
                entries.push(entry(key.encode(), encode_stat(total).to_vec(), EntryKind::Value));
            }
        }
        entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        entries
    }
}

impl ColumnContent {
    /// Adds a text; the memory that it takes, about.
    fn add(&mut self, row: u32, text: &[u8]) -> usize {
        let tokens = self.column.tokenizer.tokenize(text);
        // zvec counts in 32 bits, too.
        let length = tokens.len() as u32;
        let mut positions: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for token in tokens {
            positions.entry(token.text).or_default().push(token.position);
        }
        let mut cost = ROW_COST;
        for (term, positions) in positions {
            let bytes = term.len();
            let occurrences = self.terms.entry(term).or_insert_with(|| {
                cost = cost.saturating_add(bytes).saturating_add(TERM_OVERHEAD);
                Vec::new()
            });
            let encoded = encode_positions(&positions).into_boxed_slice();
            cost = cost.saturating_add(encoded.len()).saturating_add(ROW_COST + size_of::<Occurrence>());
            occurrences.push(Occurrence { row, count: positions.len() as u32, positions: encoded });
        }
        self.lengths.push((row, length));
        self.column.totals += Totals { docs: 1, tokens: length.into() };
        cost
    }

    /// All occurrences by their keys.
    fn occurrences(&self) -> Box<dyn Iterator<Item = (&[u8], &Occurrence)> + '_> {
        let by_term = self
            .terms
            .iter()
            .flat_map(|(term, occurrences)| occurrences.iter().map(move |occurrence| (term.as_slice(), occurrence)));
        // A term with a zero byte may come between the rows of another.
        if self.terms.keys().any(|term| term.contains(&0)) {
            let mut all: Vec<_> = by_term.collect();
            all.sort_by_cached_key(|(term, occurrence)| RowKey { term, row: occurrence.row }.encode());
            return Box::new(all.into_iter());
        }
        Box::new(by_term)
    }
}

fn entry(key: Vec<u8>, value: Vec<u8>, kind: EntryKind) -> IndexEntry {
    IndexEntry { key, value, kind }
}

fn wrong(detail: String) -> FormatError {
    FormatError::malformed("fts.wrong-value", 0, detail)
}

#[cfg(test)]
mod tests;
