//! The copies that a column has of its vectors: the full files, and the quantised ones.

use std::ops::Range;

use crate::{
    format::{
        manifest::proto::{BlockMeta, BlockType},
        proxima::{Checksum, Codec, DataType, Encoding, IndexKind, RowReader, VectorFile, recode::Recoder},
        value::Value,
    },
    inspect::{
        SegmentRef, View,
        documents::{Shift, VectorColumn},
    },
    verify::vectors::{
        alike, difference,
        foreign::{Mismatch, Tally, Verdict},
        is_sound, is_unit,
    },
};

use super::patched::{Bytes, open};

/// A file of a column, as far as it can be read.
pub struct Copy {
    /// Rows of the segment that it holds.
    pub rows: Range<u64>,
    /// The file; `None` if it cannot be opened.
    pub file: Option<VectorFile<Bytes>>,
    /// What was undone to read it.
    pub notes: Vec<String>,
    /// Whether a checksum over its vectors does not fit.
    pub unsure: bool,
    /// Why vectors made of it may be wrong.
    pub doubt: Option<String>,
    /// Why its vectors may be those of other rows, although nothing is wrong with them: [`Quality::OtherCount`] or [`Quality::Copy`].
    pub misplaced: Option<Quality>,
    /// Whether it is a quantised one, and of other vectors than the full ones.
    pub differs: bool,
    /// How its elements are stored, if vectors can be made of them.
    encoding: Option<Encoding>,
    shift: Shift,
    reader: Option<RowReader>,
    /// Rows of the file whose vectors lie beside bytes that were overwritten.
    beside_damage: Vec<Range<u64>>,
}

/// What a copy has of a row.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// An element.
    Element(Vec<u8>),
    /// The row has no vector.
    Null,
    /// Nothing that can be read.
    Nothing,
}

/// What a new file gets of a row.
#[derive(Debug, PartialEq)]
pub enum Picked {
    /// An element of the full files, byte by byte.
    Element(Vec<u8>),
    /// A vector.
    Value(Value),
    /// The row has no vector.
    Null,
    /// Nothing tells it.
    Nothing,
}

/// How good it is.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// As it was.
    Whole,
    /// One bit of it was put right.
    Mended,
    /// From the quantised copy.
    Quantised,
    /// It and the quantised copy contradict each other, and nothing tells which is right.
    Disputed,
    /// Nothing is wrong with it, but bytes beside it were overwritten, and nothing vouches for it.
    BesideDamage,
    /// Nothing is wrong with it, but its file has another number of rows than the block.
    OtherCount,
    /// Nothing is wrong with it, but its file stands in two places.
    Copy,
    /// It contradicts itself, and there is no other copy.
    Damaged,
}

/// The blocks of a column of one kind with the rows that they hold.
pub fn blocks<'a>(segment: SegmentRef<'a>, column: &str, kind: BlockType) -> Vec<(&'a BlockMeta, Range<u64>)> {
    let mut first = 0u64;
    let of_column =
        segment.meta.persisted_blocks.iter().filter(|block| {
            block.block_type == kind as i32 && block.columns.first().is_some_and(|name| name == column)
        });
    let mut found = Vec::new();
    for block in of_column {
        let end = first.saturating_add(block.doc_count.into());
        found.push((block, first..end));
        first = end;
    }
    found
}

/// Opens the files of a column of one kind.
pub fn copies(
    view: &View,
    segment: SegmentRef<'_>,
    column: &str,
    kind: BlockType,
    (shifts, nullable): (&VectorColumn<'_>, bool),
) -> Vec<Copy> {
    let listed = blocks(segment, column, kind).into_iter();
    let opened = listed.map(|(block, rows)| {
        let path = segment.block_path(block).unwrap_or_default();
        let found = view.source(&path).ok().and_then(|source| open(source));
        let Some((file, notes)) = found else {
            let (notes, shift) = (Vec::new(), Shift::None);
            let (encoding, reader, beside_damage) = (None, None, Vec::new());
            return Copy {
                rows,
                file: None,
                notes,
                unsure: false,
                doubt: None,
                misplaced: None,
                differs: false,
                encoding,
                shift,
                reader,
                beside_damage,
            };
        };
        let shift = shifts.shift(rows.clone(), &path, &file);
        let listed = rows.end.saturating_sub(rows.start);
        let misplaced = has_other_count(&file, listed, &shift, nullable).then_some(Quality::OtherCount);
        let reader = Some(file.reader());
        let unsure = has_wrong_checksum(&file);
        let encoding = file.encoding.clone().ok().filter(|encoding| !encoding.rotated && !file.has_codes_only());
        // What a quantiser made is no full vector, whatever it is near to.
        let encoding = encoding.filter(|encoding| kind == BlockType::VectorIndexQuantize || !is_code(encoding.codec));
        let beside_damage = file.beside_damage().unwrap_or_default();
        Copy {
            rows,
            file: Some(file),
            notes,
            unsure,
            doubt: None,
            misplaced,
            differs: false,
            encoding,
            shift,
            reader,
            beside_damage,
        }
    });
    opened.collect()
}

fn is_code(codec: Codec) -> bool {
    use Codec::{Int4, Int8, Int8Short, UniformUint4, UniformUint7, UniformUint8};
    matches!(codec, Int8 | Int8Short | Int4 | UniformUint8 { .. } | UniformUint7 { .. } | UniformUint4 { .. })
}

/// Whether a file has another number of rows than its block, and not for a reason that a file of these rows could have.
fn has_other_count(file: &VectorFile<Bytes>, listed: u64, shift: &Shift, nullable: bool) -> bool {
    if file.states_rows(listed) {
        return false;
    }
    // Trailing rows without vector are not stored.
    file.rows() > listed || (!nullable && matches!(shift, Shift::None))
}

/// Whether a checksum that covers vectors does not fit.
fn has_wrong_checksum(file: &VectorFile<Bytes>) -> bool {
    let container = &file.container;
    let wrong = |found: Option<Checksum>| found.is_some_and(|checksum| !checksum.is_valid());
    if wrong(container.check_content(file.source()).ok().flatten()) {
        return true;
    }
    let others = ["IndexVersion", "IndexMeta", "flat.linear_meta", "linear.linear_meta"];
    let segments = container.segments.iter().filter(|segment| !others.contains(&segment.name.as_str()));
    segments.into_iter().any(|segment| wrong(container.check_segment(file.source(), segment).ok().flatten()))
}

impl Copy {
    /// How its elements are stored, if vectors can be made of them.
    pub fn encoding(&self) -> Option<&Encoding> {
        self.encoding.as_ref()
    }

    /// Finds out whether the codes are of the full vectors, and turned by the rotation in their file. Others are no evidence.
    fn settle(&mut self, full: &mut [Copy]) {
        match self.file.as_ref().and_then(VectorFile::turned_back) {
            Some(turned_back) => self.settle_rotation(turned_back, full),
            None => self.settle_vectors(full),
        }
    }

    /// Where both are of different vectors, the one that is not in its place by other evidence is no evidence.
    fn settle_vectors(&mut self, full: &mut [Copy]) {
        let mut mismatch = Mismatch::default();
        for row in self.rows.clone() {
            let Some(copy) = of(full, row) else { continue };
            let Found::Element(element) = copy.row(row) else { continue };
            let Found::Element(codes) = self.row(row) else { continue };
            if let (Some(encoding), Some(target), Some(file)) = (copy.encoding(), self.encoding(), &self.file) {
                let found = differs((encoding, &element), (target, &codes), file, row);
                mismatch.add(found.is_some_and(|found| found != Difference::No));
            }
        }
        if mismatch.of_other_vectors().is_none() {
            return;
        }
        self.differs = true;
        let mut beside: Vec<&mut Copy> = full.iter_mut().filter(|copy| overlap(&copy.rows, &self.rows)).collect();
        if self.misplaced.is_none() && beside.iter().all(|copy| copy.misplaced.is_some()) {
            beside.iter_mut().for_each(|copy| copy.set_aside());
            return;
        }
        self.encoding = None;
        self.doubt = Some("the quantised file is of other vectors than the full one, which was kept".to_owned());
    }

    /// Takes a file for one that is not in its place: it says nothing of these rows.
    fn set_aside(&mut self) {
        (self.file, self.reader, self.encoding) = (None, None, None);
    }

    /// Whether its vectors were taken for those of other rows.
    pub fn is_set_aside(&self) -> bool {
        self.misplaced.is_some() && self.file.is_none()
    }

    /// Takes the file for one that is not in its place if it cannot be of the column.
    pub fn is_of_column(&mut self, fits: impl Fn(&VectorFile<Bytes>) -> bool) {
        if self.file.as_ref().is_some_and(|file| !fits(file)) {
            self.is_copy(true);
        }
    }

    /// Whether vectors of all these rows can be made of it, and nothing speaks against it.
    pub fn vouches_for(&self, rows: &Range<u64>) -> bool {
        let covers = self.rows.start <= rows.start && rows.end <= self.rows.end;
        covers && self.encoding.is_some() && self.misplaced.is_none()
    }

    /// Takes note that the file stands in two places. In this one it cannot be if its number of rows, or the column, is another.
    pub fn is_copy(&mut self, of_other_column: bool) {
        let nowhere = of_other_column || self.misplaced.is_some();
        self.misplaced = Some(Quality::Copy);
        if nowhere {
            self.set_aside();
        }
    }

    fn settle_rotation(&mut self, turned_back: Encoding, full: &mut [Copy]) {
        let mut tally = Tally::default();
        for row in self.rows.clone() {
            let Found::Element(codes) = self.row(row) else { continue };
            let Some(copy) = of(full, row) else { continue };
            let Found::Element(element) = copy.row(row) else { continue };
            let codes = turned_back.decode(&codes, 0).ok().map(|vector| vector.value);
            if let (Some(vector), Some(codes)) = (copy.decode(&element), codes) {
                tally.add(&vector, &codes);
            }
        }
        // What is not in its place tells nothing of the rotation.
        let misplaced = full.iter().any(|copy| copy.misplaced.is_some() && overlap(&copy.rows, &self.rows));
        match tally.verdict() {
            Verdict::Foreign(..) if misplaced => {}
            Verdict::Own => self.encoding = Some(turned_back),
            Verdict::Foreign(..) => self.encoding = None,
            Verdict::Unknown if self.encoding.is_some() => {
                let doubt = "the codes are rotated, and no full vector tells whether by the rotation in their file: it may be another one if zvec \
                             0.8.0 has compacted the column, and then vectors made of them are wrong";
                self.doubt = Some(doubt.to_owned());
            }
            Verdict::Unknown => {}
        }
    }

    /// What it has of a row of the segment.
    pub fn row(&mut self, row: u64) -> Found {
        let (Some(file), Some(reader)) = (&self.file, &mut self.reader) else { return Found::Nothing };
        let Some(key) = row.checked_sub(self.rows.start).and_then(|row| self.shift.key(row)) else {
            return Found::Nothing;
        };
        let position = match file.kind {
            IndexKind::Ivf | IndexKind::IvfRabitq | IndexKind::DiskAnn => match file.key_map() {
                Ok(map) => map.position(key),
                Err(_) => return Found::Nothing,
            },
            _ => (key < file.rows()).then_some(key),
        };
        let Some(position) = position else { return Found::Null };
        match file.record(position, reader) {
            // The place of a row without vector is zeros: with anything else in it, its key is what is wrong.
            Ok(record) if record.is_null() => match record.bytes.iter().any(|byte| *byte != 0) {
                true if file.kind == IndexKind::Flat => Found::Element(record.bytes.to_vec()),
                _ => Found::Null,
            },
            Ok(record) => Found::Element(record.bytes.to_vec()),
            Err(_) => Found::Nothing,
        }
    }

    /// Why the vector of a row of the segment may be wrong, though nothing is wrong with it: its file may not be in its place, or bytes beside it were
    /// overwritten.
    fn suspicion(&self, row: u64) -> Option<Quality> {
        let key = row.checked_sub(self.rows.start).and_then(|row| self.shift.key(row));
        let beside = key.is_some_and(|key| self.beside_damage.iter().any(|rows| rows.contains(&key)));
        self.misplaced.or(beside.then_some(Quality::BesideDamage))
    }

    /// The vector of an element; `None` if it is none.
    pub fn decode(&self, element: &[u8]) -> Option<Value> {
        self.encoding()?.decode(element, 0).ok().map(|vector| vector.value)
    }

    /// The vector of a row of a quantised file: under COSINE with the length that is stored, which the codes only come near.
    fn value(&mut self, row: u64) -> Option<Value> {
        let Found::Element(element) = self.row(row) else { return None };
        let encoding = self.encoding()?;
        if !encoding.sparse && (agrees(encoding, &element) == Some(false) || is_unit(encoding, &element) == Some(false))
        {
            return None;
        }
        let vector = encoding.decode(&element, 0).ok()?;
        let value = match (vector.value, vector.norm) {
            (Value::F32s(values), Some(norm)) if !vector.exact => {
                let length = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                let scale = if length > 0.0 { f64::from(norm) / length } else { 1.0 };
                Value::F32s(values.iter().map(|x| (f64::from(*x) * scale) as f32).collect())
            }
            (value, _) => value,
        };
        Some(value).filter(is_finite)
    }
}

/// Whether a quantised element agrees with itself; a step of its codes is never nothing.
fn agrees(encoding: &Encoding, element: &[u8]) -> Option<bool> {
    let found = encoding.redundancy(element, 0).ok()?;
    let sane =
        found.scale.is_none_or(|scale| scale > 0.0 && scale.is_finite()) && found.offset.is_none_or(f32::is_finite);
    if sane { is_sound(encoding, element) } else { Some(false) }
}

/// All copies of a column.
pub struct Copies {
    /// The full files.
    pub full: Vec<Copy>,
    /// The quantised ones.
    pub quantised: Vec<Copy>,
    /// Whether a row may have no vector.
    pub nullable: bool,
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

fn of(copies: &mut [Copy], row: u64) -> Option<&mut Copy> {
    copies.iter_mut().find(|copy| copy.rows.contains(&row))
}

impl Copies {
    /// The copies of a column.
    pub fn new(mut full: Vec<Copy>, mut quantised: Vec<Copy>, nullable: bool) -> Self {
        for copy in &mut quantised {
            copy.settle(&mut full);
        }
        Self { full, quantised, nullable }
    }

    /// Of full vectors and codes that are of different vectors: whether the file of these rows is the one that is not in its place. `None` if nothing tells.
    pub fn is_elsewhere(&self, rows: &Range<u64>, quantised: bool) -> Option<bool> {
        let beside = |copies: &'_ [Copy], test: fn(&Copy) -> bool| {
            copies.iter().any(|copy| overlap(&copy.rows, rows) && test(copy))
        };
        let (full, codes) = (&self.full, &self.quantised);
        let misplaced: fn(&Copy) -> bool = |copy| copy.misplaced.is_some();
        match (beside(full, misplaced), beside(codes, misplaced)) {
            (true, false) => Some(!quantised),
            (false, true) => Some(quantised),
            // What was put right by another step agrees.
            (false, false) if !beside(codes, |copy| copy.differs) => Some(false),
            _ => None,
        }
    }

    /// The best that there is of a row of the segment.
    pub fn pick(&mut self, row: u64) -> (Picked, Quality) {
        let full = of(&mut self.full, row);
        let found = full.as_ref().map_or(Found::Nothing, |_| Found::Null);
        let (found, encoding) = match full {
            Some(copy) => (copy.row(row), copy.encoding()),
            None => (found, None),
        };
        let (Found::Element(element), Some(encoding)) = (&found, encoding) else {
            if found == Found::Null && self.nullable {
                let copy = of(&mut self.full, row);
                return (Picked::Null, copy.and_then(|copy| copy.suspicion(row)).unwrap_or(Quality::Whole));
            }
            let copy = of(&mut self.quantised, row).and_then(|copy| copy.value(row));
            return (copy.map_or(Picked::Nothing, Picked::Value), Quality::Quantised);
        };
        let readable = encoding.decode(element, 0).ok().map(|vector| vector.value);
        let unit = if encoding.sparse { None } else { is_unit(encoding, element) };
        if let (Some(value), Some(false)) = (&readable, unit) {
            if let Some(mended) = mend(encoding, element) {
                return (Picked::Element(mended), Quality::Mended);
            }
            let value = value.clone();
            return match of(&mut self.quantised, row).and_then(|copy| copy.value(row)) {
                Some(copy) => (Picked::Value(copy), Quality::Quantised),
                None if is_finite(&value) => (Picked::Value(value), Quality::Damaged),
                None => (Picked::Nothing, Quality::Damaged),
            };
        }
        if readable.is_none() {
            let copy = of(&mut self.quantised, row).and_then(|copy| copy.value(row));
            return (copy.map_or(Picked::Nothing, Picked::Value), Quality::Quantised);
        }
        // A unit vector is whole, and may be that of another row all the same.
        let suspicion = of(&mut self.full, row).and_then(|copy| copy.suspicion(row));
        let suspicion = suspicion.filter(|found| unit != Some(true) || *found != Quality::BesideDamage);
        let misplaced = suspicion.filter(|found| *found != Quality::BesideDamage).is_some();
        let encoding = of(&mut self.full, row).and_then(|copy| copy.encoding());
        let quality = match (of(&mut self.quantised, row), encoding) {
            (Some(copy), Some(encoding)) if unit != Some(true) || misplaced => against(encoding, element, copy, row),
            _ => Quality::Whole,
        };
        let quality = match (quality, suspicion) {
            (Quality::Whole, Some(found)) if !self.is_confirmed(row, element) => found,
            (Quality::Disputed, Some(_)) if misplaced => Quality::Quantised,
            (other, _) => other,
        };
        if quality == Quality::Quantised
            && let Some(value) = of(&mut self.quantised, row).and_then(|copy| copy.value(row))
        {
            return (Picked::Value(value), quality);
        }
        let Found::Element(element) = found else { return (Picked::Nothing, Quality::Damaged) };
        (Picked::Element(element), if quality == Quality::Quantised { Quality::Disputed } else { quality })
    }

    /// Whether a quantised copy says the same as a full element.
    fn is_confirmed(&mut self, row: u64, element: &[u8]) -> bool {
        let Some(copy) = of(&mut self.quantised, row) else { return false };
        let Found::Element(codes) = copy.row(row) else { return false };
        let (Some(target), Some(file)) = (copy.encoding(), &copy.file) else { return false };
        let full = of(&mut self.full, row).and_then(|copy| copy.encoding());
        full.is_some_and(|encoding| differs((encoding, element), (target, &codes), file, row) == Some(Difference::No))
    }

    /// The full vector of a row of the segment.
    pub fn value(&mut self, row: u64) -> (Picked, Quality) {
        let (picked, quality) = self.pick(row);
        let Picked::Element(element) = picked else { return (picked, quality) };
        let value = of(&mut self.full, row).and_then(|copy| copy.decode(&element));
        (value.map_or(Picked::Nothing, Picked::Value), quality)
    }
}

/// In what a full element and a quantised one differ.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq)]
enum Difference {
    No,
    /// The codes are those of the full one, scale or offset are not.
    Words,
    Vector,
}

/// Whether a full element and a quantised one are of different vectors; `None` if they cannot be compared.
fn differs(
    (full, element): (&Encoding, &[u8]),
    (target, codes): (&Encoding, &[u8]),
    file: &VectorFile<Bytes>,
    row: u64,
) -> Option<Difference> {
    if full.sparse && target.sparse {
        let values = full.decode(element, 0).ok().zip(target.decode(codes, 0).ok());
        let alike = values.map(|(full, half)| alike(&full.value, &half.value));
        return alike.map(|alike| if alike { Difference::No } else { Difference::Vector });
    }
    let mut recoder = Recoder::new(full, target, file.meta.metric() == "SquaredEuclidean")?;
    let likeness = recoder.compare(element, codes).ok()?;
    Some(match difference(row, (file.kind, target), &likeness) {
        None => Difference::No,
        Some(_) if likeness.codes_exact == Some(true) => Difference::Words,
        Some(_) => Difference::Vector,
    })
}

/// Holds a full element against its quantised copy.
fn against(encoding: &Encoding, element: &[u8], copy: &mut Copy, row: u64) -> Quality {
    let Found::Element(other) = copy.row(row) else { return Quality::Whole };
    let (Some(target), Some(file)) = (copy.encoding(), &copy.file) else { return Quality::Whole };
    match differs((encoding, element), (target, &other), file, row) {
        None | Some(Difference::No) => return Quality::Whole,
        Some(Difference::Words) => return Quality::Disputed,
        Some(Difference::Vector) if encoding.sparse => return Quality::Disputed,
        Some(Difference::Vector) => {}
    }
    match agrees(target, &other) {
        Some(true) => Quality::Quantised,
        Some(false) => Quality::Whole,
        None => Quality::Disputed,
    }
}

/// A unit vector of which one bit is wrong: the only one whose flip makes it a unit vector again.
fn mend(encoding: &Encoding, element: &[u8]) -> Option<Vec<u8>> {
    if encoding.codec != Codec::Plain(DataType::Fp32) || !encoding.has_norm {
        return None;
    }
    let mut mended = element.to_vec();
    // The sign of the norm is the last bit of all.
    if let Some(last) = mended.last_mut()
        && *last & 0x80 != 0
    {
        *last &= 0x7f;
        return (is_unit(encoding, &mended) != Some(false)).then_some(mended);
    }
    let components: Vec<f32> =
        element.as_chunks::<4>().0.iter().take(encoding.dimension).map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let squares: Vec<f64> = components.iter().map(|x| f64::from(*x).powi(2)).collect();
    let mut found = None;
    for (at, x) in components.iter().enumerate() {
        let rest: f64 = squares.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, square)| square).sum();
        if rest.is_nan() || rest > 1.001 {
            continue;
        }
        for bit in 0..31 {
            let other = f32::from_bits(x.to_bits() ^ (1 << bit));
            if !other.is_finite() || (rest + f64::from(other).powi(2) - 1.0).abs() > 1e-4 {
                continue;
            }
            let mut candidate = element.to_vec();
            candidate.get_mut(at * 4..at * 4 + 4)?.copy_from_slice(&other.to_le_bytes());
            if is_unit(encoding, &candidate) == Some(true) && found.replace(candidate).is_some() {
                return None;
            }
        }
    }
    found
}

fn is_finite(value: &Value) -> bool {
    match value {
        Value::F32s(values) => values.iter().all(|x| x.is_finite()),
        Value::F64s(values) => values.iter().all(|x| x.is_finite()),
        Value::F16s(values) => values.iter().all(|x| x.is_finite()),
        Value::SparseF32(values) => values.iter().all(|(_, x)| x.is_finite()),
        Value::SparseF16(values) => values.iter().all(|(_, x)| x.is_finite()),
        _ => true,
    }
}

/// Whether a file that is written by `plan` stores its elements exactly as `encoding` does.
pub fn same_bytes(encoding: &Encoding, plan: &crate::format::proxima::IndexMeta) -> bool {
    Encoding::new(plan, None, 0).is_ok_and(|new| {
        new.codec == encoding.codec
            && new.sparse == encoding.sparse
            && new.dimension == encoding.dimension
            && new.has_norm == encoding.has_norm
            && new.element_size == encoding.element_size
            && encoding.rotation.is_none()
            && !encoding.rotated
    })
}
