//! The schema against what zvec lets be created. The manifest has no checksum: a flipped bit in a setting shows here.

use crate::{
    engine::Schema,
    format::manifest::Manifest,
    report::{Finding, Loss},
};

use super::super::context::Context;

pub(super) fn check(context: &Context<'_>) {
    let Some(file) = context.view.used() else { return };
    if let Some(rule) = broken(context.manifest) {
        let finding = Finding::error("manifest.schema", rule).at(&file.path);
        context.findings.add(finding.loses(Loss::None, None));
    }
}

/// The rule that a schema breaks, in words.
pub fn broken(manifest: &Manifest) -> Option<String> {
    let rule = Schema::broken_rule(manifest.schema.as_ref()?)?;
    Some(format!("zvec lets no such schema be created, so that it is damaged: {}", rule.message))
}
