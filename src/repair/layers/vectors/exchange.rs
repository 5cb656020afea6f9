//! Vector files that stand in each other's place: of two columns, the two of one column, or those of two blocks. Nothing in a file names its column or block; but if each of two has a file that
//! cannot be its own, and could be the other's, and no third one comes into question, they have been mixed up.

use std::path::{Path, PathBuf};

use super::{Bench, Job, blocks, done, kind_of, segment_of};
use crate::{
    engine::EngineError,
    format::{
        Source,
        manifest::proto::{BlockMeta, BlockType, FieldSchema, index_params::Params},
        proxima::{Codec, DataType, IndexKind, VectorFile},
        schema_file::{Quantize, VectorField, VectorType},
    },
    inspect::{
        View,
        evidence::{
            self,
            column::{differences, exchanged},
        },
        segments_of,
    },
    report::repair::{Action, DoneAction},
};

/// Puts the file of a column, which is not its own, and that of the column that it belongs to in each other's place. `None` if there is not exactly one such
/// column.
pub(super) fn exchange(bench: &mut Bench, job: &Job, action: &Action) -> Result<Option<DoneAction>, EngineError> {
    let view = bench.view();
    let Some((other, path)) = partner(bench, &view, job) else { return Ok(None) };
    let other_column = other.columns.first().cloned().unwrap_or_default();
    put(bench, &[(job.segment, &job.block, &path), (job.segment, &other, Path::new(&action.path))])?;
    let (column, theirs) = (&job.column, path.display());
    let detail = format!(
        "the files of the columns {column} and {other_column} stood in each other's place, and have been exchanged"
    );
    let mut report = done(action, detail);
    report.documents = Some(job.block.doc_count.into());
    report.doubtful.push(format!(
        "{} and {theirs} are intact and cannot be of the columns {column} and {other_column}, and fit when exchanged: that is all that tells",
        action.path
    ));
    Ok(Some(report))
}

/// Puts the file of full vectors and the quantised one of a column in each other's place, if their elements say that they stand there. `None` if they do
/// not.
pub(super) fn kinds(bench: &mut Bench, job: &Job, action: &Action) -> Result<Option<DoneAction>, EngineError> {
    let view = bench.view();
    let Some(segment) = segment_of(bench, job) else { return Ok(None) };
    let rows = |kind, id: u32| blocks(segment, &job.column, kind).into_iter().find(|(block, _)| block.block_id == id);
    let Some((_, own)) = rows(kind_of(job.quantised), job.block.block_id) else { return Ok(None) };
    let others = blocks(segment, &job.column, kind_of(!job.quantised)).into_iter();
    let Some((other, _)) = others.into_iter().find(|(_, rows)| *rows == own) else { return Ok(None) };
    let Some(path) = segment.block_path(other) else { return Ok(None) };
    let files = open(&view, Path::new(&action.path)).zip(open(&view, &path));
    let fits = files.is_some_and(|(own, other)| match job.quantised {
        true => exchanged(&other, &own),
        false => exchanged(&own, &other),
    });
    if !fits {
        return Ok(None);
    }
    let other = other.clone();
    put(bench, &[(job.segment, &job.block, &path), (job.segment, &other, Path::new(&action.path))])?;
    let detail = format!(
        "the full vectors and the codes of the column {} stood in each other's place, by the types of their elements, and have been exchanged",
        job.column
    );
    let mut report = done(action, detail);
    report.documents = Some(job.block.doc_count.into());
    Ok(Some(report))
}

/// Puts the files of several blocks, none of which can be its own, where each belongs: by numbers of rows, and by what the schema says of their columns. `None`
/// unless each of them fits one of the blocks, and no two the same.
pub(super) fn blocks_of_files(
    bench: &mut Bench,
    job: &Job,
    action: &Action,
) -> Result<Option<DoneAction>, EngineError> {
    let strays = strays(bench, &bench.view())?;
    let own =
        strays.iter().position(|stray| stray.segment == job.segment && stray.block.block_id == job.block.block_id);
    let Some(round) = own.and_then(|own| round(&strays, own)) else { return Ok(None) };
    let places: Vec<(u32, &BlockMeta, &Path)> =
        round.iter().map(|(place, file)| (place.segment, &place.block, file.path.as_path())).collect();
    put(bench, &places)?;
    let moved: Vec<String> = round
        .iter()
        .map(|(place, file)| format!("{} belongs to {}", file.path.display(), place.path.display()))
        .collect();
    let detail = format!(
        "files stood in each other's place, by their numbers of rows and what they hold, and have been exchanged: {}",
        moved.join(", ")
    );
    let mut report = done(action, detail);
    report.documents = Some(round.iter().map(|(place, _)| u64::from(place.block.doc_count)).sum());
    if round.iter().any(|(place, file)| place.block.columns != file.block.columns) {
        let paths: Vec<String> = round.iter().map(|(place, _)| place.path.display().to_string()).collect();
        report.doubtful.push(format!(
            "{} are intact and cannot be of their columns and blocks, and fit when exchanged: that is all that tells",
            paths.join(", ")
        ));
    }
    Ok(Some(report))
}

/// A block whose file cannot be its own.
struct Stray {
    segment: u32,
    block: BlockMeta,
    path: PathBuf,
    field: FieldSchema,
    /// Whether its file is to hold codes; `None` if it may hold either.
    codes: Option<bool>,
    file: File,
}

impl Stray {
    fn could_hold(&self, other: &Stray) -> bool {
        other.file.rows() == u64::from(self.block.doc_count) && self.could_be(&other.file)
    }

    fn could_be(&self, file: &File) -> bool {
        fits(file, &self.field) && self.codes.is_none_or(|codes| holds_codes(file) == Some(codes))
    }
}

/// Whether a file holds what a quantiser made of vectors; `None` if that is not known.
fn holds_codes(file: &File) -> Option<bool> {
    if file.has_codes_only() {
        return Some(true);
    }
    match file.encoding.as_ref().ok()?.codec {
        Codec::Plain(DataType::Fp32 | DataType::Int8) | Codec::Byte => Some(false),
        // Halves are either.
        Codec::Plain(_) | Codec::Half => None,
        _ => Some(true),
    }
}

/// Whether a file of a column is to hold codes. Halves are the codes of some columns, and RaBitQ has none before `optimize`.
fn wants_codes(field: &VectorField, quantised: bool) -> Option<bool> {
    match evidence::vector::base(&field.index).1 {
        Quantize::Fp16 | Quantize::Rabitq => None,
        _ if !matches!(field.data_type, VectorType::VectorFp32) => None,
        _ => Some(quantised),
    }
}

fn strays(bench: &Bench, view: &View) -> Result<Vec<Stray>, EngineError> {
    let schema = bench.schema()?;
    let fields = || bench.manifest.schema.iter().flat_map(|schema| &schema.fields);
    let mut strays = Vec::new();
    for segment in segments_of(&bench.manifest) {
        for block in &segment.meta.persisted_blocks {
            let quantised = block.block_type == BlockType::VectorIndexQuantize as i32;
            if !quantised && block.block_type != BlockType::VectorIndex as i32 {
                continue;
            }
            let Some(path) = segment.block_path(block) else { continue };
            let Some(field) = fields().find(|field| block.columns.first() == Some(&field.name)) else { continue };
            let Some(file) = open(view, &path) else { continue };
            let vector = schema.position(&field.name).and_then(|at| schema.fields().get(at)?.vector());
            let codes = vector.and_then(|vector| wants_codes(vector, quantised));
            let stray = Stray { segment: segment.id(), block: block.clone(), path, field: field.clone(), codes, file };
            if !stray.file.states_rows(block.doc_count.into()) || !stray.could_be(&stray.file) {
                strays.push(stray);
            }
        }
    }
    Ok(strays)
}

/// From a block to the one that its file's place has been taken by, and so on until all are in their place: each with the only file that fits it, and that fits nothing else.
fn round(strays: &[Stray], own: usize) -> Option<Vec<(&Stray, &Stray)>> {
    let only = |found: Vec<usize>| if let [one] = found.as_slice() { Some(*one) } else { None };
    let all = || strays.iter().enumerate();
    let (mut at, mut round) = (own, Vec::new());
    while round.len() < strays.len() {
        let place = strays.get(at)?;
        let file = only(all().filter(|(_, file)| place.could_hold(file)).map(|(number, _)| number).collect())?;
        let held = strays.get(file)?;
        only(all().filter(|(_, place)| place.could_hold(held)).map(|(number, _)| number).collect())?;
        round.push((place, held));
        at = file;
        if at == own {
            return Some(round);
        }
    }
    None
}

/// Copies each file to a new one in the place of the block before it.
fn put(bench: &mut Bench, places: &[(u32, &BlockMeta, &Path)]) -> Result<(), EngineError> {
    for (segment, place, from) in places {
        let meta = BlockMeta { block_id: bench.block_id(*segment)?, ..(*place).clone() };
        let to = bench.root().join(bench.block_path(*segment, &meta));
        bench.files().copy(&bench.root().join(from), 0, &to)?;
        let columns = &place.columns;
        bench.replace_blocks(
            *segment,
            |block| block.block_id == place.block_id && block.columns == *columns,
            vec![meta],
        );
    }
    Ok(())
}

/// The one block whose column the file of `job` could be of, and whose file could be that of `job`.
fn partner(bench: &Bench, view: &View, job: &Job) -> Option<(BlockMeta, PathBuf)> {
    let segment = segment_of(bench, job)?;
    let kind = kind_of(job.quantised);
    let rows = |block: &BlockMeta| {
        let column = block.columns.first()?;
        let (_, rows) = blocks(segment, column, kind).into_iter().find(|(of, _)| of.block_id == block.block_id)?;
        Some((rows, block.min_doc_id, block.max_doc_id))
    };
    let field = |block: &BlockMeta| {
        let fields = bench.manifest.schema.as_ref()?.fields.iter();
        fields.into_iter().find(|field| block.columns.first() == Some(&field.name))
    };
    let own = open(view, &segment.block_path(&job.block)?)?;
    let own_field = field(&job.block)?;
    if fits(&own, own_field) {
        return None;
    }
    let mut found = segment.meta.persisted_blocks.iter().filter(|block| {
        block.block_type == kind as i32 && block.block_id != job.block.block_id && rows(block) == rows(&job.block)
    });
    let mut could = found.by_ref().filter_map(|block| {
        let path = segment.block_path(block)?;
        let file = open(view, &path)?;
        (fits(&file, own_field) && fits(&own, field(block)?)).then(|| (block.clone(), path))
    });
    let one = could.next()?;
    could.next().is_none().then_some(one)
}

type File = VectorFile<std::sync::Arc<crate::inspect::FileSource>>;

fn open(view: &View, path: &Path) -> Option<File> {
    VectorFile::open(view.source(path).ok()?).ok()
}

/// Whether a file can be one of a column: flat, or the index that the column has.
pub(super) fn fits<S: Source>(file: &VectorFile<S>, field: &FieldSchema) -> bool {
    let built = match field.index_params.as_ref().and_then(|index| index.params.as_ref()) {
        Some(Params::Hnsw(_)) => matches!(file.kind, IndexKind::Hnsw | IndexKind::HnswSparse),
        Some(Params::HnswRabitq(_)) => file.kind == IndexKind::HnswRabitq,
        Some(Params::Vamana(_)) => file.kind == IndexKind::Vamana,
        Some(Params::Ivf(_)) => file.kind == IndexKind::Ivf,
        Some(Params::IvfRabitq(_)) => file.kind == IndexKind::IvfRabitq,
        Some(Params::Diskann(_)) => file.kind == IndexKind::DiskAnn,
        Some(Params::Flat(_) | Params::Invert(_) | Params::Fts(_)) | None => false,
    };
    let flat = matches!(file.kind, IndexKind::Flat | IndexKind::FlatSparse);
    (flat || built) && differences(file, field).is_empty()
}
