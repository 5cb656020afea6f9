//! Bytes that were overwritten: what lies beside them may be, too, and is named; what a single flipped bit or another copy clears is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use crate::support::{
    Fixture,
    killed::random,
    program::{json_on, on},
};

/// What the bytes are that are written over others.
#[derive(Debug, Clone, Copy)]
enum Fill {
    Noise,
    Zeros,
}

const FILLS: [Fill; 2] = [Fill::Noise, Fill::Zeros];

fn overwrite(path: &Path, at: usize, length: usize, fill: Fill) {
    let mut bytes = fs::read(path).unwrap();
    for (offset, byte) in bytes[at..at + length].iter_mut().enumerate() {
        *byte = match fill {
            Fill::Noise => random((at + offset) as u64) as u8,
            Fill::Zeros => 0,
        };
    }
    fs::write(path, bytes).unwrap();
}

fn documents(path: &Path) -> BTreeMap<String, Value> {
    let lines = on("export", path).stdout;
    let documents = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    documents.map(|document| (document["id"].as_str().unwrap().to_owned(), document)).collect()
}

/// A damaged collection: the codes that a check finds and its exit code, that of the repair, the documents that the damage has changed for good, and
/// those that the repair names.
struct Outcome {
    codes: Vec<String>,
    verify: i32,
    repair: i32,
    changed: BTreeSet<String>,
    named: BTreeSet<String>,
}

fn mend(fixture: &Fixture, level: &str, before: &BTreeMap<String, Value>) -> Outcome {
    let verified = json_on("verify", &fixture.path(), &["--level", level]);
    let repaired = json_on("repair", &fixture.path(), &["--yes"]);
    let data = repaired.envelope()["data"].clone();
    assert_eq!(data["clean"], true, "{data:#}");
    let list = data["named"]["path"].as_str().map(|path| fs::read_to_string(path).unwrap()).unwrap_or_default();
    let named =
        list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned());
    let after = documents(&fixture.path());
    let changed = before.iter().filter(|(id, document)| after.get(*id) != Some(*document));
    Outcome {
        codes: codes(&verified.envelope()["data"]["collections"][0]),
        verify: verified.code,
        repair: repaired.code,
        changed: changed.map(|(id, _)| id.clone()).collect(),
        named: named.collect(),
    }
}

/// `code@path` of what is more than a remark, each once.
fn codes(collection: &Value) -> Vec<String> {
    let found = collection["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "info");
    let codes: BTreeSet<String> = found
        .map(|finding| {
            format!("{}@{}", finding["code"].as_str().unwrap(), finding["path"].as_str().unwrap_or_default())
        })
        .collect();
    codes.into_iter().collect()
}

/// The first key of a flat file, behind 32 vectors of four numbers.
const KEYS: usize = 1_077_760;

#[test]
fn vectors_up_to_overwritten_keys_are_doubtful() {
    for fill in FILLS {
        let fixture = Fixture::good("0.7.0_small_segments");
        let before = documents(&fixture.path());
        overwrite(&fixture.join("2/dense.index.2.proxima"), KEYS - 472, 512, fill);
        let outcome = mend(&fixture, "2", &before);
        assert!(outcome.changed.len() >= 29, "{fill:?}: {:?}", outcome.changed);
        assert!(outcome.changed.is_subset(&outcome.named), "{fill:?}: {:?}", outcome.named);
        assert!(outcome.named.len() <= 32, "one block: {:?}", outcome.named);
        assert_eq!((outcome.verify, outcome.repair), (4, 4), "{fill:?}");
        assert!(
            outcome.codes.contains(&"vectors.overwritten@2/dense.index.2.proxima".to_owned()),
            "{:?}",
            outcome.codes
        );
    }
}

/// A flat file of 100 vectors of 64 bytes: the zeros before the first block, those behind the last vector, and a trailer that has only its count.
#[test]
fn vectors_beside_overwritten_zeros_are_doubtful() {
    let file = "0/l2.index.1.proxima";
    let (first, block, element) = (1_077_248, 2336, 64);
    let last = first + 3 * block + 4 * element;
    for (what, at, length, fills, doubtful) in [
        ("before the first block", first - 100, 100 + 2 * element, &FILLS[..1], 32),
        ("behind the last vector", last - 2 * element, 4 * element, &FILLS[..1], 4),
        ("from the first trailer on", first + block - 20, 20 + 2 * element, &FILLS[..], 32),
    ] {
        for fill in fills {
            let fixture = Fixture::good("0.8.0_flat_fp32_flushed");
            let before = documents(&fixture.path());
            overwrite(&fixture.join(file), at, length, *fill);
            let outcome = mend(&fixture, "2", &before);
            assert!(outcome.changed.len() >= 2, "{what}, {fill:?}: {:?}", outcome.changed);
            assert!(outcome.changed.is_subset(&outcome.named), "{what}, {fill:?}: {:?}", outcome.named);
            assert_eq!(outcome.named.len(), doubtful, "{what}, {fill:?}");
            assert_eq!((outcome.verify, outcome.repair), (4, 4), "{what}, {fill:?}");
        }
    }
    // One bit there is confined, also the one that leaves no count.
    for (at, bit) in [(first - 1, 1), (last, 1), (first + block - 4, 0x20)] {
        let fixture = Fixture::good("0.8.0_flat_fp32_flushed");
        let before = documents(&fixture.path());
        let mut bytes = fs::read(fixture.join(file)).unwrap();
        bytes[at] ^= bit;
        fs::write(fixture.join(file), bytes).unwrap();
        let outcome = mend(&fixture, "2", &before);
        assert!(outcome.named.is_empty() && outcome.changed.is_empty(), "{at}: {:?}", outcome.named);
    }
}

#[test]
fn a_flipped_bit_of_a_key_and_damage_among_keys_cast_no_doubt_on_vectors() {
    let before = documents(&Fixture::good("0.7.0_small_segments").path());
    let file = "2/dense.index.2.proxima";
    for (at, length) in [(KEYS, 0), (KEYS + 1, 0), (KEYS + 8, 0), (KEYS + 31 * 8 + 7, 0), (KEYS + 40, 100)] {
        let fixture = Fixture::good("0.7.0_small_segments");
        if length == 0 {
            let mut bytes = fs::read(fixture.join(file)).unwrap();
            bytes[at] ^= 0x20;
            fs::write(fixture.join(file), bytes).unwrap();
        } else {
            overwrite(&fixture.join(file), at, length, Fill::Noise);
        }
        let outcome = mend(&fixture, "3", &before);
        assert_eq!(outcome.codes, [format!("proxima.bad-key@{file}")], "{at}");
        assert_eq!((outcome.verify, outcome.repair), (3, 0), "{at}");
        assert!(outcome.changed.is_empty() && outcome.named.is_empty(), "{at}: {:?}", outcome.named);
    }
}

#[test]
fn a_unit_length_and_a_quantised_copy_vouch_for_vectors() {
    // Only keys are overwritten, those at the front.
    let keys = |fixture: &Fixture, file: &str| {
        let bytes = fs::read(fixture.join(file)).unwrap();
        let wanted: Vec<u8> = (0u64..32).flat_map(u64::to_le_bytes).collect();
        let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
        overwrite(&fixture.join(file), at, 40, Fill::Noise);
    };
    let cases = [
        ("0.8.0_flat_fp32_flushed", "0/l2.index.1.proxima", 4),
        ("0.8.0_flat_fp32_flushed", "0/cosine.index.3.proxima", 0),
        ("0.8.0_flat_qint8_flushed", "0/l2.index.1.proxima", 0),
    ];
    for (archive, file, code) in cases {
        let fixture = Fixture::good(archive);
        let before = documents(&fixture.path());
        keys(&fixture, file);
        let outcome = mend(&fixture, "3", &before);
        assert_eq!(outcome.repair, code, "{archive} {file}: {:?}", outcome.named);
        assert_eq!(outcome.verify, if code == 4 { 4 } else { 3 }, "{archive} {file}: {:?}", outcome.codes);
        assert_eq!(outcome.named.is_empty(), code == 0);
        assert!(outcome.changed.is_empty());
    }
}

#[test]
fn sparse_records_before_an_overwritten_one_are_doubtful() {
    let fixture = Fixture::good("0.8.0_sparse_flat_flushed");
    let before = documents(&fixture.path());
    let files = fs::read_dir(fixture.join("0")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "proxima")).collect();
    files.sort();
    let name = files[0].strip_prefix(fixture.path()).unwrap().to_str().unwrap().to_owned();
    let bytes = fs::read(&files[0]).unwrap();
    // Records begin with counts and groups, behind each other: the longest run of blocks that are no zeros.
    let blocks: Vec<bool> = bytes.chunks(64).map(|chunk| chunk.iter().any(|byte| *byte != 0)).collect();
    let (mut best, mut run) = (0..0, 0..0);
    for (at, full) in blocks.iter().enumerate() {
        run = if *full { run.start..at + 1 } else { at + 1..at + 1 };
        if run.len() > best.len() {
            best = run.clone();
        }
    }
    drop(fixture);
    let mut doubted = 0;
    for step in 0..6 {
        let at = (best.start + best.len() * (step + 1) / 8) * 64 + step * 5;
        for fill in FILLS {
            let fixture = Fixture::good("0.8.0_sparse_flat_flushed");
            overwrite(&fixture.join(&name), at, 90, fill);
            let outcome = mend(&fixture, "3", &before);
            if outcome.codes.is_empty() {
                continue;
            }
            assert!(
                outcome.changed.is_subset(&outcome.named),
                "{at} {fill:?}: {:?} unnamed, {:?}",
                outcome.changed.difference(&outcome.named),
                outcome.codes
            );
            doubted += usize::from(outcome.codes.iter().any(|code| code.starts_with("vectors.overwritten")));
        }
    }
    assert!(doubted > 2, "{doubted}");
}

#[test]
fn values_up_to_an_overwritten_footer_are_doubtful() {
    let before = documents(&Fixture::good("0.8.0_column_added").path());
    let file = "0/scalar.4.ipc";
    for (length, reaches) in [(1, false), (60, false), (180, false), (190, true), (240, true), (400, true)] {
        for fill in FILLS {
            let fixture = Fixture::good("0.8.0_column_added");
            let size = fs::metadata(fixture.join(file)).unwrap().len() as usize;
            overwrite(&fixture.join(file), size - length, length, fill);
            let outcome = mend(&fixture, "1", &before);
            let code = format!("forward.overwritten@{file}");
            assert_eq!(outcome.codes.contains(&code), reaches, "{length} {fill:?}: {:?}", outcome.codes);
            assert_eq!(outcome.changed.is_empty(), !reaches, "{length} {fill:?}");
            assert!(outcome.changed.is_subset(&outcome.named), "{length} {fill:?}: {:?}", outcome.named);
            let codes = if reaches { (4, 4) } else { (3, 0) };
            assert_eq!((outcome.verify, outcome.repair), codes, "{length} {fill:?}: {:?}", outcome.codes);
            assert_eq!(outcome.named.is_empty(), !reaches);
        }
    }
}

#[test]
fn values_beside_columns_that_contradict_themselves_are_doubtful() {
    let archive = "0.8.0_scalars_flushed";
    let before = documents(&Fixture::good(archive).path());
    let file = "0/scalar.0.ipc";
    let size = fs::metadata(Fixture::good(archive).join(file)).unwrap().len() as usize;
    let mut found = 0;
    for step in 1..7 {
        for fill in FILLS {
            let fixture = Fixture::good(archive);
            overwrite(&fixture.join(file), size * step / 8, 3000, fill);
            let outcome = mend(&fixture, "3", &before);
            if outcome.codes.is_empty() {
                continue;
            }
            found += 1;
            let unnamed: Vec<_> = outcome.changed.difference(&outcome.named).collect();
            assert!(unnamed.is_empty(), "{step} {fill:?}: {unnamed:?}, {:?}", outcome.codes);
        }
    }
    assert!(found > 6, "{found}");
}
