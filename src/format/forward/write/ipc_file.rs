//! Writes the Arrow IPC file. The byte map is at the top of `forward`.
//!
//! ```text
//! message   ff ff ff ff | u32 length of header and padding | header | zeros up to a multiple of 8 | body
//! body      per column: validity (absent without nulls), then offsets and bytes, or values; a list's offsets, then its
//!           elements as a column; every buffer is followed by zeros up to a multiple of 8, its stored length is without
//! offsets   of a batch begin at 0; one more than values, even without values
//! ```

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_ipc::{Block, Buffer, FieldNode};
use arrow_schema::DataType;

use super::ipc_metadata::{batch_message, footer, schema_message};
use crate::format::forward::Column;
use crate::format::sink::{Sink, SinkError};
use crate::format::{FormatError, Result};

const HEAD: &[u8; 8] = b"ARROW1\0\0";
const TAIL: &[u8; 6] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xff; 4];
const ALIGNMENT: usize = 8;

/// An Arrow file that is being written.
pub(super) struct IpcFile<S> {
    sink: S,
    start: u64,
    columns: Vec<Column>,
    blocks: Vec<Block>,
    /// The first failure of the sink: what follows would not stand where the footer says.
    failed: Option<FormatError>,
}

impl<S: Sink> IpcFile<S> {
    /// Begins the file: magic and schema.
    pub(super) fn new(sink: S, columns: Vec<Column>) -> Result<Self> {
        let start = sink.position();
        let mut file = Self { sink, start, columns, blocks: Vec::new(), failed: None };
        file.append(HEAD)?;
        let message = schema_message(&file.columns);
        file.message(&message)?;
        Ok(file)
    }

    /// Adds a batch of the file's schema.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut body = Body::default();
        for column in batch.columns() {
            body.column(column.as_ref())?;
        }
        let length = signed(body.bytes.len())?;
        let message = batch_message(signed(batch.num_rows())?, &body.nodes, &body.buffers, length);
        let offset = signed(self.position())?;
        let header = self.message(&message)?;
        self.append(&body.bytes)?;
        self.blocks.push(Block::new(offset, header, length));
        Ok(())
    }

    /// Ends the file: end mark and footer.
    pub(super) fn finish(mut self) -> Result<S> {
        self.append(&CONTINUATION)?;
        self.append(&[0; 4])?;
        let footer = footer(&self.columns, &self.blocks);
        self.append(&footer)?;
        self.append(&fitting::<u32>(footer.len())?.to_le_bytes())?;
        self.append(TAIL)?;
        Ok(self.sink)
    }

    fn position(&self) -> u64 {
        self.sink.position().saturating_sub(self.start)
    }

    /// A message without its body; the length of prefix, header and padding.
    fn message(&mut self, header: &[u8]) -> Result<i32> {
        let padded = padded(header.len());
        self.append(&CONTINUATION)?;
        self.append(&fitting::<u32>(padded)?.to_le_bytes())?;
        self.append(header)?;
        self.append(zeros(padded.saturating_sub(header.len())))?;
        fitting(padded.saturating_add(ALIGNMENT))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let at = self.position();
        self.sink.append(bytes).map_err(|error: SinkError| self.failed.insert(error.at(at)).clone())
    }
}

/// The body of one batch, and what its header says of it.
#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
    nodes: Vec<FieldNode>,
    buffers: Vec<Buffer>,
}

impl Body {
    fn column(&mut self, array: &dyn Array) -> Result<()> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        self.nodes.push(FieldNode::new(signed(array.len())?, signed(nulls.map_or(0, NullBuffer::null_count))?));
        match nulls {
            Some(nulls) => self.bits(nulls.inner())?,
            None => self.buffer(&[])?,
        }
        match array.data_type() {
            DataType::Boolean => {
                let values = array.as_boolean_opt().ok_or_else(|| unknown(array))?;
                self.bits(values.values())
            }
            DataType::Int32 => self.numbers::<Int32Type>(array),
            DataType::UInt32 => self.numbers::<UInt32Type>(array),
            DataType::Int64 => self.numbers::<Int64Type>(array),
            DataType::UInt64 => self.numbers::<UInt64Type>(array),
            DataType::Float32 => self.numbers::<Float32Type>(array),
            DataType::Float64 => self.numbers::<Float64Type>(array),
            DataType::Utf8 => {
                let values = array.as_string_opt::<i32>().ok_or_else(|| unknown(array))?;
                self.strings(values.offsets(), values.values())
            }
            DataType::Binary => {
                let values = array.as_binary_opt::<i32>().ok_or_else(|| unknown(array))?;
                self.strings(values.offsets(), values.values())
            }
            DataType::List(_) => {
                let lists = array.as_list_opt::<i32>().ok_or_else(|| unknown(array))?;
                let (start, length) = self.offsets(lists.offsets())?;
                if start.checked_add(length).is_none_or(|end| end > lists.values().len()) {
                    return Err(unknown(array));
                }
                self.column(lists.values().slice(start, length).as_ref())
            }
            _ => Err(unknown(array)),
        }
    }

    fn numbers<T: ArrowPrimitiveType>(&mut self, array: &dyn Array) -> Result<()> {
        let values = array.as_primitive_opt::<T>().ok_or_else(|| unknown(array))?;
        self.buffer(values.values().inner().as_slice())
    }

    fn strings(&mut self, offsets: &OffsetBuffer<i32>, bytes: &[u8]) -> Result<()> {
        let (start, length) = self.offsets(offsets)?;
        let end = start.saturating_add(length);
        let used = bytes.get(start..end).ok_or_else(|| {
            let detail = format!("offsets {start} to {end} into {} bytes", bytes.len());
            FormatError::malformed("forward.wrong-value", 0, detail)
        })?;
        self.buffer(used)
    }

    /// Writes offsets so that they begin at 0; the first element and the number of elements.
    fn offsets(&mut self, offsets: &OffsetBuffer<i32>) -> Result<(usize, usize)> {
        let (first, last) = (offsets.first(), offsets.last());
        let length = last.saturating_sub(first);
        if first == 0 {
            self.buffer(offsets.inner().inner().as_slice())?;
        } else {
            let moved: Vec<u8> = offsets.iter().flat_map(|offset| offset.saturating_sub(first).to_le_bytes()).collect();
            self.buffer(&moved)?;
        }
        Ok((fitting(first)?, fitting(length)?))
    }

    fn bits(&mut self, bits: &BooleanBuffer) -> Result<()> {
        let packed = bits.sliced();
        let length = bits.len().div_ceil(8);
        let mut bytes = packed.as_slice().get(..length).unwrap_or(packed.as_slice()).to_vec();
        if let Some(last) = bytes.last_mut().filter(|_| !bits.len().is_multiple_of(8)) {
            *last &= u8::MAX >> (8 - bits.len() % 8);
        }
        self.buffer(&bytes)
    }

    fn buffer(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffers.push(Buffer::new(signed(self.bytes.len())?, signed(bytes.len())?));
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(padded(self.bytes.len()), 0);
        Ok(())
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

fn zeros(count: usize) -> &'static [u8] {
    [0; ALIGNMENT].get(..count).unwrap_or(&[0; ALIGNMENT])
}

fn signed<N: TryInto<i64>>(number: N) -> Result<i64> {
    fitting(number)
}

fn fitting<T>(number: impl TryInto<T>) -> Result<T> {
    number.try_into().map_err(|_| {
        FormatError::unsupported("forward.too-large", 0, "a length or offset of the batch leaves its width")
    })
}

fn unknown(array: &dyn Array) -> FormatError {
    let detail = format!("a column of the Arrow type {}, which zvec never writes", array.data_type());
    FormatError::unsupported("forward.unknown-type", 0, detail)
}
