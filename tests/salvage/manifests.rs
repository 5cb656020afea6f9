//! Manifests that decode, with one bit flipped: no checksum covers them, and what they say is not to be believed against all files.

use std::{collections::BTreeMap, path::Path};

use zvecctl::{
    inspect::View,
    report::{Exit, Finding, Loss, Severity, salvage::SalvageReport},
    salvage::SalvageError,
    vfs::{Vfs, VfsMut},
};

use super::subject::{ROOT, Subject};

fn newest(subject: &Subject) -> std::path::PathBuf {
    let view = View::open(std::sync::Arc::new(subject.fs.clone()), Path::new(ROOT)).unwrap();
    view.used().unwrap().path.clone()
}

fn flipped(subject: &Subject, path: &Path, bit: u64) -> Subject {
    let fs = subject.fs.fork();
    let opened = fs.open_write(&Path::new(ROOT).join(path)).unwrap();
    let mut byte = [0];
    opened.read_exact_at(bit / 8, &mut byte).unwrap();
    opened.write_all_at(bit / 8, &[byte[0] ^ 1 << (bit % 8)]).unwrap();
    Subject { fs, truth: subject.truth.clone() }
}

fn codes(report: &SalvageReport) -> Vec<&str> {
    report.findings.iter().map(|finding: &Finding| finding.code.as_str()).collect()
}

#[test]
fn a_bit_of_a_manifest_costs_no_document_unsaid() {
    let step = if std::env::var_os("ZVECCTL_FLIPS").is_some_and(|wish| wish == "full") { 1 } else { 151 };
    for name in ["0.8.0_small_segments_killed", "0.8.0_compacted", "0.8.0_fts_sealed"] {
        let subject = Subject::archive("good", name);
        let before = subject.salvage().unwrap().documents;
        let manifest = newest(&subject);
        let bits = subject.fs.metadata(&Path::new(ROOT).join(&manifest)).unwrap().len * 8;
        let mut seen: BTreeMap<u8, u64> = BTreeMap::new();
        for bit in (0..bits).step_by(step) {
            let what = format!("{name}: bit {} of byte {}", bit % 8, bit / 8);
            let made = match flipped(&subject, &manifest, bit).salvage() {
                Ok(made) => made,
                Err(error) => panic!("{what}: {error}"),
            };
            let (report, exit) = (&made.report, made.report.exit());
            *seen.entry(exit.code()).or_default() += 1;
            if made.documents == before {
                continue;
            }
            let lost = &report.lost;
            let said = lost.documents + lost.rejected + lost.records + lost.gaps + report.doubtful.versions;
            let degraded = !report.degraded.is_empty();
            let told =
                report.findings.iter().any(|found| found.severity == Severity::Error && found.loss != Loss::None);
            assert!(matches!(exit, Exit::DataLost | Exit::NotACollection), "{what}: {exit:?} {:?}", codes(report));
            assert!(said > 0 || degraded || told, "{what}: {:?}", codes(report));
            // Only what another release may have written is not put right.
            assert!(codes(report).contains(&"manifest.newer"), "{what}: {:#?}", report.findings);
        }
        assert!(seen.contains_key(&3), "{name}: {seen:?}");
    }
}

/// The `salvage` of a damaged manifest says what it was read as.
#[test]
fn what_was_put_right_is_said() {
    let subject = Subject::archive("good", "0.8.0_small_segments_killed");
    let before = subject.salvage().unwrap();
    let manifest = newest(&subject);
    let bytes = {
        let path = Path::new(ROOT).join(&manifest);
        let mut bytes = vec![0; subject.fs.metadata(&path).unwrap().len as usize];
        subject.fs.open(&path).unwrap().read_exact_at(0, &mut bytes).unwrap();
        bytes
    };
    // The name of the field.
    let at = bytes.windows(5).position(|window| window == b"dense").unwrap() as u64;
    let made = flipped(&subject, &manifest, at * 8 + 1).salvage().unwrap();
    assert_eq!(made.documents, before.documents);
    assert_eq!(made.report.exit(), Exit::Corrupt, "{:#?}", made.report.findings);
    let assumed = made.report.schema.assumed.join("\n");
    assert!(assumed.contains("is called \"dense\" in every file"), "{assumed}");
    assert!(codes(&made.report).contains(&"salvage.manifest"));
    let refused: Result<_, SalvageError> = subject.salvage();
    assert!(refused.is_ok_and(|made| !codes(&made.report).contains(&"salvage.manifest")), "a whole one is believed");
}
