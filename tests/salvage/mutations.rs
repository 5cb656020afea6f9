//! Every file of good collections removed, emptied, cut, and with a bit flipped.

use std::path::Path;

use zvecctl::{
    report::salvage::SalvageReport,
    salvage::SalvageError,
    vfs::{Vfs, VfsMut},
};

use super::subject::{ROOT, Subject};

/// One of each kind: flushed blocks and an open log, several segments, indexes built, quantised vectors, full text, Parquet.
const COLLECTIONS: [&str; 8] = [
    "0.8.0_small_killed",
    "0.8.0_small_segments_killed",
    "0.8.0_small_optimized",
    "0.8.0_flat_qint8_flushed",
    "0.8.0_fts_killed",
    "0.8.0_parquet_killed",
    "0.8.0_sparse_hnsw_optimized",
    "0.6.0_segments_by_optimize",
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Removed,
    Emptied,
    /// To this part of its length, in eighths.
    Cut(u64),
    /// One bit, at this part of its length.
    Flipped(u64),
}

const DAMAGES: [Damage; 7] = [
    Damage::Removed,
    Damage::Emptied,
    Damage::Cut(4),
    Damage::Cut(7),
    Damage::Flipped(0),
    Damage::Flipped(3),
    Damage::Flipped(6),
];

fn damaged(subject: &Subject, file: &Path, damage: Damage) -> Option<Subject> {
    let fs = subject.fs.fork();
    let path = Path::new(ROOT).join(file);
    let size = fs.metadata(&path).unwrap().len;
    match damage {
        Damage::Removed => fs.remove_file(&path).unwrap(),
        _ if size == 0 => return None,
        Damage::Emptied => fs.open_write(&path).unwrap().truncate(0).unwrap(),
        Damage::Cut(eighths) => fs.open_write(&path).unwrap().truncate(size * eighths / 8).unwrap(),
        Damage::Flipped(eighths) => {
            let opened = fs.open_write(&path).unwrap();
            let at = size * eighths / 8;
            let mut byte = [0];
            opened.read_exact_at(at, &mut byte).unwrap();
            opened.write_all_at(at, &[byte[0] ^ 0x10]).unwrap();
        }
    }
    Some(Subject { fs, truth: subject.truth.clone() })
}

/// How much the report says is missing; `None` if it does not know how much.
fn said(report: &SalvageReport) -> Option<u64> {
    let lost = &report.lost;
    (lost.gaps == 0).then(|| lost.documents + lost.rows + lost.records + lost.rejected)
}

#[test]
fn whatever_happens_to_one_file_nothing_is_lost_in_silence_and_nothing_invented() {
    let (mut tried, mut whole) = (0, 0);
    for name in COLLECTIONS {
        let subject = Subject::archive("good", name);
        let versions = subject.versions();
        for file in subject.files() {
            for damage in DAMAGES {
                let what = format!("{name} {} {damage:?}", file.display());
                let Some(damaged) = damaged(&subject, &file, damage) else { continue };
                tried += 1;
                let made = match damaged.salvage() {
                    Ok(made) => made,
                    Err(SalvageError::Engine(error)) => panic!("{what}: {error}"),
                    Err(error) => panic!("{what}: {error}"),
                };
                made.is_sound(&what);
                let missing = made.missing(&subject.truth);
                whole += usize::from(missing.is_empty());
                // A log that is gone, or ends before its end, leaves no trace of what it had.
                let of_log = file.extension().is_some_and(|end| end == "wal");
                if !of_log {
                    let said = said(&made.report).unwrap_or(u64::MAX);
                    assert!(missing.len() as u64 <= said, "{what}: {missing:?} {:#?}", made.report);
                    assert!(missing.is_empty() || made.report.exit().code() >= 4, "{what}");
                }
                let rows = file.file_name().unwrap().to_str().unwrap().starts_with("scalar.");
                let values = rows || file.extension().is_some_and(|end| end == "proxima");
                let unchecked = matches!(damage, Damage::Flipped(_)) && values;
                // Its log names deleted and replaced documents: without it older ones are the newest.
                for (id, document) in &made.documents {
                    let Some(known) = versions.get(id) else {
                        assert!(unchecked && rows, "{what}: {id} was never written");
                        continue;
                    };
                    let degraded = !made.report.degraded.is_empty() || unchecked;
                    assert!(degraded || known.contains(document), "{what}: {document} is not among {known:?}");
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
    assert!(whole * 10 > tried * 6, "{whole} of {tried} lost nothing");
}

#[test]
fn without_manifest_id_map_and_snapshot_the_rows_and_the_log_are_enough() {
    for name in COLLECTIONS {
        let subject = Subject::archive("good", name);
        let versions = subject.versions();
        for file in subject.files() {
            let top = file.iter().next().unwrap().to_str().unwrap();
            if top.starts_with("manifest.") || top.starts_with("idmap.") || top.starts_with("del.") || top == "LOCK" {
                subject.fs.remove_file(&Path::new(ROOT).join(&file)).unwrap();
            }
        }
        let made = subject.salvage().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(made.missing(&subject.truth), [""; 0], "{name}");
        for (id, document) in &made.documents {
            let known = versions.get(id).unwrap_or_else(|| panic!("{name}: {id}"));
            assert!(known.contains(document), "{name}: {document} is not among {known:?}");
        }
        let resurrected = made.foreign(&subject.truth).len() as u64;
        assert!(resurrected <= made.report.doubtful.resurrected, "{name}: {:?}", made.report.doubtful);
        assert!(!made.report.deletions.known);
        made.is_sound(name);
    }
}

#[test]
fn an_unfinished_block_whose_log_is_whole_is_no_damage() {
    for (name, block, eighths) in [
        ("0.8.0_small_killed", "scalar.0.ipc", [0, 1, 4, 7]),
        ("0.8.0_parquet_killed", "scalar.0.parquet", [0, 1, 4, 7]),
    ] {
        for eighths in eighths {
            let subject = Subject::archive("good", name);
            let files = subject.files();
            let log = files.iter().find(|path| path.extension().is_some_and(|end| end == "wal")).expect("a log");
            let published = files.iter().find(|path| path.ends_with(block)).expect("a block");
            let source = subject.fs.open(&Path::new(ROOT).join(published)).unwrap();
            let mut bytes = vec![0; source.len().unwrap() as usize];
            source.read_exact_at(0, &mut bytes).unwrap();
            let cut = &bytes[..bytes.len() * eighths / 8];
            let unfinished = log.with_file_name(format!(
                "scalar.{}.{}",
                log.file_stem().unwrap().to_str().unwrap(),
                published.extension().unwrap().to_str().unwrap()
            ));
            let opened = subject.fs.create_new(&Path::new(ROOT).join(&unfinished));
            let file = opened.or_else(|_| subject.fs.open_write(&Path::new(ROOT).join(&unfinished))).unwrap();
            file.truncate(0).unwrap();
            file.write_all_at(0, cut).unwrap();
            let made = subject.salvage().unwrap();
            assert_eq!(made.missing(&subject.truth), [""; 0], "{name} {eighths}");
            assert_eq!(made.report.exit().code(), 0, "{name} {eighths}: {:#?}", made.report);
        }
    }
}
