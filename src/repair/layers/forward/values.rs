//! The values of the rows, and the file that they go into.

use crate::{
    engine::{EngineError, FieldKind, FileSink, Refusal},
    format::{
        forward::{
            Column, DOC_ID_COLUMN, Encoding, UID_COLUMN,
            write::{BlockWriter, RowBuilder},
        },
        manifest::proto::BlockType,
        schema_file::ScalarIndex,
        value::Value,
    },
    inspect::View,
};

use roaring::RoaringTreemap;

use super::{
    super::super::bench::{Bench, block as draft},
    Job,
    block::Block,
    ids::Settled,
    index::{IndexColumn, Told, placeholder},
    report::{Source, Telling},
    segment_of,
};

/// So many values must be compared before an index that disagrees with most of them is taken for that of other rows.
const FEW: u64 = 8;

/// What is known of a column besides the block.
struct Redundant {
    index: Option<IndexColumn>,
    /// Whether the index is right where it disagrees with the block.
    trusted: bool,
}

/// Writes all rows into a new block and returns its id. `gone` are ids that are deleted already.
pub fn write(
    bench: &mut Bench,
    view: &View,
    job: &Job,
    block: &mut Block,
    settled: &Settled,
    gone: &RoaringTreemap,
    telling: &mut Telling,
) -> Result<u32, EngineError> {
    let rows = job.meta.doc_count as usize;
    let redundant = redundant(bench, view, job, block, rows)?;
    block.look_beside_damage();
    let new = draft(BlockType::Scalar, bench.block_id(job.segment)?, job.meta.columns.clone());
    let path = bench.root().join(bench.block_path(job.segment, &new));
    let failed = |error| EngineError::format(&path, error);
    let encoding = if bench.manifest.enable_mmap { Encoding::Ipc } else { Encoding::Parquet };
    let sink = FileSink::new(bench.files().create(&path)?, 0);
    let mut writer = BlockWriter::new(sink, job.columns.clone(), encoding).map_err(failed)?;
    let mut builder = RowBuilder::new(job.columns.clone());
    for row in 0..rows {
        let id = settled.ids.get(row).copied().unwrap_or_default();
        let dead = gone.contains(id) || telling.is_given_up(row);
        let stored = block.row(row, &job.columns);
        let mut values = Vec::with_capacity(job.columns.len());
        for ((column, stored), redundant) in job.columns.iter().zip(stored).zip(&redundant) {
            if column.name == DOC_ID_COLUMN {
                values.push(Value::U64(id));
            } else if column.name == UID_COLUMN {
                values.push(Value::Bytes(settled.keys.get(row).cloned().unwrap_or_default()));
            } else {
                let (value, mut source) = decide(column, row, stored, redundant);
                let vouched = || redundant.index.as_ref().is_some_and(|index| index.agrees(row, &value) == Some(true));
                if source == Source::Block && block.is_beside_damage(row, &column.name) && !vouched() {
                    source = Source::BesideDamage;
                }
                if !dead {
                    telling.value(&column.name, row, id, source, column.nullable);
                }
                values.push(value);
            }
        }
        builder.append(&values).map_err(failed)?;
        for batch in builder.take_batches() {
            writer.write(&batch).map_err(failed)?;
        }
    }
    builder.close_batch().map_err(failed)?;
    for batch in builder.take_batches() {
        writer.write(&batch).map_err(failed)?;
    }
    let mut sink = writer.finish().map_err(failed)?;
    sink.sync().map_err(|error| EngineError::io(&path, error))?;
    Ok(new.block_id)
}

/// The value of a cell, and where it comes from.
fn decide(column: &Column, row: usize, stored: Option<Value>, redundant: &Redundant) -> (Value, Source) {
    let fits = |value: &Value| column.column_type.check(value).is_ok() && (*value != Value::Null || column.nullable);
    let stored = stored.filter(fits);
    let told = redundant.index.as_ref().map(|index| match &stored {
        Some(value) if index.agrees(row, value) != Some(false) => Told::Nothing,
        stored => index.value(row, stored.as_ref()),
    });
    let told = match told {
        Some(Told::Exactly(value) | Told::InSomeOrder(value)) if !fits(&value) => None,
        told => told,
    };
    let disagrees = match (&stored, &redundant.index) {
        (Some(value), Some(index)) => index.agrees(row, value) == Some(false),
        _ => false,
    };
    match (stored, told, redundant.trusted) {
        (Some(value), _, _) if !disagrees => (value, Source::Block),
        (_, Some(Told::Exactly(value)), true) => (value, Source::Index),
        (_, Some(Told::InSomeOrder(value)), true) => (value, Source::InSomeOrder),
        (Some(value), _, _) => (value, Source::Disputed),
        (None, Some(Told::Exactly(value)), false) => (value, Source::DamagedIndex),
        (None, Some(Told::InSomeOrder(value)), false) => (value, Source::DamagedIndex),
        (None, _, _) if column.nullable => (Value::Null, Source::Nothing),
        (None, _, _) => (placeholder(column.column_type), Source::Nothing),
    }
}

/// Reads the indexes of the columns and compares them with the block: an index that disagrees with most of it is not of these rows.
fn redundant(
    bench: &Bench,
    view: &View,
    job: &Job,
    block: &mut Block,
    rows: usize,
) -> Result<Vec<Redundant>, EngineError> {
    let schema = bench.schema()?;
    let segment = segment_of(bench, job).ok_or_else(|| Refusal::new("repair.impossible", "the segment is gone"))?;
    let range = job.first_row..job.first_row.saturating_add(rows as u64);
    let is_indexed = |name: &str| {
        let field = schema.position(name).and_then(|at| schema.fields().get(at));
        matches!(
            field.map(|field| &field.kind),
            Some(FieldKind::Scalar { index: Some(ScalarIndex::Invert { .. }), .. })
        )
    };
    let mut found: Vec<(Option<IndexColumn>, u64, u64)> = job
        .columns
        .iter()
        .map(|column| {
            let index = is_indexed(&column.name)
                .then(|| IndexColumn::read(view, segment, &column.name, column.column_type, range.clone()));
            (index.flatten(), 0, 0)
        })
        .collect();
    if found.iter().any(|(index, ..)| index.is_some()) {
        for row in 0..rows {
            for ((index, compared, differing), stored) in found.iter_mut().zip(block.row(row, &job.columns)) {
                let agrees = index.as_ref().zip(stored).and_then(|(index, stored)| index.agrees(row, &stored));
                *compared += u64::from(agrees.is_some());
                *differing += u64::from(agrees == Some(false));
            }
        }
    }
    let judged = found.into_iter().map(|(index, compared, differing)| {
        let other = compared >= FEW && differing * 2 > compared;
        let trusted = index.as_ref().is_some_and(|index| index.sound) && !other;
        Redundant { index, trusted }
    });
    Ok(judged.collect())
}
