//! The values of a column as its inverted index has them, row by row: the same facts as in the forward block, under checksums.

use roaring::RoaringBitmap;

use crate::{
    format::{
        forward::ColumnType,
        inverted::{Family, Special, SpecialKey, term, union},
        manifest::proto::BlockType,
        roaring as set,
        rocks::{Db, Entry, Lookup},
        value::Value,
        wal::ZVEC_MAX_PAYLOAD,
    },
    inspect::{SegmentRef, View, idmap::DatabaseDir},
};

/// Which rows of the segment are wanted.
pub type Rows = std::ops::Range<u64>;

/// What the index says of the rows of a block.
pub struct IndexColumn {
    column_type: ColumnType,
    rows: Rows,
    terms: Vec<Vec<u8>>,
    /// Of each row, the numbers of its terms.
    of_row: Vec<Vec<u32>>,
    /// Of arrays: how many elements.
    lengths: Vec<Option<u32>>,
    nulls: RoaringBitmap,
    /// Whether all of it could be read and nothing contradicts itself.
    pub sound: bool,
}

/// A value out of the index.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Exactly this.
    Exactly(Value),
    /// An array with these elements; their order is not known.
    InSomeOrder(Value),
    /// The index does not have the row, or contradicts itself.
    Nothing,
}

impl IndexColumn {
    /// Reads what the index of a segment says of `rows`; `None` if there is no index of the column, or it cannot be opened.
    pub fn read(
        view: &View,
        segment: SegmentRef<'_>,
        column: &str,
        column_type: ColumnType,
        rows: Rows,
    ) -> Option<Self> {
        let count = usize::try_from(rows.end.saturating_sub(rows.start)).ok()?;
        let mut found = Self {
            column_type,
            rows,
            terms: Vec::new(),
            of_row: vec![Vec::new(); count],
            lengths: vec![None; count],
            nulls: RoaringBitmap::new(),
            sound: true,
        };
        let blocks = segment.meta.persisted_blocks.iter();
        let mut seen = false;
        for block in blocks.filter(|block| block.block_type == BlockType::ScalarIndex as i32) {
            let path = segment.block_path(block)?;
            let Ok(db) = Db::open(&DatabaseDir { view, path: &path }) else { continue };
            if db.column_family(Family::Terms(column).to_string().as_bytes()).is_some() {
                found.sound &= db.faults().is_empty();
                found.scan(&db, column);
                seen = true;
                break;
            }
        }
        seen.then_some(found)
    }

    fn scan(&mut self, db: &Db, column: &str) {
        let array = self.column_type.array;
        self.postings(db, &Family::Terms(column), |found, key, rows| {
            let number = u32::try_from(found.terms.len()).unwrap_or(u32::MAX);
            found.terms.push(key.to_vec());
            for row in rows {
                let Some(terms) = found.at(row).and_then(|at| found.of_row.get_mut(at)) else { continue };
                terms.push(number);
                let contradicts = !array && terms.len() > 1;
                found.sound &= !contradicts;
            }
        });
        if array {
            self.postings(db, &Family::ArrayLength(column), |found, key, rows| {
                let length = term::decode_length(key).ok();
                for row in rows {
                    if let Some(slot) = found.at(row).and_then(|at| found.lengths.get_mut(at)) {
                        *slot = length;
                    }
                }
            });
        }
        let Some(family) = db.column_family(b"default") else { return };
        let key = SpecialKey { column: column.as_bytes(), special: Special::Null }.encode();
        match family.get(&key) {
            Lookup::Found(Entry::Value(value)) => match set::decode_exact(&value, 0) {
                Ok(nulls) => self.nulls = nulls,
                Err(_) => self.sound = false,
            },
            Lookup::Absent => {}
            _ => self.sound = false,
        }
    }

    fn postings(&mut self, db: &Db, family: &Family<'_>, mut each: impl FnMut(&mut Self, &[u8], RoaringBitmap)) {
        let Some(family) = db.column_family(family.to_string().as_bytes()) else {
            self.sound = false;
            return;
        };
        for row in family.scan() {
            let Ok(row) = row else {
                self.sound = false;
                continue;
            };
            let (base, operands) = match &row.entry {
                Entry::Value(value) => (Some(value), [].as_slice()),
                Entry::Merge { base, operands } => (base.as_ref(), operands.as_slice()),
            };
            let (rows, faults) = union(base.into_iter().chain(operands).map(Vec::as_slice));
            self.sound &= row.certain && faults.is_empty();
            each(self, &row.key, rows);
        }
    }

    fn at(&self, row: u32) -> Option<usize> {
        let row = u64::from(row);
        self.rows.contains(&row).then(|| usize::try_from(row - self.rows.start).ok())?
    }

    fn is_null(&self, row: usize) -> bool {
        let row = self.rows.start.saturating_add(row as u64);
        u32::try_from(row).is_ok_and(|row| self.nulls.contains(row))
    }

    /// Whether the index says the same of a row of the block, counted from 0; `None` if it says nothing.
    pub fn agrees(&self, row: usize, value: &Value) -> Option<bool> {
        let terms = self.of_row.get(row)?;
        let length = self.lengths.get(row).copied().flatten();
        if self.is_null(row) {
            return (terms.is_empty() && length.is_none()).then_some(*value == Value::Null);
        }
        if self.column_type.array {
            let length = length?;
            let Some((stored, stored_length)) = term::encode_elements(value) else { return Some(false) };
            let mut held = terms.iter().filter_map(|number| self.term(*number));
            return Some(
                stored_length == length && stored.len() == terms.len() && held.all(|term| stored.contains(term)),
            );
        }
        let [number] = terms.as_slice() else { return None };
        Some(term::encode(value).as_deref() == self.term(*number))
    }

    fn term(&self, number: u32) -> Option<&[u8]> {
        self.terms.get(number as usize).map(Vec::as_slice)
    }

    /// The value of a row of the block, counted from 0. `stored` is the value in the block, if it can be read: it gives an array its order.
    pub fn value(&self, row: usize, stored: Option<&Value>) -> Told {
        let Some(terms) = self.of_row.get(row) else { return Told::Nothing };
        let length = self.lengths.get(row).copied().flatten();
        if self.is_null(row) {
            let contradicts = !terms.is_empty() || length.is_some();
            return if contradicts { Told::Nothing } else { Told::Exactly(Value::Null) };
        }
        let scalar = self.column_type.scalar;
        let decoded =
            terms.iter().map(|number| term::decode(self.term(*number)?, scalar).ok()).collect::<Option<Vec<Value>>>();
        let Some(decoded) = decoded else { return Told::Nothing };
        if !self.column_type.array {
            return match decoded.into_iter().next().filter(|_| terms.len() == 1) {
                Some(value) => Told::Exactly(value),
                None => Told::Nothing,
            };
        }
        let Some(length) = length else { return Told::Nothing };
        array(decoded, length as usize, stored.map(elements), scalar)
    }
}

/// An array from its distinct elements and its length. With one wrong element in `stored` the missing one goes in its place.
fn array(
    distinct: Vec<Value>,
    length: usize,
    stored: Option<Vec<Value>>,
    scalar: crate::format::forward::ScalarType,
) -> Told {
    let all = |values: &[Value]| collect(values, scalar).map_or(Told::Nothing, Told::Exactly);
    if let Some(mut stored) = stored.filter(|stored| stored.len() == length) {
        let strange: Vec<usize> =
            stored.iter().enumerate().filter(|(_, value)| !contains(&distinct, value)).map(|(at, _)| at).collect();
        let missing: Vec<&Value> = distinct.iter().filter(|value| !contains(&stored, value)).collect();
        if let ([at], [value]) = (strange.as_slice(), missing.as_slice()) {
            let value = (*value).clone();
            if let Some(slot) = stored.get_mut(*at) {
                *slot = value;
            }
            return all(&stored);
        }
    }
    if let [only] = distinct.as_slice() {
        // No record could have held a longer one: the length is damaged.
        let bytes = if let Value::Bytes(bytes) = only { bytes.len().saturating_add(4) } else { 8 };
        if length.saturating_mul(bytes) > ZVEC_MAX_PAYLOAD as usize {
            return Told::Nothing;
        }
        return all(&vec![only.clone(); length]);
    }
    if distinct.len() == length && length == 0 {
        return all(&[]);
    }
    match collect(&distinct, scalar).filter(|_| distinct.len() == length) {
        Some(value) => Told::InSomeOrder(value),
        None => Told::Nothing,
    }
}

fn contains(values: &[Value], wanted: &Value) -> bool {
    let term = term::encode(wanted);
    values.iter().any(|value| term::encode(value) == term)
}

fn elements(value: &Value) -> Vec<Value> {
    match value {
        Value::Bools(values) => values.iter().map(|value| Value::Bool(*value)).collect(),
        Value::I32s(values) => values.iter().map(|value| Value::I32(*value)).collect(),
        Value::U32s(values) => values.iter().map(|value| Value::U32(*value)).collect(),
        Value::I64s(values) => values.iter().map(|value| Value::I64(*value)).collect(),
        Value::U64s(values) => values.iter().map(|value| Value::U64(*value)).collect(),
        Value::F32s(values) => values.iter().map(|value| Value::F32(*value)).collect(),
        Value::F64s(values) => values.iter().map(|value| Value::F64(*value)).collect(),
        Value::ByteStrings(values) => values.iter().map(|value| Value::Bytes(value.clone())).collect(),
        _ => Vec::new(),
    }
}

fn collect(values: &[Value], scalar: crate::format::forward::ScalarType) -> Option<Value> {
    use crate::format::forward::ScalarType as S;
    macro_rules! each {
        ($kind:ident, $array:ident) => {
            values
                .iter()
                .map(|value| match value {
                    Value::$kind(value) => Some(value.clone()),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()
                .map(Value::$array)
        };
    }
    match scalar {
        S::Bool => each!(Bool, Bools),
        S::I32 => each!(I32, I32s),
        S::U32 => each!(U32, U32s),
        S::I64 => each!(I64, I64s),
        S::U64 => each!(U64, U64s),
        S::F32 => each!(F32, F32s),
        S::F64 => each!(F64, F64s),
        S::String | S::Binary => each!(Bytes, ByteStrings),
    }
}

/// A value of a type that no null may stand for, in a row that is given up.
pub fn placeholder(column_type: ColumnType) -> Value {
    use crate::format::forward::ScalarType as S;
    if column_type.array {
        return collect(&[], column_type.scalar).unwrap_or(Value::Null);
    }
    match column_type.scalar {
        S::Bool => Value::Bool(false),
        S::I32 => Value::I32(0),
        S::U32 => Value::U32(0),
        S::I64 => Value::I64(0),
        S::U64 => Value::U64(0),
        S::F32 => Value::F32(0.0),
        S::F64 => Value::F64(0.0),
        S::String | S::Binary => Value::Bytes(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::forward::ScalarType;

    #[test]
    fn an_array_gets_back_the_one_element_that_is_wrong() {
        let distinct = vec![Value::I32(1), Value::I32(2), Value::I32(3)];
        let stored = elements(&Value::I32s(vec![3, 66, 1, 1]));
        let told = array(distinct.clone(), 4, Some(stored), ScalarType::I32);
        assert_eq!(told, Told::Exactly(Value::I32s(vec![3, 2, 1, 1])));
        assert_eq!(array(distinct.clone(), 3, None, ScalarType::I32), Told::InSomeOrder(Value::I32s(vec![1, 2, 3])));
        assert_eq!(array(distinct, 5, None, ScalarType::I32), Told::Nothing);
        assert_eq!(array(vec![Value::I32(7)], 2, None, ScalarType::I32), Told::Exactly(Value::I32s(vec![7, 7])));
        assert_eq!(array(Vec::new(), 0, None, ScalarType::I32), Told::Exactly(Value::I32s(vec![])));
    }

    #[test]
    fn a_placeholder_has_the_type_of_its_column() {
        for scalar in [ScalarType::Bool, ScalarType::I64, ScalarType::F32, ScalarType::String, ScalarType::Binary] {
            for array in [false, true] {
                let column_type = ColumnType { scalar, array };
                assert_eq!(column_type.check(&placeholder(column_type)), Ok(()), "{column_type}");
                assert_ne!(placeholder(column_type), Value::Null);
            }
        }
    }

    #[test]
    fn an_array_is_no_longer_than_a_record_could_be() {
        use crate::format::forward::ScalarType;
        let told = |value: Value, length, scalar| array(vec![value], length, None, scalar);
        assert!(
            matches!(told(Value::Bool(true), 3, ScalarType::Bool), Told::Exactly(Value::Bools(flags)) if flags == [true; 3])
        );
        assert!(matches!(told(Value::Bool(true), u32::MAX as usize, ScalarType::Bool), Told::Nothing));
        assert!(matches!(told(Value::Bytes(vec![7; 1000]), 1 << 13, ScalarType::String), Told::Nothing));
    }
}
