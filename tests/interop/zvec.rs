//! The real zvec, as a Python package under the build directory.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use assert_cmd::Command;

/// The release that everything is compared with.
pub const RELEASE: &str = "0.8.0";
/// A Python to install it with, if not the one that is found.
const PYTHON_VARIABLE: &str = "ZVECCTL_TEST_PYTHON";
/// Longest that zvec may take for one step. It can deadlock.
const PATIENCE: Duration = Duration::from_secs(600);
/// zvec crashes now and then; so often a step is tried.
const ATTEMPTS: usize = 3;

/// The interpreter of a virtual environment that has zvec; made on first use, by one process at a time.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(install) {
        Ok(path) => path,
        Err(error) => panic!("{error}"),
    }
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn install() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no build directory")?;
    let releases = target.join("zvec-releases");
    fs::create_dir_all(&releases).map_err(|error| format!("{}: {error}", releases.display()))?;
    // Several test processes may want it at once.
    let lock = File::create(releases.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;

    let mut tried = Vec::new();
    let named = std::env::var(PYTHON_VARIABLE).ok();
    let candidates = named.map_or(vec!["python3.11".to_owned(), "python3".to_owned()], |python| vec![python]);
    for candidate in candidates {
        match install_with(&candidate, &releases) {
            Ok(python) => return Ok(python),
            Err(error) => tried.push(format!("  {candidate}: {error}")),
        }
    }
    Err(format!(
        "the interoperability tests need the Python package zvec {RELEASE}, and it cannot be had.\n\
         What was tried (`PYTHON fixtures/make.py --python {RELEASE} --work {}`):\n{}\n\
         Install Python 3.11 with its venv module (Debian: python3.11-venv) and make sure that pip reaches a package index \
         (PIP_INDEX_URL chooses another); {PYTHON_VARIABLE} names the Python to use. These tests are never skipped.",
        releases.display(),
        tried.join("\n"),
    ))
}

fn install_with(candidate: &str, releases: &Path) -> Result<PathBuf, String> {
    let make = || {
        let mut command = Command::new(candidate);
        command.arg(repository("fixtures/make.py")).args(["--python", RELEASE, "--work"]).arg(releases);
        let output = command.timeout(PATIENCE).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("{}\n{}", output.status, tail(&output.stderr)));
        }
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    };
    let works = |python: &Path| {
        let output = Command::new(python).args(["-c", "import zvec"]).timeout(PATIENCE).output();
        output.map_err(|error| error.to_string()).and_then(|output| match output.status.success() {
            true => Ok(()),
            false => Err(format!("`import zvec` ended with {}\n{}", output.status, tail(&output.stderr))),
        })
    };
    let python = make()?;
    if let Err(error) = works(&python) {
        // What an interrupted or outdated installation left is made anew, once.
        tell(&format!("installing zvec {RELEASE} again: {error}"));
        fs::remove_dir_all(releases.join(RELEASE)).map_err(|error| error.to_string())?;
        works(&make()?)?;
    }
    Ok(python)
}

/// Says something that is seen although the test passes.
pub fn tell(text: &str) {
    // Not through the macros, whose output the test harness swallows. A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "interop: {text}");
}

/// The names of all scenarios.
pub fn scenarios() -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Scenario {
        name: String,
        releases: Vec<String>,
    }
    let mut command = Command::new(python());
    command.arg(repository("fixtures/scenarios.py")).args(["--list", "--json"]).timeout(PATIENCE);
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "scenarios.py --list: {}", tail(&output.stderr));
    let all: Vec<Scenario> = serde_json::from_slice(&output.stdout).expect("a list of scenarios");
    let of_release = |scenario: &Scenario| scenario.releases.iter().any(|release| release == RELEASE);
    all.into_iter().filter(of_release).map(|scenario| scenario.name).collect()
}

/// Makes a scenario: `collection/` and `truth.jsonl` in `folder`. The script tries three times by itself, which is told.
pub fn make(scenario: &str, folder: &Path) -> Result<(), String> {
    let mut command = Command::new(python());
    command.arg(repository("fixtures/scenarios.py")).arg(scenario).arg(folder).timeout(PATIENCE);
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    for line in said.lines().filter(|line| line.contains(": attempt ")) {
        tell(line);
    }
    if output.status.success() {
        return Ok(());
    }
    Err(format!("zvec could not make it ({}): {}", output.status, tail(&output.stderr)))
}

/// The names of all round trips.
pub fn rounds() -> Vec<String> {
    let mut command = Command::new(python());
    command.arg(repository("tests/interop/rounds/rounds.py")).arg("--list").timeout(PATIENCE);
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "rounds.py --list: {}", tail(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list of names")
}

/// Makes a round trip in `folder` and returns what was wrong. The script tries the steps of zvec three times by itself, which is told.
pub fn round(name: &str, folder: &Path) -> Result<Vec<String>, String> {
    let mut command = Command::new(python());
    command.arg(repository("tests/interop/rounds/rounds.py")).arg(name).arg(env!("CARGO_BIN_EXE_zvecctl")).arg(folder);
    let output = command.timeout(PATIENCE).output().map_err(|error| error.to_string())?;
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in complained.lines().filter(|line| line.contains(": attempt ")) {
        tell(line);
    }
    match output.status.code() {
        Some(0) => Ok(Vec::new()),
        // An exception of Python ends with 1, too, and prints nothing.
        Some(1) if !said.trim().is_empty() => Ok(said.lines().map(str::to_owned).collect()),
        _ => Err(format!("{}: {said} {}", output.status, tail(&output.stderr))),
    }
}

/// The documents that zvec returns for `ids`, as JSON lines.
pub fn fetch(collection: &Path, ids: &[&str], types: &serde_json::Value) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (ask, out) = (folder.path().join("ask.json"), folder.path().join("out.jsonl"));
    let question = serde_json::json!({"ids": ids, "types": types}).to_string();
    fs::write(&ask, question).map_err(|error| error.to_string())?;
    retried("fetching", || {
        let mut command = Command::new(python());
        command.arg(repository("tests/interop/live.py")).arg("fetch").arg(collection).arg(&ask).arg(&out);
        let output = command.timeout(PATIENCE).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("{}: {}", output.status, tail(&output.stderr)));
        }
        fs::read_to_string(&out).map_err(|error| error.to_string())
    })
}

/// Tries a step as often as zvec is allowed to fail, and tells.
pub fn retried<T>(what: &str, step: impl Fn() -> Result<T, String>) -> Result<T, String> {
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS {
        match step() {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
        tell(&format!("{what}: attempt {attempt} failed: {last}"));
    }
    Err(format!("{what} failed {ATTEMPTS} times: {last}"))
}

fn tail(bytes: &[u8]) -> String {
    const LONGEST: usize = 2000;
    let text = String::from_utf8_lossy(bytes.get(bytes.len().saturating_sub(LONGEST)..).unwrap_or_default());
    text.trim().to_owned()
}

/// A process that has a collection open and inserts when it is told to. It dies with this value.
pub struct Holder {
    child: Child,
    stdin: ChildStdin,
    answers: mpsc::Receiver<String>,
}

impl Holder {
    /// Starts it on a collection that it makes.
    pub fn start(collection: &Path) -> Result<Self, String> {
        let mut command = std::process::Command::new(python());
        command.arg(repository("tests/interop/live.py")).arg("hold").arg(collection);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let (stdin, stdout) = child.stdin.take().zip(child.stdout.take()).ok_or("no pipes")?;
        let (send, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut holder = Self { child, stdin, answers };
        holder.answer("ready")?;
        Ok(holder)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives an order; the number of documents that its answer tells.
    pub fn order(&mut self, word: &str, expected: &str) -> Result<u64, String> {
        writeln!(self.stdin, "{word}").and_then(|()| self.stdin.flush()).map_err(|error| error.to_string())?;
        self.answer(expected)
    }

    fn answer(&mut self, expected: &str) -> Result<u64, String> {
        let line = self.answers.recv_timeout(PATIENCE).map_err(|error| format!("zvec says nothing: {error}"))?;
        let count = line.strip_prefix(expected).and_then(|rest| rest.trim().parse().ok());
        count.ok_or_else(|| format!("zvec says {line:?} instead of {expected}"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
