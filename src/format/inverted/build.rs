//! Builds the content of a scalar index from rows: what an index holds that is still open for more of them.
//!
//! A segment that is still written to has no histograms and no ranges, so `$CDF` and `<c>$RANGES` exist but are empty.
//! Sealing adds a `$ZVEC$SEALED` entry per column. The column families follow the schema:
//!
//! ```text
//! default | per column: <c>$TERMS, <c>$RANGES, <c>$SMRET, <c>$ARRAY_LEN, those that it has | $CDF
//! ```
//!
//! Sealing drops and makes `$RANGES` anew, and columns may come later, so other orders occur; readers go by name.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::term::{self, encode_length, reversed};
use super::{Family, SEALED, Special, SpecialKey, posting};
use crate::format::forward::{ColumnType, ScalarType};
use crate::format::roaring as set;
use crate::format::value::Value;
use crate::format::{FormatError, Result};

/// What a key costs in memory besides its bytes.
const KEY_OVERHEAD: usize = 80;
/// What a row of a posting costs in memory at most while the posting is small.
const ROW_COST: usize = 4;

/// An indexed column, as the schema has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedColumn {
    /// Name.
    pub name: String,
    /// Type.
    pub column_type: ColumnType,
    /// `enable_range_optimization`.
    pub range_optimization: bool,
    /// `enable_extended_wildcard`. zvec up to 0.6.0 leaves it out of the manifest: there, whether an index has the
    /// column's `$SMRET` family is the only trace of it.
    pub extended_wildcard: bool,
}

impl IndexedColumn {
    /// Whether it has `$RANGES`: bools and arrays do not.
    fn has_ranges(&self) -> bool {
        self.range_optimization && !self.column_type.array && self.column_type.scalar != ScalarType::Bool
    }

    /// Whether it has `$SMRET`: only strings do.
    fn has_reversed(&self) -> bool {
        self.extended_wildcard && !self.column_type.array && self.column_type.scalar == ScalarType::String
    }

    /// The families of this column, in the order in which they are created.
    pub fn families(&self) -> impl Iterator<Item = Family<'_>> {
        let name = self.name.as_str();
        let optional = [
            (true, Family::Terms(name)),
            (self.has_ranges(), Family::Ranges(name)),
            (self.has_reversed(), Family::ReversedTerms(name)),
            (self.column_type.array, Family::ArrayLength(name)),
        ];
        optional.into_iter().filter_map(|(present, family)| present.then_some(family))
    }
}

/// All families that an index of `columns` must have, in the order in which they are created: number 0 is `default`.
pub fn families(columns: &[IndexedColumn]) -> impl Iterator<Item = Family<'_>> {
    let of_columns = columns.iter().flat_map(IndexedColumn::families);
    std::iter::once(Family::Default).chain(of_columns).chain(std::iter::once(Family::Histograms))
}

/// How an entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A merge operand: a posting, which later rows add to.
    Operand,
    /// A plain value, which later ones replace.
    Value,
}

/// One entry of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// Key.
    pub key: Vec<u8>,
    /// Value.
    pub value: Vec<u8>,
    /// How zvec stores it.
    pub kind: EntryKind,
}

type Postings<K> = BTreeMap<K, RoaringBitmap>;

#[derive(Debug)]
struct ColumnContent {
    column: IndexedColumn,
    terms: Postings<Vec<u8>>,
    lengths: Postings<u32>,
    nulls: RoaringBitmap,
}

/// Collects the rows of a segment, and gives them out as the entries of its scalar index.
#[derive(Debug)]
pub struct IndexBuilder {
    columns: Vec<ColumnContent>,
    last_row: Option<u32>,
    memory: usize,
}

impl IndexBuilder {
    /// A builder without rows.
    ///
    /// # Errors
    /// `inverted.wrong-value` if a name is empty or occurs twice.
    pub fn new(columns: Vec<IndexedColumn>) -> Result<Self> {
        let mut names = std::collections::BTreeSet::new();
        if let Some(column) = columns.iter().find(|column| column.name.is_empty() || !names.insert(&column.name)) {
            return Err(wrong(format!("an indexed column named {:?}, which is empty or taken", column.name)));
        }
        let content = |column| ColumnContent {
            column,
            terms: BTreeMap::new(),
            lengths: BTreeMap::new(),
            nulls: RoaringBitmap::new(),
        };
        Ok(Self { columns: columns.into_iter().map(content).collect(), last_row: None, memory: 0 })
    }

    /// Adds a row with one value per column, all or none. `row` is its position in the segment.
    ///
    /// # Errors
    /// `inverted.wrong-value`: not one value per column, or a value of another type than its column;
    /// `inverted.row-order`: a row that is not behind the last one.
    pub fn add(&mut self, row: u32, values: &[Value]) -> Result<()> {
        if let Some(last) = self.last_row.filter(|last| row <= *last) {
            let detail = format!("row {row} is added behind row {last}");
            return Err(FormatError::malformed("inverted.row-order", 0, detail));
        }
        if values.len() != self.columns.len() {
            return Err(wrong(format!("{} values for {} indexed columns", values.len(), self.columns.len())));
        }
        for (content, value) in self.columns.iter().zip(values) {
            let IndexedColumn { name, column_type, .. } = &content.column;
            column_type.check(value).map_err(|detail| wrong(format!("column {name}: {detail}")))?;
        }
        for (content, value) in self.columns.iter_mut().zip(values) {
            self.memory = self.memory.saturating_add(content.add(row, value));
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

    /// The families, in the order in which they are created.
    pub fn families(&self) -> impl Iterator<Item = Family<'_>> {
        let of_columns = self.columns.iter().flat_map(|content| content.column.families());
        std::iter::once(Family::Default).chain(of_columns).chain(std::iter::once(Family::Histograms))
    }

    /// The entries of one family by ascending key, encoded one at a time. `sealed` adds the marks that no more rows can
    /// come. A family that the index does not have holds nothing.
    pub fn entries<'a>(&'a self, family: Family<'_>, sealed: bool) -> Box<dyn Iterator<Item = IndexEntry> + 'a> {
        let content = |name: &str| self.columns.iter().find(|content| content.column.name == name);
        match family {
            Family::Default => Box::new(self.specials(sealed).into_iter()),
            Family::Terms(name) => {
                let terms = content(name).map(|content| content.terms.iter()).into_iter().flatten();
                Box::new(terms.filter_map(|(term, rows)| operand(term.clone(), rows)))
            }
            Family::ArrayLength(name) => {
                let lengths = content(name).map(|content| content.lengths.iter()).into_iter().flatten();
                Box::new(lengths.filter_map(|(length, rows)| operand(encode_length(*length).to_vec(), rows)))
            }
            Family::ReversedTerms(name) => {
                let terms = content(name).filter(|content| content.column.has_reversed()).map(|content| &content.terms);
                let mut terms: Vec<_> = terms.into_iter().flatten().collect();
                terms.sort_unstable_by(|(a, _), (b, _)| a.iter().rev().cmp(b.iter().rev()));
                Box::new(terms.into_iter().filter_map(|(term, rows)| operand(reversed(term), rows)))
            }
            Family::Ranges(_) | Family::Histograms | Family::Unknown(_) => Box::new(std::iter::empty()),
        }
    }

    fn specials(&self, sealed: bool) -> Vec<IndexEntry> {
        let mut entries = Vec::new();
        for ColumnContent { column, nulls, .. } in &self.columns {
            let mut push = |special, value| {
                let key = SpecialKey { column: column.name.as_bytes(), special }.encode();
                entries.push(IndexEntry { key, value, kind: EntryKind::Value });
            };
            if let Some(row) = self.last_row {
                push(Special::MaxId, row.to_string().into_bytes());
            }
            if !nulls.is_empty() {
                push(Special::Null, set::encode(nulls));
            }
            if sealed {
                push(Special::Sealed, SEALED.to_vec());
            }
        }
        entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        entries
    }
}

impl ColumnContent {
    /// Adds a checked value; the memory that it takes, about.
    fn add(&mut self, row: u32, value: &Value) -> usize {
        if let Some((terms, length)) = term::encode_elements(value) {
            let of_length = add_row(&mut self.lengths, length, row, 4);
            return terms.into_iter().fold(of_length, |sum, term| {
                let bytes = term.len();
                sum.saturating_add(add_row(&mut self.terms, term, row, bytes))
            });
        }
        match term::encode(value) {
            Some(term) => {
                let bytes = term.len();
                add_row(&mut self.terms, term, row, bytes)
            }
            None => {
                self.nulls.insert(row);
                ROW_COST
            }
        }
    }
}

fn add_row<K: Ord>(postings: &mut Postings<K>, key: K, row: u32, bytes: usize) -> usize {
    let mut cost = ROW_COST;
    let rows = postings.entry(key).or_insert_with(|| {
        cost = cost.saturating_add(bytes).saturating_add(KEY_OVERHEAD);
        RoaringBitmap::new()
    });
    rows.insert(row);
    cost
}

fn operand(key: Vec<u8>, rows: &RoaringBitmap) -> Option<IndexEntry> {
    let value = posting::encode(rows)?;
    Some(IndexEntry { key, value, kind: EntryKind::Operand })
}

fn wrong(detail: String) -> FormatError {
    FormatError::malformed("inverted.wrong-value", 0, detail)
}

#[cfg(test)]
mod tests;
