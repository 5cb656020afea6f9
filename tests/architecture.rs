//! Holds the floors of the house (`docs/architecture.md`): which module may import which, and what `format` may touch.

#[path = "support/source.rs"]
mod source;

use std::{fs, path::Path};

use source::{Code, paths};

/// A source file of the library: path below `src/`, and its text.
struct SourceFile {
    path: String,
    text: String,
}

fn sources() -> Vec<SourceFile> {
    fn walk(dir: &Path, root: &Path, files: &mut Vec<SourceFile>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push(SourceFile { path, text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 50, "src/ was not found");
    files
}

/// What a module may import of the others, by the first part of its path. `None`: everything.
fn allowed(module: &str) -> Option<&'static [&'static str]> {
    match module {
        "format" => Some(&["format"]),
        "vfs" => Some(&["vfs"]),
        "report" => Some(&["report"]),
        "inspect" => Some(&["inspect", "format", "vfs", "report"]),
        "engine" => Some(&["engine", "inspect", "format", "vfs", "report"]),
        "verify" => Some(&["verify", "engine", "inspect", "format", "vfs", "report"]),
        "repair" => Some(&["repair", "verify", "engine", "inspect", "format", "vfs", "report"]),
        "bundle" => Some(&["bundle", "verify", "inspect", "format", "vfs", "report"]),
        "salvage" => Some(&["salvage", "engine", "inspect", "format", "vfs", "report"]),
        "cli" => None,
        "lib" => Some(&[]),
        "main" => Some(&["cli", "format"]),
        other => {
            panic!("src/{other} stands on no floor: give it one in tests/architecture.rs and docs/architecture.md")
        }
    }
}

/// Single items of a module on the same floor that another one may import: file, and the path of what it imports.
///
/// `salvage` reads a damaged manifest as `repair` would put it right: the rules for that are one thing, and nothing in `repair` knows of `salvage`.
/// And it believes the same traces of a lost log as `verify`.
const BESIDE: [(&str, [&str; 3]); 2] = [
    ("salvage/put_right.rs", ["crate", "repair", "mended"]),
    ("salvage/residue.rs", ["crate", "verify", "lost_records"]),
];

/// The first part of a file's path: its module on a floor.
fn module(path: &str) -> &str {
    path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// A test may look up and down: files of tests are left out, and so is everything under `#[cfg(test)]`.
fn is_test(path: &str) -> bool {
    path.trim_end_matches(".rs").split('/').any(|part| part.ends_with("tests"))
}

/// Imports that a floor does not allow.
fn wrong_imports(path: &str, text: &str) -> Vec<String> {
    let Some(allowed) = allowed(module(path)) else { return Vec::new() };
    let imports = paths(path, &Code::of(text)).into_iter().filter(|parts| parts.first().is_some_and(|p| p == "crate"));
    let beside = |parts: &Vec<String>| BESIDE.iter().any(|(file, item)| *file == path && parts.iter().eq(item));
    let wrong = imports
        .filter(|parts| parts.get(1).is_some_and(|target| !allowed.contains(&target.as_str())) && !beside(parts));
    wrong.map(|parts| format!("src/{path} imports {}", parts.join("::"))).collect()
}

/// What `format` may not touch: files, clock, environment, processes, threads, terminal.
fn wrong_in_format(path: &str, text: &str) -> Vec<String> {
    const MODULES: [&str; 6] = ["fs", "env", "time", "process", "net", "thread"];
    const OF_IO: [&str; 6] = ["stdin", "stdout", "stderr", "Stdout", "Stderr", "Stdin"];
    const CRATES: [&str; 4] = ["rustix", "memmap2", "indicatif", "ctrlc"];
    // A parser may have a method of that name, which takes no message.
    const CALLS: [&str; 3] = [".unwrap()", ".expect(\"\"", ".expect(&format"];
    const MACROS: [&str; 12] = [
        "panic!",
        "unreachable!",
        "todo!",
        "unimplemented!",
        "assert!",
        "assert_eq!",
        "assert_ne!",
        "print!",
        "println!",
        "eprint!",
        "eprintln!",
        "dbg!",
    ];
    let code = Code::of(text);
    let mut wrong = Vec::new();
    for parts in paths(path, &code) {
        let second = parts.get(1).map_or("", String::as_str);
        let third = parts.get(2).map_or("", String::as_str);
        let touches = match parts.first().map_or("", String::as_str) {
            "std" | "core" => MODULES.contains(&second) || (second == "io" && OF_IO.contains(&third)),
            first => CRATES.contains(&first),
        };
        if touches {
            wrong.push(format!("src/{path} uses {}", parts.join("::")));
        }
    }
    for call in CALLS {
        wrong.extend(code.squeezed().contains(call).then(|| format!("src/{path} calls {call}")));
    }
    for name in MACROS {
        wrong.extend(code.calls_macro(name).then(|| format!("src/{path} calls {name}")));
    }
    wrong.extend(code.words().contains(&"unsafe").then(|| format!("src/{path} has unsafe code")));
    wrong
}

/// Printing outside of the one place for it.
fn wrong_prints(path: &str, text: &str) -> Vec<String> {
    if path.starts_with("cli/output/") || path == "main.rs" {
        return Vec::new();
    }
    let code = Code::of(text);
    let macros =
        ["print!", "println!", "eprint!", "eprintln!", "dbg!"].into_iter().filter(|name| code.calls_macro(name));
    let streams = ["stdout()", "stderr()"].into_iter().filter(|name| code.squeezed().contains(&format!("io::{name}")));
    macros.chain(streams).map(|name| format!("src/{path} calls {name}")).collect()
}

fn over_all(check: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    sources().iter().filter(|file| !is_test(&file.path)).flat_map(|file| check(&file.path, &file.text)).collect()
}

#[test]
fn modules_import_only_from_floors_below_their_own() {
    assert_eq!(over_all(wrong_imports), Vec::<String>::new());
}

/// What is left out as a test by its name must be one.
#[test]
fn modules_named_tests_are_compiled_for_tests_only() {
    let wrong = over_all(|path, text| {
        let code = Code::of(text);
        let words = code.words();
        let named = words.windows(2).filter(|pair| pair[0] == "mod" && pair[1].ends_with("tests"));
        named.map(|pair| format!("src/{path} has mod {} without #[cfg(test)]", pair[1])).collect()
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn main_knows_the_command_line_and_contained_panics_only() {
    let main = sources().into_iter().find(|file| file.path == "main.rs").unwrap();
    let used: Vec<_> =
        paths("main.rs", &Code::of(&main.text)).into_iter().filter(|parts| parts[0] == "zvecctl").collect();
    assert!(!used.is_empty());
    for parts in used {
        let path = parts.join("::");
        assert!(parts[1] == "cli" || path == "zvecctl::format::forward::panic_is_contained", "{path}");
    }
}

#[test]
fn format_touches_nothing_and_never_panics_on_purpose() {
    let wrong = over_all(|path, text| if module(path) == "format" { wrong_in_format(path, text) } else { Vec::new() });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn only_the_output_module_prints() {
    assert_eq!(over_all(wrong_prints), Vec::<String>::new());
}

#[test]
fn only_the_vfs_opens_files() {
    let wrong = over_all(|path, text| {
        let files = paths(path, &Code::of(text))
            .into_iter()
            .filter(|parts| parts[0] == "std" && parts.get(1).is_some_and(|p| p == "fs"));
        if module(path) == "vfs" {
            Vec::new()
        } else {
            files.map(|p| format!("src/{path} uses {}", p.join("::"))).collect()
        }
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long = sources().into_iter().filter(|file| file.text.lines().count() > 600).map(|file| file.path);
    assert_eq!(long.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_planted_violation_is_found() {
    let imports = |path, text| wrong_imports(path, text).len();
    assert_eq!(imports("format/wal/mod.rs", "use crate::vfs::Vfs;"), 1);
    assert_eq!(imports("format/wal/mod.rs", "use crate::{format::Source, report::{Exit, Finding}};"), 2);
    assert_eq!(imports("format/wal.rs", "fn f() { let x = crate::report::Exit::Ok; }"), 1);
    assert_eq!(imports("format/wal.rs", "use super::super::vfs::Vfs;"), 1, "around the back");
    assert_eq!(imports("format/mod.rs", "use super::vfs::Vfs;"), 1);
    assert_eq!(imports("format/wal.rs", "use super::vfs::Vfs;"), 0, "format::vfs would be its own");
    assert_eq!(imports("inspect/view.rs", "use crate::cli::Session;"), 1);
    assert_eq!(imports("salvage/put_right.rs", "use crate::repair::{mended, survey};"), 1, "what it may, and what not");
    assert_eq!(imports("salvage/read.rs", "use crate::repair::mended;"), 1);
    assert_eq!(imports("repair/run.rs", "use crate::salvage::salvage;"), 1);
    assert_eq!(imports("vfs/real.rs", "pub(in crate::inspect) fn f() {}"), 1);
    assert_eq!(imports("report/mod.rs", "// crate::cli\n/* crate::cli */ const A: &str = \"crate::cli\";"), 0);
    assert_eq!(imports("report/mod.rs", "#[cfg(test)]\nmod tests { use crate::cli::run; }\nuse crate::vfs::File;"), 1);
    assert_eq!(imports("report/mod.rs", "const B: char = '\"'; use crate::vfs::File; const C: char = '\"';"), 1);
    assert_eq!(
        imports("report/mod.rs", "const B: &str = r#\"a\"b\"#; use crate::vfs::File; fn f<'a>(_: &'a str) {}"),
        1
    );

    let format = |text| wrong_in_format("format/a.rs", text).len();
    assert_eq!(format("use std::{fs, io::{self, Read}, time::{Duration, Instant}};"), 3);
    assert_eq!(format("fn f() { std::env::var(\"A\"); }"), 1);
    assert_eq!(format("use std::io::Read; use std::sync::Arc;"), 0);
    assert_eq!(format("fn f() { a.unwrap(); b\n    .unwrap(); }"), 1);
    assert_eq!(format("fn f() { a.expect(\"a\"); b.expect(&format!(\"{c}\")); }"), 2);
    assert_eq!(format("fn f() { self.expect(b'{')?; }"), 0);
    assert_eq!(format("fn f() { a.unwrap_or(1); b.expect_err(); } #[expect(dead_code)] fn g() {}"), 0);
    assert_eq!(format("fn f() { panic!(\"a\") } fn g() { unreachable!() }"), 2);
    assert_eq!(format("fn f() { debug_assert!(true); std::panic::catch_unwind(g); }"), 0);
    assert_eq!(format("unsafe fn f() {}"), 1);
    assert_eq!(format("#[cfg(test)] mod tests { fn f() { a.unwrap(); } }"), 0);

    let prints = |path, text| wrong_prints(path, text).len();
    assert_eq!(prints("cli/wal.rs", "fn f() { println!(\"a\"); }"), 1);
    assert_eq!(prints("inspect/wal.rs", "fn f() { write!(std::io::stdout(), \"a\"); }"), 1);
    assert_eq!(prints("cli/output/mod.rs", "fn f() { println!(\"a\"); }"), 0);
}
