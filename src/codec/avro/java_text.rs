//! A schema as Java writes it (`Schema.toString`), for a header that tells it.

use serde_json::{Map, Value};

/// The text of a schema; as it stands there if it is no JSON. Members that Avro does not know come in the order of their names.
pub(crate) fn java_text(schema: &str) -> String {
    let Ok(json) = serde_json::from_str(schema) else { return schema.to_owned() };
    let mut out = String::with_capacity(schema.len());
    put(&json, None, &mut out);
    out
}

/// Appends a schema that stands within the namespace `space`. No schema is deeper than the JSON that it was read from can be.
fn put(schema: &Value, space: Option<&str>, out: &mut String) {
    match schema {
        Value::Array(branches) => put_all(branches, space, out),
        Value::Object(members) => put_object(members, space, out),
        Value::String(name) => put_text(name_within(name, space), out),
        other => out.push_str(&other.to_string()),
    }
}

fn put_object(members: &Map<String, Value>, space: Option<&str>, out: &mut String) {
    let kind = match members.get("type") {
        // A schema in the place of its name, which Avro for Java does not take.
        Some(schema @ (Value::Object(_) | Value::Array(_))) => return put(schema, space, out),
        named => named.and_then(Value::as_str).unwrap_or_default(),
    };
    let is_named = matches!(kind, "record" | "error" | "enum" | "fixed");
    let own = if is_named { namespace(members, space) } else { None };
    let mut object = Object::begin(&mut *out);
    match kind {
        "record" | "error" => {
            object.head(members, space, own);
            object.key("fields");
            put_fields(members.get("fields"), own, object.out);
        }
        "enum" => {
            object.head(members, space, own);
            object.members(members, &["symbols", "default"]);
        }
        "fixed" => {
            object.head(members, space, own);
            object.members(members, &["size"]);
        }
        "array" | "map" => {
            let inner = if kind == "array" { "items" } else { "values" };
            object.members(members, &["type"]);
            object.key(inner);
            put(members.get(inner).unwrap_or(&Value::Null), space, object.out);
        }
        _ if members.keys().all(|key| KNOWN.contains(&key.as_str())) => {
            object.withdraw();
            return put_text(name_within(kind, space), out);
        }
        _ => object.members(members, &["type"]),
    }
    object.others(members, &KNOWN, kind == "enum");
    if let Some(aliases) = members.get("aliases").filter(|_| is_named) {
        object.key("aliases");
        put(aliases, own, object.out);
    }
    object.end();
}

fn put_fields(fields: Option<&Value>, space: Option<&str>, out: &mut String) {
    out.push('[');
    // What else stands among the fields is passed over when the schema is read.
    let fields = fields.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    for (index, members) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        let mut object = Object::begin(out);
        object.members(members, &["name"]);
        object.key("type");
        put(members.get("type").unwrap_or(&Value::Null), space, object.out);
        object.members(members, &["doc", "default"]);
        if members.get("order").is_some_and(|order| order != "ascending") {
            object.members(members, &["order"]);
        }
        object.members(members, &["aliases"]);
        object.others(members, &KNOWN_OF_FIELDS, false);
        object.end();
    }
    out.push(']');
}

fn put_all(branches: &[Value], space: Option<&str>, out: &mut String) {
    out.push('[');
    for (index, branch) in branches.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put(branch, space, out);
    }
    out.push(']');
}

fn put_text(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

/// The namespace of a named type.
fn namespace<'s>(members: &'s Map<String, Value>, outer: Option<&'s str>) -> Option<&'s str> {
    let name = members.get("name").and_then(Value::as_str).unwrap_or_default();
    let space = match name.rsplit_once('.') {
        Some((space, _)) => Some(space),
        None => members.get("namespace").and_then(Value::as_str).or(outer),
    };
    space.filter(|space| !space.is_empty())
}

/// A name without its namespace, if that is the one around it.
fn name_within<'n>(name: &'n str, space: Option<&str>) -> &'n str {
    name.rsplit_once('.').filter(|(own, _)| space == Some(own)).map_or(name, |(_, short)| short)
}

/// A JSON object in the making.
struct Object<'o> {
    out: &'o mut String,
    begun: usize,
}

impl<'o> Object<'o> {
    fn begin(out: &'o mut String) -> Self {
        let begun = out.len();
        out.push('{');
        Self { out, begun }
    }

    fn key(&mut self, key: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        put_text(key, self.out);
        self.out.push(':');
    }

    /// Type, name, namespace and description of a named type.
    fn head(&mut self, members: &Map<String, Value>, outer: Option<&str>, own: Option<&str>) {
        self.members(members, &["type"]);
        let name = members.get("name").and_then(Value::as_str).unwrap_or_default();
        self.key("name");
        put_text(name.rsplit_once('.').map_or(name, |(_, short)| short), self.out);
        if own != outer {
            self.key("namespace");
            put_text(own.unwrap_or_default(), self.out);
        }
        self.members(members, &["doc"]);
    }

    /// Those of the members that there are.
    fn members(&mut self, members: &Map<String, Value>, keys: &[&str]) {
        for key in keys {
            if let Some(value) = members.get(*key) {
                self.key(key);
                self.out.push_str(&value.to_string());
            }
        }
    }

    /// The members that Avro does not know.
    fn others(&mut self, members: &Map<String, Value>, known: &[&str], has_default: bool) {
        for (key, value) in members {
            let is_known = known.contains(&key.as_str()) || (has_default && key == "default");
            if !is_known {
                self.key(key);
                self.out.push_str(&value.to_string());
            }
        }
    }

    fn end(self) {
        self.out.push('}');
    }

    fn withdraw(self) {
        self.out.truncate(self.begun);
    }
}

const KNOWN: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const KNOWN_OF_FIELDS: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

#[cfg(test)]
mod tests;
