//! The corpus of the fuzz targets in `fuzz/`, replayed: inputs that the fuzzer found to reach new code, inputs that once broke something,
//! and real files of every release.

#[path = "../hostile/mend.rs"]
mod mend;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
mod targets;

use std::{
    collections::BTreeSet,
    env, fs,
    io::Read,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use flate2::read::GzDecoder;

use support::repository;
use targets::{TARGETS, Target, expand, squeeze};

/// An input and where it comes from.
type Input = (String, Vec<u8>);

/// The inputs in `fuzz/corpus/<target>.tar.gz`.
fn corpus(name: &str) -> Vec<Input> {
    let path = repository("fuzz/corpus").join(format!("{name}.tar.gz"));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
    let mut inputs = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let place = format!("{}: {}", path.display(), entry.path().unwrap().display());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            inputs.push((place, content));
        }
    }
    inputs
}

/// The inputs in `fuzz/regressions/<target>/`, if there are any.
fn regressions(name: &str) -> Vec<Input> {
    let Ok(entries) = fs::read_dir(repository("fuzz/regressions").join(name)) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect()
}

/// Runs inputs and answers those that a target does not survive.
fn run(name: &str, target: Target, inputs: &[Input]) -> Vec<String> {
    let fails = |(place, content): &Input| {
        panic::catch_unwind(AssertUnwindSafe(|| target(content))).is_err().then(|| format!("{name}: {place}"))
    };
    inputs.iter().filter_map(fails).collect()
}

#[test]
fn every_target_survives_its_corpus() {
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "{name} has a corpus");
        failed.extend(run(name, *target, &inputs));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_target_survives_what_once_broke_it() {
    let failed: Vec<_> = TARGETS.iter().flat_map(|(name, target)| run(name, *target, &regressions(name))).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// With `ZVECCTL_FUZZ_SEEDS=folder` they are written to `folder/<target>/`, for the fuzzer to begin with.
#[test]
fn every_target_survives_real_files() {
    let seeds = seeds::all();
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let inputs = seeds.get(name).unwrap_or_else(|| panic!("{name} has seeds"));
        failed.extend(run(name, *target, inputs));
        if let Some(folder) = env::var_os("ZVECCTL_FUZZ_SEEDS") {
            let folder = Path::new(&folder).join(name);
            fs::create_dir_all(&folder).unwrap();
            for (number, (_, content)) in inputs.iter().enumerate() {
                fs::write(folder.join(format!("seed-{number:02}")), content).unwrap();
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The names of a folder's entries that end so, without the end.
fn stems(folder: &str, end: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(repository(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries.filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(end)?.to_owned())).collect()
}

#[test]
fn targets_binaries_and_corpora_are_the_same() {
    let names: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz/fuzz_targets", ".rs"), names);
    assert_eq!(stems("fuzz/corpus", ".tar.gz"), names);
    let manifest = fs::read_to_string(repository("fuzz/Cargo.toml")).unwrap();
    for name in &names {
        let binary = fs::read_to_string(repository("fuzz/fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(binary.contains(&format!("run(\"{name}\", data)")), "{name}.rs runs {name}");
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "fuzz/Cargo.toml has {name}");
    }
}

#[test]
fn squeezed_files_expand_to_themselves() {
    let mut file = vec![0; 200_000];
    assert_eq!(expand(&squeeze(&file)), file);
    file[70_000..140_000].fill(7);
    file[199_999] = 1;
    assert_eq!(expand(&squeeze(&file)), file);
    assert!(squeeze(&file).len() < 71_000);
    for size in [0, 1, 63, 64, 65, 5_000_000] {
        let file = vec![0; size];
        assert_eq!(expand(&squeeze(&file)).len(), size);
        let file = vec![1; size.min(70_000)];
        assert_eq!(expand(&squeeze(&file)), file);
    }
}
