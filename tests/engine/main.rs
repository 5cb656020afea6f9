//! The engine through its library: workloads beside a model, reopening, readers in threads.

mod files;
mod model;
mod readers;
mod workloads;
