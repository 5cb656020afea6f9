//! `salvage`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use crate::{
    inspect::{InspectError, View, lock},
    report::{Exit, show_path},
    salvage::{Form, Options, SalvageError, Target, salvage},
    vfs::LockGuard,
};

use super::{
    Session, args::CollectionArg, error::Failure, export::lies_in, interrupt::Deferred, schema_source::read_schema,
};

/// The command as typed.
const NAME: &str = "salvage";

#[derive(Debug, Args)]
pub struct SalvageArgs {
    #[command(flatten)]
    pub collection: CollectionArg,
    /// What to make: a directory for a new collection, else a file. Nothing may be there, and it may not lie in the source
    #[arg(short, long, value_hint = ValueHint::AnyPath, value_name = "OUT")]
    out: PathBuf,
    /// What is made
    #[arg(long, value_enum, default_value = "collection", value_name = "FORMAT")]
    to: To,
    /// Schema file to go by in place of a manifest, or what `schema show --format json` printed; - for standard input
    #[arg(long, value_hint = ValueHint::FilePath, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Also write the newest deleted version of ids that have no live one
    #[arg(long)]
    include_deleted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// A new collection, which zvec opens
    Collection,
    /// One JSON object a line
    Jsonl,
    /// A Parquet file
    Parquet,
}

pub fn run(session: &mut Session, args: &SalvageArgs) -> Result<Exit, Failure> {
    let path = &args.collection.path;
    let (view, _lock) = open(session, path)?;
    if lies_in(session, &args.out, path) {
        return Err(Failure::Usage(format!("{} lies in the collection, which is only read", args.out.display())));
    }
    let above = args.out.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above.filter(|above| session.vfs().metadata(above).is_err()) {
        let error =
            std::io::Error::new(std::io::ErrorKind::NotFound, format!("there is no directory {}", above.display()));
        return Err(Failure::Target { path: args.out.clone(), error });
    }
    let form = match args.to {
        To::Collection => Form::Collection,
        To::Jsonl => Form::JsonLines,
        To::Parquet => Form::Parquet,
    };
    let schema = args.schema.as_deref().map(|file| read_schema(session, file)).transpose()?;
    let target = Target { fs: session.vfs_mut(), path: args.out.clone(), form };
    let options = Options { schema, include_deleted: args.include_deleted };
    let deferred = Deferred::new();
    let progress = session.out.progress("documents", 0);
    let mut each = |done: u64, total: u64| {
        if done.is_multiple_of(256) {
            progress.set(done, total);
        }
        !deferred.asked()
    };
    let made = salvage(&view, &options, &target, &mut each);
    drop(progress);
    let data = made?;
    let exit = data.exit();
    session.out.report(NAME, Some(show_path(path)), exit, &data)?;
    Ok(exit)
}

/// Opens what is left of a collection; a directory that holds segments and nothing else is enough.
fn open(session: &Session, path: &Path) -> Result<(View, Option<LockGuard>), Failure> {
    match session.open(path) {
        Ok(held) => Ok(held.apart()),
        Err(InspectError::NotACollection { path: refused }) => {
            let view = View::of_directory(session.vfs().clone(), path)?;
            if !crate::salvage::holds_segments(&view) {
                return Err(InspectError::NotACollection { path: refused }.into());
            }
            let lock = lock::acquire_shared(session.vfs().as_ref(), path, session.lock_timeout())?;
            Ok((view, lock))
        }
        Err(error) => Err(error.into()),
    }
}

impl From<SalvageError> for Failure {
    fn from(error: SalvageError) -> Self {
        match error {
            SalvageError::Engine(error) => error.into(),
            SalvageError::Target { path, error } => Self::Target { path, error },
            SalvageError::Interrupted => Self::Interrupted,
        }
    }
}
