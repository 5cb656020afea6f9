//! Forward blocks in the Arrow IPC file format. The byte map is at the top of `forward`.
//!
//! Everything that the Arrow decoder would take on trust is compared with the file first: lengths of the footer, of each
//! message and its body, node lengths and buffer ranges. One batch is in memory at a time.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::{Block, Message, MessageHeader, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::SchemaRef;

use super::ipc_schema::{check_layout, convert};
use super::{BatchInfo, Opened, contain};
use crate::format::cursor::Cursor;
use crate::format::{FormatError, Kind, Result, Source, read_vec};

/// First and last bytes of the file.
pub(super) const MAGIC: &[u8; 6] = b"ARROW1";
const HEAD: u64 = 8;
const MAX_PADDING: u64 = 64;
const TAIL: u64 = 10;
const TRUNCATED: &str = "forward.truncated";
const CONTINUATION: u32 = 0xffff_ffff;
/// No footer or message header of a 64 MiB block comes near.
const MAX_METADATA: u64 = 16 << 20;
/// Bounds the list of batches found by walking a file of any size.
const MAX_BATCHES: usize = 1 << 20;

/// Where a batch is: the message header (with its prefix), then the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    offset: u64,
    header: u64,
    body: u64,
}

impl Extent {
    /// Where it ends.
    pub(super) fn end(self) -> u64 {
        self.offset.saturating_add(self.header).saturating_add(self.body)
    }

    /// Bytes of its body.
    pub(super) fn body(self) -> u64 {
        self.body
    }
}

/// What reading a batch takes.
#[derive(Debug)]
pub(super) struct Ipc {
    extents: Vec<Extent>,
}

/// Opens by the footer; without a readable one, by walking the messages from the front.
pub(super) fn open(source: &dyn Source) -> Result<Opened<Ipc>> {
    match open_by_footer(source) {
        Ok(opened) => Ok(opened),
        Err(error) if error.kind == Kind::Io => Err(error),
        Err(error) => match open_by_walk(source) {
            Ok(mut opened) => {
                opened.faults.insert(0, error);
                Ok(opened)
            }
            Err(_) => Err(error),
        },
    }
}

fn open_by_footer(source: &dyn Source) -> Result<Opened<Ipc>> {
    let size = source.size();
    let tail_at = size.checked_sub(TAIL).filter(|at| *at >= HEAD).ok_or_else(|| {
        FormatError::truncated(TRUNCATED, size, format!("{size} bytes are too few for an Arrow file"))
    })?;
    let tail = read_vec(source, tail_at, TAIL, TRUNCATED)?;
    let mut cursor = Cursor::new(&tail, tail_at, TRUNCATED);
    let length = cursor.u32()?;
    if cursor.rest() != MAGIC {
        let detail = "the file does not end in ARROW1: its footer was never written, or is cut off";
        return Err(FormatError::truncated("forward.no-footer", tail_at.saturating_add(4), detail));
    }
    let length = u64::from(length);
    let footer_at =
        tail_at.checked_sub(length).filter(|at| *at >= HEAD && length <= MAX_METADATA).ok_or_else(|| {
            let detail = format!("a footer of {length} bytes in a file of {size}");
            FormatError::malformed("forward.bad-footer", tail_at, detail)
        })?;
    let bytes = read_vec(source, footer_at, length, TRUNCATED)?;
    contain(footer_at, || {
        let bad = |detail: String| FormatError::malformed("forward.bad-footer", footer_at, detail);
        let footer = root_as_footer(&bytes).map_err(|error| bad(format!("the footer is no flatbuffer: {error}")))?;
        let schema = footer.schema().ok_or_else(|| bad("the footer has no schema".into()))?;
        let schema = convert(&schema, footer_at, length)?;
        if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
            let detail = "dictionary batches, which zvec never writes";
            return Err(FormatError::unsupported("forward.dictionary", footer_at, detail));
        }
        let mut faults = Vec::new();
        let (mut extents, mut batches, mut end) = (Vec::new(), Vec::new(), HEAD);
        for block in footer.recordBatches().into_iter().flatten() {
            let (extent, checked) = match locate(block, end, footer_at) {
                Ok(extent) => (extent, header(source, extent, &schema)),
                Err(error) => (Extent { offset: error.offset, header: 0, body: 0 }, Err(error)),
            };
            if checked.as_ref().is_err_and(|error| error.kind == Kind::Io) {
                return Err(checked.err().unwrap_or_else(|| bad("unread".into())));
            }
            // A place that holds no batch must not stand in the way of the next one.
            if checked.is_ok() {
                end = extent.offset.saturating_add(extent.header).saturating_add(extent.body);
            }
            batches.push(batch_info(extent, checked));
            extents.push(extent);
        }
        if footer.recordBatches().is_none() {
            faults.push(bad("the footer lists no batches".into()));
        }
        Ok(Opened { schema, batches, faults, inner: Ipc { extents } })
    })
}

/// Finds schema and batches without the footer: messages follow each other from byte 8 on.
fn open_by_walk(source: &dyn Source) -> Result<Opened<Ipc>> {
    // zvec pads the magic to 8 bytes, other writers to as many as 64.
    let first = (HEAD..=MAX_PADDING).step_by(8).find(|at| message_at(source, *at).is_ok()).unwrap_or(HEAD);
    let (schema, mut at) = contain(first, || {
        let (bytes, length) = message_at(source, first)?;
        let message = parse(&bytes, first)?;
        let schema = message.header_as_schema().ok_or_else(|| {
            FormatError::malformed("forward.bad-message", first, "the first message is not the schema")
        })?;
        Ok((convert(&schema, first, length)?, first.saturating_add(length)))
    })?;
    let (mut extents, mut batches, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    while at < source.size() && batches.len() < MAX_BATCHES {
        let found = contain(at, || {
            let (bytes, length) = message_at(source, at)?;
            let message = parse(&bytes, at)?;
            let body = u64::try_from(message.bodyLength()).unwrap_or(u64::MAX);
            if at.checked_add(length).and_then(|end| end.checked_add(body)).is_none_or(|end| end > source.size()) {
                let detail = format!("a batch with a body of {body} bytes, the file ends at {}", source.size());
                return Err(FormatError::truncated(TRUNCATED, at, detail));
            }
            Ok(Extent { offset: at, header: length, body })
        });
        match found {
            Ok(extent) => {
                let checked = header(source, extent, &schema);
                at = at.saturating_add(extent.header).saturating_add(extent.body);
                batches.push(batch_info(extent, checked));
                extents.push(extent);
            }
            Err(error) if error.code == "forward.end-of-stream" => break,
            Err(error) => {
                faults.push(error);
                break;
            }
        }
    }
    Ok(Opened { schema, batches, faults, inner: Ipc { extents } })
}

fn batch_info(extent: Extent, rows: Result<u64>) -> BatchInfo {
    let (rows, fault) = match rows {
        Ok(rows) => (Some(rows), None),
        Err(error) => (None, Some(error)),
    };
    let length = extent.header.saturating_add(extent.body);
    BatchInfo { offset: extent.offset, length, first_row: None, rows, fault }
}

/// A footer entry as an extent between the batch before and the footer.
fn locate(block: &Block, previous_end: u64, footer_at: u64) -> Result<Extent> {
    let (offset, header, body) = (block.offset(), block.metaDataLength(), block.bodyLength());
    let extent = u64::try_from(offset).ok().zip(u64::try_from(header).ok()).zip(u64::try_from(body).ok());
    let inside = |extent: &Extent| {
        let end = extent.offset.checked_add(extent.header).and_then(|end| end.checked_add(extent.body));
        extent.offset >= previous_end && extent.header >= 8 && end.is_some_and(|end| end <= footer_at)
    };
    extent
        .map(|((offset, header), body)| Extent { offset, header, body })
        .filter(inside)
        .filter(|extent| extent.header <= MAX_METADATA)
        .ok_or_else(|| {
            let detail = format!(
                "the footer places a batch at {offset} with {header} + {body} bytes; {previous_end} to {footer_at} are left"
            );
            FormatError::malformed("forward.bad-block", u64::try_from(offset).unwrap_or(footer_at), detail)
        })
}

/// The flatbuffer of the message at `at`, and the length of prefix and flatbuffer together.
fn message_at(source: &dyn Source, at: u64) -> Result<(Vec<u8>, u64)> {
    let prefix = read_vec(source, at, 8, TRUNCATED)?;
    let mut cursor = Cursor::new(&prefix, at, TRUNCATED);
    let (marker, length) = (cursor.u32()?, cursor.u32()?);
    if marker != CONTINUATION {
        let detail = format!("a message begins with ffffffff, found {marker:08x}");
        return Err(FormatError::malformed("forward.bad-message", at, detail));
    }
    if length == 0 {
        return Err(FormatError::truncated("forward.end-of-stream", at, "end of the messages"));
    }
    let length = u64::from(length);
    if length > MAX_METADATA {
        let detail = format!("a message header of {length} bytes");
        return Err(FormatError::malformed("forward.bad-message", at, detail));
    }
    Ok((read_vec(source, at.saturating_add(8), length, TRUNCATED)?, length + 8))
}

fn parse(bytes: &[u8], at: u64) -> Result<Message<'_>> {
    root_as_message(bytes).map_err(|error| {
        let detail = format!("the message header is no flatbuffer: {error}");
        FormatError::malformed("forward.bad-message", at, detail)
    })
}

/// Reads and checks the header of a batch; its number of rows.
fn header(source: &dyn Source, extent: Extent, schema: &SchemaRef) -> Result<u64> {
    contain(extent.offset, || {
        let bytes = header_bytes(source, extent)?;
        checked_batch(&bytes, extent, schema).map(|(_, _, rows)| rows)
    })
}

pub(super) fn header_bytes(source: &dyn Source, extent: Extent) -> Result<Vec<u8>> {
    let (bytes, length) = message_at(source, extent.offset)?;
    if length > extent.header {
        let detail = format!("the message header takes {length} bytes, the footer gives it {}", extent.header);
        return Err(FormatError::malformed("forward.bad-message", extent.offset, detail));
    }
    Ok(bytes)
}

/// The record batch in a message header, after comparing every number in it with body and schema.
pub(super) fn checked_batch<'a>(
    bytes: &'a [u8],
    extent: Extent,
    schema: &SchemaRef,
) -> Result<(arrow_ipc::RecordBatch<'a>, MetadataVersion, u64)> {
    let bad = |detail: String| FormatError::malformed("forward.bad-message", extent.offset, detail);
    let message = parse(bytes, extent.offset)?;
    let version = message.version();
    if version > MetadataVersion::V5 {
        let detail = format!("metadata version {}, this build knows up to 5", version.0.saturating_add(1));
        return Err(FormatError::newer("forward.newer-version", extent.offset, detail));
    }
    if message.header_type() != MessageHeader::RecordBatch {
        return Err(bad(format!("the message is a {:?}, not a batch", message.header_type())));
    }
    if u64::try_from(message.bodyLength()).ok() != Some(extent.body) {
        let detail = format!("the message has a body of {} bytes, its place has {}", message.bodyLength(), extent.body);
        return Err(bad(detail));
    }
    let batch = message.header_as_record_batch().ok_or_else(|| bad("the message has no batch".into()))?;
    if batch.compression().is_some() {
        let detail = "the batch is compressed, which zvec never does";
        return Err(FormatError::unsupported("forward.compressed", extent.offset, detail));
    }
    let rows = check_layout(&batch, schema, extent.body).map_err(bad)?;
    Ok((batch, version, rows))
}

impl Ipc {
    /// Where a batch is.
    pub(super) fn extent(&self, index: usize) -> Result<Extent> {
        self.extents.get(index).copied().ok_or_else(|| super::no_such_batch(index))
    }

    /// Reads one batch, or its `projection`.
    pub(super) fn read(
        &self,
        source: &dyn Source,
        schema: &SchemaRef,
        index: usize,
        projection: Option<&[usize]>,
    ) -> Result<RecordBatch> {
        let extent = self.extent(index)?;
        let bytes = contain(extent.offset, || header_bytes(source, extent))?;
        let body_at = extent.offset.saturating_add(extent.header);
        // Checked before the body is read: a header that does not fit must not cost memory.
        contain(extent.offset, || checked_batch(&bytes, extent, schema).map(drop))?;
        let body = Buffer::from_vec(read_vec(source, body_at, extent.body, TRUNCATED)?);
        let decode = |projection: Option<&[usize]>| {
            contain(extent.offset, || {
                let (batch, version, _) = checked_batch(&bytes, extent, schema)?;
                RecordBatchDecoder::try_new(&body, batch, schema.clone(), &HashMap::new(), &version)
                    .and_then(|decoder| decoder.with_projection(projection).read_record_batch())
                    .map_err(|error| FormatError::malformed("forward.undecodable", extent.offset, error.to_string()))
            })
        };
        decode(projection).map_err(|mut error| {
            let columns: Vec<usize> = match projection {
                Some(projection) => projection.to_vec(),
                None => (0..schema.fields().len()).collect(),
            };
            let damaged = columns.iter().filter(|column| decode(Some(&[**column])).is_err());
            let names: Vec<&str> =
                damaged.filter_map(|column| schema.fields().get(*column)).map(|field| field.name().as_str()).collect();
            error.detail = format!("batch {index}, column {}: {}", names.join(", "), error.detail);
            error
        })
    }
}
