//! Schemas, as far as they say where a datum ends.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, UuidSchema};
use serde_json::Value;

use super::canonical::{canonical, fingerprint};
use super::data::{Malformed, Reader};
use crate::limits::{AVRO_DEPTH_MAX, AVRO_EMPTY_ITEMS_MAX};

/// A schema by which data are told apart, without taking them to pieces.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    // Nodes name each other by number, since a record may be part of itself. The first one is the whole.
    nodes: Vec<Node>,
    fingerprint: String,
}

/// Every node but `Fixed(0)` takes a byte at least: records have lost the fields that take none, and one without any left is
/// `Fixed(0)`. So the time to pass over a datum is bounded by its bytes, whatever the schema. A record of two fields,
/// each a record of two fields and so on down to null, would otherwise be a tree of any size without a byte.
#[derive(Clone, Debug)]
enum Node {
    /// So many bytes.
    Fixed(usize),
    /// An integer.
    Long,
    /// An integer that numbers one of so many symbols.
    Symbol(usize),
    /// A length and so many bytes.
    Bytes,
    /// Blocks of items.
    Array(usize),
    /// Blocks of keys and values.
    Map(usize),
    /// The number of a branch, and what the branch has.
    Union(Vec<usize>),
    /// One after the other.
    Record(Vec<usize>),
}

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("the schema is not valid: {0}")]
    Invalid(String),
    #[error("the schema does not say what {0} is")]
    Unknown(String),
}

impl Shape {
    pub(crate) fn of(schema: &str) -> Result<Self, ShapeError> {
        let schema = parse(schema).map_err(|error| ShapeError::Invalid(error.to_string()))?;
        let mut builder = Builder { nodes: Vec::new(), names: HashMap::new() };
        builder.add(&schema)?;
        Ok(Self { nodes: builder.nodes, fingerprint: fingerprint(&canonical(&schema)) })
    }

    /// The CRC-64-AVRO of the schema's canonical form, as Java prints its bytes.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Passes over one datum.
    pub(crate) fn skip(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let mut empty_items = 0;
        self.skip_node(0, reader, AVRO_DEPTH_MAX, &mut empty_items)
    }

    fn skip_node(
        &self,
        number: usize,
        reader: &mut Reader<'_>,
        depth: usize,
        empty_items: &mut u64,
    ) -> Result<(), Malformed> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Malformed::Range("the depth of a datum")) };
        match self.nodes.get(number) {
            None => {}
            Some(Node::Fixed(bytes)) => drop(reader.fixed(*bytes, "a part of a datum")?),
            Some(Node::Long) => drop(reader.long("a number of a datum")?),
            Some(Node::Bytes) => drop(reader.bytes("a text of a datum")?),
            Some(Node::Symbol(symbols)) => {
                let symbol = usize::try_from(reader.long("a symbol of a datum")?);
                symbol.ok().filter(|symbol| symbol < symbols).ok_or(Malformed::Range("a symbol of a datum"))?;
            }
            Some(Node::Union(branches)) => {
                let branch = usize::try_from(reader.long("a branch of a datum")?).ok();
                let branch = branch.and_then(|branch| branches.get(branch));
                self.skip_node(*branch.ok_or(Malformed::Range("a branch of a datum"))?, reader, depth, empty_items)?;
            }
            Some(Node::Record(fields)) => {
                for field in fields {
                    self.skip_node(*field, reader, depth, empty_items)?;
                }
            }
            Some(Node::Array(items)) => self.skip_items(*items, false, reader, depth, empty_items)?,
            Some(Node::Map(values)) => self.skip_items(*values, true, reader, depth, empty_items)?,
        }
        Ok(())
    }

    fn skip_items(
        &self,
        number: usize,
        has_keys: bool,
        reader: &mut Reader<'_>,
        depth: usize,
        empty_items: &mut u64,
    ) -> Result<(), Malformed> {
        loop {
            let count = reader.long("the items of a datum")?;
            if count < 0 {
                // Their length in bytes, for those who want to jump.
                reader.long("the items of a datum")?;
            }
            if count == 0 {
                return Ok(());
            }
            if !has_keys && matches!(self.nodes.get(number), Some(Node::Fixed(0))) {
                // Whoever takes the datum to pieces has to go through them.
                *empty_items = empty_items.saturating_add(count.unsigned_abs());
                if *empty_items > AVRO_EMPTY_ITEMS_MAX as u64 {
                    return Err(Malformed::Range("the number of empty items of a datum"));
                }
                continue;
            }
            for _ in 0..count.unsigned_abs() {
                if has_keys {
                    reader.bytes("a key of a datum")?;
                }
                self.skip_node(number, reader, depth, empty_items)?;
            }
        }
    }
}

/// A schema, in which an error is the record that it is to Java.
pub(super) fn parse(schema: &str) -> Result<Schema, apache_avro::Error> {
    Schema::parse_str(schema).or_else(|error| {
        let Ok(mut json) = serde_json::from_str(schema) else { return Err(error) };
        make_records_of_errors(&mut json);
        Schema::parse(&json).map_err(|_| error)
    })
}

fn make_records_of_errors(json: &mut Value) {
    match json {
        Value::Object(members) => {
            if let Some(kind) = members.get_mut("type").filter(|kind| *kind == "error") {
                *kind = "record".into();
            }
            members.values_mut().for_each(make_records_of_errors);
        }
        Value::Array(values) => values.iter_mut().for_each(make_records_of_errors),
        _ => {}
    }
}

struct Builder {
    nodes: Vec<Node>,
    names: HashMap<Name, usize>,
}

impl Builder {
    /// Adds a schema and says which node it is. No schema is deeper than the JSON that it was read from can be.
    fn add(&mut self, schema: &Schema) -> Result<usize, ShapeError> {
        let number = self.nodes.len();
        // Takes the number; what it is follows. A record that is part of itself without anything between is never whole,
        // so that it does not count as empty.
        self.nodes.push(Node::Record(Vec::new()));
        let node = match schema {
            Schema::Null => Node::Fixed(0),
            Schema::Boolean => Node::Fixed(1),
            Schema::Float => Node::Fixed(4),
            Schema::Double => Node::Fixed(8),
            Schema::Int
            | Schema::Long
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => Node::Long,
            Schema::Bytes
            | Schema::String
            | Schema::BigDecimal
            | Schema::Uuid(UuidSchema::Bytes | UuidSchema::String) => Node::Bytes,
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.names.insert(fixed.name.clone(), number);
                Node::Fixed(fixed.size)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => Node::Bytes,
                InnerDecimalSchema::Fixed(fixed) => {
                    self.names.insert(fixed.name.clone(), number);
                    Node::Fixed(fixed.size)
                }
            },
            Schema::Enum(symbols) => {
                self.names.insert(symbols.name.clone(), number);
                Node::Symbol(symbols.symbols.len())
            }
            Schema::Array(array) => Node::Array(self.add(&array.items)?),
            Schema::Map(map) => Node::Map(self.add(&map.types)?),
            Schema::Union(union) => {
                Node::Union(union.variants().iter().map(|branch| self.add(branch)).collect::<Result<_, _>>()?)
            }
            Schema::Record(record) => {
                self.names.insert(record.name.clone(), number);
                let fields = record.fields.iter().map(|field| self.add(&field.schema));
                let fields = fields.collect::<Result<_, _>>()?;
                self.record(fields)
            }
            Schema::Ref { name } => {
                // A node of its own, so that the numbers of the others stay.
                let named = self.names.get(name).ok_or_else(|| ShapeError::Unknown(name.to_string()))?;
                self.record(vec![*named])
            }
        };
        if let Some(place) = self.nodes.get_mut(number) {
            *place = node;
        }
        Ok(number)
    }

    /// A record of these fields, as far as they take any bytes.
    fn record(&self, mut fields: Vec<usize>) -> Node {
        fields.retain(|field| !matches!(self.nodes.get(*field), Some(Node::Fixed(0))));
        if fields.is_empty() { Node::Fixed(0) } else { Node::Record(fields) }
    }
}

#[cfg(test)]
mod tests;
