//! Crashes and failing disks: what is left at every moment of a workload, and what the engine makes of it.
//!
//! `ZVECCTL_CRASH=full cargo test --test crash` looks at more images: every single unit that a power cut may leave or take.

mod check;
mod faults;
mod images;
#[allow(dead_code)]
#[path = "../engine/model.rs"]
mod model;
mod mutants;
mod nested;
mod positions;
mod workload;

/// Whether the long run was asked for.
fn full() -> bool {
    std::env::var_os("ZVECCTL_CRASH").is_some_and(|value| value == "full")
}

/// Says something that is seen although the test passes.
fn tell(text: &str) {
    use std::io::Write;
    // Not through the macros, whose output the test harness swallows. A closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "crash: {text}");
}
