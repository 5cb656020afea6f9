//! Forward blocks (being written).
mod types;
pub use types::{ColumnType, ScalarType};
