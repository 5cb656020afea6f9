//! A document as one line of JSON, the shape in which documents go in and come out.

use crate::format::json_value;

use super::{Cell, Document, Field, Fields};

/// Appends a document, without a line break. Null fields are there as `null`; fields that cannot be read are left out and
/// named in `unreadable`.
pub fn write_document(out: &mut Vec<u8>, document: &Document, fields: &Fields) {
    out.extend_from_slice(b"{\"id\":");
    json_value::write_text(out, &document.pk);
    out.extend_from_slice(b",\"fields\":");
    write_object(out, &fields.scalars, &document.fields);
    out.extend_from_slice(b",\"vectors\":");
    write_object(out, &fields.vectors, &document.vectors);
    let mut unreadable = document.unreadable(fields).peekable();
    if unreadable.peek().is_some() {
        out.extend_from_slice(b",\"unreadable\":[");
        for (position, name) in unreadable.enumerate() {
            if position > 0 {
                out.push(b',');
            }
            json_value::write_string(out, name);
        }
        out.push(b']');
    }
    if document.deleted {
        out.extend_from_slice(b",\"deleted\":true");
    }
    out.push(b'}');
}

fn write_object(out: &mut Vec<u8>, fields: &[Field], cells: &[Cell]) {
    out.push(b'{');
    let mut first = true;
    for (field, cell) in fields.iter().zip(cells) {
        let Cell::Value(value) = cell else { continue };
        if !first {
            out.push(b',');
        }
        first = false;
        json_value::write_string(out, &field.name);
        out.push(b':');
        json_value::write_value(out, value, field.data_type);
    }
    out.push(b'}');
}
