//! The process that runs cases one after the other: whatever kills it, kills only this one.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    os::unix::fs::FileExt,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zvecctl::{
    cli,
    inspect::{
        Findings, View,
        documents::{Documents, Selection, write_document},
        idmap::{IdMap, Mapped},
    },
    vfs::ReadOnlyFs,
};

use crate::{
    Original,
    bed::Bed,
    commands::{COMMANDS, Command, Effect, UNDO, Words},
    memory,
    mutate::{self, Mutation},
    random::Random,
    support,
};

/// Codes of the contract that a mutated collection may lead to: no usage error, no bug, no lock, no interruption.
const CODES: [u8; 9] = [0, 1, 3, 4, 5, 6, 7, 11, 12];
/// What a command may hold beyond a few times the largest file: the open block, its indexes, one batch, the findings.
pub const MOST_MEMORY: u64 = 256 << 20;
/// What a command may print.
const MOST_OUTPUT: u64 = 64 << 20;

/// What was measured of one command.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    /// How often it ran.
    pub runs: u64,
    /// Exit codes and how often each.
    pub exits: BTreeMap<u8, u64>,
    /// All runs together, in microseconds.
    pub total: u64,
    /// Longest run in microseconds, and its case.
    pub slowest: (u64, u64),
    /// Most memory in bytes, and its case.
    pub peak: (u64, u64),
    /// Runs that failed after they had changed files, with all documents still there.
    pub changed_and_failed: u64,
}

/// What was measured, by command line.
pub type Report = BTreeMap<String, Measured>;

/// Documents: key, and its document id and line of JSON; several where damage brings back older versions.
type Docs = BTreeMap<Vec<u8>, BTreeMap<u64, Vec<u8>>>;

/// Where one worker keeps its files.
pub struct Worker {
    dir: PathBuf,
    originals: Vec<Original>,
    beds: BTreeMap<usize, (Bed, Inputs)>,
    streams: Streams,
    pub report: Report,
}

/// What commands are given beside the collection.
struct Inputs {
    dir: PathBuf,
    keys: [String; 2],
    /// Whether there is any document.
    any: bool,
}

/// The first panic of a command, on whatever thread.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

impl Worker {
    /// A worker with its files in `dir`; its standard streams are `stdout` and `stderr` there, opened for appending.
    pub fn new(dir: &Path, originals: Vec<Original>) -> Self {
        panic::set_hook(Box::new(|info| {
            if zvecctl::format::forward::panic_is_contained() {
                return;
            }
            let message = info.payload_as_str().unwrap_or("no message");
            let place = info.location().map_or_else(String::new, ToString::to_string);
            PANIC.lock().unwrap().get_or_insert_with(|| format!("{message} at {place}"));
        }));
        let streams = Streams::open(dir);
        Self { dir: dir.to_owned(), originals, beds: BTreeMap::new(), streams, report: Report::new() }
    }

    /// One of the originals; one that takes ten times as long comes up a tenth as often.
    fn pick(&self, random: &mut Random) -> usize {
        let weight = |original: &Original| {
            let size: usize = original.files.values().map(|content| content.len()).sum();
            ((32 << 20) / (size + (64 << 10))).clamp(1, 64)
        };
        let mut ticket = random.below(self.originals.iter().map(weight).sum());
        let found = self.originals.iter().position(|original| {
            let drawn = ticket < weight(original);
            ticket = ticket.saturating_sub(weight(original));
            drawn
        });
        found.unwrap()
    }

    /// Runs the commands on the collection of a case, or all variants on an unharmed one. Answers what went wrong.
    pub fn case(&mut self, case: u64, unharmed: Option<usize>, current: &mut dyn FnMut(u64, &Command)) -> Vec<String> {
        let mut random = Random::new(case);
        let number = unharmed.unwrap_or_else(|| self.pick(&mut random));
        let original = &self.originals[number];
        let mut files = original.files.clone();
        let mutations = match unharmed {
            Some(_) => Vec::new(),
            None => mutate::wound(&mut random, &mut files, &self.originals, 8),
        };
        if let Entry::Vacant(entry) = self.beds.entry(number) {
            let folder = self.dir.join(number.to_string());
            let mut bed = Bed::new(folder.join("bed"), original.empty.clone());
            bed.set(&original.files);
            let inputs = Inputs::make(&folder.join("inputs"), &bed, &original.schema);
            entry.insert((bed, inputs));
        }
        let (bed, inputs) = self.beds.get_mut(&number).unwrap();
        bed.clear();
        bed.set(&files);
        if let Some(folder) = env::var_os("ZVECCTL_MUTANTS_KEEP") {
            support::copy_tree(&bed.path(), &PathBuf::from(folder).join(case.to_string()).join("collection"));
        }
        let before = documents(&bed.path());
        let id_map = id_map(&bed.path(), &inputs.keys);
        let own = inputs.keys.iter().filter_map(|key| before.get(key.as_bytes())).flat_map(|rows| rows.keys().copied());
        let mapped: Vec<u64> = id_map.iter().copied().chain(own).collect();
        let largest = files.values().map(|content| content.len() as u64).max().unwrap_or(0);
        let run = Run { streams: &self.streams, case, original: &original.name, mutations: &mutations, largest };
        let mut problems = Vec::new();
        let commands = COMMANDS.iter().flat_map(|turns| match unharmed {
            Some(_) => turns.iter().take(turns.len()),
            None => turns[case as usize % turns.len()..].iter().take(1),
        });
        for (index, command) in commands.enumerate() {
            current(case, command);
            let format = if (case + index as u64).is_multiple_of(2) { "table" } else { "json" };
            let words = Words {
                collection: &bed.path(),
                beside: &bed.beside(""),
                inputs: &inputs.dir,
                keys: [&inputs.keys[0], &inputs.keys[1]],
            };
            let measured = self.report.entry(command.line.to_owned()).or_default();
            let code = run.command(words.arguments(command, format), measured, &mut problems);
            let changed = bed.changed();
            if changed.is_empty() {
                continue;
            }
            let text = |problem: String| run.describe(command.line, &problem);
            if command.effect == Effect::None {
                problems.push(text(format!("changed {changed:?}")));
            } else if command.effect == Effect::Mends {
                current(case, &UNDO);
                let measured = self.report.entry(UNDO.line.to_owned()).or_default();
                let code = run.command(words.arguments(&UNDO, format), measured, &mut problems);
                let differ = bed.differ();
                if code != Some(0) || !differ.is_empty() {
                    problems.push(text(format!("--undo exits {code:?}; not as they were: {differ:?}")));
                }
            } else {
                let after = documents(&bed.path());
                let failed = !matches!(code, Some(0 | 1));
                // What was refused of an input leaves the rest of it written.
                let partly = code == Some(7) && command.line.contains("--on-error skip");
                let touched: Vec<&str> = match command.effect {
                    _ if (failed && !partly) || !inputs.any => Vec::new(),
                    Effect::Puts if command.line.ends_with("NEW") => vec!["new-0", "new-1"],
                    Effect::Puts | Effect::Removes => inputs.keys.iter().map(String::as_str).collect(),
                    Effect::None | Effect::Keeps | Effect::Mends => Vec::new(),
                };
                // Told as loss, with the log put aside: fields that no block can hold.
                let told = code == Some(4) && command.line.contains("--accept-loss") && bed.has_quarantine();
                let lost = lost(&before, &after, &touched, &mapped, told);
                if !lost.is_empty() {
                    let lost = lost.iter().map(|key| String::from_utf8_lossy(key)).collect::<Vec<_>>().join(" ");
                    problems.push(text(format!("exits {code:?}; documents that could be read and now cannot: {lost}")));
                } else if failed {
                    measured.changed_and_failed += 1;
                }
                if !failed && !touched.is_empty() {
                    let there = |key: &&str| {
                        let rows = after.get(key.as_bytes());
                        // A row that states a key which the id map has elsewhere is not the one that was deleted.
                        let is_meant = |id: &u64| command.effect == Effect::Puts || id_map.contains(id);
                        rows.is_some_and(|rows| rows.keys().any(is_meant))
                    };
                    let there = touched.iter().filter(|key| there(key)).count();
                    let wanted = if command.effect == Effect::Puts { touched.len() } else { 0 };
                    // A deletion that did not find all keys in the id map says so by exit code 1, whatever rows state.
                    let told = command.effect == Effect::Removes && code == Some(1);
                    if there != wanted && !told {
                        problems.push(text(format!("exits {code:?}; of {touched:?} {there} are there")));
                    }
                }
            }
            bed.clear();
            bed.set(&files);
        }
        problems
    }
}

impl Inputs {
    fn make(dir: &Path, bed: &Bed, schema: &str) -> Self {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("SCHEMA.json"), schema).unwrap();
        let mut lines = Vec::new();
        each(&bed.path(), &mut |_, _, line| {
            if lines.len() < 2 {
                lines.push(serde_json::from_slice::<Value>(line).unwrap());
            }
        });
        let text = |lines: &[Value]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let key = |at: usize| lines.get(at).map_or("absent", |line| line["id"].as_str().unwrap()).to_owned();
        let (keys, any) = ([key(0), key(1)], lines.len() >= 2);
        fs::write(dir.join("DOCS.jsonl"), text(&lines)).unwrap();
        for (index, line) in lines.iter_mut().enumerate() {
            line["id"] = format!("new-{index}").into();
        }
        fs::write(dir.join("NEW.jsonl"), text(&lines)).unwrap();
        Self { dir: dir.to_owned(), keys, any }
    }
}

/// Takes a document: its key, its id, and its line of JSON.
type Take<'t> = dyn FnMut(&[u8], u64, &[u8]) + 't;

/// Live documents as `export` reads them.
fn each(path: &Path, take: &mut Take<'_>) {
    let Ok(view) = View::open(Arc::new(ReadOnlyFs), path) else { return };
    let Ok(mut documents) = Documents::open(&view, Selection::default()) else { return };
    let fields = documents.fields().clone();
    let mut line = Vec::new();
    let _ = documents.each(&mut |document| {
        line.clear();
        write_document(&mut line, &document, &fields);
        take(&document.pk, document.doc_id, &line);
        ControlFlow::Continue(())
    });
}

fn documents(path: &Path) -> Docs {
    let mut found = Docs::new();
    each(path, &mut |key, id, line| {
        found.entry(key.to_owned()).or_default().insert(id, line.to_owned());
    });
    found
}

/// The rows that the id map has for keys: what a command does to a key, it does to its row, also where the row states another key.
fn id_map(path: &Path, keys: &[String]) -> Vec<u64> {
    let Ok(view) = View::open(Arc::new(ReadOnlyFs), path) else { return Vec::new() };
    let Ok((_, manifest)) = view.manifest() else { return Vec::new() };
    let id_map = IdMap::load(&view, manifest);
    let ids = keys.iter().filter_map(|key| match id_map.get(key.as_bytes(), &Findings::default()) {
        Mapped::To(id) | Mapped::Unknown(Some(id)) => Some(id),
        _ => None,
    });
    ids.collect()
}

fn lost<'a>(before: &'a Docs, after: &Docs, touched: &[&str], mapped: &[u64], told: bool) -> Vec<&'a [u8]> {
    let lost = before.iter().filter(|(key, versions)| {
        let touched_by_key = touched.iter().any(|touched| touched.as_bytes() == key.as_slice());
        let found = after.get(*key);
        let kept = |line: &[u8]| {
            found.is_some() && told
                || found.is_some_and(|found| found.values().any(|other| line == other || alike(line, other)))
        };
        let touched_by_id = |id: &u64| !touched.is_empty() && mapped.contains(id);
        !touched_by_key && !versions.iter().all(|(id, line)| touched_by_id(id) || kept(line))
    });
    lost.map(|(key, _)| key.as_slice()).collect()
}

/// Whether two lines are the same document: a flush changes the last bits of vectors under COSINE.
fn alike(a: &[u8], b: &[u8]) -> bool {
    fn near(a: &Value, b: &Value) -> bool {
        match (a, b) {
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| near(a, b)))
            }
            (Value::Number(a), Value::Number(b)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                (a - b).abs() <= 1e-3 * a.abs().max(b.abs()) || (a - b).abs() < 1e-6
            }
            (a, b) => a == b,
        }
    }
    let [Ok(Value::Object(mut a)), Ok(Value::Object(mut b))] = [a, b].map(serde_json::from_slice) else { return false };
    let vectors = [a.remove("vectors"), b.remove("vectors")];
    a == b && matches!(&vectors, [Some(a), Some(b)] if near(a, b))
}

/// The process's streams, as files that are read back after each command.
struct Streams {
    stdout: File,
    stderr: File,
}

impl Streams {
    fn open(dir: &Path) -> Self {
        let open = |name: &str| OpenOptions::new().read(true).write(true).open(dir.join(name)).unwrap();
        Self { stdout: open("stdout"), stderr: open("stderr") }
    }

    fn clear(&self) {
        self.stdout.set_len(0).unwrap();
        self.stderr.set_len(0).unwrap();
    }

    fn read(mut file: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

struct Run<'a> {
    streams: &'a Streams,
    case: u64,
    original: &'a str,
    mutations: &'a [Mutation],
    largest: u64,
}

impl Run<'_> {
    fn describe(&self, line: &str, problem: &str) -> String {
        let wounds: Vec<_> = self.mutations.iter().map(Mutation::to_string).collect();
        let (case, original) = (self.case, self.original);
        format!(
            "case {case} ({original}): zvecctl {line}: {problem}\n  {}\n  again: ZVECCTL_MUTANTS_FIRST={case} ZVECCTL_MUTANTS=1",
            wounds.join("\n  ")
        )
    }

    /// Runs one command as `main` does. Answers its exit code.
    fn command(&self, arguments: Vec<OsString>, measured: &mut Measured, problems: &mut Vec<String>) -> Option<u8> {
        let shown = arguments[1..].iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let json = arguments[2] == "json";
        self.streams.clear();
        let mut wrong = Vec::new();
        let before = memory::begin();
        let start = Instant::now();
        let ended = panic::catch_unwind(AssertUnwindSafe(|| cli::run(arguments)));
        let _ = std::io::stdout().flush();
        let took = start.elapsed().as_micros() as u64;
        let peak = memory::peak(before);
        let code = ended.ok().and_then(|code| (0..=u8::MAX).find(|number| ExitCode::from(*number) == code));
        if let Some(panic) = PANIC.lock().unwrap().take() {
            wrong.push(format!("panicked: {panic}"));
        }
        let printed = self.streams.stdout.metadata().unwrap().len() + self.streams.stderr.metadata().unwrap().len();
        if peak > MOST_MEMORY + 4 * self.largest {
            wrong.push(format!("took {peak} bytes, the largest file has {}", self.largest));
        }
        if printed > MOST_OUTPUT {
            wrong.push(format!("printed {printed} bytes"));
        }
        match code {
            Some(code) if CODES.contains(&code) => {
                if json
                    && printed <= MOST_OUTPUT
                    && let Err(problem) = self.is_json(code, shown.contains(" wal dump "))
                {
                    wrong.push(problem);
                }
            }
            Some(code) => {
                wrong.push(format!("exits {code}: {}", String::from_utf8_lossy(&Streams::read(&self.streams.stderr))))
            }
            None => {}
        }
        measured.runs += 1;
        measured.total += took;
        *measured.exits.entry(code.unwrap_or(101)).or_default() += 1;
        measured.slowest = measured.slowest.max((took, self.case));
        measured.peak = measured.peak.max((peak, self.case));
        problems.extend(wrong.iter().map(|problem| self.describe(&shown, problem)));
        code
    }

    /// Every line on stdout is JSON, and the last one there or on stderr is an envelope that has the exit code.
    fn is_json(&self, code: u8, streams: bool) -> Result<(), String> {
        let stdout = Streams::read(&self.streams.stdout);
        let mut last = None;
        for line in stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            serde_json::from_slice::<serde::de::IgnoredAny>(line)
                .map_err(|error| format!("{error} in {}", String::from_utf8_lossy(line)))?;
            last = Some(line);
        }
        let stderr = Streams::read(&self.streams.stderr);
        let said = stderr.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        #[derive(Deserialize)]
        struct Envelope {
            exit_code: u8,
        }
        let told = [last, said].into_iter().flatten().find_map(|line| serde_json::from_slice::<Envelope>(line).ok());
        match told {
            Some(Envelope { exit_code }) if exit_code == code => Ok(()),
            Some(Envelope { exit_code }) => Err(format!("exits {code}, the envelope says {exit_code}")),
            // The one stream without a summary; what is found on the way is its exit code.
            None if streams && code != 5 => Ok(()),
            None => Err(format!("exits {code} without an envelope: {}", String::from_utf8_lossy(&stderr))),
        }
    }
}

/// Where a worker notes what it is at.
pub struct Current(File);

impl Current {
    /// Opens the file, which is there.
    pub fn new(path: &Path) -> Self {
        Self(OpenOptions::new().write(true).open(path).unwrap())
    }

    /// Notes the case and the command that begin now.
    pub fn note(&self, case: u64, command: &Command) {
        let text = format!("{case:20} {:80}\n", command.line);
        self.0.write_all_at(text.as_bytes(), 0).unwrap();
    }
}
