//! What can still be read of a block, each column of each batch on its own.

use std::{ops::Range, path::Path};

use arrow_array::{Array, ArrayRef, cast::AsArray, types::UInt64Type};

use crate::{
    format::{
        forward::{Column, DOC_ID_COLUMN, UID_COLUMN, column_type, value_at},
        value::Value,
    },
    inspect::{View, documents::BlockReader},
};

use super::{ids::keep_ascending, open};

/// A damaged block, if it can be opened at all.
pub struct Block {
    reader: Option<BlockReader>,
    /// The rows of each batch.
    batches: Vec<Range<usize>>,
    loaded: Option<(usize, Vec<Option<ArrayRef>>)>,
    /// By batch: the columns whose values may have been overwritten.
    beside_damage: Vec<Vec<String>>,
}

impl Block {
    /// Opens it.
    pub fn open(view: &View, path: &Path) -> Self {
        Self { reader: open(view, path), batches: Vec::new(), loaded: None, beside_damage: Vec::new() }
    }

    /// Uses nothing of it from here on.
    pub fn forget(&mut self) {
        (self.reader, self.loaded) = (None, None);
        self.batches.clear();
    }

    /// Its rows, if all of its batches are there.
    pub fn whole_rows(&self) -> Option<u64> {
        let file = self.reader.as_ref()?.file();
        file.rows().filter(|_| file.faults().is_empty())
    }

    /// Looks for values beside bytes that were overwritten.
    pub fn look_beside_damage(&mut self) {
        let Some(file) = self.reader.as_ref().map(BlockReader::file) else { return };
        let name = |at: usize| file.columns().get(at).map(|column| column.name.clone());
        let found =
            (0..file.batch_infos().len()).map(|batch| file.beside_damage(batch, true).into_iter().filter_map(name));
        self.beside_damage = found.map(Iterator::collect).collect();
    }

    /// Whether the value of a column in a row lies beside bytes that were overwritten.
    pub fn is_beside_damage(&self, row: usize, column: &str) -> bool {
        let batch = self.batches.partition_point(|range| range.end <= row);
        self.beside_damage.get(batch).is_some_and(|columns| columns.iter().any(|name| name == column))
    }

    /// Says how many rows it should have. One batch of unknown length among others has what the others lack.
    pub fn measure(&mut self, rows: usize) {
        let Some(reader) = &self.reader else { return };
        let lengths: Vec<Option<u64>> = reader.batches().into_iter().map(|(_, rows)| rows).collect();
        let known: u64 = lengths.iter().flatten().fold(0, |sum, rows| sum.saturating_add(*rows));
        let unknown = lengths.iter().filter(|rows| rows.is_none()).count();
        let missing = (rows as u64).checked_sub(known).filter(|_| unknown == 1);
        let mut first = 0usize;
        self.batches.clear();
        for length in lengths {
            let Some(length) = length.or(missing).and_then(|length| usize::try_from(length).ok()) else { break };
            let end = first.saturating_add(length);
            self.batches.push(first.min(rows)..end.min(rows));
            first = end;
        }
    }

    fn array(&self, batch: usize, column: usize) -> Option<ArrayRef> {
        let file = self.reader.as_ref()?.file();
        file.read_batch(batch, Some(&[column])).ok()?.columns().first().cloned()
    }

    /// Id and key of each row, as far as they can be read.
    pub fn keys(&self, rows: usize) -> Vec<(Option<u64>, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        self.each_key(rows, &mut |_, id, key| found.push((id, key)));
        found
    }

    /// The same row by row.
    pub fn each_key(&self, rows: usize, each: &mut dyn FnMut(usize, Option<u64>, Option<Vec<u8>>)) {
        let mut next = 0usize;
        if let Some(reader) = &self.reader {
            let column = |name| reader.file().column_index(name);
            for (batch, range) in self.batches.iter().enumerate() {
                let ids = column(DOC_ID_COLUMN).and_then(|column| self.array(batch, column));
                let keys = column(UID_COLUMN).and_then(|column| self.array(batch, column));
                let ids = ids.as_ref().and_then(|array| array.as_primitive_opt::<UInt64Type>());
                for (at, row) in range.clone().enumerate().filter(|(_, row)| *row < rows) {
                    let id = ids.filter(|ids| at < ids.len() && !ids.is_null(at)).map(|ids| ids.value(at));
                    let key = keys.as_ref().and_then(|keys| match value_at(keys.as_ref(), at) {
                        Ok(Value::Bytes(key)) if !key.is_empty() => Some(key),
                        _ => None,
                    });
                    each(row, id, key);
                    next = row.saturating_add(1);
                }
            }
        }
        (next..rows).for_each(|row| each(row, None, None));
    }

    /// First and last id; a flipped one that does not ascend does not count.
    pub fn ends(&mut self, rows: usize) -> Option<(u64, u64)> {
        self.measure(rows);
        let mut ids: Vec<Option<u64>> = self.keys(rows).into_iter().map(|(id, _)| id).collect();
        keep_ascending(&mut ids);
        let first = ids.iter().flatten().next().copied();
        first.zip(ids.iter().flatten().next_back().copied())
    }

    /// The values of a row of the columns, ids and keys left out as null; `None` where one cannot be read.
    pub fn row(&mut self, row: usize, columns: &[Column]) -> Vec<Option<Value>> {
        let batch = self.batches.partition_point(|range| range.end <= row);
        let Some(first) = self.batches.get(batch).map(|range| range.start) else { return vec![None; columns.len()] };
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != batch) {
            let arrays = columns.iter().map(|column| self.column(batch, column)).collect();
            self.loaded = Some((batch, arrays));
        }
        let Some((_, arrays)) = &self.loaded else { return vec![None; columns.len()] };
        let at = row.saturating_sub(first);
        arrays.iter().map(|array| value_at(array.as_ref()?.as_ref(), at).ok()).collect()
    }

    /// A column of a batch, if it has the type that the schema says.
    fn column(&self, batch: usize, column: &Column) -> Option<ArrayRef> {
        if column.name == DOC_ID_COLUMN || column.name == UID_COLUMN {
            return None;
        }
        let at = self.reader.as_ref()?.file().column_index(&column.name)?;
        self.array(batch, at).filter(|array| column_type(array.data_type()) == Some(column.column_type))
    }
}
