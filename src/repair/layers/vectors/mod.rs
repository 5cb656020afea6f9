//! Vector files, written anew as zvec writes them at a flush: flat, each row from the best copy that there is.
//!
//! Of a quantised column the full file is the better copy, the quantised one the spare. A graph or inverted lists are not built here: the column
//! leaves the segment's `indexed_vector_fields`, and zvec's `optimize` builds them again from the flat files.

mod copies;
mod exchange;
mod patched;
mod report;

use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
};

use roaring::RoaringTreemap;

use crate::{
    engine::{EngineError, FileSink, Refusal},
    format::{
        manifest::proto::{BlockMeta, BlockType},
        proxima::{
            VectorFile,
            write::{ColumnPlan, FileOptions, FilePlan, FlatWriter},
        },
        schema_file::{Quantize, VectorField, VectorIndex, VectorType},
        value::Value,
    },
    inspect::{
        Findings, SegmentRef, View,
        deleted::Deleted,
        documents::{Fields, VectorColumn},
        segments_of,
    },
    report::{
        repair::{Action, DoneAction},
        show_path,
    },
};

use self::{
    copies::{Copies, Copy, Picked, blocks, copies, same_bytes},
    report::{Next, Telling},
};
use super::{
    super::bench::{Bench, block as draft},
    done,
};

const OTHER_FILE: &str = "the full vectors and their codes are of different vectors, and nothing tells which file is not in its place: put the right one back";

/// The file that is made anew.
struct Job {
    segment: u32,
    block: BlockMeta,
    column: String,
    quantised: bool,
    field: VectorField,
    /// Whether the column's index is built: not flat, or flat as the schema wants it.
    built: bool,
}

/// Writes a vector file anew under a new block id.
///
/// # Errors
/// This build cannot write it, or the document ids of rows that are to be given up cannot be read.
pub fn rebuild(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let Some(job) = find(bench, Path::new(&action.path))? else {
        return Ok(done(action, "the manifest does not name it any more"));
    };
    let has = |what: &str| action.findings.iter().any(|code| code.contains(what));
    if (has("schema-differs") || has("other-file"))
        && let Some(exchanged) = exchange::kinds(bench, &job, action)?
    {
        return Ok(exchanged);
    }
    let differs = has("schema-differs") && !has("crc");
    if differs && let Some(exchanged) = exchange::exchange(bench, &job, action)? {
        return Ok(exchanged);
    }
    if (differs || has("vector-count") || has("other-file"))
        && let Some(exchanged) = exchange::blocks_of_files(bench, &job, action)?
    {
        return Ok(exchanged);
    }
    // Codes are made from the full vectors, whatever it is that is in their place; and what a copy was put over is gone.
    let copied = has("vectors.copy");
    let view = bench.view();
    let kind = kind_of(job.quantised);
    let quantised = segment_of(bench, &job).is_some_and(|segment| has_copy(segment, &job.column));
    // The graph stands in the quantised file if there is one, and otherwise in the full one.
    let unbuilt = job.built && job.quantised == quantised && !matches!(job.field.index, VectorIndex::Flat { .. });
    let snapshot = Deleted::load(&view, &bench.manifest).ids();
    let (fields, _) = Fields::of(&bench.manifest);
    let Some(field) = fields.vectors.iter().find(|field| field.name == job.column) else {
        return Err(impossible(&job, "the schema has no such vector column"));
    };
    let mut telling = Telling::default();
    let (mut new, mut cosine) = (Vec::new(), false);
    let plan = plan(&job)?;
    if has("other-file") && plan.is_none() {
        return Err(impossible(&job, OTHER_FILE));
    }
    if let Some(plan) = plan {
        cosine = !job.quantised && plan.meta.metric() == "Cosine";
        let segment = segment_of(bench, &job).ok_or_else(|| impossible(&job, "the segment is gone"))?;
        let findings = Findings::default();
        let shifts = VectorColumn::new(BlockType::VectorIndex, &view, segment, field, &snapshot, &findings);
        let of_kind = |kind| copies(&view, segment, &job.column, kind, (&shifts, field.nullable));
        let mut full = of_kind(BlockType::VectorIndex);
        let mut quantised = of_kind(BlockType::VectorIndexQuantize);
        let listed = blocks(segment, &job.column, kind);
        let place = listed.iter().find(|(block, _)| block.block_id == job.block.block_id).map(|(_, rows)| rows.clone());
        let place = place.unwrap_or_default();
        let declared =
            bench.manifest.schema.iter().flat_map(|schema| &schema.fields).find(|field| field.name == job.column);
        let fits = |file: &VectorFile<_>| declared.is_some_and(|field| exchange::fits(file, field));
        quantised.iter_mut().for_each(|copy| copy.is_of_column(fits));
        if has("other-file") {
            full.iter_mut().for_each(|copy| copy.is_of_column(fits));
        }
        // What a copy was put over is gone; a file of another column may be put back, unless there are codes that make it good.
        if differs && !job.quantised && !copied && !quantised.iter().any(|copy| copy.vouches_for(&place)) {
            return Err(impossible(
                &job,
                "the file is intact and of another column: its vectors are not those of this one",
            ));
        }
        if copied || differs {
            let own = if job.quantised { &mut quantised } else { &mut full };
            own.iter_mut().filter(|copy| copy.rows == place).for_each(|copy| copy.is_copy(differs));
        }
        let mut sources = Copies::new(full, quantised, field.nullable);
        if has("other-file") {
            match sources.is_elsewhere(&place, job.quantised) {
                Some(true) => {}
                Some(false) if action.findings.len() > 1 => {}
                Some(false) => return Ok(done(action, "left as it is: it is in its place")),
                None => return Err(impossible(&job, OTHER_FILE)),
            }
        }
        if !job.quantised && sources.full.iter().any(|copy| copy.rows == place && copy.is_set_aside()) {
            telling.set_aside(&action.path);
        }
        let wanted = listed.into_iter().filter(|(block, _)| unbuilt || block.block_id == job.block.block_id);
        let targets: Vec<(BlockMeta, Range<u64>)> = wanted.map(|(block, rows)| (block.clone(), rows)).collect();
        let touched = |copy: &&Copy| targets.iter().any(|(_, rows)| *rows == copy.rows);
        let own = if job.quantised { &sources.quantised } else { &sources.full };
        for copy in own.iter().filter(touched) {
            if copy.unsure && !job.quantised {
                telling.unsure();
            }
            telling.notes(copy.notes.iter().cloned());
        }
        telling.notes(sources.quantised.iter().filter(touched).filter_map(|copy| copy.doubt.clone()));
        let gone = &snapshot | bench.deleted();
        let rows: Vec<u64> = targets.iter().flat_map(|(_, rows)| rows.clone()).collect();
        let dead = dead(&view, segment, &rows, &gone);
        for (old, rows) in targets {
            let id = bench.block_id(job.segment)?;
            let meta = BlockMeta { block_id: id, ..draft(kind, id, old.columns.clone()) };
            let meta =
                BlockMeta { min_doc_id: old.min_doc_id, max_doc_id: old.max_doc_id, doc_count: old.doc_count, ..meta };
            let path = bench.root().join(bench.block_path(job.segment, &meta));
            write(bench, (&path, id), &job, &plan, rows, &mut sources, &dead, &mut telling)?;
            new.push((old.block_id, meta));
        }
        let given_up = match segment_of(bench, &job) {
            Some(segment) => telling.name((&view, segment), (bench.list(), &done(action, "")), &job.column),
            None => None,
        };
        let Some(given_up) = given_up else {
            return Err(impossible(&job, "the ids of documents that are to be given up cannot be read"));
        };
        given_up.iter().for_each(|id| bench.give_up(id));
    } else {
        telling.left_out();
    }
    let of_job = |block: &BlockMeta| {
        block.block_type == kind as i32 && block.columns.first().is_some_and(|name| *name == job.column)
    };
    if new.is_empty() {
        bench.replace_blocks(job.segment, of_job, Vec::new());
    }
    let mut paths = Vec::new();
    for (old, meta) in new {
        paths.push(bench.block_path(job.segment, &meta));
        bench.replace_blocks(job.segment, |block| of_job(block) && block.block_id == old, vec![meta]);
    }
    if unbuilt && let Some(segment) = bench.segment_mut(job.segment) {
        segment.indexed_vector_fields.retain(|name| *name != job.column);
    }
    let next = match (unbuilt, job.quantised && is_turned(&job.field)) {
        (false, false) => Next::Nothing,
        (true, false) => Next::Optimize,
        (_, true) => Next::LeaveFlat,
    };
    let mut report = telling.done(action, &paths, next);
    if cosine && telling.has_quantised() {
        // The unit vectors that are written are not those that the codes are of.
        let segment = segment_of(bench, &job);
        let copies = segment.map(|segment| blocks(segment, &job.column, BlockType::VectorIndexQuantize));
        let stale: Vec<PathBuf> =
            copies.into_iter().flatten().filter_map(|(block, _)| segment?.block_path(block)).collect();
        for path in stale {
            let again = rebuild(bench, &Action { path: show_path(&path), findings: Vec::new(), ..action.clone() })?;
            report.detail = format!("{}; {}", report.detail, again.detail);
        }
    }
    Ok(report)
}

fn kind_of(quantised: bool) -> BlockType {
    if quantised { BlockType::VectorIndexQuantize } else { BlockType::VectorIndex }
}

fn impossible(job: &Job, why: &str) -> EngineError {
    Refusal::new("repair.impossible", format!("field {} of segment {}: {why}", job.column, job.segment)).into()
}

fn segment_of<'a>(bench: &'a Bench, job: &Job) -> Option<SegmentRef<'a>> {
    segments_of(&bench.manifest).into_iter().find(|segment| segment.id() == job.segment)
}

fn has_copy(segment: SegmentRef<'_>, column: &str) -> bool {
    !blocks(segment, column, BlockType::VectorIndexQuantize).is_empty()
}

/// The block of a path, if the draft names it.
fn find(bench: &Bench, path: &Path) -> Result<Option<Job>, EngineError> {
    let schema = bench.schema()?;
    for segment in segments_of(&bench.manifest) {
        for block in &segment.meta.persisted_blocks {
            let quantised = block.block_type == BlockType::VectorIndexQuantize as i32;
            let vectors = quantised || block.block_type == BlockType::VectorIndex as i32;
            if !vectors || segment.block_path(block).as_deref() != Some(path) {
                continue;
            }
            let column = block.columns.first().cloned().unwrap_or_default();
            let field = schema.position(&column).and_then(|at| schema.fields().get(at)?.vector()).cloned();
            let Some(field) = field else {
                let message = format!("{} is of a column that the schema does not have", path.display());
                return Err(Refusal::new("repair.impossible", message).into());
            };
            let built = segment.meta.indexed_vector_fields.contains(&column);
            return Ok(Some(Job { segment: segment.id(), block: block.clone(), column, quantised, field, built }));
        }
    }
    Ok(None)
}

/// How the new file is made; `None` if the column has no such file before `optimize`.
fn plan(job: &Job) -> Result<Option<FilePlan>, EngineError> {
    let plans = ColumnPlan::new(&job.field).map_err(|error| EngineError::format(Path::new(&job.column), error))?;
    Ok(if job.quantised { plans.qindex } else { Some(plans.index) })
}

/// Whether the column has rotated codes that zvec 0.8.0 copies when it optimizes. (It makes those of IVF anew.)
fn is_turned(field: &VectorField) -> bool {
    match &field.index {
        VectorIndex::Flat { quantize, quantizer_param, .. }
        | VectorIndex::Hnsw { quantize, quantizer_param, .. }
        | VectorIndex::Vamana { quantize, quantizer_param, .. } => {
            quantizer_param.enable_rotate && matches!(quantize, Quantize::Int8 | Quantize::Int4)
        }
        _ => false,
    }
}

/// The rows, of those given, whose documents are deleted.
fn dead(view: &View, segment: SegmentRef<'_>, rows: &[u64], gone: &RoaringTreemap) -> BTreeSet<u64> {
    let mut dead = BTreeSet::new();
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let (first, count) = (*first, last.saturating_sub(*first).saturating_add(1));
        crate::inspect::documents::segment_doc_ids(view, segment, first, count, &Findings::default(), &mut |at, id| {
            if gone.contains(id) {
                dead.insert(first.saturating_add(at));
            }
        });
    }
    dead
}

/// A vector for a row that is deleted.
fn placeholder(field: &VectorField) -> Value {
    let dimension = field.dimension as usize;
    match field.data_type {
        VectorType::VectorFp16 => Value::F16s(vec![half::f16::ZERO; dimension]),
        VectorType::VectorInt8 => Value::I8s(vec![0; dimension]),
        VectorType::SparseVectorFp32 => Value::SparseF32(Vec::new()),
        VectorType::SparseVectorFp16 => Value::SparseF16(Vec::new()),
        _ => Value::F32s(vec![0.0; dimension]),
    }
}

#[allow(clippy::too_many_arguments, reason = "what one file is made of")]
fn write(
    bench: &Bench,
    (path, block): (&Path, u32),
    job: &Job,
    plan: &FilePlan,
    rows: Range<u64>,
    sources: &mut Copies,
    dead: &BTreeSet<u64>,
    telling: &mut Telling,
) -> Result<PathBuf, EngineError> {
    let failed = |error| EngineError::format(path, error);
    let now = bench.now();
    let sink = FileSink::new(bench.files().create(path)?, 0);
    let options = FileOptions::of_block(job.segment, block, now);
    let mut writer = FlatWriter::new(plan, sink, &options).map_err(failed)?;
    let nullable = sources.nullable;
    for row in rows {
        let (picked, quality) = if job.quantised { sources.value(row) } else { sources.pick(row) };
        let dead = dead.contains(&row);
        let picked = match picked {
            Picked::Element(element) if !job.quantised => sources.fitting(row, element, plan),
            other => other,
        };
        if !dead {
            telling.row(row, &picked, quality, nullable, job.quantised);
        }
        match &picked {
            Picked::Element(element) => writer.push_element(Some(element)),
            Picked::Value(value) => writer.push(Some(value)),
            Picked::Null => writer.push(None),
            Picked::Nothing if nullable => writer.push(None),
            Picked::Nothing => writer.push(Some(&placeholder(&job.field))),
        }
        .map_err(failed)?;
    }
    let mut sink = writer.finish(now).map_err(failed)?.sink;
    sink.sync().map_err(|error| EngineError::io(path, error))?;
    Ok(path.to_owned())
}

impl Copies {
    /// An element of the full files as it is, if the new file stores the same bytes, otherwise its vector.
    fn fitting(&self, row: u64, element: Vec<u8>, plan: &FilePlan) -> Picked {
        let copy = self.full.iter().find(|copy| copy.rows.contains(&row));
        let same = copy.and_then(|copy| copy.encoding()).is_some_and(|encoding| same_bytes(encoding, &plan.meta));
        if same {
            return Picked::Element(element);
        }
        copy.and_then(|copy| copy.decode(&element)).map_or(Picked::Nothing, Picked::Value)
    }
}
