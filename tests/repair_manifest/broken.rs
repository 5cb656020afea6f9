//! Manifests in force that break their rules, or that the files contradict.

use zvecctl::{
    format::manifest::{
        Manifest,
        proto::{BlockMeta, BlockType, SegmentMeta},
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
