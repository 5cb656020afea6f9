//! Forward blocks: the scalar columns of a run of rows, `scalar.<blk>.ipc` or `scalar.<blk>.parquet`.
//!
//! ```text
//! .ipc       Arrow IPC file
//!   0   "ARROW1" 00 00
//!   8   message: schema
//!       messages: record batches, at most 4096 rows each
//!       ff ff ff ff 00 00 00 00                             end of the messages
//!       footer (flatbuffer): schema, { offset, header length, body length } of each batch
//!       u32 footer length | "ARROW1"
//!   message: ff ff ff ff | u32 header length | header (flatbuffer) | body
//!
//! .parquet   Parquet file, format 2.6
//!   0   "PAR1"
//!       pages of the column chunks: optional dictionary page, data pages; one row group per block
//!       footer (Thrift compact): schema, rows, row groups with their column chunks
//!       u32 footer length | "PAR1"
//! ```
//!
//! Columns: `_zvec_g_doc_id_` uint64 and `_zvec_uid_` utf8, both never null, then the scalar columns in schema order;
//! arrays are lists. A block made by adding or altering a column holds that one column alone. Neither compression nor
//! dictionary batches nor custom metadata occur. No checksum covers any of it.
//!
//! Reading is by positioned reads of one batch at a time. Every batch stands for itself: a damaged one costs only
//! itself. An Arrow file without a readable footer (the writer died) is read from the front, message by message.

mod contain;
mod ipc;
mod ipc_schema;
mod overwritten;
mod parquet_file;
mod parquet_footer;
mod parquet_pages;
mod thrift;
mod types;
mod value;
pub mod write;

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use self::parquet_file::Stream;
use super::{FormatError, Kind, Result, Source, read_vec};

pub use contain::{contain, panic_is_contained};
pub use parquet_file::ColumnChunk;
pub use parquet_pages::Page;
pub use types::{ColumnType, ScalarType};
pub use value::{column_type, value_at};

/// Column of the document ids.
pub const DOC_ID_COLUMN: &str = "_zvec_g_doc_id_";
/// Column of the primary keys.
pub const UID_COLUMN: &str = "_zvec_uid_";
/// Most rows in a batch.
pub const MAX_BATCH_ROWS: usize = 4096;

/// File format of a forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Arrow IPC file.
    Ipc,
    /// Parquet file.
    Parquet,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipc => "Arrow IPC",
            Self::Parquet => "Parquet",
        })
    }
}

/// A column of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type.
    pub column_type: ColumnType,
    /// Whether values may be null.
    pub nullable: bool,
}

/// One batch of a block, as its headers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchInfo {
    /// Where its bytes begin.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
    /// Position of its first row in the block; unknown behind a batch of unknown length.
    pub first_row: Option<u64>,
    /// Number of rows; unknown if its header is damaged.
    pub rows: Option<u64>,
    /// What is wrong with its header.
    pub fault: Option<FormatError>,
}

/// What opening a file of either format gives.
struct Opened<T> {
    schema: SchemaRef,
    batches: Vec<BatchInfo>,
    faults: Vec<FormatError>,
    inner: T,
}

enum Inner {
    Ipc(ipc::Ipc),
    Parquet(Box<parquet_file::Parquet>),
}

/// An open forward block.
pub struct ForwardFile {
    source: Arc<dyn Source>,
    encoding: Encoding,
    schema: SchemaRef,
    columns: Vec<Column>,
    batches: Vec<BatchInfo>,
    faults: Vec<FormatError>,
    inner: Inner,
}

/// A batch as [`ForwardFile::batches`] yields it.
#[derive(Debug)]
pub struct Batch {
    /// Its position in [`ForwardFile::batch_infos`].
    pub index: usize,
    /// Position of its first row in the block, if known.
    pub first_row: Option<u64>,
    /// Its rows, or why they cannot be read.
    pub records: Result<RecordBatch>,
}

impl ForwardFile {
    /// Opens a block, whose first or last bytes tell the format; `expected` is the format that the file's name promises.
    ///
    /// # Errors
    /// When no batch can be found: unknown magic, no usable footer and (Arrow) no readable messages either.
    pub fn open(source: Arc<dyn Source>, expected: Encoding) -> Result<Self> {
        let (encoding, mut faults) = identify(source.as_ref(), expected)?;
        let (schema, mut batches, found, inner) = match encoding {
            Encoding::Ipc => {
                let opened = ipc::open(source.as_ref())?;
                (opened.schema, opened.batches, opened.faults, Inner::Ipc(opened.inner))
            }
            Encoding::Parquet => {
                let opened = parquet_file::open(&source)?;
                (opened.schema, opened.batches, opened.faults, Inner::Parquet(Box::new(opened.inner)))
            }
        };
        faults.extend(found);
        let mut first_row = Some(0u64);
        for batch in &mut batches {
            batch.first_row = first_row;
            first_row = first_row.zip(batch.rows).map(|(first, rows)| first.saturating_add(rows));
        }
        let columns = schema.fields().iter().filter_map(|field| {
            let column_type = column_type(field.data_type())?;
            Some(Column { name: field.name().clone(), column_type, nullable: field.is_nullable() })
        });
        let columns = columns.collect();
        Ok(Self { source, encoding, schema, columns, batches, faults, inner })
    }

    /// Format of the file.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Arrow schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Columns, in file order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Position of a column.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The batches, in row order.
    pub fn batch_infos(&self) -> &[BatchInfo] {
        &self.batches
    }

    /// Number of rows; unknown if the header of a batch is damaged.
    pub fn rows(&self) -> Option<u64> {
        self.batches.iter().try_fold(0u64, |total, batch| total.checked_add(batch.rows?))
    }

    /// Faults of the file as a whole; those of single batches are in [`BatchInfo::fault`].
    pub fn faults(&self) -> &[FormatError] {
        &self.faults
    }

    /// Reads one batch: all columns, or those at the positions in `projection`. Values are fully validated.
    ///
    /// # Errors
    /// Whatever is wrong with this batch; the error names it by offset and the damaged columns by name.
    pub fn read_batch(&self, index: usize, projection: Option<&[usize]>) -> Result<RecordBatch> {
        self.read(index, projection, &mut Stream::default())
    }

    /// Reads all batches one after the other, past damaged ones.
    pub fn batches<'a>(&'a self, projection: Option<&'a [usize]>) -> impl Iterator<Item = Batch> + 'a {
        let mut stream = Stream::default();
        self.batches.iter().enumerate().map(move |(index, info)| Batch {
            index,
            first_row: info.first_row,
            records: self.read(index, projection, &mut stream),
        })
    }

    /// Columns of a batch, by position, whose values may have been overwritten: what stands beside them was, and nothing shows that it ended before.
    /// `deep` reads what is in the batch, too, not only what stands behind it. Of Parquet files nothing is told: without their footer nothing is read.
    pub fn beside_damage(&self, index: usize, deep: bool) -> Vec<usize> {
        match &self.inner {
            Inner::Ipc(ipc) => {
                // What cannot be read tells itself.
                contain(0, || ipc.beside_damage(self.source.as_ref(), &self.schema, index, deep)).unwrap_or_default()
            }
            Inner::Parquet(_) => Vec::new(),
        }
    }

    /// The column chunks of a Parquet file with their pages; an Arrow file has none.
    pub fn column_chunks(&self) -> &[ColumnChunk] {
        match &self.inner {
            Inner::Ipc(_) => &[],
            Inner::Parquet(parquet) => &parquet.chunks,
        }
    }

    fn read(&self, index: usize, projection: Option<&[usize]>, stream: &mut Stream) -> Result<RecordBatch> {
        self.check_projection(projection)?;
        match &self.inner {
            Inner::Ipc(ipc) => ipc.read(self.source.as_ref(), &self.schema, index, projection),
            Inner::Parquet(parquet) => parquet.read(&self.source, &self.schema, index, projection, stream),
        }
    }

    fn check_projection(&self, projection: Option<&[usize]>) -> Result<()> {
        match projection.into_iter().flatten().find(|column| **column >= self.columns.len()) {
            None => Ok(()),
            Some(column) => {
                let detail = format!("column {column} of {}", self.columns.len());
                Err(FormatError::malformed("forward.no-such-column", 0, detail))
            }
        }
    }
}

/// The format by the magic at either end.
fn identify(source: &dyn Source, expected: Encoding) -> Result<(Encoding, Vec<FormatError>)> {
    let size = source.size();
    let head = read_vec(source, 0, size.min(6), "forward.truncated")?;
    let tail_length = size.min(6);
    let tail = read_vec(source, size.saturating_sub(tail_length), tail_length, "forward.truncated")?;
    let parquet = parquet_file::MAGIC.as_slice();
    if head == ipc::MAGIC {
        return Ok((Encoding::Ipc, Vec::new()));
    }
    if head.starts_with(parquet) {
        return Ok((Encoding::Parquet, Vec::new()));
    }
    let bad = FormatError::malformed(
        "forward.bad-magic",
        0,
        format!("the file begins with {}, not as {expected} does", printable(&head)),
    );
    if tail == ipc::MAGIC {
        return Ok((Encoding::Ipc, vec![bad]));
    }
    if tail.ends_with(parquet) {
        return Ok((Encoding::Parquet, vec![bad]));
    }
    if size < 6 {
        let detail = format!("{size} bytes are too few for a file of {expected}");
        return Err(FormatError::truncated("forward.truncated", size, detail));
    }
    Err(bad)
}

fn printable(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

fn no_such_batch(index: usize) -> FormatError {
    FormatError { code: "forward.no-such-batch", kind: Kind::Malformed, offset: 0, detail: format!("batch {index}") }
}

#[cfg(test)]
mod tests;
