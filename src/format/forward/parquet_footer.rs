//! The Parquet footer as far as memory depends on it: schema shape, row groups, column chunks. Read and compared with the
//! file before the Parquet crate sees a byte of it.

use std::ops::Range;

use super::thrift::Struct;
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Result};

/// More columns than any collection has.
const MAX_COLUMNS: usize = 4096;
/// Physical type of strings and binaries.
const BYTE_ARRAY: i64 = 6;
const UNCOMPRESSED: i64 = 0;

/// What the footer says.
#[derive(Debug)]
pub(super) struct Footer {
    /// One per top-level column, each of which is a leaf or a list of leaves.
    pub(super) leaves: Vec<Leaf>,
    /// In file order.
    pub(super) row_groups: Vec<RowGroup>,
}

/// A column.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) name: String,
    pub(super) list: bool,
    /// Bytes of a decoded value; `None` for strings and binaries.
    pub(super) width: Option<u64>,
    /// Whether a value has a repetition level, and whether it has a definition level.
    pub(super) levels: (bool, bool),
}

/// A row group.
#[derive(Debug)]
pub(super) struct RowGroup {
    pub(super) rows: u64,
    /// One per column.
    pub(super) chunks: Vec<Chunk>,
}

/// A column chunk: the pages of one column in one row group.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Where its pages are.
    pub(super) range: Range<u64>,
    /// Values in it, nulls and empty lists included.
    pub(super) values: u64,
    /// What is wrong with its entry; the others stay readable.
    pub(super) fault: Option<FormatError>,
}

/// Reads the footer in `bytes`, which begin at `at` and end before the length field.
pub(super) fn read(bytes: &[u8], at: u64) -> Result<Footer> {
    let bad = |detail: String| FormatError::malformed("forward.bad-footer", at, detail);
    let footer = Struct::read(&mut Cursor::new(bytes, at, "forward.truncated"))?;
    if footer.repeats() {
        return Err(bad("a field occurs twice".into()));
    }
    let elements = footer.structures(2).ok_or_else(|| bad("no schema".into()))?;
    let leaves = leaves(&elements, at)?;
    let groups = footer.structures(4).ok_or_else(|| bad("no row groups".into()))?;
    let mut row_groups = Vec::with_capacity(groups.len());
    for (i, group) in groups.iter().enumerate() {
        let rows = group.int(3).and_then(|rows| u64::try_from(rows).ok());
        let rows = rows.ok_or_else(|| bad(format!("row group {i} has no valid number of rows")))?;
        let chunks = group.structures(1).filter(|chunks| chunks.len() == leaves.len());
        let chunks = chunks.ok_or_else(|| bad(format!("row group {i} does not have {} columns", leaves.len())))?;
        let chunks = chunks.iter().zip(&leaves).map(|(chunk, leaf)| read_chunk(chunk, leaf, rows, at)).collect();
        row_groups.push(RowGroup { rows, chunks });
    }
    let total = row_groups.iter().try_fold(0u64, |total, group| total.checked_add(group.rows));
    let stored = footer.int(3).and_then(|rows| u64::try_from(rows).ok());
    if total.is_none() || total != stored {
        return Err(bad(format!("{stored:?} rows stored, the row groups have {total:?}")));
    }
    Ok(Footer { leaves, row_groups })
}

/// The columns: `column`, or `column` > `list` (repeated) > `element`. Other shapes zvec never writes, and the crate
/// would follow them without a limit.
fn leaves(elements: &[&Struct], at: u64) -> Result<Vec<Leaf>> {
    let bad = |detail: String| FormatError::malformed("forward.bad-schema", at, detail);
    let children = |element: &Struct| element.int(5).unwrap_or(0);
    let (root, mut rest) = elements.split_first().ok_or_else(|| bad("an empty schema".into()))?;
    let count = usize::try_from(children(root)).ok().filter(|count| (1..=MAX_COLUMNS).contains(count));
    let count = count.ok_or_else(|| bad(format!("{} columns, expected 1 to {MAX_COLUMNS}", children(root))))?;
    let mut leaves = Vec::with_capacity(count);
    for _ in 0..count {
        let (column, leaf, list, after) = match rest {
            [column, after @ ..] if children(column) == 0 => (column, column, false, after),
            [column, list, leaf, after @ ..]
                if children(column) == 1 && children(list) == 1 && children(leaf) == 0 && repetition(list) == 2 =>
            {
                (column, leaf, true, after)
            }
            _ => return Err(bad("a column that is neither a value nor a list of values".into())),
        };
        rest = after;
        let name = String::from_utf8_lossy(column.bytes(4).unwrap_or_default()).into_owned();
        let width = match leaf.int(1) {
            Some(0) => Some(1),
            Some(1 | 4) => Some(4),
            Some(2 | 5) => Some(8),
            Some(BYTE_ARRAY) => None,
            other => {
                let detail = format!("column {name} is of the Parquet type {other:?}, which zvec never writes");
                return Err(FormatError::unsupported("forward.unknown-type", at, detail));
            }
        };
        if repetition(column) == 2 || repetition(leaf) == 2 {
            return Err(bad(format!("column {name} repeats outside a list")));
        }
        let definition = list || repetition(leaf) != 0;
        leaves.push(Leaf { name, list, width, levels: (list, definition) });
    }
    if !rest.is_empty() {
        return Err(bad(format!("{} elements behind the last column", rest.len())));
    }
    Ok(leaves)
}

/// 0 required, 1 optional, 2 repeated.
fn repetition(element: &Struct) -> i64 {
    element.int(3).unwrap_or(0)
}

fn read_chunk(chunk: &Struct, leaf: &Leaf, rows: u64, footer_at: u64) -> Chunk {
    let mut found = Chunk { range: 0..0, values: 0, fault: None };
    let bad = |detail: String| {
        FormatError::malformed("forward.bad-chunk", footer_at, format!("column {}: {detail}", leaf.name))
    };
    let Some(meta) = chunk.structure(3).filter(|_| chunk.bytes(1).is_none()) else {
        found.fault = Some(bad("no metadata, or in another file".into()));
        return found;
    };
    let start = meta.int(11).or(meta.int(9)).and_then(|start| u64::try_from(start).ok());
    let length = meta.int(7).and_then(|length| u64::try_from(length).ok());
    let end = start.zip(length).and_then(|(start, length)| start.checked_add(length));
    match start.zip(end).filter(|(start, end)| *start >= 4 && *end <= footer_at) {
        Some((start, end)) => found.range = start..end,
        None => {
            let detail = format!("{length:?} bytes of pages at {start:?}, the footer begins at {footer_at}");
            found.fault = Some(bad(detail));
            return found;
        }
    }
    let values = meta.int(5).and_then(|values| u64::try_from(values).ok());
    match values.filter(|values| *values == rows || leaf.list && *values > rows) {
        Some(values) => found.values = values,
        None => found.fault = Some(bad(format!("{:?} values for {rows} rows", meta.int(5)))),
    }
    if meta.int(4) != Some(UNCOMPRESSED) {
        let detail = format!("column {} is compressed (codec {:?}), which zvec never does", leaf.name, meta.int(4));
        found.fault = Some(FormatError::unsupported("forward.compressed", found.range.start, detail));
    }
    found
}
