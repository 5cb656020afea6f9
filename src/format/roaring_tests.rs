use proptest::prelude::*;

use super::*;

fn plain(values: &[u32]) -> Vec<u8> {
    encode(&values.iter().copied().collect())
}

#[test]
fn known_bytes() {
    assert_eq!(plain(&[]), [0x3a, 0x30, 0, 0, 0, 0, 0, 0], "the empty set of a fresh collection");
    let two = [0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 16, 0, 0, 0, 3, 0, 9, 0];
    assert_eq!(plain(&[3, 9]), two);
    let decoded = decode(&two, 0).unwrap();
    assert_eq!(decoded.bitmap.iter().collect::<Vec<_>>(), [3, 9]);
    assert_eq!((decoded.length, decoded.containers, decoded.runs), (20, 1, false));
    assert!(decoded.faults.is_empty());
}

#[test]
fn run_containers_are_read_and_never_written() {
    // One run 10..=19 in the only container: cookie 12347 | 0 << 16, flags 1, descriptor, run count, run.
    let runs = [0x3b, 0x30, 0, 0, 1, 0, 0, 9, 0, 1, 0, 10, 0, 9, 0];
    let decoded = decode(&runs, 0).unwrap();
    assert!(decoded.runs && decoded.faults.is_empty(), "{:?}", decoded.faults);
    assert_eq!(decoded.bitmap.iter().collect::<Vec<_>>(), (10..20).collect::<Vec<_>>());
    let again = encode(&decoded.bitmap);
    assert_eq!(again[..2], [0x3a, 0x30]);
    assert_eq!(decode_exact(&again, 0).unwrap(), decoded.bitmap);
}

#[test]
fn damage_in_one_container_leaves_the_others() {
    let values: Vec<u32> = (0..10).chain((1 << 16)..(1 << 16) + 5000).chain([5 << 16, (5 << 16) + 7]).collect();
    let good = plain(&values);
    let mut swapped = good.clone();
    let array = 8 + 3 * 8;
    swapped.swap(array, array + 2);
    let decoded = decode(&swapped, 100).unwrap();
    assert_eq!(decoded.faults.len(), 1);
    assert_eq!((decoded.faults[0].code, decoded.faults[0].offset), ("roaring.value-order", 100 + array as u64));
    assert_eq!(decoded.bitmap.iter().collect::<Vec<_>>(), values, "the values are still a set");

    let mut bit = good.clone();
    bit[array + 20 + 8000] |= 1;
    let decoded = decode(&bit, 0).unwrap();
    assert_eq!(decoded.faults[0].code, "roaring.bad-cardinality");
    assert_eq!(decoded.bitmap.len(), values.len() as u64 + 1);

    let decoded = decode(&good[..good.len() - 1], 0).unwrap();
    assert_eq!(decoded.faults[0].code, "roaring.truncated");
    assert_eq!(decoded.bitmap.len(), 5010, "two containers are whole");
    assert_eq!(decode_exact(&good[..good.len() - 1], 0).unwrap_err().code, "roaring.truncated");
}

#[test]
fn header_faults() {
    assert_eq!(decode(&[1, 2, 3, 4, 0, 0, 0, 0], 7).unwrap_err().code, "roaring.bad-cookie");
    let many = [0x3a, 0x30, 0, 0, 1, 0, 1, 0];
    let error = decode(&many, 7).unwrap_err();
    assert_eq!((error.code, error.offset), ("roaring.bad-count", 11));
    assert_eq!(decode(&[0x3a, 0x30, 0, 0, 9, 0, 0, 0], 0).unwrap_err().code, "roaring.truncated");
    assert_eq!(decode(&[], 0).unwrap_err().code, "roaring.truncated");

    let mut keys = plain(&[1, 1 << 16]);
    keys.swap(8, 12);
    keys.swap(10, 14);
    let decoded = decode(&keys, 0).unwrap();
    assert!(
        decoded.faults.iter().any(|fault| fault.code == "roaring.value-order" || fault.code == "roaring.key-order")
    );

    let mut offset = plain(&[1, 2]);
    offset[12] = 17;
    let decoded = decode(&offset, 0).unwrap();
    assert_eq!((decoded.faults[0].code, decoded.faults[0].offset), ("roaring.bad-offset", 12));
    assert_eq!(decoded.bitmap.len(), 2);

    let mut long = plain(&[1, 2]);
    long.push(0);
    let error = decode_exact(&long, 0).unwrap_err();
    assert_eq!((error.code, error.offset), ("roaring.trailing-bytes", 20));
}

#[test]
fn trees_round_trip_and_keep_the_parts_before_damage() {
    let tree: RoaringTreemap = [1u64, 5, 1 << 32, (1 << 32) + 70_000, u64::MAX].into_iter().collect();
    let bytes = encode_tree(&tree);
    let decoded = decode_tree(&bytes, 0).unwrap();
    assert_eq!((decoded.treemap, decoded.length, decoded.faults.len()), (tree, bytes.len(), 0));
    let decoded = decode_tree(&bytes[..bytes.len() - 10], 0).unwrap();
    assert_eq!(decoded.treemap.len(), 4);
    assert_eq!(decoded.faults[0].code, "roaring.truncated");
    let decoded = decode_tree(&[0xff; 8], 0).unwrap();
    assert_eq!(decoded.faults[0].code, "roaring.truncated", "a hostile count ends at the first missing part");
}

proptest! {
    #[test]
    fn round_trip(values in prop::collection::vec(0u32..300_000, 0..6000)) {
        let bitmap: RoaringBitmap = values.into_iter().collect();
        let bytes = encode(&bitmap);
        prop_assert_eq!(decode_exact(&bytes, 0).unwrap(), bitmap);
    }

    #[test]
    fn mutated_sets_never_panic(
        values in prop::collection::vec(0u32..300_000, 0..5000),
        optimize: bool,
        edits in prop::collection::vec((0usize..200, any::<u8>()), 1..6),
        cut in 0usize..64,
    ) {
        let mut bitmap: RoaringBitmap = values.into_iter().chain(100_000..100_900).collect();
        if optimize { bitmap.optimize(); }
        let mut bytes = Vec::new();
        bitmap.serialize_into(&mut bytes).unwrap();
        for (at, byte) in edits { if let Some(slot) = bytes.get_mut(at) { *slot = byte; } }
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        if let Ok(decoded) = decode(&bytes, 0) {
            prop_assert!(decoded.length <= bytes.len());
            if decoded.faults.is_empty() {
                prop_assert_eq!(decode_exact(&encode(&decoded.bitmap), 0).unwrap(), decoded.bitmap);
            }
        }
        let _ = decode_tree(&bytes, 0);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, 0);
        let _ = decode_tree(&bytes, 0);
        let mut cookie = vec![0x3b, 0x30];
        cookie.extend(bytes);
        let _ = decode(&cookie, 0);
    }
}
