//! Arrow IPC held against itself before it is decoded: the decoder takes the lengths of a file's blocks, and those that compressed buffers
//! claim, for memory that it may ask for at once.

use std::io::{self, Read};

use arrow_ipc::{Block, MessageHeader, root_as_footer, root_as_message};

use crate::format::{FormatError, Result};

use super::source::FileReader;

/// No footer or message header of an honest table comes near.
const LONGEST_HEADER: u64 = 64 << 20;
/// Most bytes that LZ4 makes of one; short buffers have room besides.
const LZ4_MOST: u64 = 256;
const MARKER: [u8; 4] = [0xff; 4];
const MAGIC: &[u8] = b"ARROW1";

fn bad(at: u64, detail: impl Into<String>) -> FormatError {
    FormatError::malformed("input.unreadable", at, detail)
}

/// Checks the footer of a file, the place of every block and the header of every message.
pub(super) fn check_file(file: &FileReader) -> Result<()> {
    let read = |at: u64, length: u64| -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(at, &mut bytes).map_err(|error| FormatError {
            code: "io.read",
            ..FormatError::malformed("io.read", at, error.to_string())
        })?;
        Ok(bytes)
    };
    let tail_at = file.len().checked_sub(10).ok_or_else(|| bad(0, "the file is too short for its footer"))?;
    let tail = read(tail_at, 10)?;
    let (length, magic) = tail.split_first_chunk::<4>().ok_or_else(|| bad(tail_at, "no footer"))?;
    let length = u64::try_from(i32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST_HEADER);
    let place = length.and_then(|length| Some((tail_at.checked_sub(length)?, length)));
    let (footer_at, length) = place
        .filter(|_| magic == MAGIC)
        .ok_or_else(|| bad(tail_at, "the file does not end in a footer: it was never written, or is cut off"))?;
    let bytes = read(footer_at, length)?;
    let footer = root_as_footer(&bytes).map_err(|error| bad(footer_at, format!("the footer is damaged: {error}")))?;
    for block in footer.dictionaries().into_iter().chain(footer.recordBatches()).flatten() {
        let (at, header, body) = locate(block, footer_at)
            .ok_or_else(|| bad(footer_at, "the footer places a batch where the file has no room for it"))?;
        let bytes = read(at, header)?;
        // A continuation marker and the length, or by old writers the length alone.
        let skipped = if bytes.starts_with(&MARKER) { 8 } else { 4 };
        let message = bytes.get(skipped..).unwrap_or_default();
        check_message(message, at, body, &mut |offset| read(at.saturating_add(header).saturating_add(offset), 8))?;
    }
    Ok(())
}

/// Offset, length of the header and length of the body, if they lie before the footer.
fn locate(block: &Block, footer_at: u64) -> Option<(u64, u64, u64)> {
    let at = u64::try_from(block.offset()).ok()?;
    let header = u64::try_from(block.metaDataLength()).ok().filter(|header| *header <= LONGEST_HEADER)?;
    let body = u64::try_from(block.bodyLength()).ok()?;
    (at.checked_add(header)?.checked_add(body)? <= footer_at).then_some((at, header, body))
}

/// Checks what the compressed buffers of a message claim to become; `front` reads their first 8 bytes, by their offset in the body.
fn check_message(header: &[u8], at: u64, body: u64, front: &mut dyn FnMut(u64) -> Result<Vec<u8>>) -> Result<()> {
    let message = root_as_message(header).map_err(|error| bad(at, format!("a message is damaged: {error}")))?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => None,
    };
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
    for buffer in batch.buffers().into_iter().flatten() {
        let extent = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let (offset, length) = extent
            .filter(|(offset, length)| offset.checked_add(*length).is_some_and(|end| end <= body))
            .ok_or_else(|| bad(at, "a buffer lies outside of its message"))?;
        if length < 8 {
            continue;
        }
        let claimed = front(offset)?.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
        let most = length.saturating_mul(LZ4_MOST);
        if u64::try_from(claimed).is_ok_and(|claimed| claimed > most) {
            return Err(bad(at, format!("{length} compressed bytes claim to be {claimed}")));
        }
    }
    Ok(())
}

/// A stream whose messages are checked, each before its first byte is handed on. A message is in memory meanwhile, as far as it is there.
pub(super) struct CheckedStream<R> {
    inner: R,
    message: Vec<u8>,
    given: usize,
    at: u64,
}

impl<R: Read> CheckedStream<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, message: Vec::new(), given: 0, at: 0 }
    }

    /// Reads on until the message has `length` bytes, or nothing more comes.
    fn fill(&mut self, length: u64) -> io::Result<bool> {
        let missing = length.saturating_sub(self.message.len() as u64);
        self.inner.by_ref().take(missing).read_to_end(&mut self.message)?;
        Ok(self.message.len() as u64 >= length)
    }

    /// Reads the next message. What ends early, the decoder tells by itself.
    fn next(&mut self) -> io::Result<()> {
        let invalid = |error: FormatError| io::Error::new(io::ErrorKind::InvalidData, error.detail);
        self.at = self.at.saturating_add(self.message.len() as u64);
        self.message.clear();
        self.given = 0;
        if !self.fill(4)? {
            return Ok(());
        }
        let prefix = if self.message.starts_with(&MARKER) { 8u64 } else { 4 };
        if !self.fill(prefix)? {
            return Ok(());
        }
        let length = self.message.last_chunk::<4>().map_or(0, |bytes| i32::from_le_bytes(*bytes));
        let header = u64::try_from(length).ok().filter(|length| *length <= LONGEST_HEADER);
        let header = header.ok_or_else(|| invalid(bad(self.at, format!("a message header of {length} bytes"))))?;
        if header == 0 || !self.fill(prefix + header)? {
            return Ok(());
        }
        let bytes = self.message.get(prefix as usize..).unwrap_or_default();
        let body = root_as_message(bytes).map(|message| message.bodyLength());
        let body = body.map_err(|error| invalid(bad(self.at, format!("a message is damaged: {error}"))))?;
        let body = u64::try_from(body).map_err(|_| invalid(bad(self.at, format!("a message body of {body} bytes"))))?;
        let end = prefix.saturating_add(header).saturating_add(body);
        if !self.fill(end)? {
            return Ok(());
        }
        let (head, content) = self.message.split_at((prefix + header) as usize);
        let front = &mut |offset: u64| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            Ok(content.get(start..).and_then(|rest| rest.get(..8)).unwrap_or_default().to_vec())
        };
        check_message(head.get(prefix as usize..).unwrap_or_default(), self.at, body, front).map_err(invalid)
    }
}

impl<R: Read> Read for CheckedStream<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given >= self.message.len() {
            self.next()?;
        }
        let rest = self.message.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}
