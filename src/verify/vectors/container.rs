//! Level 1: checksums, sizes, and bytes that are always zero.

use crate::{
    format::{
        Source,
        proxima::{Container, Flavour},
    },
    report::Finding,
};

use super::subject::{Harm, Subject, first_non_zero};

/// Everything that can be said of a container without knowing what is in it, but for what its opening has found.
pub(super) fn check<S: Source + ?Sized>(subject: &Subject<'_>, source: &S, container: &Container) {
    checksums(subject, source, container);
    // The content CRC covers the padding of packed files, whose content may have leftovers of memory between structures.
    if container.flavour == Flavour::Streamer {
        padding(subject, source, container);
    }
    trailing(subject, container);
    subject.ctx.count(container.file_size);
}

/// Segments lie one behind the other. Where a damaged table has them overlap, a file is read through a few times and not once for each.
struct Budget(u64);

impl Budget {
    fn new(container: &Container) -> Self {
        Self(container.file_size.saturating_mul(3))
    }

    fn spend(&mut self, bytes: u64) -> bool {
        self.0 = self.0.saturating_sub(bytes);
        self.0 > 0
    }
}

fn checksums<S: Source + ?Sized>(subject: &Subject<'_>, source: &S, container: &Container) {
    let mut budget = Budget::new(container);
    for segment in &container.segments {
        if subject.ctx.stopped() || !budget.spend(segment.size.min(container.file_size)) {
            break;
        }
        match container.check_segment(source, segment) {
            Ok(Some(crc)) if !crc.is_valid() => {
                let harm = match segment.name.as_str() {
                    // zvec does not look at the text in a streamer file, and refuses a packed one for it.
                    "IndexVersion" => Harm::Search,
                    _ => Harm::Perhaps,
                };
                let detail =
                    format!("CRC of {}: {:#010x} stored, {:#010x} computed", segment.name, crc.stored, crc.computed);
                subject.error("proxima.segment-crc", segment.offset, harm, detail);
            }
            // What is cut has been told at the opening.
            Ok(_) | Err(_) => {}
        }
    }
    if let Ok(Some(crc)) = container.check_content(source)
        && !crc.is_valid()
    {
        let offset = container.sections.first().map_or(0, |section| section.content_offset);
        let detail = format!(
            "CRC of the whole content: {:#010x} stored, {:#010x} computed; zvec does not check it and answers from the \
             damaged bytes",
            crc.stored, crc.computed
        );
        subject.error("proxima.content-crc", offset, Harm::Perhaps, detail);
    }
}

fn padding<S: Source + ?Sized>(subject: &Subject<'_>, source: &S, container: &Container) {
    let mut budget = Budget::new(container);
    for segment in &container.segments {
        if subject.ctx.stopped() || !budget.spend(segment.padding.min(container.file_size)) {
            return;
        }
        let end = segment.offset.saturating_add(segment.capacity());
        if let Some(offset) = first_non_zero(source, segment.end(), end) {
            let detail = format!("a byte behind the data of {}, where zvec writes zeros, is none", segment.name);
            subject.warning("proxima.padding", offset, detail);
        }
    }
}

fn trailing(subject: &Subject<'_>, container: &Container) {
    let ends = container.sections.iter().map(|section| match container.flavour {
        Flavour::Packed => section.total_size,
        Flavour::Streamer => section.offset.saturating_add(section.total_size),
    });
    let end = ends.max().unwrap_or(0);
    // Of packed files the opening has told it.
    if container.flavour == Flavour::Streamer && container.file_size > end {
        let detail = format!("{} bytes behind the end; zvec does not mind", container.file_size - end);
        let finding = Finding::warning("proxima.trailing-bytes", detail).offset(end);
        subject.ctx.findings.add(finding.at(subject.path).segment(subject.segment));
    }
}
