use serde_json::Value as Json;

use super::*;
use crate::format::fts::{Lengths, PackedPosting, Sealer, decode_stat, sealed_families};

type Rows = Vec<(Vec<u8>, Vec<u8>, EntryKind)>;

/// An index that zvec 0.8.0 wrote, open and sealed, and the texts in it.
struct Golden {
    columns: Vec<TextColumn>,
    rows: Vec<Vec<Value>>,
    open: Vec<(String, Rows)>,
    sealed: Vec<(String, Rows)>,
}

fn golden() -> Golden {
    let json: Json = serde_json::from_str(include_str!("../../testdata/fts/index.json")).unwrap();
    let list = |json: &Json| json.as_array().unwrap().clone();
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let bytes = |json: &Json| -> Vec<u8> {
        let hex = text(json);
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let column = |json: Json| {
        let filters: Vec<String> = list(&json["filters"]).iter().map(text).collect();
        let tokenizer = Tokenizer::new(&text(&json["tokenizer"]), &filters, &text(&json["extra"])).unwrap();
        TextColumn { name: text(&json["name"]), tokenizer, totals: Totals::default() }
    };
    let value = |json: &Json| json.as_str().map_or(Value::Null, |text| Value::Bytes(text.as_bytes().to_vec()));
    let kind = |json: &Json| if json.as_bool().unwrap() { EntryKind::Operand } else { EntryKind::Value };
    let families = |json: &Json| -> Vec<(String, Rows)> {
        let row = |row: &Json| (bytes(&row[0]), bytes(&row[1]), kind(&row[2]));
        list(json).iter().map(|family| (text(&family[0]), list(&family[1]).iter().map(row).collect())).collect()
    };
    Golden {
        columns: list(&json["columns"]).into_iter().map(column).collect(),
        rows: list(&json["docs"]).iter().map(|row| list(row).iter().map(value).collect()).collect(),
        open: families(&json["open"]),
        sealed: families(&json["sealed"]),
    }
}

fn built(golden: &Golden) -> FtsBuilder {
    let mut builder = FtsBuilder::new(golden.columns.clone()).unwrap();
    for (row, values) in golden.rows.iter().enumerate() {
        builder.add(row as u32, values).unwrap();
    }
    builder
}

fn rows(entries: impl IntoIterator<Item = IndexEntry>) -> Rows {
    entries.into_iter().map(|entry| (entry.key, entry.value, entry.kind)).collect()
}

fn seal(builder: &FtsBuilder, name: &str) -> Vec<IndexEntry> {
    let mut lengths = Lengths::default();
    for entry in builder.entries(Family::DocumentLength(name)) {
        lengths.add(&entry.key, &entry.value).unwrap();
    }
    let mut sealer = Sealer::new(&lengths, builder.totals(name).unwrap());
    let mut out = Vec::new();
    for entry in builder.entries(Family::TermFrequency(name)) {
        out.extend(sealer.add(&entry.key, &entry.value).unwrap());
    }
    out.extend(sealer.finish());
    out
}

fn plain(name: &str, totals: Totals) -> TextColumn {
    let tokenizer = Tokenizer::new("whitespace", &[""; 0], "").unwrap();
    TextColumn { name: name.into(), tokenizer, totals }
}

fn text(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

#[test]
fn an_open_index_is_that_of_zvec_entry_by_entry() {
    let golden = golden();
    let builder = built(&golden);
    assert_eq!(builder.last_row(), Some(199));
    let names: Vec<String> = builder.families().map(|family| family.to_string()).collect();
    assert_eq!(names, golden.open.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    for (name, expected) in &golden.open {
        assert_eq!(rows(builder.entries(Family::parse(name))), *expected, "{name}");
    }
    assert_eq!(builder.entries(Family::Postings("other")).count(), 0);
}

/// Scores too, bit by bit; one posting has two blocks.
#[test]
fn a_sealed_index_is_that_of_zvec_entry_by_entry() {
    let golden = golden();
    let builder = built(&golden);
    let names: Vec<String> = sealed_families(golden.columns.iter().map(|column| column.name.as_str()))
        .map(|family| family.to_string())
        .collect();
    assert_eq!(names, golden.sealed.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    for (name, expected) in &golden.sealed {
        let entries = match Family::parse(name) {
            Family::Postings(column) => seal(&builder, column),
            family => builder.entries(family).collect(),
        };
        assert_eq!(rows(entries), *expected, "{name}");
    }
    let blocks = |entry: &IndexEntry| PackedPosting::decode(&entry.value, 0).unwrap().blocks.len();
    assert!(seal(&builder, "text").iter().map(blocks).max() > Some(1));
}

#[test]
fn an_index_that_is_continued_takes_its_totals_on() {
    let golden = golden();
    let whole = built(&golden);
    let mut columns = golden.columns.clone();
    for half in [0..70, 70..200] {
        let mut builder = FtsBuilder::new(columns.clone()).unwrap();
        half.for_each(|row| builder.add(row, &golden.rows[row as usize]).unwrap());
        columns.iter_mut().for_each(|column| column.totals = builder.totals(&column.name).unwrap());
    }
    for column in &columns {
        assert_eq!(Some(column.totals), whole.totals(&column.name));
        assert!(column.totals.docs > 0);
    }
}

#[test]
fn what_is_ahead_can_be_taken_off_the_totals() {
    let mut builder = FtsBuilder::new(vec![plain("t", Totals::default())]).unwrap();
    for (row, value) in [text("a b"), Value::Null, text(""), text("c"), text("d e f")].into_iter().enumerate() {
        builder.add(200 + 60 * row as u32, &[value]).unwrap();
    }
    let lengths: Vec<_> = builder.entries(Family::DocumentLength("t")).map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(surplus(lengths.clone(), 320).unwrap(), Totals { docs: 3, tokens: 4 });
    assert_eq!(surplus(lengths.clone(), 0).unwrap(), builder.totals("t").unwrap());
    assert_eq!(surplus(lengths.clone(), 441).unwrap(), Totals::default());
    let rest = builder.totals("t").unwrap().checked_sub(surplus(lengths, 320).unwrap());
    assert_eq!(rest, Some(Totals { docs: 1, tokens: 2 }));
    assert_eq!(Totals::default().checked_sub(Totals { docs: 0, tokens: 1 }), None);
    assert_eq!(surplus([(b"abc", [0; 4])], 0).unwrap_err().code, "fts.bad-row");
    assert_eq!(surplus([([0; 4], b"abc")], 0).unwrap_err().code, "fts.bad-count");
}

#[test]
fn totals_begin_where_the_index_stood() {
    let mut builder =
        FtsBuilder::new(vec![plain("b", Totals { docs: 7, tokens: 100 }), plain("a", Totals::default())]).unwrap();
    builder.add(3, &[text("x y x"), Value::Null]).unwrap();
    let totals: Vec<_> =
        builder.entries(Family::Statistics).map(|entry| (entry.key, decode_stat(&entry.value, 0).unwrap())).collect();
    let expected: [(&[u8], u64); 4] =
        [(b"a_total_docs", 0), (b"a_total_tokens", 0), (b"b_total_docs", 8), (b"b_total_tokens", 103)];
    assert_eq!(totals, expected.map(|(key, total)| (key.to_vec(), total)));
    assert!(builder.memory_size() > 0);
}

/// Keys of the terms "a" and "a\0" mingle.
#[test]
fn terms_with_zero_bytes_come_in_key_order_and_are_sealed_whole() {
    let mut builder = FtsBuilder::new(vec![plain("t", Totals::default())]).unwrap();
    let rows_with = [0, 5, 300, 70_000, 20_000_000];
    for row in rows_with {
        builder.add(row, &[text("a a\0 a\0\0 b")]).unwrap();
    }
    for family in [Family::TermFrequency("t"), Family::Positions("t"), Family::DocumentLength("t")] {
        let keys: Vec<_> = builder.entries(family).map(|entry| entry.key).collect();
        assert!(keys.len() >= 5 && keys.windows(2).all(|pair| pair[0] < pair[1]), "{family}");
    }
    let sealed = seal(&builder, "t");
    let terms: Vec<&[u8]> = sealed.iter().map(|entry| entry.key.as_slice()).collect();
    assert_eq!(terms, [&b"a"[..], b"a\0", b"a\0\0", b"b"]);
    for entry in &sealed {
        assert_eq!(PackedPosting::decode(&entry.value, 0).unwrap().rows, rows_with);
    }
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let mut builder = FtsBuilder::new(vec![plain("t", Totals::default())]).unwrap();
    builder.add(2, &[text("a")]).unwrap();
    for (row, values, code) in [
        (2, vec![text("a")], "fts.row-order"),
        (3, vec![], "fts.wrong-value"),
        (3, vec![Value::I32(1)], "fts.wrong-value"),
    ] {
        assert_eq!(builder.add(row, &values).unwrap_err().code, code);
    }
    assert_eq!(builder.totals("t"), Some(Totals { docs: 1, tokens: 1 }));
    for names in [&["a", "a"][..], &[""]] {
        let columns = names.iter().map(|name| plain(name, Totals::default())).collect();
        assert_eq!(FtsBuilder::new(columns).unwrap_err().code, "fts.wrong-value");
    }
}
