//! Command line: arguments, library call, rendered report, exit code.

mod args;
mod completions;
mod create;
mod delete;
mod deleted;
mod demo;
mod digest;
mod docs;
mod error;
mod explain;
mod export;
mod files;
mod flush;
mod idmap;
mod ingest;
mod interrupt;
mod man;
mod manifest;
mod output;
mod recover;
mod remedy;
mod repair;
mod report;
mod salvage;
mod schema;
mod schema_source;
pub mod schemas;
mod seal;
mod segments;
mod session;
mod verify;
mod wal;
mod writing;

use std::{ffi::OsString, io, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::report::{Envelope, ErrorReport, Exit};

use args::{Cli, Command};
use error::Failure;
pub use man::pages as man_pages;
use output::{Color, Format, Output};
use session::Session;

/// Runs the command line; everything is printed when this returns.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&arguments, &error),
    };
    interrupt::install();
    let mut session = Session::new(&cli.global);
    // Those that do not ask how many threads there may be work on the common ones.
    if session.threads() > 0 {
        let _ = rayon::ThreadPoolBuilder::new().num_threads(session.threads()).build_global();
    }
    let (command, collection) = describe(&cli.command);
    let result = dispatch(&mut session, &cli.command);
    let exit = match result {
        Ok(exit) => exit,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(failure) => {
            let exit = failure.exit();
            session.out.failure(command, collection, exit, &failure.report());
            exit
        }
    };
    ExitCode::from(exit.code())
}

/// The whole command line as clap knows it: for man pages, completions and tests.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The envelope of a panic: a bug in zvecctl. The process is about to end with code 101.
pub fn report_bug(arguments: &[OsString], message: &str, location: &str) {
    let error = ErrorReport {
        code: "zvecctl.bug".to_owned(),
        message: format!("zvecctl has a bug: {message}"),
        hint: Some(format!("nothing was changed; please report this with the command line and {location}")),
        path: None,
        offset: None,
    };
    Output::new(asked_format(arguments), Color::Never, false).failure("zvecctl", None, Exit::Bug, &error);
}

fn dispatch(session: &mut Session, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Manifest(command) => manifest::run(session, command),
        Command::Segments(command) => segments::run(session, command),
        Command::Files(command) => files::run(session, command),
        Command::Schema(command) => schema::run(session, command),
        Command::Wal(command) => wal::run(session, command),
        Command::Idmap(command) => idmap::run(session, command),
        Command::Deleted(command) => deleted::run(session, command),
        Command::Docs(command) => docs::run(session, command),
        Command::Export(args) => export::run(session, args),
        Command::Create(args) => create::run(session, args),
        Command::Ingest(args) => ingest::run(session, args),
        Command::Delete(args) => delete::run(session, args),
        Command::Flush(args) => flush::run(session, args),
        Command::Recover(args) => recover::run(session, args),
        Command::Repair(args) => repair::run(session, args),
        Command::Demo(args) => demo::run(session, args),
        Command::Verify(args) => verify::run(session, args),
        Command::Salvage(args) => salvage::run(session, args),
        Command::Report(args) => report::run(session, args),
        Command::Seal(args) => seal::run(session, args),
        Command::Digest(args) => digest::run(session, args),
        Command::Explain(args) => explain::run(session, args),
        Command::Completions(args) => completions::run(session, args),
        Command::Man(args) => man::run(session, args),
    }
}

/// The command's name as typed, and the path that it was given.
fn describe(command: &Command) -> (&'static str, Option<String>) {
    let (name, path) = command.name_and_path();
    (name, path.map(crate::report::show_path))
}

/// What clap says: help and version are results, the rest is a usage error.
fn usage(arguments: &[OsString], error: &clap::Error) -> ExitCode {
    let format = asked_format(arguments);
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed pipe is no error.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let _ = error.print();
    if format == Format::Json {
        let mut envelope = Envelope::<()>::new(&typed(arguments), None, Exit::Usage.code());
        let text = error.render().to_string();
        // The first paragraph: what is missing stands below what is said of it.
        let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let message = match error.kind() {
            // The text is then the help.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                format!("'{}' requires a subcommand", typed(arguments))
            }
            _ => lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned(),
        };
        envelope.error = Some(ErrorReport {
            code: "usage".to_owned(),
            message,
            hint: Some("zvecctl --help lists commands and options".to_owned()),
            path: None,
            offset: None,
        });
        let _ = output::print_json(&envelope);
    }
    ExitCode::from(Exit::Usage.code())
}

/// The command of a command line that does not parse, as far as one can be told.
fn typed(arguments: &[OsString]) -> String {
    let mut command = Cli::command();
    let mut names = Vec::new();
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(below) = command.find_subcommand(word).cloned() {
            names.push(word);
            command = below;
        }
    }
    if names.is_empty() { "zvecctl".to_owned() } else { names.join(" ") }
}

/// The format that was asked for on a command line that does not parse.
fn asked_format(arguments: &[OsString]) -> Format {
    let words: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let json = words.contains(&"--format=json") || words.windows(2).any(|pair| pair == ["--format", "json"]);
    if json { Format::Json } else { Format::Table }
}
