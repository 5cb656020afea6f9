//! What nothing needs: leftovers, orphans, unfinished files. They go to the quarantine.

use std::path::Path;

use crate::{
    engine::EngineError,
    report::repair::{Action, DoneAction},
};

use super::{super::bench::Bench, done};

/// Takes a file or directory out of the collection.
pub fn set_aside(bench: &mut Bench, action: &Action) -> Result<DoneAction, EngineError> {
    let path = Path::new(&action.path);
    let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !inside || path.as_os_str().is_empty() {
        return Ok(done(action, "not a path of the collection: left as it is"));
    }
    if bench.fs().metadata(&bench.root().join(path)).is_err() {
        return Ok(done(action, "gone already"));
    }
    bench.remove(path)?;
    Ok(done(action, "set aside"))
}
