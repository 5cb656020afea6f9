//! What nothing needs: leftovers, orphans, unfinished files. They go to the quarantine.

use std::path::Path;

use crate::{
    engine::EngineError,
    inspect::{
        Findings,
        idmap::{IdMap, Mapped},
        wal,
    },
    report::{
        Firsts,
        repair::{Action, DoneAction},
    },
};

use super::{super::bench::Bench, NAMED, done, doubt};

const LATER: &str = "the log may have a later version, which only the quarantine has now";
const ONLY: &str = "unless it was deleted since, only the quarantine has it now";

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
    let mut report = done(action, "set aside");
    let view = bench.view();
    if let Some(keys) = wal::unpublished_keys(&view, &bench.manifest, path) {
        let map = IdMap::load(&view, &bench.manifest);
        let findings = Findings::default();
        let (mut later, mut only) = (Firsts::<NAMED>::default(), Firsts::<NAMED>::default());
        for key in &keys {
            let name = String::from_utf8_lossy(key);
            let (kind, why) = match map.get(key, &findings) {
                Mapped::To(_) => (&mut later, LATER),
                _ => (&mut only, ONLY),
            };
            doubt(bench.list(), &report, (Some(&name), None), &[], why);
            kind.add(|| name.into_owned());
        }
        for (found, why) in [(later, LATER), (only, ONLY)] {
            if found.count > 0 {
                report.doubtful.push(format!("{} document(s) of the log: {why}: {found}", found.count));
            }
        }
        bench.list().sync()?;
    }
    bench.remove(path)?;
    Ok(report)
}
