//! Writes the flat files of a block: dense and sparse vectors, full and quantised.
//!
//! [`ColumnPlan::new`] says which files a column has; a [`FlatWriter`] writes one of them row by row:
//!
//! ```text
//! header | segment table | footer | IndexVersion | what counts the rows | IndexMeta | rows …
//! ```
//!
//! Only one block of rows and the bytes on their way to the sink are held in memory. What counts and checks the rows stands before
//! them, so it is written last, the header at the very end: a file that was not finished has none. Element bytes are those zvec
//! 0.8.0 computes ([`encode`]), and so is everything else but times, the random number and the text of `IndexVersion`.

mod container;
mod dense;
pub(super) mod encode;
mod patch;
mod plan;
mod sparse;
mod stored;
#[cfg(test)]
mod tests;

pub use patch::PatchSink;
pub use plan::{ColumnPlan, FilePlan};

use self::container::ContainerWriter;
use self::dense::DenseBody;
use self::encode::{Encoder, Input};
use self::plan::Turned;
use self::sparse::SparseBody;
use super::rotation::Rotation;
use crate::format::Result;
use crate::format::value::Value;

/// What stands in `IndexVersion` unless another text is given; zvec does not read it.
pub const VERSION_TEXT: &str = concat!("zvecctl ", env!("CARGO_PKG_VERSION"));

/// How much room a file has beyond its content. zvec opens and queries both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Room {
    /// As zvec 0.8.0: a segment table of 1 MiB, feature segments of 4 MiB. Some MiB of zeros that take no place on disk if the sink
    /// does not write them.
    #[default]
    AsZvec,
    /// A table of 64 KiB, which is enough for 5 GiB of vectors, and no unused pages behind the rows. Not for a collection: merging segments,
    /// zvec 0.8.0 copies the first FLAT file and appends the others' rows to it, and where a segment is cut short it loses rows or crashes.
    Compact,
}

impl Room {
    fn table(self) -> u64 {
        match self {
            Self::AsZvec => 1 << 20,
            Self::Compact => (64 << 10) - 192,
        }
    }
}

/// What a file states about itself.
#[derive(Debug, Clone, Copy)]
pub struct FileOptions<'a> {
    /// A random number.
    pub magic: u32,
    /// Creation time, unix seconds.
    pub created: u64,
    /// Room beyond the content.
    pub room: Room,
    /// Text of `IndexVersion`.
    pub version: &'a str,
}

impl FileOptions<'static> {
    /// As zvec writes them, but for the text.
    pub fn new(magic: u32, created: u64) -> Self {
        Self { magic, created, room: Room::default(), version: VERSION_TEXT }
    }

    /// The same for a block: no two blocks of a segment have the same number. By it a file is told from its copies.
    pub fn of_block(segment: u32, block: u32, created: u64) -> Self {
        let magic = block.wrapping_mul(0x9E37_79B1) ^ segment.rotate_left(16) ^ created as u32;
        Self::new(magic, created)
    }
}

/// A file that is written.
#[derive(Debug)]
pub struct Finished<S> {
    /// Where it went.
    pub sink: S,
    /// Its size in bytes.
    pub size: u64,
    /// Rows pushed. Trailing rows without vector count, though they are not stored.
    pub rows: u64,
}

#[derive(Debug)]
enum Body {
    Dense(Box<DenseBody>),
    Sparse(Box<SparseBody>),
}

/// Writes one flat file. Rows come in the order of their numbers in the block.
///
/// After a failed write (`io.write`) the file is unusable; a refused value (`proxima.bad-vector`) leaves it as it was.
#[derive(Debug)]
pub struct FlatWriter<S> {
    container: ContainerWriter<S>,
    encoder: Encoder,
    element_size: u64,
    body: Body,
    created: u64,
    rows: u64,
    /// Rows without vector since the last one with.
    nulls: u64,
}

impl<S: PatchSink> FlatWriter<S> {
    /// Begins a file at the end of `sink`, which should be empty.
    pub fn new(plan: &FilePlan, sink: S, options: &FileOptions) -> Result<Self> {
        let mut container = ContainerWriter::new(sink, options)?;
        let (encoder, rotation) = match &plan.rotation {
            Turned::No => (plan.encoder.clone(), None),
            Turned::Copied(bytes) => (plan.encoder.clone(), Some(bytes.clone())),
            Turned::Fresh(dimension) => {
                let rotation = Rotation::fresh(*dimension, options.magic);
                let bytes = rotation.to_bytes();
                (plan.encoder.clone().rotated(rotation), Some(bytes))
            }
        };
        let body = match plan.meta.sparse {
            true => Body::Sparse(Box::new(SparseBody::new(&mut container, plan)?)),
            false => Body::Dense(Box::new(DenseBody::new(&mut container, plan, rotation.as_deref())?)),
        };
        Ok(Self {
            container,
            encoder,
            element_size: plan.meta.element_size(),
            body,
            created: options.created,
            rows: 0,
            nulls: 0,
        })
    }

    /// Adds the next row: a vector of the column's own type (`F32s`, `F16s`, `I8s`, `SparseF32`, `SparseF16`), or none.
    pub fn push(&mut self, value: Option<&Value>) -> Result<()> {
        self.add(value.filter(|value| **value != Value::Null).map(Input::Value))
    }

    /// Adds the next row with the bytes of an element or sparse record as another file with this `IndexMeta` has them.
    pub fn push_element(&mut self, element: Option<&[u8]>) -> Result<()> {
        self.add(element.map(Input::Element))
    }

    fn add(&mut self, input: Option<Input>) -> Result<()> {
        let Some(input) = input else {
            self.nulls += 1;
            self.rows += 1;
            return Ok(());
        };
        self.encoder.check(input, self.element_size)?;
        let nulls = std::mem::take(&mut self.nulls);
        match &mut self.body {
            Body::Dense(body) => {
                for _ in 0..nulls {
                    body.push(&mut self.container, &mut self.encoder, None)?;
                }
                body.push(&mut self.container, &mut self.encoder, Some(input))?;
            }
            Body::Sparse(body) => body.push(&mut self.container, &self.encoder, nulls, input)?,
        }
        self.rows += 1;
        Ok(())
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that have gone to the sink so far, about: those of a block of rows are still held back.
    pub fn position(&self) -> u64 {
        self.container.position()
    }

    /// Completes the file; `updated` is unix seconds.
    pub fn finish(self, updated: u64) -> Result<Finished<S>> {
        let Self { mut container, body, created, rows, .. } = self;
        match body {
            Body::Dense(body) => body.finish(&mut container, created, updated)?,
            Body::Sparse(body) => body.finish(&mut container, created, updated)?,
        }
        let (sink, size) = container.finish(updated)?;
        Ok(Finished { sink, size, rows })
    }
}
