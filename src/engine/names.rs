//! What names and primary keys may consist of, by the rules of zvec 0.8.0.

/// Why a primary key or a collection's name of at most `most` bytes is refused, in words that follow its own: "contains a tab".
///
/// Any UTF-8 but controls (C0, DEL, C1) and the line and paragraph separators.
pub(super) fn text_fault(name: &[u8], most: usize) -> Option<String> {
    if let Some(fault) = length_fault(name, most) {
        return Some(fault);
    }
    let Ok(text) = std::str::from_utf8(name) else { return Some("is not UTF-8".into()) };
    text.chars().find_map(forbidden).map(|what| format!("contains {what}"))
}

/// Why a field's name is refused. `A-Z a-z 0-9 _ -`, at most 64 bytes, none of the reserved names.
pub(super) fn field_fault(name: &str) -> Option<String> {
    /// Columns that zvec has or makes itself.
    const RESERVED: [&str; 5] = ["_zvec_row_id_", "_zvec_g_doc_id_", "_zvec_uid_", "_zvec_score", "_zvec_group_id"];
    if let Some(fault) = length_fault(name.as_bytes(), 64) {
        return Some(fault);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if let Some(wrong) = name.chars().find(|c| !allowed(*c)) {
        return Some(format!("contains {wrong:?}; letters, digits, '_' and '-' are allowed"));
    }
    RESERVED.contains(&name).then(|| "is reserved".into())
}

fn length_fault(name: &[u8], most: usize) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".into());
    }
    (name.len() > most).then(|| format!("has {} bytes, at most {most} are allowed", name.len()))
}

fn forbidden(c: char) -> Option<&'static str> {
    match c {
        '\0' => Some("a null character"),
        '\n' | '\r' => Some("a newline"),
        '\t' => Some("a tab"),
        '\u{2028}' => Some("a line separator"),
        '\u{2029}' => Some("a paragraph separator"),
        c if c.is_control() => Some("a control character"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_may_hold_anything_visible_and_spaces() {
        for good in ["a", " ", "a/b", "日本", "a\u{a0}b", "\u{feff}", "_zvec_uid_", "doc 1 {x}"] {
            assert_eq!(text_fault(good.as_bytes(), 64), None, "{good:?}");
        }
        for bad in ["", "a\0", "a\nb", "\t", "\u{7f}", "\u{80}", "\u{9f}", "\u{2028}", "\u{2029}"] {
            assert!(text_fault(bad.as_bytes(), 64).is_some(), "{bad:?}");
        }
        assert!(text_fault(b"\xff", 64).is_some());
        assert!(text_fault("語".repeat(22).as_bytes(), 64).is_some(), "66 bytes");
    }

    #[test]
    fn a_field_has_a_plain_name() {
        for good in ["a", "A-9_", "-", "id", "_zvec_x", "_ZVEC_UID_"] {
            assert_eq!(field_fault(good), None, "{good:?}");
        }
        for bad in ["", "a b", "a.b", "ä", "_zvec_uid_", "_zvec_score", &"n".repeat(65)] {
            assert!(field_fault(bad).is_some(), "{bad:?}");
        }
    }
}
