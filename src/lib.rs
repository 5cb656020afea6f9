//! `zvecctl`: collections of the zvec vector database, read, written and checked without zvec.
//!
//! The library is built in floors; a module imports only from floors below its own
//! (`docs/architecture.md`, held by `tests/architecture.rs`):
//!
//! | floor | modules | job |
//! |---|---|---|
//! | 4 | [`cli`] | arguments, library call, rendered report |
//! | 3 | [`verify`] | checks, nothing changed |
//! | 3 | [`repair`] | what is damaged made anew from what is there twice |
//! | 3 | [`bundle`] | what a bug report needs, and no document |
//! | 3 | [`salvage`] | everything readable of a collection, written to a new place |
//! | 2 | [`engine`] | create, open, ingest, flush, recover |
//! | 2 | [`inspect`] | read-only view of a collection that an engine could not open |
//! | 1 | [`format`], [`vfs`], [`report`] | bytes and values; the door to the file system; the JSON contract |

pub mod bundle;
pub mod cli;
pub mod engine;
pub mod format;
pub mod inspect;
pub mod repair;
pub mod report;
pub mod salvage;
pub mod verify;
pub mod vfs;
