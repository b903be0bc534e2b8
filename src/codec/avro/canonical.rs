//! The Parsing Canonical Form of Avro's specification ("Transforming into Parsing Canonical Form"), of which the fingerprint is
//! taken. `apache-avro` keeps more than it should of logical types and of the order of fields.

use apache_avro::Schema;
use apache_avro::schema::{FixedSchema, InnerDecimalSchema, RecordField, UuidSchema};

/// The form of a schema whose names are whole, as those of a parsed one are.
pub(super) fn canonical(schema: &Schema) -> String {
    let mut out = String::new();
    put(schema, &mut out);
    out
}

/// CRC-64-AVRO ("Schema Fingerprints" of the specification), byte by byte from the lowest as Java prints it.
pub(super) fn fingerprint(canonical: &str) -> String {
    let crc = canonical.bytes().fold(EMPTY, |crc, byte| {
        let shift = |crc: u64, _| (crc >> 1) ^ (EMPTY & (crc & 1).wrapping_neg());
        (crc >> 8) ^ (0..8).fold((crc ^ u64::from(byte)) & 0xff, shift)
    });
    crc.to_le_bytes().map(|byte| format!("{byte:02x}")).concat()
}

/// The fingerprint of nothing, and the polynomial.
const EMPTY: u64 = 0xc15d_213a_a4d7_a795;

/// No schema is deeper than the JSON that it was read from can be.
fn put(schema: &Schema, out: &mut String) {
    match schema {
        Schema::Null => put_text("null", out),
        Schema::Boolean => put_text("boolean", out),
        Schema::Float => put_text("float", out),
        Schema::Double => put_text("double", out),
        Schema::Int | Schema::Date | Schema::TimeMillis => put_text("int", out),
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => put_text("long", out),
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => put_text("bytes", out),
        Schema::String | Schema::Uuid(UuidSchema::String) => put_text("string", out),
        Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
            put_fixed(fixed, out);
        }
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Bytes => put_text("bytes", out),
            InnerDecimalSchema::Fixed(fixed) => put_fixed(fixed, out),
        },
        Schema::Ref { name } => put_text(&name.fullname(None), out),
        Schema::Array(array) => {
            out.push_str("{\"type\":\"array\",\"items\":");
            put(&array.items, out);
            out.push('}');
        }
        Schema::Map(map) => {
            out.push_str("{\"type\":\"map\",\"values\":");
            put(&map.types, out);
            out.push('}');
        }
        Schema::Union(union) => put_all(union.variants(), put, out),
        Schema::Enum(symbols) => {
            put_head(&symbols.name.fullname(None), "enum", out);
            out.push_str(",\"symbols\":");
            put_all(&symbols.symbols, |symbol, out| put_text(symbol, out), out);
            out.push('}');
        }
        Schema::Record(record) => {
            put_head(&record.name.fullname(None), "record", out);
            out.push_str(",\"fields\":");
            let field = |field: &RecordField, out: &mut String| {
                out.push_str("{\"name\":");
                put_text(&field.name, out);
                out.push_str(",\"type\":");
                put(&field.schema, out);
                out.push('}');
            };
            put_all(&record.fields, field, out);
            out.push('}');
        }
    }
}

fn put_fixed(fixed: &FixedSchema, out: &mut String) {
    put_head(&fixed.name.fullname(None), "fixed", out);
    out.push_str(",\"size\":");
    out.push_str(&fixed.size.to_string());
    out.push('}');
}

fn put_head(name: &str, kind: &str, out: &mut String) {
    out.push_str("{\"name\":");
    put_text(name, out);
    out.push_str(",\"type\":");
    put_text(kind, out);
}

fn put_all<T>(items: &[T], put: impl Fn(&T, &mut String), out: &mut String) {
    out.push('[');
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        put(item, out);
    }
    out.push(']');
}

/// Names consist of letters, digits and underscores, so there is nothing to escape.
fn put_text(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}
