//! Fields in one line.
