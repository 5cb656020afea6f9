//! Logs that are gone, cut where a record ends, or in a segment that the manifest does not name.

use std::path::Path;

use zvecctl::{
    report::{Exit, Loss},
    vfs::{Vfs, VfsMut},
};

use super::subject::{ROOT, Subject};

const LOG: &str = "2/3.wal";

fn subject() -> Subject {
    Subject::archive("good", "0.8.0_small_segments_killed")
}

fn read(subject: &Subject, path: &str) -> Vec<u8> {
    let path = Path::new(ROOT).join(path);
    let mut bytes = vec![0; usize::try_from(subject.fs.metadata(&path).unwrap().len).unwrap()];
    subject.fs.open(&path).unwrap().read_exact_at(0, &mut bytes).unwrap();
    bytes
}

fn write(subject: &Subject, path: &str, bytes: &[u8]) {
    let path = Path::new(ROOT).join(path);
    subject.fs.create_dirs(path.parent().unwrap()).unwrap();
    subject.fs.create_new(&path).unwrap().write_all_at(0, bytes).unwrap();
}

/// It was called a torn tail, or nothing at all: exit code 1 or 0.
#[test]
fn what_zvec_writes_behind_a_log_tells_that_records_are_gone() {
    let before = subject().salvage().unwrap().documents;
    for length in [859u64, 893] {
        let cut = subject();
        cut.fs.open_write(&Path::new(ROOT).join(LOG)).unwrap().truncate(length).unwrap();
        let made = cut.salvage().unwrap();
        let gone = before.len() - made.documents.len();
        assert_eq!((made.report.exit(), made.report.lost.records), (Exit::DataLost, gone as u64), "{length}");
        let told = made.report.findings.iter().find(|finding| finding.code == "wal.behind").unwrap();
        assert_eq!(told.loss, Loss::Certain);
    }
    let missing = subject();
    missing.fs.remove_file(&Path::new(ROOT).join(LOG)).unwrap();
    let made = missing.salvage().unwrap();
    assert_eq!((made.report.exit(), made.report.lost.gaps), (Exit::DataLost, 1), "{:#?}", made.report.findings);
    assert!(made.report.findings.iter().any(|finding| finding.code == "wal.missing"));
}

/// A copy of a segment's directory changes nothing.
#[test]
fn a_log_that_no_manifest_names_does_not_override_what_one_names() {
    let before = subject().salvage().unwrap().documents;
    let copied = subject();
    let log = read(&copied, LOG);
    write(&copied, "77/3.wal", &log);
    let made = copied.salvage().unwrap();
    assert_eq!((&made.documents, made.report.exit()), (&before, Exit::Ok), "{:#?}", made.report.findings);
    assert!(made.report.doubtful.versions > 0);

    // Without the log, the documents of the manifest are those of its rows.
    let rows = subject();
    rows.fs.remove_file(&Path::new(ROOT).join(LOG)).unwrap();
    let published = rows.salvage().unwrap().documents;
    write(&rows, "77/3.wal", &log);
    let made = rows.salvage().unwrap();
    for (id, document) in &published {
        assert_eq!(made.documents.get(id), Some(document), "{id} was replaced or deleted by an orphan");
    }
    let doubtful = &made.report.doubtful;
    assert!(made.documents.len() > published.len(), "what nothing else has is there");
    assert_eq!(doubtful.resurrected, (made.documents.len() - published.len()) as u64);
    assert!(doubtful.versions > 0 && doubtful.version_list.iter().all(|version| published.contains_key(&version.id)));
}
