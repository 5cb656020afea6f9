//! Writes the Parquet file. The byte map is at the top of `forward`.
//!
//! As zvec has them: no compression, data pages of version 1, dictionaries where they pay, one row group per block, no
//! Arrow schema in the metadata. The encoded pages of the row group wait in memory for its end.

use std::io::{self, Write};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::format::sink::{Sink, SinkError};
use crate::format::{FormatError, Result};

/// A Parquet file that is being written.
pub(super) struct ParquetFile<S: Sink + Send> {
    writer: ArrowWriter<Tap<S>>,
}

/// The sink as the Parquet crate wants to see it. Keeps the sink's own error, which the crate would wrap.
struct Tap<S> {
    sink: S,
    failed: Option<SinkError>,
}

impl<S: Sink> Write for Tap<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.sink.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(io::Error::other(error))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Sink + Send> ParquetFile<S> {
    pub(super) fn new(sink: S, schema: SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_created_by(concat!("zvecctl version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(None)
            .build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Tap { sink, failed: None }, schema, options).map_err(bad)?;
        Ok(Self { writer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let outcome = self.writer.write(batch);
        outcome.map_err(|error| self.failure(error))
    }

    pub(super) fn finish(mut self) -> Result<S> {
        let outcome = self.writer.finish();
        outcome.map_err(|error| self.failure(error))?;
        self.writer.into_inner().map(|tap| tap.sink).map_err(bad)
    }

    /// Bytes of the encoded pages that are in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.writer.memory_size()
    }

    fn failure(&self, error: ParquetError) -> FormatError {
        let tap = self.writer.inner();
        tap.failed.clone().map_or_else(|| bad(error), |failed| failed.at(tap.sink.position()))
    }
}

fn bad(error: ParquetError) -> FormatError {
    FormatError::unsupported("forward.unwritable", 0, error.to_string())
}
