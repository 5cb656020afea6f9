//! Sets of ids, and what the id map and the two indexes hold.

use zvecctl::format::{delete_set, forward::ScalarType, fts, idmap, inverted, roaring};

use super::super::mend;

/// `del.<D>`, as it is and with a checksum that fits.
pub fn delete_set(data: &[u8]) {
    let mut mended = data.to_vec();
    mend::delete_set(&mut mended);
    for data in [data, &mended] {
        if let Ok(set) = delete_set::read(data) {
            let again =
                delete_set::read(&delete_set::write(&set.ids, set.timestamp)).expect("what is written can be read");
            assert!(again.faults.is_empty(), "{:?}", again.faults);
            assert_eq!((again.ids, again.timestamp), (set.ids, set.timestamp));
        }
    }
}

/// Roaring sets, of 32 and of 64 bits.
pub fn roaring(data: &[u8]) {
    if let Ok(set) = roaring::decode(data, 0) {
        assert!(set.length <= data.len());
        let again = roaring::decode_exact(&roaring::encode(&set.bitmap), 0).expect("what is written can be read");
        assert_eq!(again, set.bitmap);
    }
    let _ = roaring::decode_exact(data, 0);
    if let Ok(set) = roaring::decode_tree(data, 0) {
        assert!(set.length <= data.len());
        let again = roaring::decode_tree(&roaring::encode_tree(&set.treemap), 0).expect("what is written can be read");
        assert!(again.faults.is_empty(), "{:?}", again.faults);
        assert_eq!(again.treemap, set.treemap);
    }
}

/// A value of the id map.
pub fn idmap_value(data: &[u8]) {
    if let Ok(id) = idmap::decode_value(data, 0) {
        assert_eq!(idmap::encode_value(id), data);
    }
}

/// Keys and values of the inverted index; in merges, operands are parts of the bytes.
pub fn inverted(data: &[u8]) {
    use ScalarType as T;
    for scalar in [T::Binary, T::String, T::Bool, T::I32, T::I64, T::U32, T::U64, T::F32, T::F64] {
        if let Ok(value) = inverted::term::decode(data, scalar) {
            let again = inverted::term::encode(&value).expect("what can be read can be written");
            assert_eq!(again, data, "{scalar}");
        }
    }
    assert_eq!(inverted::term::reversed(&inverted::term::reversed(data)), data);
    if let Ok(length) = inverted::term::decode_length(data) {
        assert_eq!(inverted::term::encode_length(length), data);
    }
    if let Ok(key) = inverted::RangeKey::decode(data) {
        assert_eq!(key.encode(), data);
    }
    if let Some(key) = inverted::SpecialKey::parse(data) {
        assert_eq!(key.encode(), data);
    }
    let _ = inverted::decode_max_id(data);
    if let Ok(histogram) = inverted::Histogram::decode(data, 0) {
        assert!(histogram.slots.len() <= data.len());
    }
    if let Ok(posting) = inverted::decode(data, 0)
        && let Some(again) = inverted::encode(&posting.rows)
    {
        let again = inverted::decode(&again, 0).expect("what is written can be read");
        assert!(again.faults.is_empty(), "{:?}", again.faults);
        assert_eq!(again.rows, posting.rows);
    }
    let (whole, rows) = (inverted::union(parts(data)), inverted::merge(parts(data)));
    if let Ok(merged) = rows {
        let merged = inverted::decode(&merged, 0).expect("what is merged can be read");
        assert_eq!(merged.rows, whole.0, "a merge is a union");
    }
    if let Ok(name) = std::str::from_utf8(data) {
        assert_eq!(inverted::Family::parse(name).to_string(), name);
        assert_eq!(fts::Family::parse(name).to_string(), name);
    }
}

/// Keys and values of the full-text index.
pub fn fts(data: &[u8]) {
    if let Ok(posting) = fts::decode(data, 0) {
        posting.rows();
        posting.faults();
    }
    if let Ok(positions) = fts::decode_positions(data, 0) {
        let again = fts::decode_positions(&fts::encode_positions(&positions), 0);
        assert_eq!(again, Ok(positions));
    }
    if let Ok(count) = fts::decode_count(data, 0) {
        assert_eq!(fts::encode_count(count), data);
    }
    if let Ok(row) = fts::decode_row(data) {
        assert_eq!(fts::encode_row(row), data);
    }
    if let Ok(total) = fts::decode_stat(data, 0) {
        assert_eq!(fts::encode_stat(total), data);
    }
    if let Ok(key) = fts::RowKey::decode(data) {
        assert_eq!(key.encode(), data);
    }
    if let Some(key) = fts::StatKey::parse(data) {
        assert_eq!(key.encode(), data);
    }
    fts::union(parts(data));
    let _ = fts::merge(parts(data));
    let _ = fts::merge_max(parts(data));
}

/// The bytes as operands: each begins with its length.
fn parts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first()?;
        let part;
        (part, rest) = behind.split_at(behind.len().min(usize::from(*length)));
        Some(part)
    })
}
