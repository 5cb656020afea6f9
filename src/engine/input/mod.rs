//! Readers of documents.
