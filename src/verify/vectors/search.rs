//! x
use super::Opened;
use super::subject::Subject;
pub(super) fn check(_s: &Subject<'_>, _f: &Opened) {}
