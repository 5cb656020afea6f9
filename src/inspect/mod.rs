//! A read-only view of a collection, one that no engine could open included.
//!
//! Nothing here writes: every function takes a [`Vfs`](crate::vfs::Vfs), which cannot. Damage does not end a look: what can be read is
//! shown, what cannot is a [`Finding`](crate::report::Finding) that names file, offset and the documents at risk.

mod damaged_record;
pub mod deleted;
pub mod digest;
pub mod documents;
mod error;
pub mod evidence;
pub mod files;
pub mod findings;
pub mod idmap;
pub mod lock;
pub mod manifests;
pub mod names;
mod old_ids;
pub mod segments;
mod source;
mod time;
mod tree;
mod view;
pub mod wal;

pub use damaged_record::DamagedRecord;
pub use error::{InspectError, io_code, io_hint};
pub use findings::{Findings, losing};
pub use old_ids::{first_id, old_ids};
pub use source::{FileSource, SourceReader, io_finding};
pub use time::{from_unix, rfc3339};
pub use tree::{Tree, TreeEntry, Usage};
pub use view::{SegmentRef, View, segments_of};
