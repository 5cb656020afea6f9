//! `flush`.

use crate::{
    engine::Sync,
    report::{Exit, engine::FlushReport, show_path},
};

use super::{
    Session,
    args::CollectionArg,
    error::Failure,
    writing::{open, published},
};

pub fn run(session: &mut Session, args: &CollectionArg) -> Result<Exit, Failure> {
    let (mut collection, recovery) = open(session, &args.path, Sync::Batch, false)?;
    let published = published(collection.flush()?);
    let exit = published.exit();
    let data = FlushReport { published, documents: collection.len(), recovery };
    session.out.report("flush", Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}
