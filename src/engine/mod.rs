//! The persistence engine: collections in zvec's own format, created, opened, written, flushed and recovered.
//!
//! Every write goes through a [`VfsMut`](crate::vfs::VfsMut), so that crash tests see it. Nothing is published before all that it names is
//! durable, and nothing is removed before what replaces it is.

mod document;
mod error;
pub mod input;
mod names;
pub mod schema;
mod sink;

pub use document::{Doc, Mode};
pub use error::{EngineError, Refusal};
pub use schema::{Field, FieldKind, Schema};
pub use sink::FileSink;
