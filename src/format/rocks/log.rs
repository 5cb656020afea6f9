//! Record logs: `MANIFEST-NNNNNN` and `NNNNNN.log`.
//!
//! ```text
//! file:    blocks of 32768 bytes; no record header crosses a block, the bytes left at a block's end are zero
//! record:  u32 masked CRC-32C of all that follows (from the type on) | u16 length | u8 type | [u32 log number] | data
//! types:   1 full, 2 first, 3 middle, 4 last; 5 to 8 the same with a log number (recycled files);
//!          9 compression, 10 and 11 timestamp sizes, 130 and 131 predecessor; unknown types from 128 on may be ignored
//! ```
//! A record of a recycled file that carries another log number is left over from the file's former life and ends the log; so do
//! bytes that are no record, as the new life may end anywhere in an old record: there they are damage only if a record of the
//! new life follows. A record cut off by the end of the file is what a crash leaves.
//!
//! The CRC does not cover the length. So where a record does not check out, but does with another length or another type, only its
//! header is damaged. Else reading resumes at the next bytes of the block that check out as a record, or at the next block.

use std::collections::VecDeque;

use crate::format::checksum::{mask_crc32c, masked_crc32c};
use crate::format::{FormatError, Result, Source, read_vec};

const BLOCK: u64 = 32 << 10;
const HEADER: u64 = 7;
const RECYCLABLE_HEADER: u64 = 11;
/// Damaged places at which a record is searched for within the block; after so many, reading resumes at the next block.
const SEARCHES: u32 = 256;

/// One logical record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Offset of its first header.
    pub offset: u64,
    /// Its fragments, joined.
    pub data: Vec<u8>,
}

/// Reads the records of a log, each fault as an `Err` among them.
#[derive(Debug)]
pub struct LogReader<S> {
    source: S,
    log_number: Option<u64>,
    position: u64,
    block_start: u64,
    block: Vec<u8>,
    partial: Option<LogRecord>,
    queue: VecDeque<Result<LogRecord>>,
    zeros_since: Option<u64>,
    /// The file is a recycled one: its records carry the log number.
    recycled: bool,
    /// Faults in a recycled file, unless it ends there.
    held: Vec<FormatError>,
    held_bytes: u64,
    searches_left: u32,
    skipped: u64,
    done: bool,
}

/// One physical record.
#[derive(Debug)]
struct Fragment {
    offset: u64,
    kind: u8,
    log_number: Option<u32>,
    data: Vec<u8>,
}

impl Fragment {
    /// A record of what follows its type byte; `None` if it has no room for the log number that its type calls for.
    fn new(offset: u64, kind: u8, body: &[u8]) -> Option<Self> {
        if !is_recyclable(kind) {
            return Some(Self { offset, kind, log_number: None, data: body.to_vec() });
        }
        let (number, data) = body.split_first_chunk::<4>()?;
        Some(Self { offset, kind, log_number: Some(u32::from_le_bytes(*number)), data: data.to_vec() })
    }
}

fn is_recyclable(kind: u8) -> bool {
    matches!(kind, 5..=8 | 11 | 131)
}

/// A record that the file's end seems to cut, but behind which another stands, has a false length.
fn not_torn(code: &'static str) -> &'static str {
    if code == "rocks-log.torn-tail" { "rocks-log.bad-length" } else { code }
}

impl<S: Source> LogReader<S> {
    /// A reader from the start of the log; `log_number` is that in its name, where records may carry it.
    pub fn new(source: S, log_number: Option<u64>) -> Self {
        Self {
            source,
            log_number,
            position: 0,
            block_start: u64::MAX,
            block: Vec::new(),
            partial: None,
            queue: VecDeque::new(),
            zeros_since: None,
            recycled: false,
            held: Vec::new(),
            held_bytes: 0,
            searches_left: SEARCHES,
            skipped: 0,
            done: false,
        }
    }

    /// Bytes passed over so far because of damage.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The bytes from `offset` to the end of its block (or of the file).
    fn rest_of_block(&mut self, offset: u64) -> Result<&[u8]> {
        let start = offset - offset % BLOCK;
        if start != self.block_start {
            let length = BLOCK.min(self.source.size().saturating_sub(start));
            self.block = read_vec(&self.source, start, length, "rocks-log.truncated")?;
            self.block_start = start;
        }
        Ok(self.block.get((offset % BLOCK) as usize..).unwrap_or_default())
    }

    fn block_end(&self, offset: u64) -> u64 {
        (offset - offset % BLOCK).saturating_add(BLOCK).min(self.source.size())
    }

    /// The record at `offset`, if it is whole and checks out.
    fn fragment(&mut self, offset: u64) -> Result<Fragment> {
        let size = self.source.size();
        let at_end = self.block_end(offset) == size;
        let rest = self.rest_of_block(offset)?;
        let cut = |needed: u64, have: usize| {
            let detail = format!("a record of {needed} bytes, {have} are left");
            if at_end {
                FormatError::truncated("rocks-log.torn-tail", offset, detail)
            } else {
                FormatError::malformed("rocks-log.bad-length", offset, detail)
            }
        };
        let Some(([c0, c1, c2, c3, l0, l1, kind], _)) = rest.split_first_chunk::<7>() else {
            return Err(cut(HEADER, rest.len()));
        };
        let header = if is_recyclable(*kind) { RECYCLABLE_HEADER } else { HEADER };
        let length = header.saturating_add(u64::from(u16::from_le_bytes([*l0, *l1])));
        let record = rest.get(..length as usize).ok_or_else(|| cut(length, rest.len()))?;
        let stored = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        let computed = masked_crc32c(&[record.get(6..).unwrap_or_default()]);
        if stored != computed {
            let detail = format!("record of {length} bytes: CRC is {stored:#010x}, computed {computed:#010x}");
            return Err(FormatError::checksum("rocks-log.crc-mismatch", offset, detail));
        }
        let whole = Fragment::new(offset, *kind, record.get(7..).unwrap_or_default());
        whole.ok_or_else(|| FormatError::malformed("rocks-log.bad-length", offset, "no room for a log number"))
    }

    /// Counts a search.
    fn search(&mut self) -> Option<()> {
        self.searches_left = self.searches_left.checked_sub(1)?;
        Some(())
    }

    /// The record at the position, if all that is wrong with it is the length or type in its header.
    fn reinterpreted(&mut self) -> Option<Fragment> {
        let offset = self.position;
        let rest = self.rest_of_block(offset).ok()?;
        let ([c0, c1, c2, c3, l0, l1, kind], body) = rest.split_first_chunk::<7>()?;
        let stored = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        let length = usize::from(u16::from_le_bytes([*l0, *l1]));
        for kind in 1..=8 {
            let length = if is_recyclable(kind) { length.saturating_add(4) } else { length };
            if let Some(data) = body.get(..length)
                && masked_crc32c(&[&[kind], data]) == stored
            {
                return Fragment::new(offset, kind, data);
            }
        }
        let mut crc = crc32c::crc32c(&[*kind]);
        for (length, byte) in body.iter().enumerate() {
            if mask_crc32c(crc) == stored {
                return Fragment::new(offset, *kind, body.get(..length)?);
            }
            crc = crc32c::crc32c_append(crc, &[*byte]);
        }
        if mask_crc32c(crc) == stored { Fragment::new(offset, *kind, body) } else { None }
    }

    /// The next offset in the block at which a record checks out.
    fn next_record(&mut self) -> Option<u64> {
        let end = self.block_end(self.position);
        let from = if self.searches_left == 0 { end } else { self.position.saturating_add(1) };
        (from..end).find(|offset| {
            let kind = self.rest_of_block(*offset).ok().and_then(|rest| rest.get(6).copied());
            matches!(kind, Some(1..=8)) && self.fragment(*offset).is_ok()
        })
    }

    /// Moves on behind a record that is damaged and says how.
    fn resync(&mut self, mut error: FormatError) -> FormatError {
        let from = self.position;
        self.position = self.next_record().unwrap_or_else(|| self.block_end(from));
        let passed = self.position.saturating_sub(from);
        self.held_bytes = self.held_bytes.saturating_add(passed);
        error.detail = format!("{}; reading resumes at {} ({passed} bytes passed over)", error.detail, self.position);
        error
    }

    fn drop_partial(&mut self, why: &str) {
        let Some(partial) = self.partial.take() else { return };
        self.skipped = self.skipped.saturating_add(partial.data.len() as u64);
        let detail = format!("a record of which {} bytes are there has no end: {why}", partial.data.len());
        self.fault(FormatError::malformed("rocks-log.no-end", partial.offset, detail));
    }

    /// The log ends; a record that is not complete was being written.
    fn end_partial(&mut self) {
        if let Some(partial) = self.partial.take() {
            let detail = format!("the log ends within a record of which {} bytes are there", partial.data.len());
            self.fault(FormatError::truncated("rocks-log.torn-tail", partial.offset, detail));
        }
    }

    fn fault(&mut self, error: FormatError) {
        self.queue.push_back(Err(error));
    }

    /// A fragment of this log follows: what was held back is damage.
    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        let Some(offset) = held.first().map(|first| first.offset) else { return };
        self.skipped = self.skipped.saturating_add(std::mem::take(&mut self.held_bytes));
        self.queue.extend(held.into_iter().map(Err));
        self.drop_partial(&format!("the bytes at {offset} are damaged"));
    }

    /// Whether what is left of the block is filler, which is then passed.
    fn pass_filler(&mut self) -> Result<bool> {
        let start = self.position;
        let end = self.block_end(start);
        let room = end.saturating_sub(start);
        let zeros = self.rest_of_block(start)?.iter().all(|byte| *byte == 0);
        if zeros && room >= RECYCLABLE_HEADER {
            // A preallocated end, unless more follows.
            self.zeros_since.get_or_insert(start);
        } else if !zeros && let Some(since) = self.zeros_since.take() {
            let passed = start.saturating_sub(since);
            self.skipped = self.skipped.saturating_add(passed);
            self.fault(FormatError::malformed(
                "rocks-log.zeros",
                since,
                format!("{passed} zero bytes between records"),
            ));
        }
        let filler = zeros || (room < HEADER && end.is_multiple_of(BLOCK));
        if filler {
            self.position = end;
        }
        Ok(filler)
    }

    /// Takes the next physical record.
    fn step(&mut self) {
        let size = self.source.size();
        if self.position >= size {
            self.done = true;
            return self.end_partial();
        }
        match self.pass_filler() {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                self.done = true;
                return self.fault(error);
            }
        }
        match self.fragment(self.position) {
            Ok(fragment) => self.take(fragment),
            Err(error) => match self.search().and_then(|()| self.reinterpreted()) {
                Some(fragment) => {
                    let (kind, length) = (fragment.kind, fragment.data.len());
                    let detail = format!("the record is of type {kind} and {length} bytes, its header says otherwise");
                    self.fault(FormatError::malformed("rocks-log.bad-header", error.offset, detail));
                    self.take(fragment);
                }
                None if error.code == "rocks-log.torn-tail" && self.next_record().is_none() => {
                    self.done = true;
                    if self.recycled {
                        return self.end_partial();
                    }
                    self.skipped = self.skipped.saturating_add(size.saturating_sub(self.position));
                    self.fault(error);
                }
                None => {
                    let error = self.resync(error);
                    self.held.push(FormatError { code: not_torn(error.code), ..error });
                    if !self.recycled {
                        self.release();
                    }
                }
            },
        }
    }

    fn take(&mut self, fragment: Fragment) {
        let header = if fragment.log_number.is_some() { RECYCLABLE_HEADER } else { HEADER };
        self.position = self.position.saturating_add(header).saturating_add(fragment.data.len() as u64);
        self.accept(fragment);
    }

    fn accept(&mut self, fragment: Fragment) {
        let Fragment { offset, kind, log_number, data } = fragment;
        if let (Some(stored), Some(expected)) = (log_number, self.log_number)
            && u64::from(stored) != expected & 0xffff_ffff
        {
            self.done = true;
            return self.end_partial();
        }
        self.recycled |= log_number.is_some();
        self.release();
        match kind {
            1 | 2 | 5 | 6 => {
                // An old writer left an empty first fragment at a block's end now and then; that is no loss.
                if self.partial.as_ref().is_some_and(|partial| partial.data.is_empty()) {
                    self.partial = None;
                }
                self.drop_partial("another record begins");
                let record = LogRecord { offset, data };
                if matches!(kind, 1 | 5) {
                    self.queue.push_back(Ok(record));
                } else {
                    self.partial = Some(record);
                }
            }
            3 | 4 | 7 | 8 => {
                let Some(mut partial) = self.partial.take() else {
                    self.skipped = self.skipped.saturating_add(data.len() as u64);
                    let detail = format!("{} bytes continue a record whose beginning is lost", data.len());
                    return self.fault(FormatError::malformed("rocks-log.no-beginning", offset, detail));
                };
                partial.data.extend_from_slice(&data);
                if matches!(kind, 4 | 8) {
                    self.queue.push_back(Ok(partial));
                } else {
                    self.partial = Some(partial);
                }
            }
            9 => {
                self.done = true;
                let detail = format!("the log is compressed (record {data:02x?}), which is not decoded");
                self.fault(FormatError::unsupported("rocks-log.compressed", offset, detail));
            }
            10 | 11 | 128.. => {}
            _ => {
                let detail = format!("record type {kind} is not known");
                self.fault(FormatError::newer("rocks-log.newer-record-type", offset, detail));
            }
        }
    }
}

impl<S: Source> Iterator for LogReader<S> {
    type Item = Result<LogRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        // Every step moves the position or ends the log.
        while self.queue.is_empty() && !self.done {
            self.step();
        }
        self.queue.pop_front()
    }
}
