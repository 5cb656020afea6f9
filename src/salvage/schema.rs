//! Which schema the documents have: that of a manifest, of a schema file, or one rebuilt from what lies in the segments.

use std::collections::BTreeMap;

use crate::{
    engine::{EngineError, Refusal, Schema},
    format::{
        manifest::{
            Manifest, ManifestName,
            proto::{CollectionSchema, DataType, FieldSchema},
        },
        schema_file::{Metric, Quantize, QuantizerParam, SchemaFile, VectorField, VectorIndex, VectorType},
    },
    inspect::{
        Tree, View, documents,
        manifests::{self, ManifestState},
        segments_of,
    },
    report::{salvage::SchemaOrigin, show_path},
};

use super::{discover::Files, rebuild::rebuild, settings};

/// A schema and where it is from.
pub(super) struct Decided {
    /// The schema, in the order of the fields.
    pub schema: CollectionSchema,
    /// Whether forward blocks are Arrow IPC files.
    pub enable_mmap: bool,
    /// For the report.
    pub origin: SchemaOrigin,
}

/// Decides: the schema file that is given, else the manifest in force, else the highest other manifest as far as it decodes, else the files.
pub(super) fn decide(
    view: &View,
    tree: &Tree,
    given: Option<&SchemaFile>,
    segments: &BTreeMap<u32, Files>,
) -> Result<Decided, EngineError> {
    let used = view.used().and_then(|file| Some((show_path(&file.path), file, file.manifest.as_ref()?)));
    let enable_mmap = match &used {
        Some((.., manifest)) => manifest.enable_mmap,
        None => {
            let count = |of: fn(&Files) -> usize| segments.values().map(of).sum::<usize>();
            count(|files| files.ipc.len()) >= count(|files| files.parquet.len())
        }
    };
    let decided = |schema: CollectionSchema, from: String, mut assumed: Vec<String>| {
        let schema = without_dimensions(schema, &mut assumed);
        Decided { schema, enable_mmap, origin: SchemaOrigin { from, assumed, changed: Vec::new() } }
    };
    if let Some(file) = given {
        return Ok(decided(file.to_manifest(), "schema file".to_owned(), Vec::new()));
    }
    let mut told = used.and_then(|(path, file, manifest)| {
        let schema = manifest.schema.clone()?;
        let sound = file.state == ManifestState::Valid;
        Some(Told { name: path, schema, manifest: manifest.clone(), whole: true, sound, why: None })
    });
    if told.is_none() {
        told = fragments(view, tree).into_iter().find_map(Told::of_fragment);
    }
    let (mut from, mut assumed) = ("segment directories".to_owned(), Vec::new());
    let mut part = None;
    if let Some(told) = told {
        assumed.extend(told.why.clone());
        if told.whole && told.sound && told.schema.fields.iter().all(loads) {
            return Ok(decided(told.schema, told.name, assumed));
        }
        part = Some(told);
    }
    let (rebuilt, more) = rebuild(view, tree);
    let mut schema = rebuilt.to_manifest();
    if let Some(part) = part {
        let forwards = segments.values().any(|files| !files.ipc.is_empty() || !files.parquet.is_empty());
        if part.whole && part.agrees(&schema, forwards) {
            return Ok(decided(part.schema, part.name, assumed));
        }
        from = format!("{} and segment directories", part.name);
        schema = part.completed(schema, forwards, &mut assumed);
    }
    assumed.extend(more);
    if schema.fields.is_empty() {
        let message =
            "no file tells a schema: no manifest, no forward block, no vector file, no log record can be read";
        return Err(Refusal::new("salvage.nothing", message).into());
    }
    Ok(decided(schema, from, assumed))
}

/// A dimension of what has none is damage, and tells nothing.
fn without_dimensions(mut schema: CollectionSchema, assumed: &mut Vec<String>) -> CollectionSchema {
    let sparse = [DataType::SparseVectorFp16 as i32, DataType::SparseVectorFp32 as i32];
    for field in &mut schema.fields {
        if field.dimension != 0 && (sparse.contains(&field.data_type) || !is_vector(field)) {
            assumed.push(format!("field {} has no dimension, the manifest says {}", field.name, field.dimension));
            field.dimension = 0;
        }
    }
    schema
}

/// The schema of a manifest, as far as it decodes.
struct Told {
    name: String,
    schema: CollectionSchema,
    manifest: Manifest,
    /// Whether something behind the schema decodes, so that the schema is not cut.
    whole: bool,
    /// Whether all of the manifest decodes, and this build knows it all.
    sound: bool,
    /// Why it is not the manifest in force.
    why: Option<String>,
}

impl Told {
    fn of_fragment((name, manifest, sound): (String, Manifest, bool)) -> Option<Self> {
        let whole = whole(&manifest);
        let schema = manifest.schema.clone().filter(|schema| !schema.fields.is_empty())?;
        let why = match whole {
            true => format!("{name} cannot be obeyed, but its schema decodes"),
            false => format!("{name} ends within its schema: the fields that it still has are taken from there"),
        };
        Some(Self { name, schema, manifest, whole, sound, why: Some(why) })
    }

    /// Whether blocks of the manifest have a column of this name: it was not dropped then.
    fn has_blocks_of(&self, name: &str) -> bool {
        let segments = segments_of(&self.manifest);
        let mut blocks = segments
            .iter()
            .flat_map(|segment| segment.meta.persisted_blocks.iter().chain(&segment.meta.writing_forward_block));
        blocks.any(|block| block.columns.iter().any(|column| column == name))
    }

    /// Whether a field is as it stood in the manifest before that was damaged. With `forwards` there are files that have every column.
    fn keeps(&self, field: &FieldSchema, rebuilt: &CollectionSchema, forwards: bool) -> bool {
        if !loads(field) || self.sound {
            return loads(field);
        }
        match rebuilt.fields.iter().find(|other| other.name == field.name) {
            Some(other) => {
                let nullable = field.nullable || !other.nullable;
                nullable && (other.data_type, other.dimension) == (field.data_type, field.dimension)
            }
            None => !field.name.is_empty() && (!forwards || is_vector(field)),
        }
    }

    /// Whether a field that only the files tell of has gone from the schema by damage.
    fn lacks(&self, field: &FieldSchema) -> bool {
        self.schema.fields.iter().all(|known| known.name != field.name)
            && (is_vector(field) || self.has_blocks_of(&field.name))
    }

    fn agrees(&self, rebuilt: &CollectionSchema, forwards: bool) -> bool {
        self.schema.fields.iter().all(|field| self.keeps(field, rebuilt, forwards))
            && (self.sound || !rebuilt.fields.iter().any(|field| self.lacks(field)))
    }

    /// What of it makes sense, and the rest as the files have it.
    fn completed(&self, rebuilt: CollectionSchema, forwards: bool, assumed: &mut Vec<String>) -> CollectionSchema {
        // The last one may be cut itself: what the files say of it is whole.
        let last = self.schema.fields.len().saturating_sub(1);
        let is_rebuilt = |field: &FieldSchema| rebuilt.fields.iter().any(|other| other.name == field.name);
        let kept: Vec<&FieldSchema> = self
            .schema
            .fields
            .iter()
            .enumerate()
            .filter(|(position, field)| self.whole || *position < last || !is_rebuilt(field))
            .map(|(_, field)| field)
            .filter(|field| self.keeps(field, &rebuilt, forwards))
            .collect();
        let gone = |field: &&FieldSchema| {
            let listed = self.schema.fields.iter().any(|known| known.name == field.name);
            kept.iter().all(|known| known.name != field.name) && (!self.whole || listed || self.lacks(field))
        };
        let others: Vec<&FieldSchema> = rebuilt.fields.iter().filter(gone).collect();
        if self.whole && !others.is_empty() {
            let names: Vec<_> = others.iter().map(|field| field.name.as_str()).collect();
            assumed.push(format!(
                "{} as their files have them: {} does not tell them rightly",
                names.join(", "),
                self.name
            ));
        }
        // Scalars come first.
        let mut fields: Vec<FieldSchema> = kept.into_iter().chain(others).cloned().collect();
        fields.sort_by_key(is_vector);
        let name = if self.schema.name.is_empty() { &rebuilt.name } else { &self.schema.name };
        let max_doc_count_per_segment = rebuilt.max_doc_count_per_segment;
        CollectionSchema { name: name.clone(), fields, max_doc_count_per_segment }
    }
}

fn is_vector(field: &FieldSchema) -> bool {
    DataType::try_from(field.data_type).is_ok_and(documents::is_vector)
}

/// Whether a field makes sense.
fn loads(field: &FieldSchema) -> bool {
    let alone = CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
    Schema::load(&alone).is_ok()
}

/// Whether something behind the schema decodes, so that the schema itself is not cut.
fn whole(manifest: &Manifest) -> bool {
    manifest.writing_segment_meta.is_some()
        || !manifest.persisted_segment_metas.is_empty()
        || manifest.next_segment_id > 0
}

/// What decodes of manifests that are not in force, those that were never published included, and whether all of it did; highest number first.
fn fragments(view: &View, tree: &Tree) -> Vec<(String, Manifest, bool)> {
    let mut found: Vec<(u64, (String, Manifest, bool))> = Vec::new();
    for file in view.manifests() {
        let sound = file.state == ManifestState::Valid;
        found
            .extend(file.manifest.clone().map(|manifest| (file.name.number, (show_path(&file.path), manifest, sound))));
    }
    for entry in &tree.entries {
        let name = entry.path.to_str().and_then(ManifestName::parse).filter(|name| name.temporary);
        let Some(name) = name else { continue };
        if let Ok(loaded) = manifests::load(view.vfs().as_ref(), view.root(), &entry.path) {
            let sound = manifests::judge(&entry.path, &loaded).0 == ManifestState::Valid;
            found.push((name.number, (show_path(&entry.path), loaded.dump.manifest(), sound)));
        }
    }
    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, fragment)| fragment).collect()
}

/// The schema for a new collection: what the engine cannot write is replaced by what comes next to it, each told in `origin`.
pub(super) fn writable(decided: &mut Decided) -> Result<Schema, EngineError> {
    let fields = decided.schema.fields.iter().map(|field| match adapt(field) {
        Ok((field, change)) => {
            decided.origin.changed.extend(change);
            Ok(field)
        }
        Err(refusal) => Err(refusal),
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let mut proto = CollectionSchema { fields, ..decided.schema.clone() };
    settings::of_collection(&mut proto, &mut decided.origin.changed);
    let schema = Schema::load(&proto)?;
    schema.writable()?;
    Ok(schema)
}

fn adapt(field: &FieldSchema) -> Result<(FieldSchema, Option<String>), Refusal> {
    let alone = |field: &FieldSchema| CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
    let check = |field: &FieldSchema| {
        Schema::load(&alone(field)).and_then(|schema| schema.writable())?;
        settings::broken(field).map_or(Ok(()), Err)
    };
    let Err(refusal) = check(field) else { return Ok((field.clone(), None)) };
    let why = match settings::broken(field) {
        Some(_) => "which zvec lets nobody create",
        None => "which this engine cannot write",
    };
    let file = SchemaFile::from_manifest(&alone(field)).map_err(|_| refusal.clone())?;
    let changed = |file: &SchemaFile| file.to_manifest().fields.into_iter().next().filter(|field| check(field).is_ok());
    if let Some(scalar) = file.fields.first().filter(|field| field.index.is_some()) {
        let mut file = file.clone();
        file.fields = vec![crate::format::schema_file::ScalarField { index: None, ..scalar.clone() }];
        if let Some(new) = changed(&file) {
            let change = format!("field {}: without its index, {why}", field.name);
            return Ok((new, Some(change)));
        }
    }
    if let Some(vector) = file.vectors.first() {
        for (index, what) in simpler(&vector.index) {
            let mut file = file.clone();
            file.vectors = vec![VectorField { index, ..vector.clone() }];
            if let Some(new) = changed(&file) {
                return Ok((new, Some(format!("field {}: {what}, {why}", field.name))));
            }
        }
    }
    Err(refusal)
}

/// Indexes that ask for less, the nearest first.
fn simpler(index: &VectorIndex) -> Vec<(VectorIndex, &'static str)> {
    let flat = |metric| VectorIndex::Flat {
        metric,
        quantize: Quantize::Undefined,
        quantizer_param: QuantizerParam::default(),
        use_contiguous_memory: false,
    };
    let mut without_rotation = index.clone();
    let mut without_quantizer = index.clone();
    let mut metric_of = Metric::default();
    for (index, keep) in [(&mut without_rotation, true), (&mut without_quantizer, false)] {
        match index {
            VectorIndex::Flat { metric, quantize, quantizer_param, .. }
            | VectorIndex::Ivf { metric, quantize, quantizer_param, .. }
            | VectorIndex::Diskann { metric, quantize, quantizer_param, .. } => {
                metric_of = *metric;
                reduce(keep, quantize, quantizer_param);
            }
            VectorIndex::Hnsw { metric, quantize, quantizer_param, flat_data_type, .. }
            | VectorIndex::Vamana { metric, quantize, quantizer_param, flat_data_type, .. } => {
                metric_of = *metric;
                reduce(keep, quantize, quantizer_param);
                if !keep {
                    *flat_data_type = VectorType::VectorFp32;
                }
            }
            VectorIndex::HnswRabitq { metric, .. } | VectorIndex::IvfRabitq { metric, .. } => metric_of = *metric,
        }
    }
    vec![
        (without_rotation, "without the quantiser's rotation"),
        (without_quantizer, "without its quantiser"),
        (flat(metric_of), "as FLAT in place of its index"),
        (flat(Metric::Ip), "as FLAT with the metric IP in place of its index"),
    ]
}

fn reduce(keep: bool, quantize: &mut Quantize, param: &mut QuantizerParam) {
    param.enable_rotate = false;
    if !keep {
        *quantize = Quantize::Undefined;
    }
}
