//! Real collections, wounded at random, read by everything that the commands use: nothing panics, nothing hangs, nothing takes memory
//! that the files do not justify.
//!
//! `ZVECCTL_HOSTILE_CASES=n` runs n cases instead of a few thousand, `ZVECCTL_HOSTILE_FIRST=n` begins with another one. The number of a
//! case is its seed: a failing one is run again with both set.

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/allocator.rs"]
mod allocator;
#[path = "../support/layouts.rs"]
mod layouts;
mod memory;
mod memory_fs;
mod mend;
mod mutate;
mod program;
mod random;
mod sweep;

use std::{
    collections::BTreeMap,
    env, fs,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use allocator::Watched;
use memory::PerThread;
use memory_fs::Files;
use mutate::Mutation;
use random::Random;

#[global_allocator]
static ALLOCATOR: Watched<PerThread> = Watched::new();

/// Cases of an ordinary run.
const CASES: u64 = 2000;
/// A case takes milliseconds, and seconds where a large table is searched for what is left of it; one that takes this long, even on a
/// machine that does much else, hangs.
const LONGEST: Duration = Duration::from_secs(600);
/// What one case may hold at once. The largest collections among the fixtures, with their batches and findings, take a tenth.
const MOST_MEMORY: u64 = 256 << 20;

/// A collection as it was.
pub struct Original {
    name: String,
    files: Files,
}

/// Good collections of every kind of file, small ones first choice: a case should take milliseconds.
fn originals() -> Vec<Original> {
    const NAMES: [&str; 22] = [
        "0.1.0_small_killed",
        "0.1.0_sparse_hnsw_optimized",
        "0.2.1_ivf_fp32_optimized",
        "0.3.1_hnsw_rabitq_optimized",
        "0.4.0_vamana_fp32_optimized",
        "0.8.0_column_added",
        "0.8.0_columns_changed_optimized",
        "0.8.0_diskann_fp32_optimized",
        "0.8.0_flat_int8_flushed",
        "0.8.0_flat_qint8_flushed",
        "0.8.0_fts_killed",
        "0.8.0_fts_sealed",
        "0.8.0_hnsw_fp32_optimized",
        "0.8.0_invert_bitmaps",
        "0.8.0_invert_flushed",
        "0.8.0_ivf_rabitq_optimized",
        "0.8.0_scalars_flushed",
        "0.8.0_scalars_killed",
        "0.8.0_scalars_parquet",
        "0.8.0_small_killed",
        "0.8.0_small_segments_killed",
        "0.8.0_sparse_flat_flushed",
    ];
    NAMES
        .iter()
        .map(|name| {
            let path = support::fixture::shared("good", name).join("collection");
            Original { name: (*name).to_owned(), files: memory_fs::read(&path) }
        })
        .collect()
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// The case that each thread works on and since when, for the one who watches.
static WORKING: Mutex<BTreeMap<usize, (u64, Instant)>> = Mutex::new(BTreeMap::new());

fn working(worker: usize, case: Option<u64>) {
    let mut working = WORKING.lock().unwrap_or_else(PoisonError::into_inner);
    match case {
        Some(case) => working.insert(worker, (case, Instant::now())),
        None => working.remove(&worker),
    };
}

/// Ends the process when a case hangs, telling which.
fn watch() {
    thread::spawn(|| {
        loop {
            thread::park_timeout(Duration::from_secs(1));
            let working = WORKING.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((case, _)) = working.values().find(|(_, since)| since.elapsed() > LONGEST) {
                memory::say(format_args!("case {case} hangs: ZVECCTL_HOSTILE_FIRST={case} ZVECCTL_HOSTILE_CASES=1\n"));
                std::process::abort();
            }
        }
    });
}

/// What one case did wrong, if anything.
fn run_case(case: u64, originals: &[Original]) -> Result<Measured, String> {
    let mut random = Random::new(case);
    let original = random.pick(originals);
    let mut files = original.files.clone();
    let mutations = mutate::wound(&mut random, &mut files, originals, 3);
    let describe = |problem: &str| {
        let wounds: Vec<_> = mutations.iter().map(Mutation::to_string).collect();
        format!(
            "case {case} ({}): {problem}\n  {}\n  again: ZVECCTL_HOSTILE_FIRST={case} ZVECCTL_HOSTILE_CASES=1",
            original.name,
            wounds.join("\n  ")
        )
    };
    let largest_file = files.values().map(|content| content.len() as u64).max().unwrap_or(0);
    let fs = Arc::new(memory_fs::with(&files));
    let before = memory::begin(case);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| sweep::everything(fs)));
    let used = memory::end(before);
    if outcome.is_err() {
        return Err(describe(&format!("panicked: {}", PANIC.with_borrow(Clone::clone))));
    }
    // Decoded rows may be larger than the bytes that they come from; a length that was believed is larger by far.
    let most_at_once = (64 << 20) + 4 * largest_file;
    if used.largest > most_at_once {
        return Err(describe(&format!("took {} bytes at once, the largest file has {largest_file}", used.largest)));
    }
    if used.peak > MOST_MEMORY + 4 * largest_file {
        return Err(describe(&format!("took {} bytes, the largest file has {largest_file}", used.peak)));
    }
    Ok(Measured { name: original.name.clone(), largest: used.largest, peak: used.peak })
}

struct Measured {
    name: String,
    largest: u64,
    peak: u64,
}

thread_local! {
    static PANIC: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// Panics of cases are told with their case and not before; those of decoders that the library contains are not told at all.
fn hush() {
    panic::set_hook(Box::new(|info| {
        if zvecctl::format::forward::panic_is_contained() {
            return;
        }
        let message = info.payload_as_str().unwrap_or("no message").to_owned();
        let place = info.location().map_or_else(String::new, ToString::to_string);
        if !memory::is_in_a_case() {
            memory::say(format_args!("{message} at {place}\n"));
        }
        PANIC.with_borrow_mut(|panic| *panic = format!("{message} at {place}"));
    }));
}

#[test]
fn wounded_collections_are_read_without_panic_hang_or_greed() {
    let originals = originals();
    let first = number("ZVECCTL_HOSTILE_FIRST", 0);
    let count = number("ZVECCTL_HOSTILE_CASES", CASES);
    let next = AtomicU64::new(first);
    let problems = Mutex::new(Vec::new());
    let measured = Mutex::new(BTreeMap::<String, (u64, u64, u64)>::new());
    hush();
    watch();
    thread::scope(|scope| {
        for worker in 0..thread::available_parallelism().map_or(1, usize::from) {
            let (next, problems, measured, originals) = (&next, &problems, &measured, &originals);
            scope.spawn(move || {
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= first.saturating_add(count) || problems.lock().unwrap().len() >= 10 {
                        break;
                    }
                    working(worker, Some(case));
                    match run_case(case, originals) {
                        Ok(found) => {
                            let mut measured = measured.lock().unwrap();
                            let (cases, largest, peak) = measured.entry(found.name).or_default();
                            *cases += 1;
                            *largest = found.largest.max(*largest);
                            *peak = found.peak.max(*peak);
                        }
                        Err(problem) => problems.lock().unwrap().push(problem),
                    }
                }
                working(worker, None);
            });
        }
    });
    let _ = panic::take_hook();
    if env::var_os("ZVECCTL_HOSTILE_REPORT").is_some() {
        for (name, (cases, largest, peak)) in measured.into_inner().unwrap() {
            memory::say(format_args!("{name}: {cases} cases, largest allocation {largest}, peak {peak}\n"));
        }
    }
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// The collections themselves stay within the limits with room to spare: a limit that nothing reaches proves nothing, and one that
/// honest files reach is none.
#[test]
fn unharmed_collections_are_read_within_the_limits() {
    let mut reads = 0;
    for original in originals() {
        let fs = Arc::new(memory_fs::with(&original.files));
        let before = memory::begin(0);
        let found = sweep::everything(fs);
        let used = memory::end(before);
        assert!(used.peak > 0 && used.peak < MOST_MEMORY / 2, "{}: {used:?}", original.name);
        assert!(found.documents > 0, "{}: no document was read", original.name);
        assert!(found.faults.is_empty(), "{}: {:?}", original.name, found.faults);
        reads += found.values;
    }
    assert!(reads > 1000, "values of indexes were read: {reads}");
}

/// A few wounded collections through the program itself: arguments, rendering, exit code.
#[test]
fn the_program_survives_wounded_collections() {
    let originals = originals();
    let first = number("ZVECCTL_HOSTILE_FIRST", 0);
    let count = (number("ZVECCTL_HOSTILE_CASES", CASES) / 250).clamp(1, 100);
    for case in first..first + count {
        let mut random = Random::new(case);
        let mut files = random.pick(&originals).files.clone();
        mutate::wound(&mut random, &mut files, &originals, 3);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("collection");
        for (name, content) in &files {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content.as_slice()).unwrap();
        }
        program::every_command(&path, case);
    }
}
