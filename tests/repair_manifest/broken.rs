//! Manifests in force that break their rules, or that the files contradict.

use zvecctl::{
    format::manifest::{
        Manifest,
        proto::{BlockMeta, BlockType, FtsIndexParams, SegmentMeta, index_params::Params},
    },
    report::repair::Fix,
};

use crate::{documents, manifest_of, mend, mend_and_undo, support::Fixture, tamper};

type Change = fn(&mut Manifest);

fn writing(manifest: &mut Manifest) -> &mut SegmentMeta {
    manifest.writing_segment_meta.as_mut().unwrap()
}

/// Damage to the manifest of `0.8.0_small_segments_killed`: two persisted segments, one that is written, a log.
const CHANGES: [(&str, Change); 19] = [
    ("the next segment's number is too low", |m| m.next_segment_id = 1),
    ("segments out of order", |m| m.persisted_segment_metas.reverse()),
    ("a segment is listed twice", |m| m.persisted_segment_metas.insert(0, m.persisted_segment_metas[0].clone())),
    ("a segment has the number of another", |m| m.persisted_segment_metas[1].segment_id = 0),
    ("a segment has a number that leads nowhere", |m| m.persisted_segment_metas[1].segment_id = 17),
    ("no writing block", |m| writing(m).writing_forward_block = None),
    ("the writing block is listed with the persisted ones", |m| {
        let block = writing(m).writing_forward_block.take().unwrap();
        writing(m).persisted_blocks.push(block);
    }),
    ("the writing block has another number", |m| writing(m).writing_forward_block.as_mut().unwrap().block_id = 0),
    ("the next document has the id of another", |m| writing(m).writing_forward_block.as_mut().unwrap().min_doc_id = 80),
    ("nothing of the writing block is left", |m| writing(m).writing_forward_block = Some(BlockMeta::default())),
    ("a persisted segment has a writing block", |m| {
        let block = m.writing_segment_meta.clone().unwrap().writing_forward_block.unwrap();
        m.persisted_segment_metas[0].writing_forward_block = Some(BlockMeta { doc_count: 3, ..block });
    }),
    ("a field's type", |m| m.schema.as_mut().unwrap().fields[0].data_type ^= 1),
    ("a vector's dimension", |m| m.schema.as_mut().unwrap().fields[1].dimension = 68),
    ("a field's name", |m| m.schema.as_mut().unwrap().fields[0].name = "yeaz".to_owned()),
    ("a block's rows", |m| {
        let blocks = &mut m.persisted_segment_metas[0].persisted_blocks;
        blocks.iter_mut().find(|block| block.block_type == BlockType::Scalar as i32).unwrap().doc_count = 41;
    }),
    ("a block's number", |m| {
        let blocks = &mut m.persisted_segment_metas[0].persisted_blocks;
        blocks.iter_mut().find(|block| block.block_type == BlockType::VectorIndex as i32).unwrap().block_id = 66;
    }),
    ("the kind of forward blocks", |m| m.enable_mmap = false),
    ("the delete snapshot's number", |m| m.delete_snapshot_path_suffix = 2),
    ("the id map's number", |m| m.id_map_path_suffix = 4),
];

#[test]
fn damage_that_the_files_contradict_is_put_right() {
    let fixture = Fixture::good("0.8.0_small_segments_killed");
    let before = manifest_of(&fixture.path());
    let docs = documents(&fixture.path());
    for (name, change) in CHANGES {
        let fixture = Fixture::good("0.8.0_small_segments_killed");
        let path = fixture.path();
        tamper(&path, change);
        assert_ne!(manifest_of(&path), before, "{name}: nothing was changed");
        let (report, after) = mend_and_undo(name, &path);
        assert!(after == docs, "{name}: {} documents of {}", after.len(), docs.len());
        assert_eq!(report.done.iter().map(|done| done.fix).collect::<Vec<_>>(), [Fix::Manifest], "{name}");
        mend(&path);
        let mended = manifest_of(&path);
        assert_eq!(mended.schema, before.schema, "{name}");
        assert_eq!(mended.persisted_segment_metas.len(), 2, "{name}");
        assert!(mended.next_segment_id >= before.next_segment_id, "{name}");
    }
}

#[test]
fn a_dropped_quantised_index_leaves_the_manifest() {
    let fixture = Fixture::damaged("real_0.8.0_quantised_index_dropped");
    let docs = documents(&fixture.path());
    let (report, after) = mend_and_undo("quantised index dropped", &fixture.path());
    assert!(after == docs && docs.len() == 90);
    assert_eq!(report.done.len(), 1, "{:#?}", report.done);
}

#[test]
fn nothing_is_set_aside_while_the_rules_stay_broken() {
    // A vector field that turned into something else: its files belong to no field of the manifest, and hold the only vectors.
    let fixture = Fixture::good("0.8.0_small_segments");
    let path = fixture.path();
    let docs = documents(&path);
    tamper(&path, |m| {
        let field = &mut m.schema.as_mut().unwrap().fields[1];
        *field = zvecctl::format::manifest::proto::FieldSchema { name: "x".to_owned(), data_type: 8, ..field.clone() };
    });
    let (_, after) = mend_and_undo("a field of another kind", &path);
    assert!(after == docs, "the vectors are back");
}

#[test]
fn a_field_that_has_nulls_may_be_null() {
    let fixture = Fixture::good("0.8.0_column_added");
    let path = fixture.path();
    let docs = documents(&path);
    let before = manifest_of(&path);
    tamper(&path, |m| m.schema.as_mut().unwrap().fields[1].nullable = false);
    let (_, after) = mend_and_undo("nullable", &path);
    assert!(after == docs);
    mend(&path);
    assert_eq!(manifest_of(&path).schema, before.schema);
}

/// Changes the settings of the full-text index of a field.
fn texts(manifest: &mut Manifest, name: &str, change: impl FnOnce(&mut FtsIndexParams)) {
    let fields = &mut manifest.schema.as_mut().unwrap().fields;
    let field = fields.iter_mut().find(|field| field.name == name).unwrap();
    match field.index_params.as_mut().and_then(|index| index.params.as_mut()) {
        Some(Params::Fts(params)) => change(params),
        other => panic!("{other:?}"),
    }
}

/// By the one name that is near; else by the terms of the index, which is no certainty; else not at all.
#[test]
fn a_tokenizer_or_filter_that_nobody_knows_is_put_right() {
    type Change = fn(&mut FtsIndexParams);
    let cases: [(&str, Change, usize); 3] = [
        ("standard", |params| params.tokenizer_name = "staodard".to_owned(), 0),
        ("lower", |params| params.filters = vec!["lowerCase".to_owned()], 0),
        ("whitespace", |params| params.tokenizer_name = "blank".to_owned(), 1),
    ];
    for (field, change, doubtful) in cases {
        let fixture = Fixture::good("0.8.0_fts_sealed");
        let path = fixture.path();
        let (before, docs) = (manifest_of(&path), documents(&path));
        tamper(&path, |manifest| texts(manifest, field, change));
        let (report, after) = mend_and_undo(field, &path);
        assert!(after == docs, "{field}");
        assert_eq!(report.done.iter().map(|done| done.doubtful.len()).sum::<usize>(), doubtful, "{field}");
        mend(&path);
        assert_eq!(manifest_of(&path).schema, before.schema, "{field}");
    }
    let fixture = Fixture::good("0.8.0_fts_killed");
    tamper(&fixture.path(), |manifest| {
        texts(manifest, "lower", |params| params.filters = vec!["qqqqqqqqq".to_owned()])
    });
    let report = mend(&fixture.path());
    assert!(!report.applied && !report.clean, "{:#?}", report.done);
    let verified = crate::support::program::json_on("verify", &fixture.path(), &[]).envelope();
    let findings = verified["data"]["collections"][0]["findings"].as_array().unwrap().clone();
    let finding = findings.iter().find(|finding| finding["code"] == "manifest.schema").unwrap();
    assert!(finding["repair"].is_null(), "{finding}");
}

/// Where no forward file has the field, the records of the log have its name.
#[test]
fn a_field_that_only_a_log_has_gets_its_name_back() {
    let fixture = Fixture::good("0.8.0_fts_killed");
    let path = fixture.path();
    let docs = documents(&path);
    tamper(&path, |manifest| {
        let fields = &mut manifest.schema.as_mut().unwrap().fields;
        fields.iter_mut().find(|field| field.name == "lower").unwrap().name = "lowdr".to_owned();
    });
    let (_, after) = mend_and_undo("lower", &path);
    assert!(after == docs);
}
