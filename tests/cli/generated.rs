//! `completions` and `man`.

use std::fs;

use crate::support::{program::run, repository};

#[test]
fn completions_of_every_shell_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(["completions", shell]).exits(0).silently().stdout;
        for word in ["manifest", "segments", "idmap", "export", "--include-deleted", "no-lock"] {
            let word = word.trim_start_matches('-');
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let refused = run(["completions", "tcsh"]).exits(2);
    assert!(refused.stderr.contains("bash, elvish, fish, powershell, zsh"), "{}", refused.stderr);
}

#[test]
fn bash_accepts_its_completions() {
    let script = run(["completions", "bash"]).stdout;
    let bash = std::process::Command::new("bash").args(["-n", "-c", &script]).output();
    match bash {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => crate::support::left_out("syntax check of the bash completions", &error.to_string()),
    }
}

#[test]
fn man_writes_the_kept_pages() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("man1");
    for _ in 0..2 {
        let written = run(["man", target.to_str().unwrap()]).exits(0).silently();
        assert_eq!(written.stdout, "");
        let mut names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert!(names.len() > 20, "{names:?}");
        for name in &names {
            let page = fs::read(target.join(name)).unwrap();
            assert!(page == fs::read(repository("man").join(name)).unwrap(), "{}", name.display());
        }
        assert_eq!(names.len(), fs::read_dir(repository("man")).unwrap().count());
    }
}

#[test]
fn man_into_a_place_that_cannot_be_made_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("missing/man1");
    let json = run(["--format", "json", "man", target.to_str().unwrap()]).exits(11).envelope();
    assert_eq!(json["error"]["code"], "io.output");
    assert_eq!(json["error"]["path"], target.to_str().unwrap());
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    run(["man", file.to_str().unwrap()]).exits(11);
}
