use proptest::prelude::*;

use super::*;

fn column(name: &str, scalar: ScalarType, array: bool, ranges: bool, wildcard: bool) -> IndexedColumn {
    let column_type = ColumnType { scalar, array };
    IndexedColumn { name: name.into(), column_type, range_optimization: ranges, extended_wildcard: wildcard }
}

fn posting_of(rows: &[u32]) -> Vec<u8> {
    posting::encode(&rows.iter().copied().collect()).unwrap()
}

fn pairs(builder: &IndexBuilder, family: Family<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    builder.entries(family, false).map(|entry| (entry.key, entry.value)).collect()
}

#[test]
fn families_follow_the_schema() {
    let columns = [
        column("s", ScalarType::String, false, true, true),
        column("b", ScalarType::Bool, false, true, true),
        column("n", ScalarType::I32, false, true, true),
        column("plain", ScalarType::String, false, false, false),
        column("tags", ScalarType::String, true, true, true),
    ];
    let names: Vec<String> = families(&columns).map(|family| family.to_string()).collect();
    let expected = [
        "default",
        "s$TERMS",
        "s$RANGES",
        "s$SMRET",
        "b$TERMS",
        "n$TERMS",
        "n$RANGES",
        "plain$TERMS",
        "tags$TERMS",
        "tags$ARRAY_LEN",
        "$CDF",
    ];
    assert_eq!(names, expected);
    let builder = IndexBuilder::new(columns.to_vec()).unwrap();
    assert_eq!(builder.families().map(|family| family.to_string()).collect::<Vec<_>>(), expected);
    assert_eq!(families(&[]).map(|family| family.to_string()).collect::<Vec<_>>(), ["default", "$CDF"]);
}

#[test]
fn an_index_without_rows_is_empty() {
    let builder = IndexBuilder::new(vec![column("s", ScalarType::String, false, true, true)]).unwrap();
    for family in builder.families() {
        assert_eq!(pairs(&builder, family), []);
    }
    assert_eq!((builder.last_row(), builder.memory_size()), (None, 0));
    let sealed: Vec<_> = builder.entries(Family::Default, true).collect();
    let expected = IndexEntry { key: b"s$ZVEC$SEALED".to_vec(), value: b"sealed".to_vec(), kind: EntryKind::Value };
    assert_eq!(sealed, [expected]);
}

#[test]
fn strings_are_found_from_both_ends() {
    let mut builder = IndexBuilder::new(vec![column("s", ScalarType::String, false, false, true)]).unwrap();
    for (row, text) in ["ab", "ba", "ab", "ca", "", "ab", "ab"].iter().enumerate() {
        builder.add(row as u32, &[Value::Bytes(text.as_bytes().to_vec())]).unwrap();
    }
    let expected = [
        (b"".to_vec(), posting_of(&[4])),
        (b"ab".to_vec(), posting_of(&[0, 2, 5, 6])),
        (b"ba".to_vec(), posting_of(&[1])),
        (b"ca".to_vec(), posting_of(&[3])),
    ];
    assert_eq!(pairs(&builder, Family::Terms("s")), expected);
    let reversed = [
        (b"".to_vec(), posting_of(&[4])),
        (b"ab".to_vec(), posting_of(&[1])),
        (b"ac".to_vec(), posting_of(&[3])),
        (b"ba".to_vec(), posting_of(&[0, 2, 5, 6])),
    ];
    assert_eq!(pairs(&builder, Family::ReversedTerms("s")), reversed);
    assert!(builder.entries(Family::Terms("s"), false).all(|entry| entry.kind == EntryKind::Operand));
    assert_eq!(pairs(&builder, Family::Terms("other")), []);
    assert_eq!(pairs(&builder, Family::ArrayLength("s")), []);
}

#[test]
fn arrays_give_terms_and_lengths_and_nulls_neither() {
    let mut builder = IndexBuilder::new(vec![column("a", ScalarType::I32, true, true, true)]).unwrap();
    for (row, value) in
        [Value::I32s(vec![5, -1, 5]), Value::Null, Value::I32s(vec![]), Value::I32s(vec![5])].into_iter().enumerate()
    {
        builder.add(row as u32 + 10, &[value]).unwrap();
    }
    let terms = [(b"\x7f\xff\xff\xff".to_vec(), posting_of(&[10])), (b"\x80\0\0\x05".to_vec(), posting_of(&[10, 13]))];
    assert_eq!(pairs(&builder, Family::Terms("a")), terms);
    let lengths = [
        (vec![0, 0, 0, 0], posting_of(&[12])),
        (vec![0, 0, 0, 1], posting_of(&[13])),
        (vec![0, 0, 0, 3], posting_of(&[10])),
    ];
    assert_eq!(pairs(&builder, Family::ArrayLength("a")), lengths);
    let specials = [
        (b"a$ZVEC$MAX_ID".to_vec(), b"13".to_vec()),
        (b"a$ZVEC$NULL".to_vec(), set::encode(&[11].into_iter().collect())),
    ];
    assert_eq!(pairs(&builder, Family::Default), specials);
}

#[test]
fn specials_are_in_key_order_over_all_columns() {
    let names = ["b", "a", "a$", "A"];
    let columns = names.map(|name| column(name, ScalarType::Bool, false, false, false)).to_vec();
    let mut builder = IndexBuilder::new(columns).unwrap();
    builder.add(4_000_000_000, &[const { Value::Null }; 4]).unwrap();
    let entries: Vec<_> = builder.entries(Family::Default, true).collect();
    assert_eq!(entries.len(), 12);
    assert!(entries.is_sorted_by(|a, b| a.key < b.key));
    assert!(entries.iter().all(|entry| SpecialKey::parse(&entry.key).is_some() && entry.kind == EntryKind::Value));
}

#[test]
fn a_row_that_does_not_fit_changes_nothing() {
    let columns =
        vec![column("n", ScalarType::I64, false, false, false), column("s", ScalarType::String, false, false, false)];
    let mut builder = IndexBuilder::new(columns.clone()).unwrap();
    let good = [Value::I64(1), Value::Bytes(b"x".to_vec())];
    builder.add(3, &good).unwrap();
    let before = builder.memory_size();
    for (row, values, code) in [
        (4, vec![Value::I64(2)], "inverted.wrong-value"),
        (4, vec![Value::I64(2), Value::I64(2)], "inverted.wrong-value"),
        (4, vec![Value::I64(2), Value::Bytes(vec![0xff])], "inverted.wrong-value"),
        (4, vec![Value::F32s(vec![]), Value::Null], "inverted.wrong-value"),
        (3, good.to_vec(), "inverted.row-order"),
        (2, good.to_vec(), "inverted.row-order"),
    ] {
        assert_eq!(builder.add(row, &values).unwrap_err().code, code);
    }
    assert_eq!((builder.last_row(), builder.memory_size()), (Some(3), before));
    assert_eq!(pairs(&builder, Family::Terms("n")).len(), 1);
    for name in ["", "n"] {
        let mut columns = columns.clone();
        columns[1].name = name.into();
        assert_eq!(IndexBuilder::new(columns).unwrap_err().code, "inverted.wrong-value");
    }
}

proptest! {
    #[test]
    fn every_row_is_under_its_term_and_keys_ascend(
        values in prop::collection::vec(prop::option::of("[ab\\x00]{0,3}"), 0..60),
    ) {
        let mut builder = IndexBuilder::new(vec![column("s", ScalarType::String, false, true, true)]).unwrap();
        for (row, value) in values.iter().enumerate() {
            let value = value.as_ref().map_or(Value::Null, |text| Value::Bytes(text.clone().into_bytes()));
            builder.add(row as u32, &[value]).unwrap();
        }
        let terms = pairs(&builder, Family::Terms("s"));
        let reversed_terms = pairs(&builder, Family::ReversedTerms("s"));
        prop_assert!(terms.is_sorted_by(|a, b| a.0 < b.0) && reversed_terms.is_sorted_by(|a, b| a.0 < b.0));
        let mut seen = 0;
        for (term, value) in &terms {
            let rows = posting::decode(value, 0).unwrap().rows;
            seen += rows.len();
            for row in rows {
                prop_assert_eq!(values[row as usize].as_deref().map(str::as_bytes), Some(term.as_slice()));
            }
            prop_assert!(reversed_terms.contains(&(reversed(term), value.clone())));
        }
        prop_assert_eq!(seen, values.iter().flatten().count() as u64);
        prop_assert_eq!(reversed_terms.len(), terms.len());
    }
}
