//! `create`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use crate::{
    engine::{Collection, CreateOptions, OpenOptions, Schema, schema::shorthand},
    format::{manifest::Style, schema_file::SchemaFile},
    report::{Exit, engine::Created, show_path},
};

use super::{Session, args::CollectionArg, error::Failure, schema_source::read_schema};

#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// Schema file, or what `schema show --format json` printed; - for standard input
    #[arg(long, value_hint = ValueHint::FilePath, value_name = "FILE", conflicts_with_all = ["field", "vector", "name"])]
    schema: Option<PathBuf>,
    /// A scalar field, NAME:TYPE[?][:INDEX], as title:STRING? or year:INT32:INVERT
    #[arg(long, value_name = "FIELD")]
    field: Vec<String>,
    /// A vector field, NAME:TYPE:DIMENSION[:INDEX], as dense:VECTOR_FP32:128:HNSW(metric=COSINE)
    #[arg(long, value_name = "VECTOR")]
    vector: Vec<String>,
    /// Name of the collection in its schema; the directory's name if left out
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Documents after which a new segment begins
    #[arg(long, value_name = "COUNT")]
    max_doc_count_per_segment: Option<u64>,
    /// Write forward blocks as Parquet, which zvec reads, instead of Arrow IPC, which it maps into memory
    #[arg(long)]
    no_mmap: bool,
    /// Names of the manifests; zvec opens `release` alone
    #[arg(long, value_enum, default_value = "release", value_name = "STYLE")]
    manifest_style: ManifestStyle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ManifestStyle {
    /// manifest.<N>
    Release,
    /// MANIFEST_<N>
    Article,
}

pub fn run(session: &mut Session, args: &CreateArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let file = schema_file(session, args)?;
    let schema = Schema::create(&file)?;
    let style = match args.manifest_style {
        ManifestStyle::Release => Style::Release,
        ManifestStyle::Article => Style::Article,
    };
    let create = CreateOptions { enable_mmap: !args.no_mmap, style };
    let options = OpenOptions { lock_timeout: session.lock_timeout(), ..OpenOptions::default() };
    let collection = Collection::create(session.vfs_mut(), path, &schema, create, options)?;
    let shown = SchemaFile::from_manifest(&schema.to_proto())
        .map_err(|error| crate::engine::EngineError::format(path, error))?;
    let data = Created {
        manifest: collection.version().name.to_string(),
        enable_mmap: collection.enable_mmap(),
        // Names and numbers alone: this cannot fail.
        schema: serde_json::to_value(&shown).unwrap_or_default(),
    };
    session.out.report("create", Some(show_path(path)), Exit::Ok, &data)?;
    Ok(Exit::Ok)
}

fn schema_file(session: &Session, args: &CreateArgs) -> Result<SchemaFile, Failure> {
    let mut file = match &args.schema {
        Some(path) => read_schema(session, path)?,
        None if args.field.is_empty() && args.vector.is_empty() => {
            let message = "a schema is needed: --schema FILE, or --field and --vector";
            return Err(Failure::Usage(message.to_owned()));
        }
        None => {
            let of_path = || args.collection.path.file_name().map(|name| name.to_string_lossy().into_owned());
            SchemaFile {
                name: args.name.clone().or_else(of_path).unwrap_or_default(),
                max_doc_count_per_segment: 10_000_000,
                fields: args.field.iter().map(|text| shorthand::scalar(text)).collect::<Result<_, _>>()?,
                vectors: args.vector.iter().map(|text| shorthand::vector(text)).collect::<Result<_, _>>()?,
            }
        }
    };
    if let Some(count) = args.max_doc_count_per_segment {
        file.max_doc_count_per_segment = count;
    }
    Ok(file)
}
