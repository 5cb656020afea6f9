//! The flatbuffers of an Arrow file: schema, batch header, footer.
//!
//! Children are built before their parents, fields in the order in which Arrow's C++ library builds them, so that the
//! bytes are those of zvec's files.

use arrow_ipc::{
    Binary, BinaryArgs, Block, Bool, BoolArgs, Buffer, Endianness, Field, FieldArgs, FieldNode, FloatingPoint,
    FloatingPointArgs, Footer, FooterArgs, Int, IntArgs, List, ListArgs, Message, MessageArgs, MessageHeader,
    MetadataVersion, Precision, RecordBatch, RecordBatchArgs, Schema, SchemaArgs, Type, Utf8, Utf8Args,
};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, Vector, WIPOffset};

use crate::format::forward::{Column, ScalarType};

/// Name of the element field of a list.
pub(super) const ITEM: &str = "item";

/// The flatbuffer of the schema message.
pub(super) fn schema_message(columns: &[Column]) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let schema = schema(&mut builder, columns);
    message(builder, MessageHeader::Schema, schema.as_union_value(), 0)
}

/// The flatbuffer of a batch's header.
pub(super) fn batch_message(rows: i64, nodes: &[FieldNode], buffers: &[Buffer], body: i64) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let nodes = builder.create_vector(nodes);
    let buffers = builder.create_vector(buffers);
    let args = RecordBatchArgs { length: rows, nodes: Some(nodes), buffers: Some(buffers), ..Default::default() };
    let batch = RecordBatch::create(&mut builder, &args);
    message(builder, MessageHeader::RecordBatch, batch.as_union_value(), body)
}

/// The flatbuffer of the footer.
pub(super) fn footer(columns: &[Column], blocks: &[Block]) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let schema = schema(&mut builder, columns);
    let dictionaries = block_vector(&mut builder, &[]);
    let batches = block_vector(&mut builder, blocks);
    let args = FooterArgs {
        version: MetadataVersion::V5,
        schema: Some(schema),
        dictionaries: Some(dictionaries),
        recordBatches: Some(batches),
        custom_metadata: None,
    };
    let footer = Footer::create(&mut builder, &args);
    builder.finish_minimal(footer);
    builder.finished_data().to_vec()
}

/// Arrow's C++ library aligns an empty vector by its length field alone.
fn block_vector<'a>(builder: &mut FlatBufferBuilder<'a>, blocks: &[Block]) -> WIPOffset<Vector<'a, Block>> {
    if blocks.is_empty() {
        WIPOffset::new(builder.create_vector::<u32>(&[]).value())
    } else {
        builder.create_vector(blocks)
    }
}

fn message(
    mut builder: FlatBufferBuilder,
    header_type: MessageHeader,
    header: WIPOffset<UnionWIPOffset>,
    body: i64,
) -> Vec<u8> {
    let args = MessageArgs {
        version: MetadataVersion::V5,
        header_type,
        header: Some(header),
        bodyLength: body,
        custom_metadata: None,
    };
    let message = Message::create(&mut builder, &args);
    builder.finish_minimal(message);
    builder.finished_data().to_vec()
}

fn schema<'a>(builder: &mut FlatBufferBuilder<'a>, columns: &[Column]) -> WIPOffset<Schema<'a>> {
    let fields: Vec<_> = columns.iter().map(|column| field(builder, column)).collect();
    let fields = builder.create_vector(&fields);
    let args =
        SchemaArgs { endianness: Endianness::Little, fields: Some(fields), custom_metadata: None, features: None };
    Schema::create(builder, &args)
}

fn field<'a>(builder: &mut FlatBufferBuilder<'a>, column: &Column) -> WIPOffset<Field<'a>> {
    let scalar = column.column_type.scalar;
    if !column.column_type.array {
        return scalar_field(builder, &column.name, scalar, column.nullable);
    }
    let item = scalar_field(builder, ITEM, scalar, true);
    let list = List::create(builder, &ListArgs {}).as_union_value();
    finish_field(builder, &column.name, column.nullable, (Type::List, list), &[item])
}

fn scalar_field<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    name: &str,
    scalar: ScalarType,
    nullable: bool,
) -> WIPOffset<Field<'a>> {
    let data_type = match scalar {
        ScalarType::Bool => (Type::Bool, Bool::create(builder, &BoolArgs {}).as_union_value()),
        ScalarType::I32 => (Type::Int, int(builder, 32, true)),
        ScalarType::U32 => (Type::Int, int(builder, 32, false)),
        ScalarType::I64 => (Type::Int, int(builder, 64, true)),
        ScalarType::U64 => (Type::Int, int(builder, 64, false)),
        ScalarType::F32 => (Type::FloatingPoint, float(builder, Precision::SINGLE)),
        ScalarType::F64 => (Type::FloatingPoint, float(builder, Precision::DOUBLE)),
        ScalarType::String => (Type::Utf8, Utf8::create(builder, &Utf8Args {}).as_union_value()),
        ScalarType::Binary => (Type::Binary, Binary::create(builder, &BinaryArgs {}).as_union_value()),
    };
    finish_field(builder, name, nullable, data_type, &[])
}

fn finish_field<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    name: &str,
    nullable: bool,
    (type_type, data_type): (Type, WIPOffset<UnionWIPOffset>),
    children: &[WIPOffset<Field<'a>>],
) -> WIPOffset<Field<'a>> {
    let name = builder.create_string(name);
    let children = builder.create_vector(children);
    let args = FieldArgs {
        name: Some(name),
        nullable,
        type_type,
        type_: Some(data_type),
        dictionary: None,
        children: Some(children),
        custom_metadata: None,
    };
    Field::create(builder, &args)
}

fn int(builder: &mut FlatBufferBuilder, width: i32, signed: bool) -> WIPOffset<UnionWIPOffset> {
    Int::create(builder, &IntArgs { bitWidth: width, is_signed: signed }).as_union_value()
}

fn float(builder: &mut FlatBufferBuilder, precision: Precision) -> WIPOffset<UnionWIPOffset> {
    FloatingPoint::create(builder, &FloatingPointArgs { precision }).as_union_value()
}
