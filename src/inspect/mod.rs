//! A read-only view of a collection, one that no engine could open included.
//!
//! Nothing here writes: every function takes a [`Vfs`](crate::vfs::Vfs), which cannot. Damage does not end a look: what can be read is
//! shown, what cannot is a [`Finding`](crate::report::Finding) that names file, offset and the documents at risk.

mod error;
pub mod files;
pub mod lock;
pub mod manifests;
pub mod names;
mod source;
mod time;
mod tree;
mod view;

pub use error::{InspectError, io_code};
pub use source::{FileSource, io_finding};
pub use tree::{Tree, TreeEntry, Usage};
pub use view::{SegmentRef, View};
