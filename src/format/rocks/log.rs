//! Record logs: `MANIFEST-NNNNNN` and `NNNNNN.log`.
//!
//! ```text
//! file:    blocks of 32768 bytes; no record header crosses a block, the bytes left at a block's end are zero
//! record:  u32 masked CRC-32C of all that follows (from the type on) | u16 length | u8 type | [u32 log number] | data
//! types:   1 full, 2 first, 3 middle, 4 last; 5 to 8 the same with a log number (recycled files);
//!          9 compression, 10 and 11 timestamp sizes, 130 and 131 predecessor; unknown types from 128 on may be ignored
//! ```
//! A record of a recycled file that carries another log number is left over from the file's former life and ends the log. A
//! record cut off by the end of the file is what a crash leaves.
//!
//! After damage reading resumes behind the damaged record if what stands there checks out, else at the next block.

use std::collections::VecDeque;

use crate::format::checksum::masked_crc32c;
use crate::format::{FormatError, Result, Source, read_vec};

const BLOCK: u64 = 32 << 10;
const HEADER: u64 = 7;
const RECYCLABLE_HEADER: u64 = 11;

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
        let recyclable = matches!(kind, 5..=8 | 11 | 131);
        let header = if recyclable { RECYCLABLE_HEADER } else { HEADER };
        let length = header.saturating_add(u64::from(u16::from_le_bytes([*l0, *l1])));
        let record = rest.get(..length as usize).ok_or_else(|| cut(length, rest.len()))?;
        let stored = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
        let computed = masked_crc32c(&[record.get(6..).unwrap_or_default()]);
        if stored != computed {
            let detail = format!("record of {length} bytes: CRC is {stored:#010x}, computed {computed:#010x}");
            return Err(FormatError::checksum("rocks-log.crc-mismatch", offset, detail));
        }
        let number = record.get(7..11).filter(|_| recyclable);
        Ok(Fragment {
            offset,
            kind: *kind,
            log_number: number.map(|bytes| bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))),
            data: record.get(header as usize..).unwrap_or_default().to_vec(),
        })
    }

    /// Moves on behind a record that is damaged and says how.
    fn resync(&mut self, mut error: FormatError) -> FormatError {
        let from = self.position;
        let end = self.block_end(from);
        let length = self.rest_of_block(from).ok().and_then(|rest| {
            let header = if matches!(rest.get(6)?, 5..=8 | 11 | 131) { RECYCLABLE_HEADER } else { HEADER };
            Some(header.saturating_add(u64::from(u16::from_le_bytes([*rest.get(4)?, *rest.get(5)?]))))
        });
        let behind = length.and_then(|length| from.checked_add(length)).filter(|behind| *behind < end);
        self.position = match behind {
            Some(behind) if self.fragment(behind).is_ok() => behind,
            _ => end,
        };
        let passed = self.position.saturating_sub(from);
        self.skipped = self.skipped.saturating_add(passed);
        error.detail = format!("{}; reading resumes at {} ({passed} bytes passed over)", error.detail, self.position);
        error
    }

    fn drop_partial(&mut self, why: &str) {
        let Some(partial) = self.partial.take() else { return };
        self.skipped = self.skipped.saturating_add(partial.data.len() as u64);
        let detail = format!("a record of which {} bytes are there has no end: {why}", partial.data.len());
        self.fault(FormatError::malformed("rocks-log.no-end", partial.offset, detail));
    }

    fn fault(&mut self, error: FormatError) {
        self.queue.push_back(Err(error));
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
            if let Some(partial) = self.partial.take() {
                let detail = format!("the log ends within a record of which {} bytes are there", partial.data.len());
                self.fault(FormatError::truncated("rocks-log.torn-tail", partial.offset, detail));
            }
            return;
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
            Ok(fragment) => {
                let header = if fragment.log_number.is_some() { RECYCLABLE_HEADER } else { HEADER };
                self.position = self.position.saturating_add(header).saturating_add(fragment.data.len() as u64);
                self.accept(fragment);
            }
            Err(error) if error.code == "rocks-log.torn-tail" => {
                self.done = true;
                self.skipped = self.skipped.saturating_add(size.saturating_sub(self.position));
                self.fault(error);
            }
            Err(error) => {
                let error = self.resync(error);
                self.fault(error);
                self.drop_partial("the bytes after it are damaged");
            }
        }
    }

    fn accept(&mut self, fragment: Fragment) {
        let Fragment { offset, kind, log_number, data } = fragment;
        if let (Some(stored), Some(expected)) = (log_number, self.log_number)
            && u64::from(stored) != expected & 0xffff_ffff
        {
            self.done = true;
            return self.drop_partial("an old record of a recycled file follows");
        }
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

/// Appends `data` as legacy-format records to `log`, whose length so far places them in blocks.
#[cfg(test)]
pub(super) fn append_record(log: &mut Vec<u8>, data: &[u8], log_number: Option<u32>) {
    let header = if log_number.is_some() { 11 } else { 7 };
    let mut rest = data;
    let mut first = true;
    loop {
        let room = 32768 - log.len() % 32768;
        if room < header {
            log.resize(log.len() + room, 0);
            continue;
        }
        let (now, later) = rest.split_at(rest.len().min(room - header));
        let kind = match (first, later.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let kind = if log_number.is_some() { kind + 4 } else { kind };
        let mut covered = vec![kind];
        covered.extend(log_number.into_iter().flat_map(u32::to_le_bytes));
        covered.extend_from_slice(now);
        log.extend_from_slice(&masked_crc32c(&[&covered]).to_le_bytes());
        log.extend_from_slice(&(now.len() as u16).to_le_bytes());
        log.extend_from_slice(&covered);
        if later.is_empty() {
            return;
        }
        (rest, first) = (later, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Kind;

    fn read(log: Vec<u8>, number: Option<u64>) -> (Vec<Vec<u8>>, Vec<FormatError>) {
        let (mut records, mut faults) = (Vec::new(), Vec::new());
        for item in LogReader::new(log, number) {
            match item {
                Ok(record) => records.push(record.data),
                Err(error) => faults.push(error),
            }
        }
        (records, faults)
    }

    fn sample(sizes: &[usize], number: Option<u32>) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut log = Vec::new();
        let records: Vec<Vec<u8>> = sizes.iter().zip(1u8..).map(|(size, fill)| vec![fill; *size]).collect();
        records.iter().for_each(|record| append_record(&mut log, record, number));
        (log, records)
    }

    #[test]
    fn records_of_any_size_in_both_formats() {
        for number in [None, Some(77)] {
            let (log, records) = sample(&[0, 5, 32768 - 7 - 12 - 7 - 3, 100_000, 1, 32761, 7], number);
            let (read, faults) = read(log, number.map(u64::from));
            assert_eq!((read, faults), (records, vec![]));
        }
    }

    #[test]
    fn records_of_a_former_life_end_a_recycled_log() {
        let (mut log, records) = sample(&[10, 20], Some(9));
        append_record(&mut log, b"old", Some(4));
        append_record(&mut log, b"older", Some(9));
        assert_eq!(read(log, Some(9)), (records, vec![]));
    }

    #[test]
    fn a_flipped_bit_costs_one_record() {
        let (mut log, records) = sample(&[10, 20, 30], None);
        log[17 + 7 + 3] ^= 1;
        let (read, faults) = read(log, None);
        assert_eq!(read, [records[0].clone(), records[2].clone()]);
        assert_eq!((faults[0].code, faults[0].offset, faults.len()), ("rocks-log.crc-mismatch", 17, 1));
        assert!(faults[0].detail.contains("resumes at 44 (27 bytes"), "{}", faults[0].detail);
    }

    #[test]
    fn a_false_length_costs_the_rest_of_its_block() {
        let (mut log, records) = sample(&[10, 20, 40_000, 50], None);
        log[17 + 4] ^= 0x55;
        let mut reader = LogReader::new(log, None);
        let items: Vec<_> = reader.by_ref().collect();
        let codes: Vec<_> = items.iter().filter_map(|item| Some(item.as_ref().err()?.code)).collect();
        assert_eq!(codes, ["rocks-log.crc-mismatch", "rocks-log.no-beginning"]);
        let kept: Vec<_> = items.into_iter().flatten().map(|record| record.data).collect();
        assert_eq!(kept, [records[0].clone(), records[3].clone()]);
        assert_eq!(reader.skipped() as usize, 32768 - 17 + (40_000 - (32768 - 17 - 27 - 7)));
    }

    #[test]
    fn every_cut_is_a_torn_tail_or_clean() {
        let (log, records) = sample(&[10, 20, 40_000], None);
        for cut in (0..log.len()).filter(|cut| *cut < 60 || *cut > 32_700) {
            let (read, faults) = read(log[..cut].to_vec(), None);
            assert_eq!(read, records[..read.len()]);
            let clean = [0, 17, 44].contains(&cut);
            assert_eq!(faults.len(), usize::from(!clean), "cut at {cut}: {faults:?}");
            assert!(faults.iter().all(|f| f.code == "rocks-log.torn-tail" && f.kind == Kind::Truncated));
        }
    }

    #[test]
    fn zeros_are_an_end_but_not_a_middle() {
        let (mut log, mut records) = sample(&[10], None);
        log.resize(70_000, 0);
        assert_eq!(read(log.clone(), None), (records.clone(), vec![]));
        log.resize(98_304, 0);
        append_record(&mut log, b"more", None);
        records.push(b"more".to_vec());
        let (read, faults) = read(log, None);
        assert_eq!((read, faults.len(), faults[0].code, faults[0].offset), (records, 1, "rocks-log.zeros", 17));
    }

    #[test]
    fn compressed_and_newer_records_are_not_damage() {
        for (kind, expected) in [(9, Kind::Unsupported), (12, Kind::Newer)] {
            let mut log = masked_crc32c(&[&[kind, 7, 0, 0, 0]]).to_le_bytes().to_vec();
            log.extend_from_slice(&[4, 0, kind, 7, 0, 0, 0]);
            let (_, faults) = read(log, None);
            assert_eq!((faults.len(), faults[0].kind), (1, expected));
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_ends(
            sizes in proptest::collection::vec(0usize..9000, 1..12),
            flips in proptest::collection::vec((0usize..60_000, 0u8..8), 0..6),
            cut in 0usize..60_000,
        ) {
            let (mut log, _) = sample(&sizes, None);
            let length = log.len();
            for (at, bit) in flips {
                log[at % length] ^= 1 << bit;
            }
            log.truncate(cut.max(1));
            let items = LogReader::new(log.clone(), Some(3)).count();
            proptest::prop_assert!(items <= log.len() / 7 * 2 + 4);
        }
    }
}
