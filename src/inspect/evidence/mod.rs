//! What the files of segment directories say of themselves, whatever a manifest says: for those who have none that can be trusted.
//!
//! | module | job |
//! |---|---|
//! | [`behind`] | row blocks that a manifest of an earlier state does not name |
//! | [`column`] | whether a vector file can be of a column |
//! | [`copies`] | vector files that were put over others |
//! | [`found`] | the files of a directory and what their headers tell: columns, rows, document ids, column families, kinds of vector files |
//! | [`vector`] | a vector field, from what its files tell |
//! | [`texts`] | how the texts of a column were cut, by trying settings on its index |
//! | [`twins`] | row blocks that a copy of another one was written over |
//! | [`records`] | columns of documents that are in a log alone |

pub mod behind;
pub mod column;
pub mod copies;
mod found;
pub mod records;
pub mod texts;
pub mod twins;
pub mod vector;

pub use found::{
    Forward, Found, Inverted, VectorFacts, Vectors, has_null_rows, lacks_vectors, look, segment_ids, vector_file,
};
