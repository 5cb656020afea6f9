//! x
use super::{Block, Context, Opened};
pub(super) fn check(
    _ctx: &Context<'_>,
    _segment: u32,
    _full: (&[Block], &[Option<Opened>]),
    _q: (&[Block], &[Option<Opened>]),
) {
}
