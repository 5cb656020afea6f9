//! Real collections, mutated at random, put through every command of the program: nothing panics, nothing hangs, nothing takes memory that
//! the files do not justify, commands that look change nothing, and commands that write lose no document that could be read before.
//!
//! `ZVECCTL_MUTANTS=n` runs n mutated collections, without it none is run, `ZVECCTL_MUTANTS_FIRST=n` begins with another one,
//! `ZVECCTL_MUTANTS_REPORT=file` writes what was measured, `ZVECCTL_MUTANTS_JOBS=n` says how many processes work,
//! `ZVECCTL_MUTANTS_KEEP=folder` keeps the mutated collections. The number of a case is
//! its seed: a failing one is run again with the first two set.
//!
//! Cases run in processes of their own, which are this program again: a worker that is killed costs one case and is reported with it.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/allocator.rs"]
mod allocator;
mod bed;
mod commands;
mod memory;
#[path = "../hostile/memory_fs.rs"]
mod memory_fs;
#[path = "../hostile/mend.rs"]
mod mend;
#[path = "../hostile/mutate.rs"]
mod mutate;
#[path = "../hostile/random.rs"]
mod random;
mod regressions;
mod worker;

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use allocator::Watched;
use memory::WholeProcess;
use memory_fs::Files;
use worker::{Current, Report, Worker};

#[global_allocator]
static ALLOCATOR: Watched<WholeProcess> = Watched::new();

/// Cases of an ordinary run.
const CASES: u64 = 300;
/// A command takes milliseconds; one that takes this long, even on a machine that does much else, hangs.
const LONGEST: Duration = Duration::from_secs(300);
/// Cases that a worker gets at once.
const SHARE: u64 = 1000;
/// Problems after which it is enough.
const ENOUGH: usize = 40;

/// A collection as it was.
pub struct Original {
    name: String,
    files: Files,
    /// Directories without a file.
    empty: Vec<PathBuf>,
    schema: String,
}

fn originals() -> Vec<Original> {
    let names = support::fixture::names("good");
    let read = |name: &String| {
        let path = support::fixture::shared("good", name).join("collection");
        Original { name: name.clone(), files: memory_fs::read(&path), empty: empty(&path), schema: schema(&path) }
    };
    names.iter().map(read).collect()
}

fn empty(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let dirs = entries.filter(|path| path.is_dir() && fs::read_dir(path).unwrap().next().is_none());
    dirs.map(|path| path.strip_prefix(root).unwrap().to_owned()).collect()
}

/// The collection's schema as a file for `create`.
fn schema(path: &Path) -> String {
    use zvecctl::{format::schema_file::SchemaFile, inspect::View, vfs::ReadOnlyFs};
    let view = View::open(std::sync::Arc::new(ReadOnlyFs), path).unwrap();
    let (_, manifest) = view.manifest().unwrap();
    let schema = SchemaFile::from_manifest(&manifest.schema.clone().unwrap_or_default()).unwrap();
    serde_json::to_string(&schema).unwrap()
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// A folder in memory where the system has one: a case is some thousand small files' worth of work.
fn folder() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap()
}

/// What a worker is told: its folder, first case, number of cases; no case means that of unharmed collections.
const ROLE: &str = "ZVECCTL_MUTANTS_WORKER";

fn work(role: &str) {
    let (dir, range) = role.rsplit_once(':').unwrap();
    let (first, count) = range.split_once('+').unwrap();
    let (dir, first, count): (_, u64, u64) = (PathBuf::from(dir), first.parse().unwrap(), count.parse().unwrap());
    let current = Current::new(&dir.join("current"));
    let mut problems = OpenOptions::new().append(true).open(dir.join("problems")).unwrap();
    let run = move || {
        let originals = originals();
        let unharmed = (count == 0).then_some(originals.len());
        let mut worker = Worker::new(&dir, originals);
        let all = unharmed.map_or(first..first + count, |count| 0..count as u64);
        for case in all {
            let chosen = unharmed.map(|_| case as usize);
            for problem in worker.case(case, chosen, &mut |case, command| current.note(case, command)) {
                problems.write_all(format!("{problem}\u{0}").as_bytes()).unwrap();
            }
        }
        fs::write(dir.join("report"), serde_json::to_vec(&worker.report).unwrap()).unwrap();
    };
    // The stack of a main thread.
    thread::Builder::new().stack_size(8 << 20).spawn(run).unwrap().join().unwrap();
}

/// Runs a worker to its end, or kills it when a command hangs. Answers what was measured and what was wrong.
fn run_worker(test: &str, first: u64, count: u64) -> (Report, Vec<String>, Option<u64>) {
    let dir = folder();
    let create = |name: &str| OpenOptions::new().create(true).append(true).open(dir.path().join(name)).unwrap();
    let (stdout, stderr) = (create("stdout"), create("stderr"));
    create("current");
    create("problems");
    let mut child = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, format!("{}:{first}+{count}", dir.path().display()))
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    let at = || fs::read_to_string(dir.path().join("current")).unwrap();
    let (mut last, mut since, mut hangs) = (at(), Instant::now(), false);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
        let now = at();
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > LONGEST {
            hangs = true;
            child.kill().unwrap();
        }
    };
    let text = fs::read_to_string(dir.path().join("problems")).unwrap();
    let mut problems: Vec<_> = text.split_terminator('\0').map(str::to_owned).collect();
    let report = fs::read(dir.path().join("report")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(report) = report.filter(|_| status.success()) {
        return (report, problems, None);
    }
    let now = at();
    let begun = now.trim().split_once(' ');
    let case = begun.map_or(first, |(case, _)| case.parse().unwrap());
    let line = begun.map_or("before the first command", |(_, line)| line);
    let how = if hangs { format!("hangs for more than {LONGEST:?}") } else { format!("ends the process: {status}") };
    let said = fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
    let again = format!("ZVECCTL_MUTANTS_FIRST={case} ZVECCTL_MUTANTS=1");
    problems.push(format!("case {case}: zvecctl {}: {how}\n  {said}\n  again: {again}", line.trim()));
    (Report::new(), problems, Some(case))
}

/// The largest of both, or the sum, whatever a number is.
fn merge(all: &mut Report, more: Report) {
    for (line, more) in more {
        let one = all.entry(line).or_default();
        one.runs += more.runs;
        one.total += more.total;
        one.changed_and_failed += more.changed_and_failed;
        one.slowest = one.slowest.max(more.slowest);
        one.peak = one.peak.max(more.peak);
        for (code, count) in more.exits {
            *one.exits.entry(code).or_default() += count;
        }
    }
}

#[test]
fn mutated_collections_go_through_every_command_unharmed() {
    const NAME: &str = "mutated_collections_go_through_every_command_unharmed";
    if let Ok(role) = env::var(ROLE) {
        return work(&role);
    }
    if left_out() {
        return;
    }
    let first = number("ZVECCTL_MUTANTS_FIRST", 0);
    let end = first + number("ZVECCTL_MUTANTS", CASES);
    let jobs = number("ZVECCTL_MUTANTS_JOBS", thread::available_parallelism().map_or(1, |cores| cores.get() as u64));
    let next = AtomicU64::new(first);
    let state = Mutex::new((Report::new(), Vec::<String>::new(), 0u64));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let mut from = next.fetch_add(SHARE, Ordering::Relaxed);
                    let to = end.min(from.saturating_add(SHARE));
                    while from < to {
                        let (report, problems, died) = run_worker(NAME, from, to - from);
                        let mut state = state.lock().unwrap();
                        merge(&mut state.0, report);
                        state.1.extend(problems);
                        let done = died.map_or(to, |case| case + 1);
                        state.2 += done - from;
                        from = done;
                        write_report(&state.0, &state.1, state.2);
                        if state.1.len() >= ENOUGH {
                            return;
                        }
                    }
                    if from >= end {
                        return;
                    }
                }
            });
        }
    });
    let (report, problems, cases) = state.into_inner().unwrap();
    assert!(problems.is_empty(), "{cases} cases\n{}", problems.join("\n\n"));
    assert_eq!(cases, end - first, "all cases were run");
    for turns in commands::COMMANDS {
        let runs =
            turns.iter().filter_map(|command| report.get(command.line)).map(|measured| measured.runs).sum::<u64>();
        assert_eq!(runs, cases, "{} was run on each", turns[0].line);
    }
}

fn write_report(report: &Report, problems: &[String], cases: u64) {
    let Some(path) = env::var_os("ZVECCTL_MUTANTS_REPORT") else { return };
    let mut text = format!("{cases} cases, {} problems\n", problems.len());
    for (line, one) in report {
        text.push_str(&format!(
            "{line}: {} runs, exits {:?}, {:.2} ms each, slowest {:.3} s (case {}), peak {:.1} MiB (case {}), failed after changes {}\n",
            one.runs,
            one.exits,
            one.total as f64 / 1e3 / one.runs as f64,
            one.slowest.0 as f64 / 1e6,
            one.slowest.1,
            one.peak.0 as f64 / f64::from(1 << 20),
            one.peak.1,
            one.changed_and_failed
        ));
    }
    text.push_str(&problems.join("\n\n"));
    fs::write(path, text).unwrap();
}

/// Takes minutes, and limits of time that only a machine with nothing else to do holds: run if it is asked for.
fn left_out() -> bool {
    let asked = env::var_os("ZVECCTL_MUTANTS").is_some();
    if !asked {
        support::left_out("mutated collections through every command", "ZVECCTL_MUTANTS=n runs n of them");
    }
    !asked
}

/// Cases of 61,094 that something was wrong with: memory for the faults of a MANIFEST of garbage, for the length that an index claims of an array, time for the
/// rows that a vector file claims, and vectors written to a block id that a stray file had.
const FAILED_ONCE: [u64; 7] = [26060, 35185, 46696, 55936, 61093, 84797, 90664];

/// What they did wrong needs neither luck nor an idle machine to show.
#[test]
fn cases_that_failed_once_go_well() {
    const NAME: &str = "cases_that_failed_once_go_well";
    if let Ok(role) = env::var(ROLE) {
        return work(&role);
    }
    let problems: Vec<String> = FAILED_ONCE.iter().flat_map(|case| run_worker(NAME, *case, 1).1).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// The same on collections that nothing is wrong with: the commands get far, and the limits are no hindrance.
#[test]
fn unharmed_collections_go_through_every_command() {
    const NAME: &str = "unharmed_collections_go_through_every_command";
    if let Ok(role) = env::var(ROLE) {
        return work(&role);
    }
    if left_out() {
        return;
    }
    let (report, problems, _) = run_worker(NAME, 0, 0);
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    write_report(&report, &problems, 0);
    for (line, measured) in &report {
        assert!(measured.peak.0 < worker::MOST_MEMORY / 2, "{line}: {measured:?}");
        assert_eq!(measured.changed_and_failed, 0, "{line}: {measured:?}");
    }
    for line in commands::COMMANDS
        .iter()
        .copied()
        .flatten()
        .map(|command| command.line)
        .filter(|line| !line.starts_with("create") && !line.starts_with("repair"))
    {
        let measured = &report[line];
        let well = [0, 1].iter().filter_map(|code| measured.exits.get(code)).sum::<u64>();
        assert!(well * 2 > measured.runs, "{line}: {measured:?}");
    }
}
