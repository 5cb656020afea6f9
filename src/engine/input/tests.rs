use std::io::Cursor;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeListArray, Float64Array, Int8Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, StringViewArray, UInt8Array,
    builder::{Float32Builder, Int64Builder, ListBuilder, MapBuilder, StringBuilder},
    types::{Float32Type, Float64Type, Int32Type},
};
use arrow_ipc::{
    CompressionType,
    writer::{FileWriter, IpcWriteOptions, StreamWriter},
};
use half::f16;
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};

use super::*;
use crate::{
    engine::Mode,
    format::value::Value,
    inspect::documents::{Cell, Document, Fields, Origin, ParquetExport, write_document},
    vfs::RealFs,
};

/// A scalar of each kind, each vector that zvec stores.
fn schema() -> Arc<Schema> {
    let types = [
        "BINARY",
        "STRING",
        "BOOL",
        "INT32",
        "INT64",
        "UINT32",
        "UINT64",
        "FLOAT",
        "DOUBLE",
        "ARRAY_BINARY",
        "ARRAY_STRING",
        "ARRAY_BOOL",
        "ARRAY_INT32",
        "ARRAY_INT64",
        "ARRAY_UINT32",
        "ARRAY_UINT64",
        "ARRAY_FLOAT",
        "ARRAY_DOUBLE",
    ];
    let scalars = types.map(|name| format!(r#"{{"name": "{name}", "data_type": "{name}", "nullable": true}}"#));
    let dense = ["FP32", "FP16", "INT8"]
        .map(|name| format!(r#"{{"name": "{name}", "data_type": "VECTOR_{name}", "dimension": 2, "nullable": true}}"#));
    let sparse = ["FP32", "FP16"]
        .map(|name| format!(r#"{{"name": "sparse_{name}", "data_type": "SPARSE_VECTOR_{name}", "nullable": true}}"#));
    of_json(&format!(
        r#"{{"name": "n", "fields": [{}], "vectors": [{},{}]}}"#,
        scalars.join(","),
        dense.join(","),
        sparse.join(",")
    ))
}

fn of_json(json: &str) -> Arc<Schema> {
    Arc::new(Schema::create(&serde_json::from_str(json).unwrap()).unwrap())
}

/// Values of every field: ordinary ones, extreme ones, nulls.
fn documents(schema: &Schema) -> Vec<Doc> {
    let text = |text: &str| text.as_bytes().to_vec();
    let half = f16::from_f32;
    let ordinary = vec![
        Value::Bytes(vec![0, 255]),
        Value::Bytes(text("täxt\n")),
        Value::Bool(true),
        Value::I32(-5),
        Value::I64(-5),
        Value::U32(5),
        Value::U64(5),
        Value::F32(0.1),
        Value::F64(0.1),
        Value::ByteStrings(vec![vec![255], vec![]]),
        Value::ByteStrings(vec![text("a"), text("")]),
        Value::Bools(vec![true, false]),
        Value::I32s(vec![1, -2]),
        Value::I64s(vec![1, -2]),
        Value::U32s(vec![1, 2]),
        Value::U64s(vec![1, 2]),
        Value::F32s(vec![0.1, -2.0]),
        Value::F64s(vec![0.1, -2.0]),
        Value::F32s(vec![0.1, -0.2]),
        Value::F16s(vec![half(0.1), half(-2.0)]),
        Value::I8s(vec![-128, 127]),
        Value::SparseF32(vec![(1, 0.1), (u32::MAX, -2.0)]),
        Value::SparseF16(vec![(0, half(0.1))]),
    ];
    let extreme = vec![
        Value::Bytes(vec![]),
        Value::Bytes(vec![]),
        Value::Bool(false),
        Value::I32(i32::MIN),
        Value::I64(i64::MAX),
        Value::U32(u32::MAX),
        Value::U64(u64::MAX),
        Value::F32(f32::MIN_POSITIVE / 4.0),
        Value::F64(f64::MAX),
        Value::ByteStrings(vec![]),
        Value::ByteStrings(vec![]),
        Value::Bools(vec![]),
        Value::I32s(vec![]),
        Value::I64s(vec![]),
        Value::U32s(vec![]),
        Value::U64s(vec![]),
        Value::F32s(vec![f32::INFINITY]),
        Value::F64s(vec![f64::NEG_INFINITY]),
        Value::F32s(vec![f32::MAX, -0.0]),
        Value::F16s(vec![f16::MAX, f16::MIN_POSITIVE_SUBNORMAL]),
        Value::I8s(vec![0, 0]),
        Value::SparseF32(vec![]),
        Value::SparseF16(vec![]),
    ];
    let nulls = vec![Value::Null; ordinary.len()];
    let named = [("doc 1", ordinary), ("ü", extreme), ("doc 3", nulls)];
    let docs = named.map(|(pk, values)| Doc { pk: text(pk), values: values.into_iter().map(Some).collect() });
    docs.iter().for_each(|doc| schema.check(doc, Mode::Insert).unwrap());
    docs.into()
}

/// The document as an export has it.
fn exported(doc: &Doc, schema: &Schema) -> (Document, Fields) {
    let (fields, findings) =
        Fields::of(&crate::format::manifest::Manifest { schema: Some(schema.to_proto()), ..Default::default() });
    assert!(findings.is_empty());
    let cells = |vectors: bool| {
        let of_kind = schema.fields().iter().enumerate().filter(move |(_, field)| field.is_vector() == vectors);
        of_kind.map(|(position, _)| Cell::Value(doc.value(position).clone())).collect()
    };
    let (scalars, vectors) = (cells(false), cells(true));
    let origin = Origin::Wal { path: PathBuf::new(), offset: 0 };
    (Document { pk: doc.pk.clone(), doc_id: 0, deleted: false, origin, fields: scalars, vectors }, fields)
}

fn read_all(reader: &mut dyn DocReader) -> Result<Vec<Item>, InputError> {
    let mut items = Vec::new();
    while reader.next_batch(2, &mut items)? {}
    assert!(reader.bytes_total().is_none_or(|total| reader.bytes_read() <= total));
    assert!(!reader.next_batch(1, &mut items).unwrap(), "nothing follows the end");
    Ok(items)
}

fn read_file(name: &str, bytes: &[u8], schema: &Arc<Schema>, options: &InputOptions) -> Result<Vec<Item>, InputError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_all(open(&RealFs, &path, schema, options)?.as_mut())
}

fn read_stream(bytes: &[u8], schema: &Arc<Schema>) -> Result<Vec<Item>, InputError> {
    let stream = Box::new(Cursor::new(bytes.to_vec()));
    read_all(open_stream("-", stream, schema, &InputOptions::default())?.as_mut())
}

fn docs(items: Vec<Item>) -> Vec<Doc> {
    items.into_iter().map(|item| item.doc.unwrap_or_else(|refusal| panic!("{}: {refusal}", item.place))).collect()
}

fn codes(items: &[Item]) -> Vec<Option<&'static str>> {
    items.iter().map(|item| item.doc.as_ref().err().map(|refusal| refusal.code)).collect()
}

fn json_lines(docs: &[Doc], schema: &Schema) -> Vec<u8> {
    let mut text = Vec::new();
    for doc in docs {
        let (document, fields) = exported(doc, schema);
        write_document(&mut text, &document, &fields);
        text.push(b'\n');
    }
    text
}

fn parquet(docs: &[Doc], schema: &Schema) -> Vec<u8> {
    let (_, fields) = exported(&docs[0], schema);
    let mut export = ParquetExport::new(Vec::new(), &fields).unwrap();
    for doc in docs {
        export.add(exported(doc, schema).0).unwrap();
    }
    export.finish().unwrap()
}

#[test]
fn what_export_writes_as_json_lines_comes_back() {
    let schema = schema();
    let expected = documents(&schema);
    let text = json_lines(&expected, &schema);
    let items = read_file("docs.jsonl", &text, &schema, &InputOptions::default()).unwrap();
    assert_eq!(items.iter().map(|item| item.place).collect::<Vec<_>>(), [1, 2, 3].map(Place::Line));
    assert_eq!(docs(items), expected);
    assert_eq!(docs(read_stream(&text, &schema).unwrap()), expected);
}

#[test]
fn what_export_writes_as_parquet_comes_back() {
    let schema = schema();
    let expected = documents(&schema);
    let file = parquet(&expected, &schema);
    let items = read_file("docs.parquet", &file, &schema, &InputOptions::default()).unwrap();
    assert_eq!(items.iter().map(|item| item.place).collect::<Vec<_>>(), [1, 2, 3].map(Place::Row));
    assert_eq!(docs(items), expected);
    let unnamed = read_file("docs", &file, &schema, &InputOptions::default()).unwrap();
    assert_eq!(docs(unnamed), expected, "told by its first bytes");
}

/// A schema with one field `f`, and what becomes of a column in it.
fn column(data_type: &str, array: ArrayRef) -> Result<Vec<Result<Value, &'static str>>, InputError> {
    let dense = data_type.starts_with("VECTOR");
    let field = if dense { format!(r#""{data_type}", "dimension": 2"#) } else { format!(r#""{data_type}""#) };
    let kind = if data_type.contains("VECTOR") { "vectors" } else { "fields" };
    let schema =
        of_json(&format!(r#"{{"name": "n", "{kind}": [{{"name": "f", "data_type": {field}, "nullable": true}}]}}"#));
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..array.len()).map(|row| row.to_string())));
    let batch = RecordBatch::try_from_iter([("id", ids), ("f", array)]).unwrap();
    let items = read_stream(&stream_of(&batch), &schema)?;
    let value = |item: Item| item.doc.map(|doc| doc.value(0).clone()).map_err(|refusal| refusal.code);
    Ok(items.into_iter().map(value).collect())
}

fn stream_of(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn integers_of_any_width_fit_if_their_value_does() {
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![Some(-1), None, Some(1 << 31), Some(i64::from(i32::MAX))]));
    let range = Err("value.out-of-range");
    assert_eq!(
        column("INT32", wide.clone()).unwrap(),
        [Ok(Value::I32(-1)), Ok(Value::Null), range.clone(), Ok(Value::I32(i32::MAX))]
    );
    assert_eq!(
        column("UINT64", wide.clone()).unwrap(),
        [range.clone(), Ok(Value::Null), Ok(Value::U64(1 << 31)), Ok(Value::U64(i32::MAX as u64))]
    );
    assert_eq!(column("INT64", Arc::new(UInt8Array::from(vec![255]))).unwrap(), [Ok(Value::I64(255))]);
    assert_eq!(
        column("FLOAT", wide).unwrap(),
        [Ok(Value::F32(-1.0)), Ok(Value::Null), Ok(Value::F32(2_147_483_648.0)), range]
    );
}

#[test]
fn floats_are_rounded_to_the_nearest_and_not_to_infinity() {
    let wide: ArrayRef = Arc::new(Float64Array::from(vec![0.1, 1e300, f64::INFINITY]));
    assert_eq!(
        column("FLOAT", wide.clone()).unwrap(),
        [Ok(Value::F32(0.1)), Err("value.out-of-range"), Ok(Value::F32(f32::INFINITY))]
    );
    assert_eq!(column("DOUBLE", wide.clone()).unwrap()[1], Ok(Value::F64(1e300)));
    assert_eq!(column("INT32", wide).unwrap_err().code, "input.column-type");
}

#[test]
fn text_comes_in_every_layout() {
    let expected =
        [Ok(Value::Bytes(b"a".to_vec())), Ok(Value::Null), Ok(Value::Bytes(b"longer than twelve bytes".to_vec()))];
    let texts = [Some("a"), None, Some("longer than twelve bytes")];
    let bytes = texts.map(|text| text.map(str::as_bytes));
    let layouts: [ArrayRef; 5] = [
        Arc::new(StringArray::from_iter(texts)),
        Arc::new(LargeStringArray::from_iter(texts)),
        Arc::new(StringViewArray::from_iter(texts)),
        Arc::new(BinaryArray::from_iter(bytes)),
        Arc::new(DictionaryArray::<Int32Type>::from_iter(texts)),
    ];
    for array in layouts {
        assert_eq!(column("STRING", array.clone()).unwrap(), expected, "{}", array.data_type());
    }
    assert_eq!(column("STRING", Arc::new(Int64Array::from(vec![1]))).unwrap_err().code, "input.column-type");
    assert_eq!(column("BOOL", Arc::new(BooleanArray::from(vec![Some(true)]))).unwrap(), [Ok(Value::Bool(true))]);
    assert_eq!(column("BOOL", Arc::new(arrow_array::NullArray::new(1))).unwrap(), [Ok(Value::Null)]);
}

#[test]
fn dense_vectors_come_from_lists_of_any_layout_and_float() {
    let rows = vec![
        Some(vec![Some(0.1), Some(2.0)]),
        None,
        Some(vec![Some(1.0), None]),
        Some(vec![Some(65_520.0), Some(0.0)]),
    ];
    let fixed: ArrayRef = Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(rows.clone(), 2));
    let narrow = rows
        .clone()
        .into_iter()
        .map(|row| row.map(|row| row.into_iter().map(|v| v.map(|v: f64| v as f32)).collect::<Vec<_>>()));
    let list: ArrayRef = Arc::new(arrow_array::ListArray::from_iter_primitive::<Float32Type, _, _>(narrow.clone()));
    let large: ArrayRef = Arc::new(arrow_array::LargeListArray::from_iter_primitive::<Float32Type, _, _>(narrow));
    for array in [fixed, list, large] {
        let expected = [
            Ok(Value::F32s(vec![0.1, 2.0])),
            Ok(Value::Null),
            Err("value.null-element"),
            Ok(Value::F32s(vec![65_520.0, 0.0])),
        ];
        assert_eq!(column("VECTOR_FP32", array.clone()).unwrap(), expected);
        let halves = column("VECTOR_FP16", array.clone()).unwrap();
        assert_eq!(halves[0], Ok(Value::F16s(vec![f16::from_f32(0.1), f16::from_f32(2.0)])));
        assert_eq!(halves[3], Err("value.out-of-range"));
        assert_eq!(column("VECTOR_INT8", array).unwrap_err().code, "input.column-type");
    }
    let bytes = Int8Array::from(vec![1, -2, 3, 4]);
    let item = Arc::new(arrow_schema::Field::new("item", arrow_schema::DataType::Int8, false));
    let fixed: ArrayRef = Arc::new(FixedSizeListArray::new(item, 2, Arc::new(bytes), None));
    assert_eq!(
        column("VECTOR_INT8", fixed.clone()).unwrap(),
        [Ok(Value::I8s(vec![1, -2])), Ok(Value::I8s(vec![3, 4]))]
    );
    assert_eq!(column("VECTOR_FP32", fixed).unwrap()[0], Ok(Value::F32s(vec![1.0, -2.0])));
}

#[test]
fn sparse_vectors_come_from_maps_too() {
    let mut map = MapBuilder::new(None, Int64Builder::new(), Float32Builder::new());
    for (index, value) in [(7, 0.5), (3, 1.0)] {
        map.keys().append_value(index);
        map.values().append_value(value);
    }
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.keys().append_value(-1);
    map.values().append_value(1.0);
    map.append(true).unwrap();
    let expected = [Ok(Value::SparseF32(vec![(7, 0.5), (3, 1.0)])), Ok(Value::Null), Err("value.out-of-range")];
    assert_eq!(column("SPARSE_VECTOR_FP32", Arc::new(map.finish())).unwrap(), expected);
}

#[test]
fn arrow_files_are_read_whole_and_in_parts() {
    let schema = of_json(r#"{"name": "n", "fields": [{"name": "n", "data_type": "INT64"}]}"#);
    let batches: Vec<_> = [0..3_i64, 3..3, 3..10]
        .into_iter()
        .map(|rows| {
            let ids: ArrayRef = Arc::new(StringArray::from_iter_values(rows.clone().map(|row| format!("id {row}"))));
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
            RecordBatch::try_from_iter([("id", ids), ("n", numbers)]).unwrap()
        })
        .collect();
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let file = writer.into_inner().unwrap();
    let items = read_file("docs.feather", &file, &schema, &InputOptions::default()).unwrap();
    assert_eq!(items.iter().map(|item| item.place).collect::<Vec<_>>(), (1..=10).map(Place::Row).collect::<Vec<_>>());
    let found = docs(items);
    let expected: Vec<_> =
        (0..10).map(|row| Doc { pk: format!("id {row}").into(), values: vec![Some(Value::I64(row))] }).collect();
    assert_eq!(found, expected);
    assert_eq!(read_stream(&file, &schema).unwrap_err().code, "input.unreadable", "a file is no stream");
    let cut = read_file("docs.arrow", &file[..file.len() - 9], &schema, &InputOptions::default());
    assert_eq!(cut.unwrap_err().code, "input.unreadable");
}

#[test]
fn compressed_parquet_is_read() {
    let schema = of_json(r#"{"name": "n", "fields": [{"name": "t", "data_type": "STRING"}]}"#);
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..5000).map(|row| format!("text {row}"))));
    let batch = RecordBatch::try_from_iter([("id", texts.clone()), ("t", texts)]).unwrap();
    let codecs =
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default()), Compression::LZ4_RAW];
    for codec in codecs {
        let properties =
            WriterProperties::builder().set_compression(codec).set_max_row_group_row_count(Some(2000)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        let items =
            read_file("docs.parquet", &writer.into_inner().unwrap(), &schema, &InputOptions::default()).unwrap();
        let found = docs(items);
        assert_eq!(found.len(), 5000, "{codec}");
        assert_eq!(
            found[4321],
            Doc { pk: b"text 4321".to_vec(), values: vec![Some(Value::Bytes(b"text 4321".to_vec()))] }
        );
    }
}

#[test]
fn columns_that_have_no_place_are_refused() {
    let schema = of_json(r#"{"name": "n", "fields": [{"name": "n", "data_type": "INT32", "nullable": true}]}"#);
    let with = |names: &[&str], options: InputOptions| {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let arrays = names.iter().map(|name| (*name, if *name == "n" { number.clone() } else { text.clone() }));
        let stream = stream_of(&RecordBatch::try_from_iter(arrays).unwrap());
        let found = open_stream("-", Box::new(Cursor::new(stream)), &schema, &options)
            .and_then(|mut reader| read_all(reader.as_mut()));
        found.map(|items| docs(items).remove(0).pk).map_err(|error| error.code)
    };
    let named = |name: &str| InputOptions { id_column: Some(name.into()), ..InputOptions::default() };
    let default = InputOptions::default;
    assert_eq!(with(&["id", "n"], default()), Ok(b"1".to_vec()));
    assert_eq!(with(&["_zvec_uid_"], default()), Ok(b"1".to_vec()));
    assert_eq!(with(&["key", "n"], named("key")), Ok(b"1".to_vec()));
    assert_eq!(with(&["key", "n"], default()), Err("input.no-id-column"));
    assert_eq!(with(&["id"], named("key")), Err("input.no-id-column"));
    assert_eq!(with(&["id", "other"], default()), Err("input.unknown-column"));
    assert_eq!(with(&["_zvec_uid_", "id"], default()), Err("input.unknown-column"));
    assert_eq!(with(&["id", "n", "n"], default()), Err("input.duplicate-column"));
    assert_eq!(with(&["n"], named("n")), Err("input.column-type"), "keys are text");

    let taken = of_json(r#"{"name": "n", "fields": [{"name": "id", "data_type": "STRING"}]}"#);
    let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    let stream = stream_of(&RecordBatch::try_from_iter([("id", ids)]).unwrap());
    assert_eq!(read_stream(&stream, &taken).unwrap_err().code, "input.no-id-column");
    let mut both = open_stream("-", Box::new(Cursor::new(stream)), &taken, &named("id")).unwrap();
    let items = read_all(both.as_mut()).unwrap();
    assert_eq!(codes(&items), [None, Some("document.id")], "a row without key");
    assert_eq!(items[0].doc.as_ref().unwrap().value(0), &Value::Bytes(b"x".to_vec()), "key and field");
}

#[test]
fn lines_that_are_no_documents_are_refused_one_by_one() {
    let schema = of_json(
        r#"{"name": "n", "fields": [{"name": "n", "data_type": "INT32"}], "vectors": [{"name": "h", "data_type": "VECTOR_FP16", "dimension": 2}]}"#,
    );
    let lines = [
        (r#"{"id": "1", "fields": {"n": 5}, "vectors": {"h": [0.1, 1.00048828125]}}"#, None),
        (r#"{"id": "2"}"#, None),
        (r#"{"fields": {}}"#, Some("document.shape")),
        (r#"{"id": 3}"#, Some("document.shape")),
        (r#"{"id": "4", "score": 1}"#, Some("document.shape")),
        (r#"{"id": "5", "id": "5"}"#, Some("document.shape")),
        (r#"{"id": "6", "fields": {"n": 1, "n": 1}}"#, Some("document.shape")),
        (r#"{"id": "7", "fields": {"m": 1}}"#, Some("document.unknown-field")),
        (r#"{"id": "8", "fields": {"h": [1, 2]}}"#, Some("document.unknown-field")),
        (r#"{"id": "9", "vectors": {"n": 1}}"#, Some("document.unknown-field")),
        (r#"{"id": "10", "fields": {"n": "5"}}"#, Some("value.wrong-type")),
        (r#"{"id": "11", "fields": {"n": 3000000000}}"#, Some("value.out-of-range")),
        (r#"{"id": "12", "vectors": {"h": [65520, 0]}}"#, Some("value.out-of-range")),
        (r#"{"id": "13", "fields": {"n": 5}"#, Some("json.syntax")),
        (r#"{"id": "14"} {}"#, Some("json.syntax")),
        (r#"[]"#, Some("document.shape")),
        (r#"{"id": "15", "unreadable": ["n"]}"#, Some("document.shape")),
        (r#"{"id": "16", "deleted": true}"#, Some("document.shape")),
        (r#"{"id": "17", "fields": null, "vectors": {}}"#, None),
    ];
    let text = "\u{feff}".to_owned() + &lines.map(|(line, _)| line).join("\r\n\r\n");
    let items = read_stream(text.as_bytes(), &schema).unwrap();
    assert_eq!(codes(&items), lines.map(|(_, code)| code));
    assert_eq!(items[3].place, Place::Line(7), "empty lines count");
    let first = items[0].doc.as_ref().unwrap();
    let rounded = [0x2e66, 0x3c01].map(f16::from_bits).to_vec();
    assert_eq!(first.values, [Some(Value::I32(5)), Some(Value::F16s(rounded))], "a tie goes away from zero");
    let second = items[1].doc.as_ref().unwrap();
    assert_eq!(second.values, [None, None]);
    let refusal = items[10].doc.as_ref().unwrap_err();
    assert!(refusal.message.contains("\"n\"") && refusal.message.contains("byte"), "{refusal}");
}

#[test]
fn a_line_without_end_is_refused_without_being_kept() {
    let schema = of_json(r#"{"name": "n", "fields": [{"name": "t", "data_type": "STRING"}]}"#);
    let long = std::io::repeat(b'x').take(3 * json_lines::MAX_LINE as u64);
    let stream =
        Cursor::new(b"{\"id\": \"1\"}\n".to_vec()).chain(long).chain(Cursor::new(b"\n{\"id\": \"3\"}".to_vec()));
    let mut reader = open_stream("-", Box::new(stream), &schema, &InputOptions::default()).unwrap();
    let items = read_all(reader.as_mut()).unwrap();
    assert_eq!(codes(&items), [None, Some("document.too-large"), None]);
    assert_eq!(items[2].place, Place::Line(3));
}

#[test]
fn a_missing_file_has_its_own_code() {
    let schema = of_json(r#"{"name": "n", "fields": [{"name": "t", "data_type": "STRING"}]}"#);
    let error = open(&RealFs, Path::new("/nowhere/docs.jsonl"), &schema, &InputOptions::default()).err().unwrap();
    assert_eq!(error.code, "input.not-found");
    let empty = read_file("empty.jsonl", b"", &schema, &InputOptions::default()).unwrap();
    assert!(empty.is_empty());
}

/// Every cut and many flipped bytes: an error or documents, never a panic that gets out, nor one without end.
#[test]
fn damaged_tables_do_no_harm() {
    let schema = schema();
    let expected = documents(&schema);
    let file = parquet(&expected, &schema);
    let mut names = ListBuilder::new(StringBuilder::new());
    names.append_value([Some("a"), Some("b")]);
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["id"]));
    let array: ArrayRef = Arc::new(names.finish());
    let stream = stream_of(&RecordBatch::try_from_iter([("id", ids), ("ARRAY_STRING", array)]).unwrap());
    let mut broken = 0;
    for whole in [&file, &stream] {
        let step = (whole.len() / 60).max(1);
        for at in (0..whole.len()).step_by(step) {
            for change in 0..2 {
                let mut bytes = whole.clone();
                if change == 0 {
                    bytes.truncate(at)
                } else {
                    bytes[at] ^= 0x55
                }
                let options = InputOptions { kind: Some(Kind::of_magic(whole)), ..InputOptions::default() };
                broken += usize::from(read_file("damaged", &bytes, &schema, &options).is_err());
            }
        }
    }
    assert!(broken > 80, "{broken}");
}
