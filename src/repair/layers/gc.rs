//! What nothing needs: leftovers, orphans, unfinished files. They go to the quarantine.

use std::path::Path;

use crate::{
    engine::EngineError,
    format::{
        document::{self, Op},
        wal,
    },
    inspect::{
        Findings,
        idmap::{IdMap, Mapped},
        names::{NameKind, classify},
    },
    report::repair::{Action, DoneAction},
};

use super::{super::bench::Bench, done, doubt};

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
    let unknown = unknown_records(bench, &report, path);
    if unknown > 0 {
        report.doubtful.push(format!(
            "a log with {unknown} records of documents that the id map does not have; if they were not deleted since, only the quarantine has them"
        ));
        bench.list().sync()?;
    }
    bench.remove(path)?;
    Ok(report)
}

/// Records of a log that add a document whose key the id map does not have.
fn unknown_records(bench: &Bench, report: &DoneAction, path: &Path) -> u64 {
    if classify(path).0 != NameKind::Wal {
        return 0;
    }
    let view = bench.view();
    let map = IdMap::load(&view, &bench.manifest);
    let findings = Findings::default();
    let mut unknown = 0;
    if let Ok(source) = view.source(path) {
        let _ = wal::scan(&source, |record| {
            if let Ok(head) = document::decode_head(&record.payload, record.payload_offset())
                && !matches!(head.op, Op::Delete | Op::Unknown(_))
                && !matches!(map.get(head.pk, &findings), Mapped::To(_))
            {
                unknown += 1;
                let why = "it is in a log that was set aside, and not in the id map: if it was not deleted since, only the quarantine has it";
                doubt(bench.list(), report, (Some(&String::from_utf8_lossy(head.pk)), None), &[], why);
            }
        });
    }
    unknown
}
