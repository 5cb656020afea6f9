//! Level 3: the quantised copy of a column against its full vectors, row by row.

use std::{ops::Range, path::Path};

use crate::{
    format::{
        proxima::{
            Codec, IndexKind, RowReader,
            encoding::Encoding,
            recode::{Likeness, Recoder},
            rotation,
        },
        value::Value,
    },
    inspect::evidence::column::exchanged,
};

use super::{
    Block, ColumnRows, Context, Opened,
    foreign::{self, Mismatch, Verdict},
    rows_of,
    subject::{Harm, Subject},
};

/// In half steps of the quantiser. Of 200,000 rows of ten releases none was further off than 1.0006, of those that were quantised twice none
/// further than 1.2.
const ONCE: f64 = 1.02;
const TWICE: f64 = 1.7;
/// A norm made again of a unit vector and its norm.
const NORM: f64 = 1e-6;
/// The same of vectors that were quantised in between: to FP16, INT8, INT4.
const NORMS: [f64; 3] = [2e-3, 0.02, 0.2];
/// Scale and offset, as releases round them, relative to the largest component: quantised once, and twice. Of those that are not exactly what
/// this build makes, none was further off than 2e-7 and 6e-7.
const SCALE: f64 = 6e-7;
const SCALE_TWICE: f64 = 2e-6;
/// Half a unit in the last place of a half-precision number, relative, and of a subnormal one; with a margin for arithmetic.
const HALF: f64 = 1.001 / 2048.0;
const HALF_SUBNORMAL: f64 = 1.001 / (1u64 << 25) as f64;
const MAX_HALF: f32 = 65504.0;

/// A column's blocks of one type with those of their files that could be opened.
pub(super) type Files<'a> = (&'a [Block], &'a [Option<Opened>]);

/// Compares every row that both a full and a quantised file have.
pub(super) fn check(ctx: &Context<'_>, segment: u32, full: Files<'_>, quantised: Files<'_>, rows: &ColumnRows<'_>) {
    for (block, file) in quantised.0.iter().zip(quantised.1) {
        let Some(file) = file.as_ref() else { continue };
        let subject = Subject::new(ctx, &block.path, segment, true, block.rows);
        let in_place = full.0.iter().zip(full.1).find(|(of, opened)| {
            let same = (of.first_row, of.rows) == (block.first_row, block.rows);
            same && opened.as_ref().is_some_and(|opened| exchanged(opened, file))
        });
        if let Some((of, _)) = in_place {
            tell_exchanged(&subject, &Subject::new(ctx, &of.path, segment, false, of.rows));
            continue;
        }
        let Ok(mut encoding) = file.encoding.clone() else { continue };
        if let Some(turned_back) = file.turned_back() {
            match foreign::verdict(ctx, (block, file), &turned_back, full, rows) {
                Verdict::Own => encoding = turned_back,
                Verdict::Unknown => {}
                Verdict::Foreign(count, of) => {
                    tell_foreign(&subject, file, count, of);
                    encoding.rotated = true;
                    encoding.rotation = None;
                }
            }
        }
        let mut walk = Walk::new(block, file, rows);
        let end = block.first_row.saturating_add(block.rows);
        let (mut mismatch, mut others) = (Mismatch::default(), Vec::new());
        for (full_block, full_file) in full.0.iter().zip(full.1) {
            let first = full_block.first_row.max(block.first_row);
            let last = full_block.first_row.saturating_add(full_block.rows).min(end);
            let Some(full_file) = full_file else { continue };
            let other = Subject::new(ctx, &full_block.path, segment, false, full_block.rows);
            let mut full_walk = Walk::new(full_block, full_file, rows);
            let mut pair = Pair {
                subject: &subject,
                file,
                encoding: &encoding,
                walk: &mut walk,
                other: &other,
                full: full_file,
                full_walk: &mut full_walk,
                mismatch: &mut mismatch,
            };
            if file.has_codes_only() {
                pair.compare_zeros(first..last, rows);
            } else {
                pair.compare(first..last, rows);
            }
            if first < last {
                others.push(other);
            }
        }
        match mismatch.of_other_vectors() {
            Some((count, of)) => tell_others(&subject, &others, count, of),
            None => others.iter().chain([&subject]).for_each(Subject::finish),
        }
    }
}

fn tell_exchanged(quantised: &Subject<'_>, full: &Subject<'_>) {
    let tell = |of_file: &Subject<'_>, holds: &str, beside: &Path| {
        let detail = format!(
            "it holds {holds}: it and {} stand in each other's place, by the types of their elements",
            beside.display()
        );
        of_file.error("vectors.other-file", 0, Harm::Search, detail);
    };
    tell(full, "codes, not full vectors", quantised.path);
    tell(quantised, "full vectors, not codes", full.path);
}

/// In place of every single row.
fn tell_others(subject: &Subject<'_>, others: &[Subject<'_>], count: u64, of: u64) {
    let tell = |of_file: &Subject<'_>, beside: &Path| {
        let detail = format!(
            "{count} of {of} rows are of other vectors than those in {}: one of the two files is another column's, of an earlier state or of another \
             collection, or a parameter of it is damaged, and nothing tells which",
            beside.display()
        );
        of_file.error("vectors.other-file", 0, Harm::Perhaps, detail);
    };
    others.iter().for_each(|other| tell(other, subject.path));
    if let Some(other) = others.first() {
        tell(subject, other.path);
    }
}

fn tell_foreign(subject: &Subject<'_>, file: &Opened, count: u64, of: u64) {
    let detail = format!(
        "the rotation in the file is not the one of its codes, in {count} of {of} rows: searches return arbitrary documents. zvec 0.8.0 makes such \
         files when it optimizes or compacts a column with enable_rotate; the full vectors are not concerned"
    );
    let offset = file.container.segment(rotation::SEGMENT).map_or(0, |segment| segment.offset);
    subject.error("vectors.foreign-rotation", offset, Harm::Search, detail);
}

/// Which rows of a block its file has.
enum Present {
    All,
    /// All but those that were deleted.
    Living,
    Unknown,
}

impl Present {
    fn of(block: &Block, file: &Opened, rows: &ColumnRows<'_>) -> Self {
        let absent = block.rows.saturating_sub(rows_of(file));
        if absent == 0 || rows.field.nullable {
            return Self::All;
        }
        let mut range = block.first_row..block.first_row.saturating_add(block.rows);
        let deleted = range.try_fold(0, |sum, row| (rows.deleted)(row).map(|deleted| sum + u64::from(deleted)));
        if deleted == Some(absent) { Self::Living } else { Self::Unknown }
    }
}

/// The rows of a block in order, with the key of each in the file.
pub(super) struct Walk<'a> {
    block: &'a Block,
    present: Present,
    left_out: u64,
    pub(super) reader: RowReader,
}

impl<'a> Walk<'a> {
    pub(super) fn new(block: &'a Block, file: &Opened, rows: &ColumnRows<'_>) -> Self {
        Self { block, present: Present::of(block, file, rows), left_out: 0, reader: file.reader() }
    }

    /// The key of a row of the segment.
    pub(super) fn key(&mut self, row: u64, rows: &ColumnRows<'_>) -> Option<u64> {
        let inside = row.checked_sub(self.block.first_row)?;
        match self.present {
            Present::All => Some(inside),
            Present::Unknown => None,
            Present::Living if (rows.deleted)(row) == Some(true) => {
                self.left_out += 1;
                None
            }
            Present::Living => inside.checked_sub(self.left_out),
        }
    }
}

/// Two files with the same vectors.
struct Pair<'p, 'a> {
    subject: &'p Subject<'a>,
    file: &'p Opened,
    encoding: &'p Encoding,
    walk: &'p mut Walk<'a>,
    other: &'p Subject<'a>,
    full: &'p Opened,
    full_walk: &'p mut Walk<'a>,
    mismatch: &'p mut Mismatch,
}

impl Pair<'_, '_> {
    fn compare(&mut self, range: Range<u64>, rows: &ColumnRows<'_>) {
        let (Ok(full), target) = (&self.full.encoding, self.encoding) else { return };
        let mut recoder = Recoder::new(full, target, self.file.meta.metric() == "SquaredEuclidean");
        if recoder.is_none() && !(full.sparse && target.sparse) {
            return;
        }
        for row in range {
            if self.subject.ctx.stopped() {
                return;
            }
            let (key, full_key) = (self.walk.key(row, rows), self.full_walk.key(row, rows));
            let (Some(key), Some(full_key)) = (key, full_key) else { continue };
            let places = (position(self.full, full_key), position(self.file, key));
            let (Some(full_at), Some(at)) = places else { continue };
            // What cannot be read has been told.
            let Ok(original) = self.full.record(full_at, &mut self.full_walk.reader) else { continue };
            let Ok(copy) = self.file.record(at, &mut self.walk.reader) else { continue };
            let zero = copy.is_null() || copy.bytes.iter().all(|byte| *byte == 0);
            if original.is_null() || copy.is_null() {
                // A graph has zeros where there was no vector.
                let agree =
                    original.is_null() == copy.is_null() || (original.is_null() && (zero || is_built(self.file)));
                if !agree {
                    let which = if copy.is_null() { "full" } else { "quantised" };
                    let detail = format!("row {row} has a vector in the {which} file only");
                    self.subject.row_error(row, "vectors.differ", copy.offset, Harm::Search, detail);
                }
                continue;
            }
            let offsets = (original.offset, copy.offset);
            match &mut recoder {
                Some(recoder) => match recoder.compare(original.bytes, copy.bytes) {
                    Ok(found) => {
                        // Where all codes are those of the full vector, the words behind them are wrong, or two components of it: nothing
                        // tells which.
                        let sound = is_sound(target, copy.bytes).filter(|_| found.codes_exact != Some(true));
                        self.mismatch.add(difference(row, (self.file.kind, target), &found).is_some());
                        judge(self.subject, self.other, (row, offsets), (self.file, target), &found, sound);
                    }
                    Err(error) => self.subject.row_format(row, &error, Harm::Search),
                },
                None => {
                    let values = (full.decode(original.bytes, 0), target.decode(copy.bytes, 0));
                    let alike = match &values {
                        (Ok(original), Ok(copy)) => alike(&original.value, &copy.value),
                        _ => continue,
                    };
                    self.mismatch.add(!alike);
                    if !alike {
                        let detail = format!("row {row} differs from the full vector by more than rounding");
                        self.subject.row_error(row, "vectors.differ", offsets.1, Harm::Search, detail);
                        let detail = format!("row {row} or its quantised copy is wrong");
                        self.other.row_error(row, "vectors.doubtful", offsets.0, Harm::Perhaps, detail);
                    }
                }
            }
        }
    }
}

impl Pair<'_, '_> {
    /// Codes tell little of a vector, but the same vector has the same ones: two that are zero and have different codes were not zero when the
    /// codes were made. A page of zeros shows here.
    fn compare_zeros(&mut self, range: Range<u64>, rows: &ColumnRows<'_>) {
        let mut first: Option<(u64, Vec<u8>)> = None;
        for row in range {
            if self.subject.ctx.stopped() {
                return;
            }
            let (key, full_key) = (self.walk.key(row, rows), self.full_walk.key(row, rows));
            let (Some(key), Some(full_key)) = (key, full_key) else { continue };
            let Some(full_at) = position(self.full, full_key) else { continue };
            let Ok(original) = self.full.record(full_at, &mut self.full_walk.reader) else { continue };
            let zero = !original.bytes.is_empty() && original.bytes.iter().all(|byte| *byte == 0);
            let Some(at) = position(self.file, key).filter(|_| zero && !original.is_null()) else { continue };
            let Ok(codes) = self.file.record(at, &mut self.walk.reader) else { continue };
            match &first {
                None => first = Some((row, codes.bytes.to_vec())),
                Some((earlier, same)) if same.as_slice() != codes.bytes => {
                    let detail = format!(
                        "rows {earlier} and {row} are zero, and their codes differ: one of them was not when it was quantised"
                    );
                    self.other.row_error(row, "vectors.differ", original.offset, Harm::Vectors, detail);
                }
                Some(_) => {}
            }
        }
    }
}

/// Where the row with a key stands in a file.
pub(super) fn position(file: &Opened, key: u64) -> Option<u64> {
    match file.kind {
        IndexKind::Ivf | IndexKind::IvfRabitq | IndexKind::DiskAnn => file.key_map().ok()?.position(key),
        _ => (key < rows_of(file)).then_some(key),
    }
}

/// Whether it was built from other files.
fn is_built(file: &Opened) -> bool {
    !matches!(file.kind, IndexKind::Flat | IndexKind::FlatSparse)
}

/// Whether the element agrees with itself; `None` if it says nothing twice.
pub fn is_sound(encoding: &Encoding, element: &[u8]) -> Option<bool> {
    let found = encoding.redundancy(element, 0).ok()?;
    match encoding.codec {
        Codec::Int8 => Some(found.integer == Some(found.computed_sum)),
        Codec::UniformUint8 { .. } => Some(found.integer == Some(found.computed_square_sum)),
        _ => None,
    }
}

/// In what a quantised element differs from the full one by more than its making; `None` if in nothing.
pub fn difference(row: u64, (kind, encoding): (IndexKind, &Encoding), found: &Likeness) -> Option<String> {
    if found.exact == Some(true) {
        return None;
    }
    // 0.8.0 builds some kinds from what was quantised already, and HNSW under COSINE if an older release did that. Then the norm is that of
    // the quantised vector, to the last bits at least.
    let twice = match kind {
        IndexKind::Ivf | IndexKind::Vamana | IndexKind::DiskAnn => true,
        IndexKind::Hnsw => encoding.has_norm && found.norm > 0.0,
        _ => false,
    };
    let norm = match (twice, encoding.codec) {
        (false, _) => NORM,
        (true, Codec::Half) => NORMS[0],
        (true, Codec::Int4) => NORMS[2],
        (true, _) => NORMS[1],
    };
    let limit = if twice { TWICE } else { ONCE };
    if found.deviation > limit {
        return Some(format!(
            "row {row}: component {} is {:.1} half steps of the quantiser away from the full vector, at most 1 expected",
            found.component, found.deviation
        ));
    }
    if found.norm > norm && (!twice || found.norm_again > NORM) {
        return Some(format!("row {row}: its norm differs by {:.2e} of that of the full vector", found.norm));
    }
    let scaled = found.codes_exact == Some(true) && found.scale > if twice { SCALE_TWICE } else { SCALE };
    scaled.then(|| format!("row {row}: scale or offset differ by {:.1e} from what the full vector gives", found.scale))
}

fn judge(
    subject: &Subject<'_>,
    other: &Subject<'_>,
    (row, (full_offset, offset)): (u64, (u64, u64)),
    (file, encoding): (&Opened, &Encoding),
    found: &Likeness,
    sound: Option<bool>,
) {
    if found.exact == Some(true) {
        return;
    }
    let detail = difference(row, (file.kind, encoding), found);
    if let Some(detail) = detail {
        // An element that agrees with itself is right, and the full vector is not.
        if sound != Some(true) {
            subject.row_error(row, "vectors.differ", offset, Harm::Search, detail);
        } else {
            other.row_error(
                row,
                "vectors.differ",
                full_offset,
                Harm::Vectors,
                format!("{detail}; the quantised copy is sound"),
            );
        }
        if sound.is_none() {
            let detail = format!("row {row} or its quantised copy is wrong");
            other.row_error(row, "vectors.doubtful", full_offset, Harm::Perhaps, detail);
        }
        return;
    }
    let wrong = match encoding.codec {
        Codec::Int8 => found.sums.contains(&true),
        // Under other metrics some releases have no Σcode².
        Codec::Int4 => file.meta.metric() == "SquaredEuclidean" && (found.sums[0] || found.sums[1]),
        _ => false,
    };
    if found.codes_exact == Some(true) && wrong {
        let detail = format!("row {row}: a sum behind the codes is not what any release makes of the full vector");
        subject.row_error(row, "vectors.bad-sum", offset, Harm::Search, detail);
    }
}

/// Whether a sparse vector is the half-precision form of another.
pub fn alike(full: &Value, half: &Value) -> bool {
    let (Value::SparseF32(full), Value::SparseF32(half)) = (full, half) else { return true };
    let near = |a: f32, b: f32| {
        let tolerance = (f64::from(a).abs() * HALF).max(HALF_SUBNORMAL);
        a.to_bits() == b.to_bits()
            || (a.is_nan() && b.is_nan())
            || (a.abs() >= MAX_HALF && b.abs() >= MAX_HALF && a.signum() == b.signum())
            || (f64::from(a) - f64::from(b)).abs() <= tolerance
    };
    full.len() == half.len() && full.iter().zip(half).all(|(a, b)| a.0 == b.0 && near(a.1, b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(deviation: f64, norm: f64, norm_again: f64) -> Likeness {
        let (exact, codes_exact) = (Some(false), Some(false));
        Likeness { exact, codes_exact, scale: 0.0, sums: [false; 3], deviation, component: 0, norm, norm_again }
    }

    fn encoding(codec: Codec, has_norm: bool) -> Encoding {
        let meta = crate::format::proxima::IndexMeta {
            header_size: 4128,
            sparse: false,
            major_order: 1,
            data_type: crate::format::proxima::DataType::Fp32,
            dimension: 4,
            unit_size: 4,
            extra: 0,
            attachment: serde_json::Map::new(),
            size: 0,
        };
        let mut encoding = Encoding::new(&meta, None, 0).unwrap();
        (encoding.codec, encoding.has_norm) = (codec, has_norm);
        encoding
    }

    /// What 0.8.0 makes of HNSW files of 0.7.0: the norm of the quantised vector, sometimes of one whose codes an older release rounded
    /// differently.
    #[test]
    fn hnsw_under_cosine_may_be_quantised_twice() {
        let differs = |kind, codec, has_norm, found: &Likeness| {
            difference(1, (kind, &encoding(codec, has_norm)), found).is_some()
        };
        let (hnsw, flat) = (IndexKind::Hnsw, IndexKind::Flat);
        for (codec, found) in [
            (Codec::Half, found(0.78, 2.6e-4, 9.6e-8)),
            (Codec::Int8, found(1.04, 1.6e-4, 1.6e-4)),
            (Codec::Int4, found(0.61, 0.0202, 7.5e-8)),
        ] {
            assert!(!differs(hnsw, codec, true, &found), "{found:?}");
            assert!(differs(flat, codec, true, &found), "{found:?}");
        }
        // Once quantised, the norm is that of the full vector.
        assert!(differs(hnsw, Codec::Int8, true, &found(1.04, 0.0, 0.0)));
        assert!(differs(hnsw, Codec::Int8, false, &found(1.04, 0.0, 0.0)));
        assert!(differs(hnsw, Codec::Int8, true, &found(0.9, 0.03, 0.03)));
        assert!(differs(hnsw, Codec::Half, true, &found(0.9, 0.003, 0.003)));
        assert!(differs(flat, Codec::Int8, true, &found(0.9, 1e-4, 1e-4)));
    }
}
