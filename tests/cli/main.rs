//! The program as its users see it: arguments in; standard output, standard error and exit code out.

#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod damaged;
mod documents;
mod generated;
mod global;
mod killed;
mod layout;
mod lock;
mod misplaced;
mod named;
mod overwritten;
mod plans;
mod read_only;
mod records;
mod remedies;
mod undo;
mod users;
