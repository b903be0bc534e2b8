use super::*;

/// What Avro 1.11 for Java gave for each.
#[test]
fn schemas_are_written_as_java_writes_them() {
    for (schema, expected) in [
        (
            r#"{"type": "record", "name": "User", "namespace": "example.avro", "fields": [{"name": "name", "type": "string"}, {"name": "n", "type": ["int", "null"]}]}"#,
            r#"{"type":"record","name":"User","namespace":"example.avro","fields":[{"name":"name","type":"string"},{"name":"n","type":["int","null"]}]}"#,
        ),
        (
            r#"{"fields": [{"type": {"type": "string", "avro.java.string": "String"}, "name": "a", "default": "x", "doc": "d"}], "name": "a.b.R", "type": "record", "doc": "the doc", "aliases": ["Q"], "aa": {"b": [1, 2.0]}, "zz": 1}"#,
            r#"{"type":"record","name":"R","namespace":"a.b","doc":"the doc","fields":[{"name":"a","type":{"type":"string","avro.java.string":"String"},"doc":"d","default":"x"}],"aa":{"b":[1,2.0]},"zz":1,"aliases":["Q"]}"#,
        ),
        (
            r#"{"type": "record", "name": "R", "namespace": "x.y", "fields": [{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}}, {"name": "e2", "type": "x.y.E"}, {"name": "e3", "type": "E"}, {"name": "f", "type": {"type": "fixed", "name": "z.F", "size": 4}}, {"name": "f2", "type": "z.F", "order": "descending"}, {"name": "m", "type": {"type": "map", "values": {"type": "array", "items": {"type": "long", "logicalType": "timestamp-millis"}}}}, {"name": "s", "type": ["null", "R"], "default": null, "order": "ascending", "aliases": ["t"]}]}"#,
            r#"{"type":"record","name":"R","namespace":"x.y","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}},{"name":"e2","type":"E"},{"name":"e3","type":"E"},{"name":"f","type":{"type":"fixed","name":"F","namespace":"z","size":4}},{"name":"f2","type":"z.F","order":"descending"},{"name":"m","type":{"type":"map","values":{"type":"array","items":{"type":"long","logicalType":"timestamp-millis"}}}},{"name":"s","type":["null","R"],"default":null,"aliases":["t"]}]}"#,
        ),
        (r#""string""#, r#""string""#),
        (r#"{"type": "string"}"#, r#""string""#),
        (r#"{"type": "int", "doc": "x"}"#, r#""int""#),
        (
            r#"["null", {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}]"#,
            r#"["null",{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}]"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"i","type":{"type":"record","name":"I","namespace":"","fields":[]}},{"name":"j","type":"I"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"i","type":{"type":"record","name":"I","fields":[]}},{"name":"j","type":"I"}]}"#,
        ),
        (
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"i","type":{"type":"record","name":"I","namespace":"","fields":[{"name":"r","type":["null","n.R"]}]}}]}"#,
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"i","type":{"type":"record","name":"I","namespace":"","fields":[{"name":"r","type":["null","n.R"]}]}}]}"#,
        ),
        (
            r#"{"type":"array","items":"string","default":[],"x":"y"}"#,
            r#"{"type":"array","items":"string","default":[],"x":"y"}"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"d","type":"double","default":1.0},{"name":"u","type":"string","default":"\u0001\""},{"name":"o","type":{"type":"map","values":"int"},"default":{"a":2,"b":1},"prop":true}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"d","type":"double","default":1.0},{"name":"u","type":"string","default":"\u0001\""},{"name":"o","type":{"type":"map","values":"int"},"default":{"a":2,"b":1},"prop":true}]}"#,
        ),
        (
            r#"{"type":"error","name":"E","fields":[{"name":"s","type":"string"}]}"#,
            r#"{"type":"error","name":"E","fields":[{"name":"s","type":"string"}]}"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":2,"doc":"x","p":1,"aliases":["n.G"]}},{"name":"b","type":["F","null"]}],"aliases":["n.Q"],"namespace":"n"}"#,
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"fixed","name":"F","doc":"x","size":2,"p":1,"aliases":["G"]}},{"name":"b","type":["F","null"]}],"aliases":["Q"]}"#,
        ),
        ("no JSON", "no JSON"),
    ] {
        assert_eq!(java_text(schema), expected);
        assert_eq!(java_text(expected), expected);
    }
}

#[test]
fn a_schema_in_the_place_of_a_name_is_that_schema() {
    for (schema, expected) in [
        (r#"{"type": {"type": "array", "items": "int"}}"#, r#"{"type":"array","items":"int"}"#),
        (r#"{"type": {"type": {"type": "string"}}, "doc": "d"}"#, r#""string""#),
        (r#"{"type": ["null", {"type": "int"}]}"#, r#"["null","int"]"#),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":["null","R"]}}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","R"]}]}"#,
        ),
    ] {
        assert_eq!(java_text(schema), expected);
        assert_eq!(java_text(expected), expected);
    }
}
