//! Running the program.

use std::{ffi::OsStr, path::Path, time::Duration};

use assert_cmd::Command;
use serde_json::Value;

use super::schemas;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_zvecctl");

/// How one run ended.
#[derive(Debug, Clone)]
pub struct Run {
    /// What was run, for messages.
    pub command: String,
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The program, with an environment that cannot change what it prints. A run that hangs is killed and fails its test.
pub fn zvecctl() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_remove("NO_COLOR").env_remove("COLUMNS").timeout(Duration::from_secs(120));
    command
}

/// Runs the program with arguments.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let mut command = zvecctl();
    let arguments: Vec<_> = arguments.into_iter().collect();
    command.args(&arguments);
    let shown: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
    Run::of(format!("zvecctl {}", shown.join(" ")), &command.output().unwrap())
}

/// Runs `zvecctl WORDS PATH`.
pub fn on(words: &str, path: &Path) -> Run {
    run(words.split_whitespace().map(OsStr::new).chain([path.as_os_str()]))
}

/// Runs `zvecctl --format json WORDS PATH MORE`.
pub fn json_on(words: &str, path: &Path, more: &[&str]) -> Run {
    let words = ["--format", "json"].into_iter().chain(words.split_whitespace()).map(OsStr::new);
    run(words.chain([path.as_os_str()]).chain(more.iter().map(OsStr::new)))
}

impl Run {
    /// What a finished process left. One that was ended by a signal fails here: that is a hang or a crash.
    pub fn of(command: String, output: &std::process::Output) -> Self {
        let stdout = String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8");
        let stderr = String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8");
        let Some(code) = output.status.code() else { panic!("{command}: {}\n{stderr}", output.status) };
        assert_ne!(code, 101, "{command} panicked:\n{stderr}");
        assert!(!stderr.contains("panicked at"), "{command}:\n{stderr}");
        Self { command, code, stdout, stderr }
    }

    /// The one envelope on stdout, valid against the schema of its command.
    pub fn envelope(&self) -> Value {
        let lines = self.stdout.lines().count();
        assert_eq!(lines, 1, "{}: one line of JSON expected on stdout, got:\n{}", self.command, self.stdout);
        self.check_envelope(&self.stdout)
    }

    /// The closing envelope on stderr of a command whose stdout is a stream.
    pub fn summary(&self) -> Value {
        self.check_envelope(self.stderr.lines().last().unwrap_or_else(|| panic!("{}: empty stderr", self.command)))
    }

    fn check_envelope(&self, text: &str) -> Value {
        let envelope: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error} in {text}", self.command));
        let schema = if envelope["error"].is_null() {
            envelope["command"].as_str().unwrap().replace(' ', "-")
        } else {
            "error".to_owned()
        };
        schemas::check(&schema, &envelope);
        let command = envelope["command"].as_str().unwrap().replace(' ', "-");
        assert_eq!(envelope["schema"], format!("zvecctl/{command}/v1"));
        assert_eq!(envelope["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(envelope["exit_code"], self.code, "{}: exit code and envelope agree", self.command);
        assert_eq!(envelope["error"].is_null(), !envelope["data"].is_null(), "either data or an error: {text}");
        envelope
    }

    /// JSON lines on stdout, each valid against `schema`.
    pub fn lines(&self, schema: &str) -> Vec<Value> {
        let parse = |line: &str| {
            let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.command));
            schemas::check(schema, &value);
            value
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Asserts the exit code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\nstdout:\n{}\nstderr:\n{}", self.command, self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr is empty.
    pub fn silently(self) -> Self {
        assert_eq!(self.stderr, "", "{}", self.command);
        self
    }
}

/// `code@path` of every finding in an envelope, sorted, each once; codes without a path alone.
pub fn findings(envelope: &Value) -> Vec<String> {
    let mut all: Vec<_> = envelope["data"]["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|finding| {
            let code = finding["code"].as_str().unwrap();
            finding["path"].as_str().map_or_else(|| code.to_owned(), |path| format!("{code}@{path}"))
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Every command that looks at a collection, as words; `ID` stands for a primary key, `SEGMENT` for a segment id. The path comes behind the
/// command's own words.
pub const INSPECTING: [(&str, &[&str]); 16] = [
    ("manifest dump", &[]),
    ("manifest ls", &[]),
    ("segments ls", &[]),
    ("segments show", &["0"]),
    ("files ls", &[]),
    ("schema show", &[]),
    ("wal ls", &[]),
    ("wal dump", &[]),
    ("wal dump --documents", &[]),
    ("idmap get", &["doc_00001", "doc_00033", "nobody"]),
    ("idmap dump", &[]),
    ("deleted ls", &[]),
    ("docs get", &["doc_00001", "doc_00033", "nobody"]),
    ("export", &[]),
    ("export --include-deleted", &[]),
    ("export --no-wal", &[]),
];

/// The arguments of every inspecting command on a collection, as table and as JSON; `manifest diff` with itself included.
pub fn inspecting(path: &Path) -> Vec<Vec<std::ffi::OsString>> {
    let mut all = Vec::new();
    for format in ["table", "json"] {
        let start = |words: &str| {
            let words = ["--format", format].into_iter().chain(words.split_whitespace()).map(Into::into);
            words.chain([path.into()]).collect::<Vec<std::ffi::OsString>>()
        };
        for (words, more) in INSPECTING {
            let mut arguments = start(words);
            arguments.extend(more.iter().map(Into::into));
            all.push(arguments);
        }
        let mut diff = start("manifest diff");
        diff.push(path.into());
        all.push(diff);
    }
    all
}

/// A table without what differs from system to system: runs of spaces, times, and what files take on disk.
pub fn steady(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words = line.split_whitespace().map(|word| match word.split_once('=') {
            Some((name, value)) if is_time(value) => format!("{name}=<time>"),
            _ if is_time(word) => "<time>".to_owned(),
            _ => word.to_owned(),
        });
        let line = words.collect::<Vec<_>>().join(" ");
        match line.split_once(" on disk)") {
            Some((before, after)) => {
                let before = before.rsplit_once(" (").map_or(before, |(before, _)| before);
                format!("{before}{after}")
            }
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_time(word: &str) -> bool {
    word.len() >= 20 && word.ends_with('Z') && word.as_bytes().get(10) == Some(&b'T')
}
