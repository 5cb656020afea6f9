//! Forward blocks in Parquet. The byte map is at the top of `forward`.
//!
//! A row group is cut into batches of at most 4096 rows, which the reader streams page by page. Footer and page headers
//! are compared with the file by `parquet_footer` and `parquet_pages` first.

use std::io::{BufReader, Read};
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy};
use parquet::file::reader::{ChunkReader, Length};

use super::parquet_footer::{self, Footer};
use super::parquet_pages::{Page, walk};
use super::{BatchInfo, MAX_BATCH_ROWS, Opened, column_type, contain, no_such_batch};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Kind, Result, Source, read_vec};

/// First and last bytes of the file.
pub(super) const MAGIC: &[u8; 4] = b"PAR1";
const TAIL: u64 = 8;
const TRUNCATED: &str = "forward.truncated";
/// No footer of a 64 MiB block comes near.
const MAX_FOOTER: u64 = 16 << 20;
/// A block is closed at 64 MiB of documents.
const MAX_ROWS: usize = 1 << 28;

/// One column of one row group.
#[derive(Debug, Clone)]
pub struct ColumnChunk {
    /// Position of the row group.
    pub row_group: usize,
    /// Position of the column.
    pub column: usize,
    /// Where its pages begin.
    pub offset: u64,
    /// Bytes of its pages.
    pub length: u64,
    /// Its pages, if all their headers are sound.
    pub pages: Vec<Page>,
    /// What is wrong with it; then no batch of this column and row group can be read.
    pub fault: Option<FormatError>,
}

/// A batch: rows of one row group.
#[derive(Debug, Clone, Copy)]
struct Span {
    row_group: usize,
    skip: usize,
    rows: usize,
}

/// What reading a batch takes.
pub(super) struct Parquet {
    metadata: ArrowReaderMetadata,
    spans: Vec<Span>,
    pub(super) chunks: Vec<ColumnChunk>,
}

pub(super) fn open(source: &Arc<dyn Source>) -> Result<Opened<Parquet>> {
    let size = source.size();
    let tail_at = size.checked_sub(TAIL).filter(|at| *at >= 4).ok_or_else(|| {
        FormatError::truncated(TRUNCATED, size, format!("{size} bytes are too few for a Parquet file"))
    })?;
    let tail = read_vec(source, tail_at, TAIL, TRUNCATED)?;
    let mut cursor = Cursor::new(&tail, tail_at, TRUNCATED);
    let length = u64::from(cursor.u32()?);
    if cursor.rest() != MAGIC {
        let detail = "the file does not end in PAR1: its footer was never written, or is cut off";
        return Err(FormatError::truncated("forward.no-footer", tail_at.saturating_add(4), detail));
    }
    let footer_at = tail_at.checked_sub(length).filter(|at| *at >= 4 && length <= MAX_FOOTER).ok_or_else(|| {
        let detail = format!("a footer of {length} bytes in a file of {size}");
        FormatError::malformed("forward.bad-footer", tail_at, detail)
    })?;
    let bytes = read_vec(source, footer_at, length, TRUNCATED)?;
    let footer = parquet_footer::read(&bytes, footer_at)?;
    let metadata = contain(footer_at, || {
        let bad = |error: ParquetError| FormatError::malformed("forward.bad-footer", footer_at, error.to_string());
        // Statistics are nothing that reading needs: damage in them must not cost the file.
        let skip = ParquetMetaDataOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let metadata = ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&skip)).map_err(bad)?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(bad)
    })?;
    let schema = metadata.schema().clone();
    if let Some(field) = schema.fields().iter().find(|field| column_type(field.data_type()).is_none()) {
        let detail = format!("column {} is of type {}, which zvec never writes", field.name(), field.data_type());
        return Err(FormatError::unsupported("forward.unknown-type", footer_at, detail));
    }
    let chunks = check_chunks(source.as_ref(), &footer)?;
    let (spans, batches) = cut(&footer, footer_at)?;
    Ok(Opened { schema, batches, faults: Vec::new(), inner: Parquet { metadata, spans, chunks } })
}

fn check_chunks(source: &dyn Source, footer: &Footer) -> Result<Vec<ColumnChunk>> {
    let mut chunks = Vec::new();
    for (row_group, group) in footer.row_groups.iter().enumerate() {
        for (column, (chunk, leaf)) in group.chunks.iter().zip(&footer.leaves).enumerate() {
            let walked = match &chunk.fault {
                Some(fault) => Err(fault.clone()),
                None => walk(source, chunk, leaf),
            };
            let (pages, fault) = match walked {
                Ok(pages) => (pages, None),
                Err(error) if error.kind == Kind::Io => return Err(error),
                Err(error) => (Vec::new(), Some(error)),
            };
            let length = chunk.range.end.saturating_sub(chunk.range.start);
            chunks.push(ColumnChunk { row_group, column, offset: chunk.range.start, length, pages, fault });
        }
    }
    Ok(chunks)
}

/// Cuts the row groups into batches.
fn cut(footer: &Footer, footer_at: u64) -> Result<(Vec<Span>, Vec<BatchInfo>)> {
    let (mut spans, mut batches) = (Vec::new(), Vec::new());
    for (row_group, group) in footer.row_groups.iter().enumerate() {
        // Run lengths let a few bytes claim any number of rows, and every batch costs memory here.
        let rows = usize::try_from(group.rows).ok().filter(|rows| *rows <= MAX_ROWS).ok_or_else(|| {
            let detail = format!("row group {row_group} has {} rows", group.rows);
            FormatError::unsupported("forward.too-large", footer_at, detail)
        })?;
        let sound = group.chunks.iter().filter(|chunk| !chunk.range.is_empty());
        let offset = sound.clone().map(|chunk| chunk.range.start).min().unwrap_or(footer_at);
        let end = sound.map(|chunk| chunk.range.end).max().unwrap_or(offset);
        for skip in (0..rows).step_by(MAX_BATCH_ROWS) {
            let count = rows.saturating_sub(skip).min(MAX_BATCH_ROWS);
            spans.push(Span { row_group, skip, rows: count });
            let length = end.saturating_sub(offset);
            batches.push(BatchInfo { offset, length, first_row: None, rows: Some(count as u64), fault: None });
        }
    }
    Ok((spans, batches))
}

/// Streams the batches of a row group; seeks where a batch is not the next one.
#[derive(Default)]
pub(super) struct Stream {
    reader: Option<ParquetRecordBatchReader>,
    next: usize,
}

impl Parquet {
    /// Reads one batch, or its `projection`. Batches read in order through one `stream` cost one pass.
    pub(super) fn read(
        &self,
        source: &Arc<dyn Source>,
        schema: &SchemaRef,
        index: usize,
        projection: Option<&[usize]>,
        stream: &mut Stream,
    ) -> Result<RecordBatch> {
        let span = self.spans.get(index).copied().ok_or_else(|| no_such_batch(index))?;
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let columns = projection.unwrap_or(&all);
        let damaged = |chunk: &&ColumnChunk| chunk.row_group == span.row_group && columns.contains(&chunk.column);
        for chunk in self.chunks.iter().filter(damaged) {
            if let Some(fault) = &chunk.fault {
                let mut fault = fault.clone();
                let name = schema.fields().get(chunk.column).map_or("", |field| field.name());
                fault.detail = format!("batch {index}, column {name}: {}", fault.detail);
                return Err(fault);
            }
        }
        let at = self.chunks.iter().filter(damaged).map(|chunk| chunk.offset).min().unwrap_or(0);
        let reader = if stream.next == index && span.skip > 0 { stream.reader.take() } else { None };
        *stream = Stream::default();
        let first = self.read_span(source, span, columns, at, reader);
        match first {
            Ok((batch, reader)) => {
                *stream = Stream { reader: Some(reader), next: index.saturating_add(1) };
                Ok(batch)
            }
            Err(mut error) => {
                let bad = |column: &&usize| self.read_span(source, span, &[**column], at, None).is_err();
                let names: Vec<&str> = columns
                    .iter()
                    .filter(bad)
                    .filter_map(|column| schema.fields().get(*column))
                    .map(|field| field.name().as_str())
                    .collect();
                error.detail = format!("batch {index}, column {}: {}", names.join(", "), error.detail);
                Err(error)
            }
        }
    }

    fn read_span(
        &self,
        source: &Arc<dyn Source>,
        span: Span,
        columns: &[usize],
        at: u64,
        reader: Option<ParquetRecordBatchReader>,
    ) -> Result<(RecordBatch, ParquetRecordBatchReader)> {
        let bad = |detail: String| FormatError::malformed("forward.undecodable", at, detail);
        contain(at, || {
            let mut reader = match reader {
                Some(reader) => reader,
                None => self.reader(source, span, columns).map_err(|error| bad(error.to_string()))?,
            };
            let batch = match reader.next() {
                Some(batch) => batch.map_err(|error| bad(error.to_string()))?,
                None => return Err(bad(format!("no rows behind row {} of the row group", span.skip))),
            };
            if batch.num_rows() != span.rows {
                return Err(bad(format!("{} rows decoded, {} expected", batch.num_rows(), span.rows)));
            }
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let data = column.to_data();
                data.validate_full().map_err(|error| bad(format!("{}: {error}", field.name())))?;
                if !field.is_nullable() && column.null_count() > 0 {
                    return Err(bad(format!("{}: {} nulls in a column without", field.name(), column.null_count())));
                }
            }
            // The reader gives the columns in file order, once each.
            let mut present = columns.to_vec();
            present.sort_unstable();
            present.dedup();
            let order: Vec<usize> = columns.iter().filter_map(|column| present.binary_search(column).ok()).collect();
            let batch = batch.project(&order).map_err(|error| bad(error.to_string()))?;
            Ok((batch, reader))
        })
    }

    fn reader(
        &self,
        source: &Arc<dyn Source>,
        span: Span,
        columns: &[usize],
    ) -> parquet::errors::Result<ParquetRecordBatchReader> {
        let descriptor = self.metadata.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(descriptor, columns.iter().copied());
        ParquetRecordBatchReaderBuilder::new_with_metadata(Window(source.clone()), self.metadata.clone())
            .with_row_groups(vec![span.row_group])
            .with_projection(mask)
            .with_offset(span.skip)
            .with_batch_size(MAX_BATCH_ROWS)
            .build()
    }
}

/// The file as the Parquet crate wants to see it.
struct Window(Arc<dyn Source>);

impl Window {
    fn bytes(&self, start: u64, length: u64) -> parquet::errors::Result<Vec<u8>> {
        read_vec(&self.0, start, length, TRUNCATED).map_err(|error| ParquetError::General(error.to_string()))
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Window {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::with_capacity(512, Tail { source: self.0.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.bytes(start, length as u64).map(Bytes::from)
    }
}

/// Sequential reads from an offset on.
pub(super) struct Tail {
    source: Arc<dyn Source>,
    at: u64,
}

impl Read for Tail {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.source.size().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = left.min(buf.len());
        let Some(buf) = buf.get_mut(..count) else { return Ok(0) };
        self.source.read_exact_at(self.at, buf).map_err(|error| std::io::Error::other(error.0))?;
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }
}
