//! Which schema the documents have: that of a manifest, of a schema file, or one rebuilt from what lies in the segments.

use std::collections::BTreeMap;

use crate::{
    engine::{EngineError, Refusal, Schema},
    format::{
        manifest::{
            Manifest, ManifestName,
            proto::{CollectionSchema, FieldSchema},
        },
        schema_file::{Metric, Quantize, QuantizerParam, SchemaFile, VectorField, VectorIndex, VectorType},
    },
    inspect::{Tree, View, manifests},
    report::{salvage::SchemaOrigin, show_path},
};

use super::{discover::Files, rebuild::rebuild};

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
    let used = view.used().and_then(|file| Some((show_path(&file.path), file.manifest.as_ref()?)));
    let enable_mmap = match &used {
        Some((_, manifest)) => manifest.enable_mmap,
        None => {
            let count = |of: fn(&Files) -> usize| segments.values().map(of).sum::<usize>();
            count(|files| files.ipc.len()) >= count(|files| files.parquet.len())
        }
    };
    let decided = |schema, from: String, assumed| Decided {
        schema,
        enable_mmap,
        origin: SchemaOrigin { from, assumed, changed: Vec::new() },
    };
    if let Some(file) = given {
        return Ok(decided(file.to_manifest(), "schema file".to_owned(), Vec::new()));
    }
    let mut told = used.and_then(|(name, manifest)| Some((name, manifest.schema.clone()?, true, None)));
    if told.is_none() {
        let with_fields = |(name, manifest): (String, Manifest)| {
            let whole = whole(&manifest);
            let schema = manifest.schema.filter(|schema| !schema.fields.is_empty())?;
            let assumed = match whole {
                true => format!("{name} cannot be obeyed, but its schema decodes whole"),
                false => format!("{name} ends within its schema: the fields that it still has are taken from there"),
            };
            Some((name, schema, whole, Some(assumed)))
        };
        told = fragments(view, tree).into_iter().find_map(with_fields);
    }
    let (mut from, mut assumed) = ("segment directories".to_owned(), Vec::new());
    let mut part = None;
    if let Some((name, schema, whole, why)) = told {
        assumed.extend(why);
        if whole && schema.fields.iter().all(loads) {
            return Ok(decided(schema, name, assumed));
        }
        from = format!("{name} and segment directories");
        part = Some((schema, whole));
    }
    let (rebuilt, more) = rebuild(view, tree);
    assumed.extend(more);
    let mut schema = rebuilt.to_manifest();
    if let Some((part, whole)) = part {
        // The last one may be cut itself: what the files say of it is whole.
        let last = part.fields.len().saturating_sub(1);
        let rebuilt = |field: &FieldSchema| schema.fields.iter().any(|other| other.name == field.name);
        let kept = part
            .fields
            .iter()
            .enumerate()
            .filter(|(position, field)| (whole || *position < last || !rebuilt(field)) && loads(field));
        let kept: Vec<FieldSchema> = kept.map(|(_, field)| field.clone()).collect();
        let others = schema.fields.iter().filter(|field| kept.iter().all(|known| known.name != field.name));
        let fields = kept.iter().chain(others).cloned().collect();
        schema = CollectionSchema { fields, ..schema };
        if !part.name.is_empty() {
            schema.name = part.name;
        }
    }
    if schema.fields.is_empty() {
        let message =
            "no file tells a schema: no manifest, no forward block, no vector file, no log record can be read";
        return Err(Refusal::new("salvage.nothing", message).into());
    }
    Ok(decided(schema, from, assumed))
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

/// What decodes of manifests that are not in force, those that were never published included; highest number first.
fn fragments(view: &View, tree: &Tree) -> Vec<(String, Manifest)> {
    let mut found: Vec<(u64, String, Manifest)> = view
        .manifests()
        .iter()
        .filter_map(|file| Some((file.name.number, show_path(&file.path), file.manifest.clone()?)))
        .collect();
    for entry in &tree.entries {
        let name = entry.path.to_str().and_then(ManifestName::parse).filter(|name| name.temporary);
        let Some(name) = name else { continue };
        if let Ok(loaded) = manifests::load(view.vfs().as_ref(), view.root(), &entry.path) {
            found.push((name.number, show_path(&entry.path), loaded.dump.manifest()));
        }
    }
    found.sort_by_key(|(number, _, _)| std::cmp::Reverse(*number));
    found.into_iter().map(|(_, name, manifest)| (name, manifest)).collect()
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
    let schema = Schema::load(&CollectionSchema { fields, ..decided.schema.clone() })?;
    schema.writable()?;
    Ok(schema)
}

fn adapt(field: &FieldSchema) -> Result<(FieldSchema, Option<String>), Refusal> {
    let alone = |field: &FieldSchema| CollectionSchema { fields: vec![field.clone()], ..CollectionSchema::default() };
    let check = |field: &FieldSchema| Schema::load(&alone(field)).and_then(|schema| schema.writable());
    let Err(refusal) = check(field) else { return Ok((field.clone(), None)) };
    let file = SchemaFile::from_manifest(&alone(field)).map_err(|_| refusal.clone())?;
    let changed = |file: &SchemaFile| file.to_manifest().fields.into_iter().next().filter(|field| check(field).is_ok());
    if let Some(scalar) = file.fields.first().filter(|field| field.index.is_some()) {
        let mut file = file.clone();
        file.fields = vec![crate::format::schema_file::ScalarField { index: None, ..scalar.clone() }];
        if let Some(new) = changed(&file) {
            let change = format!("field {}: without its index, which this engine cannot write", field.name);
            return Ok((new, Some(change)));
        }
    }
    if let Some(vector) = file.vectors.first() {
        for (index, what) in simpler(&vector.index) {
            let mut file = file.clone();
            file.vectors = vec![VectorField { index, ..vector.clone() }];
            if let Some(new) = changed(&file) {
                return Ok((new, Some(format!("field {}: {what}, which this engine cannot write", field.name))));
            }
        }
    }
    Err(refusal)
}

/// Indexes that ask for less, the nearest first.
fn simpler(index: &VectorIndex) -> Vec<(VectorIndex, &'static str)> {
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
    let flat = VectorIndex::Flat {
        metric: metric_of,
        quantize: Quantize::Undefined,
        quantizer_param: QuantizerParam::default(),
        use_contiguous_memory: false,
    };
    vec![
        (without_rotation, "without the quantiser's rotation"),
        (without_quantizer, "without its quantiser"),
        (flat, "as FLAT in place of its index"),
    ]
}

fn reduce(keep: bool, quantize: &mut Quantize, param: &mut QuantizerParam) {
    param.enable_rotate = false;
    if !keep {
        *quantize = Quantize::Undefined;
    }
}
