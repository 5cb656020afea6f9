//! What the targets do stands beside the test that replays the corpus, in `tests/fuzz_corpus/targets`.

#![allow(dead_code, unused_imports, reason = "the test has more use for some of it")]

#[path = "../../tests/hostile/mend.rs"]
mod mend;
#[path = "../../tests/fuzz_corpus/targets/mod.rs"]
mod targets;

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let target = targets::TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("no target {name}")).1(data);
}
