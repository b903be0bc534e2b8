//! For `testing::fuzz`: the texts that are made of a schema.

use apache_avro::Schema;

use super::canonical::canonical;
use super::java_text::java_text;
use super::schema::{Shape, parse};

/// What Java would write of a schema is the same schema, and written the same again; so is the canonical form.
pub(crate) fn schema_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let written = java_text(text);
    let Ok(schema) = parse(text) else { return };
    assert_eq!(java_text(&written), written, "the text of the text");
    let form = canonical(&schema);
    let again = parse(&written).map(|schema| canonical(&schema)).map_err(|error| error.to_string());
    assert_eq!(again.as_ref(), Ok(&form), "{text} as {written}");
    let of_form = Schema::parse_str(&form).map(|schema| canonical(&schema)).map_err(|error| error.to_string());
    assert_eq!(of_form.as_ref(), Ok(&form), "the form of the form of {text}");
    let prints = [text, &written, &form].map(|text| Shape::of(text).map(|shape| shape.fingerprint().to_owned()));
    let [first, second, third] = prints;
    assert!(first == second && second == third, "{first:?}, {second:?}, {third:?}");
}

pub(crate) fn schema_text_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"fields":[{"type":{"type":"string","avro.java.string":"String"},"name":"a","default":"x","doc":"d"}],"name":"a.b.R","type":"record","doc":"the doc","aliases":["Q"],"aa":{"b":[1,2.0]},"zz":1}"#,
        r#"{"type":"record","name":"R","namespace":"x.y","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}},{"name":"e2","type":"x.y.E"},{"name":"f","type":{"type":"fixed","name":"z.F","size":4}},{"name":"f2","type":"z.F","order":"descending"},{"name":"s","type":["null","R"],"default":null}]}"#,
        r#"["null",{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},{"type":"map","values":{"type":"array","items":{"type":"long","logicalType":"timestamp-millis"}}}]"#,
        r#"{"type":"error","name":"E","namespace":"","fields":[{"name":"s","type":{"type":["null","E"]}}]}"#,
        r#"{"type":{"type":"fixed","name":"D","size":12,"logicalType":"duration","p":1}}"#,
        r#""long""#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}
