//! What scripts and people rely on, kept in files and compared: a change of the contract is a visible diff.
//!
//! `UPDATE_CONTRACT=1 cargo test --test contract` writes the files anew.

#[path = "support/mod.rs"]
mod support;

use std::{collections::BTreeMap, env, fs, path::Path};

use support::repository;
use zvecctl::{
    cli::{command, man_pages, schemas},
    report::Exit,
};

const AGAIN: &str = "UPDATE_CONTRACT=1 cargo test --test contract writes it anew, if the change is meant";

fn updating() -> bool {
    env::var_os("UPDATE_CONTRACT").is_some()
}

/// Compares a file with what it should hold, or writes it anew.
fn compare_file(path: &Path, content: &str) {
    if updating() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}; {AGAIN}", path.display()));
    if let Some((line, (kept, new))) = kept.lines().zip(content.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("{} line {}:\n  kept: {kept}\n  new:  {new}\n{AGAIN}", path.display(), line + 1);
    }
    assert!(kept == content, "{} has another length; {AGAIN}", path.display());
}

/// Compares a directory with the files that it should hold, and no others.
fn compare(directory: &str, expected: &BTreeMap<String, String>) {
    let directory = repository(directory);
    for (name, content) in expected {
        compare_file(&directory.join(name), content);
    }
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if !expected.contains_key(path.file_name().unwrap().to_str().unwrap()) {
            assert!(updating(), "{} belongs to nothing; {AGAIN}", path.display());
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn json_schemas_are_the_kept_ones() {
    let all = schemas::all();
    let count = all.len();
    let files: BTreeMap<_, _> =
        all.into_iter().map(|(name, schema)| (name, serde_json::to_string_pretty(&schema).unwrap() + "\n")).collect();
    assert_eq!(files.len(), count, "two schemas have one name");
    compare("docs/schemas", &files);
}

#[test]
fn every_json_schema_compiles() {
    for (name, schema) in schemas::all() {
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn man_pages_are_the_kept_ones() {
    let pages = man_pages().unwrap().into_iter().map(|(name, page)| (name, String::from_utf8(page).unwrap()));
    compare("man", &pages.collect());
}

#[test]
fn help_is_the_kept_one() {
    let mut root = command().term_width(100);
    root.build();
    let mut text = "The help of every command, as `zvecctl help COMMAND` prints it.\n".to_owned();
    collect_help(&root, &mut text);
    compare_file(&repository("tests/snapshots/help.txt"), &text);
}

fn collect_help(command: &clap::Command, text: &mut String) {
    let mut shown = command.clone();
    let name = shown.get_bin_name().unwrap_or("zvecctl").to_owned();
    let help = shown.render_long_help().to_string();
    let rule = "=".repeat(name.len());
    text.push_str(&format!("\n{name}\n{rule}\n\n{}\n", help.trim_end()));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        collect_help(sub, text);
    }
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_and_option_is_explained() {
    fn visit(command: &clap::Command) {
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{} says nothing of itself", sub.get_name());
            visit(sub);
        }
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {} is not explained", command.get_name(), argument.get_id());
        }
    }
    visit(&command());
}

const EXITS: [Exit; 13] = [
    Exit::Ok,
    Exit::Warnings,
    Exit::Usage,
    Exit::Corrupt,
    Exit::DataLost,
    Exit::NotACollection,
    Exit::Newer,
    Exit::Refused,
    Exit::Locked,
    Exit::Io,
    Exit::NotApplied,
    Exit::Bug,
    Exit::Interrupted,
];

/// The enum has no list of its own: this fails to compile when a variant is added, and says where to add it.
fn is_listed(exit: Exit) -> bool {
    match exit {
        Exit::Ok
        | Exit::Warnings
        | Exit::Usage
        | Exit::Corrupt
        | Exit::DataLost
        | Exit::NotACollection
        | Exit::Newer
        | Exit::Refused
        | Exit::Locked
        | Exit::Io
        | Exit::NotApplied
        | Exit::Bug
        | Exit::Interrupted => EXITS.contains(&exit),
    }
}

/// Rows of the table in `docs/exit-codes.md`: code, and whether this version returns it.
fn documented_exits() -> BTreeMap<u8, bool> {
    let text = fs::read_to_string(repository("docs/exit-codes.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let code = cells.first()?.parse().ok()?;
        Some((code, !line.contains("not yet")))
    });
    rows.collect()
}

#[test]
fn exit_codes_are_the_documented_ones() {
    let documented = documented_exits();
    let returned: Vec<u8> = documented.iter().filter(|(_, now)| **now).map(|(code, _)| *code).collect();
    let known: Vec<u8> = EXITS.iter().map(|exit| exit.code()).collect();
    assert_eq!(returned, known, "docs/exit-codes.md and report::Exit");
    assert!(EXITS.into_iter().all(is_listed));
    let promised = [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 101, 130];
    assert_eq!(documented.keys().copied().collect::<Vec<_>>(), promised, "codes never change their meaning");
}

#[test]
fn help_names_the_exit_codes_that_are_returned() {
    let help = command().render_long_help().to_string();
    let listed = help.split("Exit codes:").nth(1).expect("the help lists exit codes").replace('\n', " ");
    let codes: Vec<u8> = listed.split([' ', ',', '.']).filter_map(|word| word.parse().ok()).collect();
    assert_eq!(codes, EXITS.map(Exit::code));
}
