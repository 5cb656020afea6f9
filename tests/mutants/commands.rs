//! Every command that takes a collection, in the order in which a case runs them. A new command is one more line here.

use std::{ffi::OsString, path::Path};

/// What a command may do to the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, whatever it is called with.
    None,
    /// Written files, and all documents stay as they are.
    Keeps,
    /// The documents of the input are there when it succeeds; all others stay as they are.
    Puts,
    /// The first two keys are gone when it succeeds; all other documents stay as they are.
    Removes,
    /// What `repair --undo` takes back, bit for bit. Which documents come out is the business of `tests/repair`: damage that is mended shows
    /// others than before.
    Mends,
}

/// One command line. Words in capitals stand for paths and keys, see [`Words`].
pub struct Command {
    /// The command line.
    pub line: &'static str,
    /// What it may do.
    pub effect: Effect,
}

const fn looks(line: &'static str) -> Command {
    Command { line, effect: Effect::None }
}

const fn writes(line: &'static str, effect: Effect) -> Command {
    Command { line, effect }
}

/// What takes back what a command with [`Effect::Mends`] did.
pub const UNDO: Command = writes("repair --undo PATH", Effect::Keeps);

/// All of them. What stands in one line of the list takes turns from case to case: options of one command, mostly.
pub const COMMANDS: &[&[Command]] = &[
    &[looks("manifest dump PATH")],
    &[looks("manifest ls PATH")],
    &[looks("manifest diff PATH PATH")],
    &[looks("segments ls PATH")],
    &[looks("segments show PATH 0")],
    &[looks("files ls PATH")],
    &[looks("schema show PATH")],
    &[looks("wal ls PATH")],
    &[looks("wal dump PATH"), looks("wal dump --documents PATH")],
    &[looks("idmap get PATH KEY OTHER nobody")],
    &[looks("idmap dump PATH")],
    &[looks("deleted ls PATH")],
    &[looks("docs get PATH KEY OTHER nobody")],
    &[
        looks("export PATH"),
        looks("export --include-deleted PATH"),
        looks("export --no-wal PATH"),
        looks("export --to parquet --output OUT.parquet PATH"),
    ],
    &[looks("digest PATH")],
    &[
        looks("verify --level 3 --threads 1 PATH"),
        looks("verify --level 2 --threads 2 PATH"),
        looks("verify --level 3 --fail-fast --max-duration 20 PATH"),
    ],
    &[looks("seal --force PATH")],
    // With the seal that the line before may have left.
    &[looks("verify --level 1 --threads 2 PATH"), looks("verify --level 1 --threads 1 PATH")],
    &[looks("recover --dry-run PATH"), looks("recover --dry-run --accept-loss PATH")],
    &[looks("repair PATH"), looks("repair --fix id-map --plan OUT.plan PATH")],
    &[
        looks("salvage --out OUT.saved PATH"),
        looks("salvage --to jsonl --include-deleted --out OUT.jsonl PATH"),
        looks("salvage --to parquet --out OUT.saved.parquet PATH"),
        looks("salvage --schema SCHEMA --out OUT.schemed PATH"),
    ],
    &[looks("report PATH"), looks("report --redact --level 3 --output OUT.report PATH")],
    &[writes("create --schema SCHEMA PATH", Effect::None)],
    &[
        writes("ingest --mode upsert PATH DOCS", Effect::Puts),
        writes("ingest --mode insert --no-flush --sync none PATH NEW", Effect::Puts),
        writes("ingest --mode update --on-error skip PATH DOCS", Effect::Puts),
    ],
    &[
        writes("delete PATH KEY OTHER nobody", Effect::Removes),
        writes("delete --no-flush PATH KEY OTHER", Effect::Removes),
    ],
    &[writes("flush PATH", Effect::Keeps)],
    &[writes("recover PATH", Effect::Keeps), writes("recover --no-flush PATH", Effect::Keeps)],
    &[writes("recover --accept-loss PATH", Effect::Keeps)],
    &[writes("repair --yes PATH", Effect::Mends), writes("repair --yes --schema SCHEMA PATH", Effect::Mends)],
];

/// What the words in capitals stand for.
pub struct Words<'a> {
    /// `PATH`: the collection.
    pub collection: &'a Path,
    /// The folder of files beside it: `OUT.<ending>`.
    pub beside: &'a Path,
    /// The folder of inputs: `SCHEMA`, `DOCS`, `NEW`.
    pub inputs: &'a Path,
    /// `KEY` and `OTHER`.
    pub keys: [&'a str; 2],
}

impl Words<'_> {
    /// The arguments of a command.
    pub fn arguments(&self, command: &Command, format: &str) -> Vec<OsString> {
        let start = ["zvecctl", "--format", format].map(OsString::from).into_iter();
        let words = command.line.split(' ').map(|word| match word {
            "PATH" => self.collection.into(),
            "KEY" => self.keys[0].into(),
            "OTHER" => self.keys[1].into(),
            "DOCS" | "NEW" => self.inputs.join(format!("{word}.jsonl")).into(),
            "SCHEMA" => self.inputs.join("SCHEMA.json").into(),
            word if word.starts_with("OUT.") => self.beside.join(word).into(),
            word => word.into(),
        });
        start.chain(words).collect()
    }
}
