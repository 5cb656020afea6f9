//! The persistence engine: collections in zvec's own format, created, opened, written, flushed and recovered.
//!
//! Every write goes through a [`VfsMut`](crate::vfs::VfsMut), so that crash tests see it. Nothing is published before all that it names is
//! durable, and nothing is removed before what replaces it is.
//!
//! | module | job |
//! |---|---|
//! | [`schema`], [`document`], [`input`] | zvec's rules for schemas and documents; documents out of files |
//! | [`collection`], [`write`], [`flush`], [`open`], [`create`] | the collection and what is done with it |
//! | [`version`], [`reader`] | immutable versions; reading one of them |
//! | [`segment`], [`block`] | the writing segment and its open block |
//! | [`wal`], [`id_map`], [`deletes`], [`scalar_index`], [`fts_index`] | the layers |
//! | [`rocks`] | RocksDB directories |
//! | [`files`], [`sink`], [`quarantine`], [`unsynced`] | steps on files |

mod block;
mod collection;
mod create;
mod deletes;
pub mod document;
mod error;
mod files;
mod flush;
mod fts_index;
mod id_map;
pub mod input;
pub mod lock;
mod names;
mod open;
mod options;
pub mod parts;
mod quarantine;
mod reader;
pub mod rocks;
mod scalar_index;
pub mod schema;
mod segment;
mod sink;
mod unsynced;
mod version;
mod wal;
mod write;

pub use collection::Collection;
pub use create::CreateOptions;
pub use document::{Doc, Mode};
pub use error::{Elsewhere, EngineError, Refusal};
pub use files::remove_tree;
pub use flush::Flushed;
pub use open::{GivenUp, OpenOptions, Opening};
pub use options::{Options, Sync};
pub use reader::Reader;
pub use schema::{Field, FieldKind, Schema};
pub use sink::FileSink;
pub use version::Version;
pub use write::Operation;
