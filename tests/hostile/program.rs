//! Every command of the program on one collection.

use std::path::Path;

use crate::support::program::{inspecting, run};

/// Runs every inspecting command; each must end by itself with a code of the contract, and JSON must be JSON.
pub fn every_command(path: &Path, case: u64) {
    for arguments in inspecting(path) {
        // Fails on a panic, a signal and a hang.
        let run = run(&arguments);
        let expected = [0, 1, 3, 4, 5, 6, 11].contains(&run.code);
        assert!(expected, "case {case}: {} exits {}: {}", run.command, run.code, run.stderr);
        if arguments[1] == "json" {
            let streams = arguments.iter().any(|word| word == "export" || word == "dump")
                && arguments.iter().all(|word| word != "manifest" && word != "idmap");
            if !streams || run.code == 5 {
                run.envelope();
            } else {
                for line in run.stdout.lines() {
                    let valid = serde_json::from_str::<serde_json::Value>(line).is_ok();
                    assert!(valid, "case {case}: {}: {line}", run.command);
                }
            }
        }
    }
}
