//! `digest`.

use crate::{
    inspect::digest::digest,
    report::{Exit, show_path},
};

use super::{Session, args::CollectionArg, error::Failure, interrupt::Deferred};

/// The command as typed.
const NAME: &str = "digest";

pub fn run(session: &mut Session, args: &CollectionArg) -> Result<Exit, Failure> {
    let held = session.open(&args.path)?;
    let deferred = Deferred::new();
    let progress = session.out.progress("documents", 0);
    let (mut done, total) = (0u64, std::cell::Cell::new(0));
    let mut each = || {
        done += 1;
        if done.is_multiple_of(1024) {
            progress.set(done, total.get());
        }
        !deferred.asked()
    };
    let found = digest(&held.view, |stored| total.set(stored), &mut each)?;
    drop(progress);
    let Some(data) = found else { return Err(Failure::Interrupted) };
    let exit = Exit::of_findings(&data.findings);
    session.out.report(NAME, Some(show_path(&args.path)), exit, &data)?;
    Ok(exit)
}
