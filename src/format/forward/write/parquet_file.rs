//! Writes the Parquet file. The byte map is at the top of `forward`.
//!
//! As zvec has them: no compression, data pages of version 1, dictionaries where they pay, one row group per block, no
//! Arrow schema in the metadata. The encoded pages of the row group wait in memory for its end.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::format::sink::Sink;
use crate::format::{FormatError, Result};

/// A Parquet file that is being written.
pub(super) struct ParquetFile<S: Sink + Send> {
    writer: ArrowWriter<Tap<S>>,
    failed: Arc<OnceLock<FormatError>>,
}

/// The sink as the Parquet crate wants to see it. Keeps the sink's own error, which the crate would wrap, and takes
/// nothing after it: the crate's buffer would try again.
struct Tap<S> {
    sink: S,
    start: u64,
    failed: Arc<OnceLock<FormatError>>,
}

impl<S: Sink> Write for Tap<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.get() {
            return Err(io::Error::other(error.clone()));
        }
        let at = self.sink.position().saturating_sub(self.start);
        self.sink.append(bytes).map(|()| bytes.len()).map_err(|error| {
            let error = error.at(at);
            io::Error::other(self.failed.get_or_init(|| error).clone())
        })
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
        let failed = Arc::new(OnceLock::new());
        let start = sink.position();
        let tap = Tap { sink, start, failed: failed.clone() };
        let writer =
            ArrowWriter::try_new_with_options(tap, schema, options).map_err(|error| failure(&failed, &error))?;
        Ok(Self { writer, failed })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|error| failure(&self.failed, &error))
    }

    pub(super) fn finish(self) -> Result<S> {
        let tap = self.writer.into_inner().map_err(|error| failure(&self.failed, &error))?;
        match self.failed.get() {
            Some(error) => Err(error.clone()),
            None => Ok(tap.sink),
        }
    }

    /// Bytes of the encoded pages that are in memory.
    pub(super) fn in_memory(&self) -> usize {
        self.writer.memory_size()
    }
}

/// The sink's error, if there was one.
fn failure(failed: &OnceLock<FormatError>, error: &ParquetError) -> FormatError {
    let other = || FormatError::unsupported("forward.unwritable", 0, error.to_string());
    failed.get().cloned().unwrap_or_else(other)
}
