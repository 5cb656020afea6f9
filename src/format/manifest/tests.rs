use proptest::prelude::*;
use prost::Message;
use serde_json::json;

use super::{
    proto::{BlockMeta, BlockType, DataType, SegmentMeta, index_params::Params},
    *,
};
use crate::format::Kind;

macro_rules! real {
    ($($name:literal)*) => { [$(($name, include_bytes!(concat!("../testdata/manifest/", $name, ".bin")).as_slice())),*] };
}

/// Manifests that real zvec releases wrote.
const REAL: [(&str, &[u8]); 11] = real! {
    "0.1.0_optimized" "0.8.0_all_types" "0.8.0_column_renamed" "0.8.0_deleted" "0.8.0_diskann" "0.8.0_hnsw_flat_fp16"
    "0.8.0_hnsw_rabitq" "0.8.0_ivf" "0.8.0_ivf_rabitq" "0.8.0_quantised_index_dropped" "0.8.0_vamana"
};

pub(in crate::format) fn real_manifests() -> impl Iterator<Item = (&'static str, Manifest)> {
    REAL.into_iter().map(|(name, bytes)| (name, decode(bytes).unwrap()))
}

fn real(name: &str) -> Manifest {
    real_manifests().find(|(known, _)| *known == name).unwrap().1
}

fn codes(manifest: &Manifest) -> Vec<&'static str> {
    check(manifest).into_iter().map(|violation| violation.code).collect()
}

#[test]
fn real_manifests_come_back_byte_for_byte() {
    for (name, bytes) in REAL {
        let manifest = decode(bytes).unwrap();
        assert_eq!(encode(&manifest), bytes, "{name}");
        assert_eq!(decode_dynamic(bytes).unwrap().encode_to_vec(), bytes, "{name}");
        let dump = Dump::read(bytes).unwrap();
        assert_eq!((dump.manifest(), dump.decoded, dump.size), (manifest, bytes.len() as u64, bytes.len() as u64));
        assert_eq!((dump.faults, dump.irregularities), (vec![], vec![]), "{name}");
    }
}

#[test]
fn real_manifests_break_no_rule_but_the_one_that_zvec_breaks() {
    for (name, manifest) in real_manifests() {
        let found = check(&manifest);
        if name == "0.8.0_quantised_index_dropped" {
            // zvec deleted the file of block 2 and left the block in the manifest; it cannot open this collection.
            let detail = "the segment has 80 rows, but 160 of column \"dense\" in VECTOR_INDEX blocks [2, 7]";
            let expected = RuleViolation { code: "manifest.row-count", segment: Some(0), detail: detail.into() };
            assert_eq!(found, [expected]);
        } else {
            assert_eq!(found, [], "{name}");
        }
    }
}

/// A cut in the schema's message made `manifest dump` show nothing of the schema.
#[test]
fn a_message_that_is_cut_keeps_its_beginning() {
    // schema { name = "fix" … } of 9 bytes, of which 5 are there.
    let dump = Dump::read(b"\x12\x09\x0a\x03fix").unwrap();
    assert_eq!(
        dump.faults.iter().map(|fault| (fault.code, fault.offset)).collect::<Vec<_>>(),
        [("manifest.truncated", 2)]
    );
    assert_eq!(dump.manifest().schema.unwrap().name, "fix");
}

#[test]
fn a_manifest_cut_anywhere_is_refused_or_breaks_a_rule() {
    for (name, bytes) in REAL {
        for len in 0..bytes.len() {
            let whole = decode(&bytes[..len]).is_ok_and(|manifest| check(&manifest).is_empty());
            assert!(!whole, "{name} cut to {len} bytes");
        }
    }
}

#[test]
fn an_empty_manifest_has_its_own_code() {
    let error = decode(b"").unwrap_err();
    assert_eq!((error.code, error.kind), ("manifest.empty", Kind::Truncated));
    assert_eq!(codes(&Manifest::default()), ["manifest.empty"]);
    assert_eq!(codes(&Dump::read(b"").unwrap().manifest()), ["manifest.empty"]);
}

#[test]
fn without_schema_or_writing_segment_it_is_incomplete() {
    let manifest = real("0.8.0_deleted");
    assert_eq!(codes(&Manifest { schema: None, ..manifest.clone() })[0], "manifest.incomplete");
    assert_eq!(codes(&Manifest { writing_segment_meta: None, ..manifest }), ["manifest.incomplete"]);
}

#[test]
fn a_nested_fault_does_not_end_the_reading() {
    // version = 5 with a wrong wire type; a schema whose second field is cut; enable_mmap = true.
    let bytes = b"\x0d\0\0\0\0\x12\x05\x0a\x01n\x12\x09\x18\x01";
    let dump = Dump::read(bytes).unwrap();
    let faults: Vec<_> = dump.faults.iter().map(|fault| (fault.code, fault.offset)).collect();
    assert_eq!(faults, [("manifest.wire-type", 0), ("manifest.truncated", 12)]);
    assert_eq!(dump.decoded, bytes.len() as u64);
    let manifest = dump.manifest();
    assert!(manifest.enable_mmap);
    assert_eq!(manifest.schema.unwrap().name, "n");
    assert_eq!(decode(bytes).unwrap_err().code, "manifest.wire-type");
    let paths: Vec<_> = dump.rows().into_iter().map(|row| (row.offset, row.len, row.path)).collect();
    let expected = [(0, 5, "version"), (5, 7, "schema"), (7, 3, "schema.name"), (12, 2, "enable_mmap")];
    assert_eq!(paths, expected.map(|(offset, len, path)| (offset, len, path.to_owned())));
}

#[test]
fn a_top_level_fault_says_where_decoding_stopped() {
    for (bytes, code, offset) in [
        (b"\x18\x01\x12\x7f".as_slice(), "manifest.truncated", 4),
        (b"\x18\x01\x30\x80", "manifest.truncated", 4),
        (b"\x18\x01\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "manifest.malformed", 3),
        (b"\x18\x01\x0b", "manifest.wire-type", 2),
        (b"\x18\x01\0", "manifest.malformed", 2),
        (b"\x18\x01\x85\x80\x80\x80\x80\x01", "manifest.malformed", 2),
    ] {
        let dump = Dump::read(bytes).unwrap();
        assert_eq!(dump.decoded, 2, "{bytes:x?}");
        assert_eq!((dump.faults[0].code, dump.faults[0].offset), (code, offset), "{bytes:x?}");
        assert!(dump.manifest().enable_mmap);
    }
}

#[test]
fn a_manifest_of_countless_fields_is_not_read_to_its_end() {
    let dump = Dump::read(&b"\x22\0".repeat((1 << 20) + 1)).unwrap();
    let fault = &dump.faults[0];
    assert_eq!((fault.code, fault.kind, fault.offset), ("manifest.too-large", Kind::Unsupported, 2 << 20));
}

#[test]
fn a_name_that_is_no_text() {
    let dump = Dump::read(b"\x12\x05\x0a\x03ab\xff").unwrap();
    assert_eq!((dump.faults[0].code, dump.faults[0].offset), ("manifest.utf8", 6));
    assert_eq!(dump.rows()[1].value.as_deref(), Some("6162ff"));
}

#[test]
fn what_a_newer_zvec_wrote_is_not_damage_and_is_not_lost() {
    let manifest = real("0.8.0_vamana");
    let mut bytes = encode(&manifest);
    bytes.extend(b"\x48\x07\x52\x02hi"); // fields 9 and 10
    let error = decode(&bytes).unwrap_err();
    assert_eq!((error.code, error.kind), ("manifest.newer", Kind::Newer));
    let dump = Dump::read(&bytes).unwrap();
    assert_eq!((dump.manifest(), dump.faults.len(), dump.irregularities.len()), (manifest, 0, 0));
    let unknown = dump.assessment().unknown_fields;
    let seen: Vec<_> = unknown.iter().map(|u| (u.path.as_str(), u.number, u.wire_type, u.value.as_str())).collect();
    assert_eq!(seen, [("", 9, WireType::Varint, "07"), ("", 10, WireType::Bytes, "6869")]);
    let dynamic = decode_dynamic(&bytes).unwrap();
    assert_eq!(dynamic.encode_to_vec(), bytes);

    // A data type 29 in a field, a field 8 in a block of a segment, and version 1.
    let bytes = b"\x08\x01\x12\x04\x12\x02\x10\x1d\x22\x04\x12\x02\x40\x01";
    let found = Dump::read(bytes).unwrap().assessment();
    assert_eq!(found.version, 1);
    let unknown = &found.unknown_enum_values[0];
    assert_eq!((unknown.path.as_str(), unknown.number, unknown.offset), ("schema.fields[0].data_type", 29, 6));
    let unknown = &found.unknown_fields[0];
    let seen = (unknown.path.as_str(), unknown.number, unknown.offset, unknown.value.as_str());
    assert_eq!(seen, ("persisted_segment_metas[0].persisted_blocks[0]", 8, 12, "01"));
    assert!(found.is_newer() && !Assessment::default().is_newer());
}

#[test]
fn encodings_that_zvec_never_writes_are_remarked() {
    for (bytes, offset, detail) in [
        (b"\x18\x00".as_slice(), 0, "enable_mmap is written although it has its default value"),
        (b"\x18\x02", 0, "enable_mmap is the bool 2"),
        (b"\x30\x81\x00", 1, "varint 1 takes 2 bytes"),
        (b"\x30\x01\x18\x01", 2, "enable_mmap follows field 6"),
        (b"\x30\x01\x30\x02", 2, "id_map_path_suffix occurs twice"),
        (b"\x30\xff\xff\xff\xff\xff\x01", 0, "id_map_path_suffix is 0xfffffffff, more than 32 bits"),
        (b"\x12\x0a\x12\x08\x2a\x06\x0a\x02\x08\x01\x12\x00", 10, "hnsw and field 1 exclude each other"),
    ] {
        let dump = Dump::read(bytes).unwrap();
        assert!(dump.faults.is_empty());
        let found: Vec<_> = dump.irregularities.iter().map(|i| (i.offset, i.detail.as_str())).collect();
        assert_eq!(found, [(offset, detail)]);
        assert_eq!(dump.manifest(), Manifest::decode(bytes).unwrap(), "read as protobuf readers do");
    }
}

#[test]
fn json_spells_out_defaults_and_names() {
    let bytes = b"\x12\x10\x0a\x01n\x12\x0b\x0a\x01v\x10\x17\x18\x04\x2a\x02\x12\x00\x48\x07\x30\x05";
    let json = Dump::read(bytes).unwrap().to_json().unwrap();
    let expected = json!({
        "manifest": {
            "version": 0,
            "schema": {
                "name": "n",
                "fields": [{
                    "name": "v", "data_type": "VECTOR_FP32", "dimension": 4, "nullable": false,
                    "index_params": {"hnsw": {
                        "m": 0, "ef_construction": 0, "use_contiguous_memory": false, "use_flat_contiguous_memory": false,
                        "flat_data_type": "DATA_TYPE_UNDEFINED"
                    }}
                }],
                "max_doc_count_per_segment": 0
            },
            "enable_mmap": false,
            "persisted_segment_metas": [],
            "id_map_path_suffix": 5,
            "delete_snapshot_path_suffix": 0,
            "next_segment_id": 0
        },
        "size": 22, "decoded": 22,
        "unknown_fields": [{"path": "", "number": 9, "wire_type": "varint", "offset": 18, "value": "07"}],
        "unknown_enum_values": [],
        "irregularities": [{"offset": 20, "detail": "id_map_path_suffix follows field 9"}],
        "faults": []
    });
    assert_eq!(json, expected);
    let alpha = &Dump::read(REAL[10].1).unwrap().to_json().unwrap()["manifest"]["schema"]["fields"][1]["index_params"];
    assert_eq!(alpha["vamana"]["alpha"].to_string(), "1.5");
}

#[test]
fn every_rule_is_checked() {
    type Edit = fn(&mut Manifest);
    fn writing(m: &mut Manifest) -> &mut SegmentMeta {
        m.writing_segment_meta.as_mut().unwrap()
    }
    fn field<'a>(m: &'a mut Manifest, name: &str) -> &'a mut proto::FieldSchema {
        m.schema.as_mut().unwrap().fields.iter_mut().find(|field| field.name == name).unwrap()
    }
    fn block(m: &mut Manifest, kind: BlockType) -> &mut BlockMeta {
        writing(m).persisted_blocks.iter_mut().find(|block| block.block_type == kind as i32).unwrap()
    }
    let base = real("0.8.0_deleted");
    let rules: [(&str, Edit); 22] = [
        ("manifest.duplicate-segment", |m| m.persisted_segment_metas.push(SegmentMeta::default())),
        ("manifest.next-segment-id", |m| m.next_segment_id = 0),
        ("manifest.writing-block", |m| writing(m).writing_forward_block = None),
        ("manifest.writing-block", |m| {
            writing(m).writing_forward_block.as_mut().unwrap().block_type = BlockType::FtsIndex as i32;
        }),
        ("manifest.duplicate-block", |m| block(m, BlockType::FtsIndex).block_id = 0),
        ("manifest.block-type", |m| block(m, BlockType::FtsIndex).block_type = 0),
        ("manifest.columns", |m| block(m, BlockType::FtsIndex).columns.push("v".into())),
        ("manifest.columns", |m| block(m, BlockType::Scalar).columns.push("gone".into())),
        ("manifest.columns", |m| block(m, BlockType::ScalarIndex).columns.push("_zvec_uid_".into())),
        ("manifest.columns", |m| block(m, BlockType::VectorIndex).columns.push("title".into())),
        ("manifest.columns", |m| writing(m).indexed_vector_fields.push("title".into())),
        ("manifest.columns", |m| block(m, BlockType::Scalar).columns.push("title".into())),
        ("manifest.row-count", |m| block(m, BlockType::VectorIndexQuantize).doc_count += 1),
        ("manifest.row-count", |m| block(m, BlockType::Scalar).columns.retain(|column| column != "num")),
        ("manifest.duplicate-field", |m| field(m, "num").name = "year".into()),
        ("manifest.field-type", |m| field(m, "num").data_type = 0),
        ("manifest.dimension", |m| field(m, "v").dimension = 0),
        ("manifest.dimension", |m| field(m, "num").dimension = 8),
        ("manifest.index", |m| field(m, "v").index_params = None),
        ("manifest.index", |m| field(m, "num").index_params = field(m, "v").index_params.clone()),
        ("manifest.index", |m| field(m, "v").index_params = field(m, "year").index_params.clone()),
        ("manifest.duplicate-field", |m| field(m, "num").name = DOC_ID_COLUMN.into()),
    ];
    assert_eq!(codes(&base), [""; 0]);
    for (position, (code, edit)) in rules.into_iter().enumerate() {
        let mut manifest = base.clone();
        edit(&mut manifest);
        assert!(codes(&manifest).contains(&code), "edit {position}: {code} not in {:?}", check(&manifest));
    }
    let mut persisted = real("0.8.0_column_renamed");
    persisted.persisted_segment_metas[0].writing_forward_block = Some(BlockMeta { block_id: 99, ..Default::default() });
    assert!(codes(&persisted).contains(&"manifest.writing-block"));
    let idle = BlockMeta { block_id: 99, block_type: BlockType::Scalar as i32, ..Default::default() };
    persisted.persisted_segment_metas[0].writing_forward_block = Some(BlockMeta { doc_count: 1, ..idle.clone() });
    assert!(codes(&persisted).contains(&"manifest.writing-block"));
    persisted.persisted_segment_metas[0].writing_forward_block = Some(idle);
    assert!(!codes(&persisted).contains(&"manifest.writing-block"), "as 0.5.1 leaves it");
    let mut swapped = real("0.8.0_column_renamed");
    swapped.persisted_segment_metas.insert(0, SegmentMeta { segment_id: 7, ..Default::default() });
    swapped.next_segment_id = 8;
    assert_eq!(codes(&swapped), ["manifest.segment-order"]);
    let rows = |min_doc_id| BlockMeta {
        block_type: BlockType::Scalar as i32,
        columns: vec![DOC_ID_COLUMN.to_owned(), PK_COLUMN.to_owned()],
        min_doc_id,
        ..Default::default()
    };
    let last = |m: &Manifest| {
        m.persisted_segment_metas[1].persisted_blocks.iter().find(|b| is_row_block(b)).unwrap().min_doc_id
    };
    let follows = last(&swapped);
    swapped.persisted_segment_metas[0].persisted_blocks.push(rows(follows));
    assert!(codes(&swapped).contains(&"manifest.segment-order"));
    // zvec lists segments in the order of their documents, whatever their ids.
    swapped.persisted_segment_metas[1].persisted_blocks.iter_mut().for_each(|block| block.min_doc_id += 1);
    assert!(!codes(&swapped).contains(&"manifest.segment-order"));
}

#[test]
fn legal_oddities_are_accepted() {
    // After a WAL recovery: bounds that are too large or the wrong way round, a writing block with leftover counts.
    let mut manifest = real("0.8.0_deleted");
    let segment = manifest.writing_segment_meta.as_mut().unwrap();
    segment.persisted_blocks[0].max_doc_id = 599;
    segment.persisted_blocks[1].min_doc_id = 600;
    segment.writing_forward_block.as_mut().unwrap().doc_count = 17;
    // A column added later stands in a block of its own, its field behind the vectors.
    let (id, rows) = (50, row_count(segment) as u32);
    let columns = vec!["extra".to_owned()];
    let extra = BlockMeta {
        block_id: id,
        block_type: BlockType::Scalar as i32,
        doc_count: rows,
        columns,
        ..Default::default()
    };
    segment.persisted_blocks.push(extra);
    let added = proto::FieldSchema { name: "extra".into(), data_type: DataType::Int64 as i32, ..Default::default() };
    manifest.schema.as_mut().unwrap().fields.push(added);
    assert_eq!(check(&manifest), []);
}

#[test]
fn differences_are_named() {
    let before = real("0.8.0_deleted");
    assert_eq!(diff(&before, &before), []);
    let mut after = before.clone();
    after.delete_snapshot_path_suffix += 1;
    let schema = after.schema.as_mut().unwrap();
    schema.fields.retain(|field| field.name != "num");
    let Some(Params::Hnsw(hnsw)) = schema.fields.last_mut().unwrap().index_params.as_mut().unwrap().params.as_mut()
    else {
        panic!("the last field is the HNSW vector");
    };
    hnsw.m = 16;
    let mut sealed = after.writing_segment_meta.take().unwrap();
    sealed.writing_forward_block = None;
    sealed.persisted_blocks.retain(|block| block.block_type != BlockType::FtsIndex as i32);
    sealed.persisted_blocks[0].columns.pop();
    after.persisted_segment_metas.push(sealed);
    after.writing_segment_meta = Some(SegmentMeta { segment_id: 1, ..Default::default() });
    after.next_segment_id = 2;
    let changes: Vec<_> = diff(&before, &after)
        .into_iter()
        .map(|c| format!("{}: {} -> {}", c.path, c.before.unwrap_or("-".into()), c.after.unwrap_or("-".into())))
        .collect();
    insta::assert_snapshot!(changes.join("\n"), @r"
    schema.field num: INT32 nullable, index none -> -
    schema.field v.index: HNSW(metric=IP, quantize=INT8, m=50, ef_construction=500) -> HNSW(metric=IP, quantize=INT8, m=16, ef_construction=500)
    segment 0.role: writing -> persisted
    segment 0.block 1.columns: title, year -> title
    segment 0.block 2: persisted FTS_INDEX [], documents 0..=0, 0 rows -> -
    segment 0.block 8: writing SCALAR [_zvec_g_doc_id_, _zvec_uid_, title, year, text, num], next document 102 -> -
    segment 1: - -> writing, 0 blocks, 0 rows
    delete_snapshot_path_suffix: 1 -> 2
    next_segment_id: 1 -> 2
    ");
    let undone = diff(&after, &before);
    assert_eq!(undone.len(), changes.len());
}

proptest! {
    #[test]
    fn mutated_manifests_do_not_panic(which in 0..REAL.len(), edits in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
            cut in any::<prop::sample::Index>(), cuts: bool) {
        let mut bytes = REAL[which].1.to_vec();
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dump = Dump::read(&bytes).unwrap();
        let tolerant = dump.manifest();
        check(&tolerant);
        dump.to_json().unwrap();
        dump.rows();
        diff(&tolerant, &real("0.8.0_deleted"));
        let _ = crate::format::schema_file::SchemaFile::from_manifest(&tolerant.schema.clone().unwrap_or_default());
        if dump.faults.is_empty() {
            // No fault means that an ordinary protobuf reader reads the same.
            prop_assert_eq!(format!("{:?}", Manifest::decode(bytes.as_slice()).unwrap()), format!("{tolerant:?}"));
            if dump.irregularities.is_empty() && !dump.assessment().is_newer() {
                prop_assert_eq!(encode(&tolerant), bytes);
            }
        } else {
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let dump = Dump::read(&bytes).unwrap();
        check(&dump.manifest());
        prop_assert!(dump.decoded <= dump.size);
    }
}
