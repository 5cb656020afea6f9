//! `repair` over a rich collection and each class of damage: what comes back, that `--undo` restores every byte, and that a kill or a power cut at every
//! place of it leaves a state from which it reaches the same end.
//!
//! `ZVECCTL_CRASH=full cargo test --test repair` looks at every position, not at a sample.

mod classes;
mod collection;
mod contradictions;
mod killed;
#[allow(dead_code)]
#[path = "../engine/model.rs"]
mod model;
mod plan;

/// Whether the long run was asked for.
fn full() -> bool {
    std::env::var_os("ZVECCTL_CRASH").is_some_and(|value| value == "full")
}
