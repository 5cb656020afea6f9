//! Level 2 of sparse files, flat or HNSW: where records lie, and whether they fill their chunks.

use crate::format::{
    Source,
    proxima::{Codec, DataType, Layout, VectorFile, flat_sparse::FlatSparse, sparse::Record},
    read_vec,
};

use super::subject::{Harm, Subject, non_zero};

const NO_KEY: u64 = u64::MAX;
const UNIT: u64 = 32;

pub(super) fn check_flat<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, flat: &FlatSparse) {
    if let Some(segment) = file.container.segment("bruteforce_sparse_meta") {
        reserved(subject, file, segment.offset + 24, segment.size.saturating_sub(24), "bruteforce_sparse_meta");
        subject.times(flat.created, flat.updated, segment.offset);
    }
    if let Some(segment) = file.container.segment("bruteforce_sparse_streamer_meta") {
        let bytes = read_vec(file.source(), segment.offset, 16, "flat-sparse.truncated").unwrap_or_default();
        let words = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        for (at, word, expected) in words.zip([0, 1 << 20, 0, 8 << 20]).enumerate().map(|(at, (a, b))| (at, a, b)) {
            if at % 2 == 1 && word != expected {
                let detail = format!("chunks of {word} bytes, {expected} expected");
                let offset = segment.offset + 4 * at as u64;
                subject.error("flat-sparse.bad-chunk-size", offset, Harm::Search, detail);
            }
        }
    }
    let code = "flat-sparse.bad-non-zeros";
    let offset = file.container.segment("bruteforce_sparse_meta").map_or(0, |segment| segment.offset + 20);
    check(subject, file, &flat.data_chunks, (u64::from(flat.stored_non_zeros), code, offset));
}

fn reserved<S: Source>(subject: &Subject<'_>, file: &VectorFile<S>, offset: u64, len: u64, name: &str) {
    let bytes = read_vec(file.source(), offset, len, "flat-sparse.truncated").unwrap_or_default();
    if let Some(at) = non_zero(&bytes) {
        subject.warning("sparse.padding", offset + at as u64, format!("an unused byte of {name} is not zero"));
    }
}

/// Walks the places and records of all rows. `announced`: the non-zeros that the file states, the code if they differ, and where they stand.
pub(super) fn check<S: Source>(
    subject: &Subject<'_>,
    file: &VectorFile<S>,
    chunks: &[crate::format::proxima::Segment],
    announced: (u64, &'static str, u64),
) {
    let mut claimed: Vec<Claims> =
        chunks.iter().map(|chunk| Claims::new(chunk.size.min(file.container.file_size))).collect();
    let unit = match &file.encoding {
        Ok(encoding) if encoding.codec == Codec::Plain(DataType::Fp32) => 4,
        _ => 2,
    };
    let flat = matches!(file.layout, Layout::FlatSparse(_));
    let (mut reader, mut records) = (file.reader(), file.reader());
    let (mut non_zeros, mut whole) = (0u64, true);
    for row in 0..super::rows_of(file) {
        if subject.ctx.stopped() {
            return;
        }
        let (key, place, at) = match file.sparse_place(row, &mut reader) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => {
                whole = false;
                subject.row_format(row, &error, Harm::Vectors);
                continue;
            }
        };
        if key == NO_KEY {
            continue;
        }
        if key != row && flat {
            let detail = format!("row {row} states key {key}");
            subject.row_error(row, "proxima.bad-key", at + 16, Harm::Search, detail);
        }
        let zero = read_vec(file.source(), at + 12, 4, "sparse.truncated").unwrap_or_default();
        if let Some(position) = non_zero(&zero) {
            subject.warning(
                "sparse.padding",
                at + 12 + position as u64,
                format!("an unused byte of row {row} is not zero"),
            );
        }
        let record = match file.record(row, &mut records) {
            Ok(record) => record,
            Err(error) => {
                whole = false;
                subject.row_format(row, &error, Harm::Vectors);
                continue;
            }
        };
        match Record::parse(record.bytes, record.offset, unit) {
            Ok(parsed) => {
                non_zeros += parsed.indices().len() as u64;
                let padded = parsed.used.next_multiple_of(UNIT);
                if padded != u64::from(place.length) {
                    let detail = format!("row {row}: a length of {}, its record takes {padded}", place.length);
                    subject.row_error(row, "sparse.bad-length", at + 8, Harm::Search, detail);
                } else if !parsed.clean_padding {
                    let detail = format!("a byte behind the record of row {row}, where zvec writes zeros, is none");
                    subject.warning("sparse.padding", record.offset + parsed.used, detail);
                }
            }
            Err(error) => {
                whole = false;
                subject.row_format(row, &error, Harm::Vectors);
            }
        }
        let chunk = usize::try_from(place.chunk).ok().and_then(|chunk| claimed.get_mut(chunk));
        if let Some(claims) = chunk
            && !claims.claim(place.offset.into(), place.length.into())
        {
            let detail = format!("row {row}: its record overlaps another, or begins at no multiple of {UNIT}");
            subject.row_error(row, "sparse.overlap", at, Harm::Perhaps, detail);
        }
    }
    let (stored, code, offset) = announced;
    if whole && stored != non_zeros {
        subject.error(code, offset, Harm::Search, format!("{stored} non-zeros announced, {non_zeros} in the rows"));
    }
    for (chunk, claims) in chunks.iter().zip(&claimed) {
        if let Some(at) = claims.free() {
            let detail = format!("bytes of {} that no row refers to", chunk.name);
            subject.error("sparse.gap", chunk.offset + at, Harm::Search, detail);
        }
    }
}

/// Which units of a chunk belong to a record: a bit for 32 bytes.
struct Claims {
    bits: Vec<u64>,
    units: u64,
}

impl Claims {
    fn new(size: u64) -> Self {
        // Sizes were checked against the file.
        let units = size / UNIT;
        Self { bits: vec![0; usize::try_from(units.div_ceil(64)).unwrap_or(0)], units }
    }

    /// Takes `len` bytes at `offset`; false if some are taken.
    fn claim(&mut self, offset: u64, len: u64) -> bool {
        let mut clean = offset.is_multiple_of(UNIT);
        for unit in offset / UNIT..(offset + len).div_ceil(UNIT).min(self.units) {
            let Some(word) = usize::try_from(unit / 64).ok().and_then(|at| self.bits.get_mut(at)) else { break };
            clean &= *word & (1 << (unit % 64)) == 0;
            *word |= 1 << (unit % 64);
        }
        clean
    }

    fn free(&self) -> Option<u64> {
        let word = self.bits.iter().position(|word| *word != u64::MAX)?;
        let unit = word as u64 * 64 + u64::from(self.bits.get(word)?.trailing_ones());
        (unit < self.units).then_some(unit * UNIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_overlap_and_gaps_between_them_show() {
        let mut claims = Claims::new(128 * UNIT);
        assert!(claims.claim(0, 64 * UNIT));
        assert!(claims.claim(65 * UNIT, 63 * UNIT));
        assert_eq!(claims.free(), Some(64 * UNIT));
        assert!(!claims.claim(63 * UNIT, 2 * UNIT), "one unit is taken");
        assert_eq!(claims.free(), None);
        assert!(!Claims::new(64).claim(8, 8), "no multiple of the unit");
        assert!(Claims::new(64).claim(32, u64::MAX / 2), "what lies beyond the chunk is another fault");
    }
}
