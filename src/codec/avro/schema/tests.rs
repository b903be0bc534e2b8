use super::*;
use crate::codec::avro::data::{put_bytes, put_long};

fn skip(schema: &str, bytes: &[u8]) -> Result<usize, Malformed> {
    let mut reader = Reader::new(bytes);
    Shape::of(schema).unwrap().skip(&mut reader)?;
    Ok(bytes.len() - reader.rest().len())
}

const EVERYTHING: &str = r#"{"type":"record","name":"a.R","fields":[
    {"name":"n","type":"null"},{"name":"b","type":"boolean"},{"name":"i","type":"int"},{"name":"l","type":"long"},
    {"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"y","type":"bytes"},{"name":"s","type":"string"},
    {"name":"x","type":{"type":"fixed","name":"X","size":3}},{"name":"x2","type":"X"},
    {"name":"e","type":{"type":"enum","name":"E","symbols":["P","Q"]}},
    {"name":"u","type":["null","string","R"]},
    {"name":"a","type":{"type":"array","items":"long"}},{"name":"m","type":{"type":"map","values":"E"}},
    {"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"g","type":{"type":"string","logicalType":"uuid"}},
    {"name":"c","type":{"type":"bytes","logicalType":"decimal","precision":4}}]}"#;

/// One of `EVERYTHING`, with another one in it so many times.
fn everything(depth: usize) -> Vec<u8> {
    let mut out = vec![1];
    put_long(&mut out, -1);
    put_long(&mut out, i64::MAX);
    out.extend([0; 12]);
    put_bytes(&mut out, b"bytes");
    put_bytes(&mut out, b"text");
    out.extend(*b"xxxyyy\x02");
    if depth == 0 {
        out.push(0);
    } else {
        put_long(&mut out, 2);
        out.extend(everything(depth - 1));
    }
    // Two blocks, one of them with its length.
    put_long(&mut out, 2);
    out.extend(*b"\x02\x04");
    put_long(&mut out, -1);
    put_long(&mut out, 1);
    out.extend(*b"\x06\x00");
    put_long(&mut out, 1);
    put_bytes(&mut out, b"key");
    out.extend(*b"\x02\x00");
    put_long(&mut out, 5);
    put_bytes(&mut out, b"uuid");
    put_bytes(&mut out, b"12");
    out
}

#[test]
fn a_datum_ends_where_its_schema_says() {
    for depth in [0, 1, 5] {
        let datum = everything(depth);
        assert_eq!(skip(EVERYTHING, &[&datum[..], b"rest"].concat()), Ok(datum.len()), "depth {depth}");
        for cut in 0..datum.len() {
            assert!(skip(EVERYTHING, &datum[..cut]).is_err(), "{cut} of {} bytes", datum.len());
        }
    }
    assert_eq!(skip("\"null\"", b"x"), Ok(0));
}

#[test]
fn no_datum_is_deeper_or_longer_than_it_may_be() {
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    assert_eq!(skip(list, b"\x02\x02\x00"), Ok(3));
    assert_eq!(skip(list, &vec![2; 100_000]), Err(Malformed::Range("the depth of a datum")));
    let mut nulls = Vec::new();
    put_long(&mut nulls, i64::MAX);
    let many = Malformed::Range("the number of empty items of a datum");
    assert_eq!(skip(r#"{"type":"array","items":"null"}"#, &nulls), Err(many));
    let symbols = r#"{"type":"enum","name":"E","symbols":["P"]}"#;
    assert_eq!(skip(symbols, b"\x02"), Err(Malformed::Range("a symbol of a datum")));
    assert_eq!(skip(r#"["null","long"]"#, b"\x04"), Err(Malformed::Range("a branch of a datum")));
    assert_eq!(skip(r#"["null","long"]"#, b"\x01"), Err(Malformed::Range("a branch of a datum")));
    assert!(matches!(Shape::of("{"), Err(ShapeError::Invalid(_))));
}

#[test]
fn parts_without_bytes_cost_no_time() {
    // Each record is twice the one before: a tree of 2^60 leaves without a byte, in a datum without one.
    let nothing = r#"{"type":"record","name":"A0","fields":[{"name":"n","type":"null"}]}"#.to_owned();
    let records = (1..60).map(|k| {
        let half = k - 1;
        format!(
            r#"{{"type":"record","name":"A{k}","fields":[{{"name":"x","type":"A{half}"}},{{"name":"y","type":"A{half}"}}]}}"#
        )
    });
    let fields = std::iter::once(nothing).chain(records).enumerate();
    let fields: Vec<String> = fields.map(|(k, record)| format!(r#"{{"name":"f{k}","type":{record}}}"#)).collect();
    let doubled = format!(r#"{{"type":"record","name":"All","fields":[{}]}}"#, fields.join(","));
    assert_eq!(skip(&doubled, b"rest"), Ok(0));
    let with_a_byte = format!(
        r#"{{"type":"record","name":"B","fields":[{{"name":"e","type":{doubled}}},{{"name":"b","type":"boolean"}},{{"name":"f","type":"A9"}}]}}"#
    );
    assert_eq!(skip(&with_a_byte, b"\x01rest"), Ok(1));
    let array = format!(r#"{{"type":"array","items":{doubled}}}"#);
    assert_eq!(skip(&array, b"\x04\x00"), Ok(2));
    let whole = r#"{"type":"record","name":"L","fields":[{"name":"a","type":"L"},{"name":"b","type":"L"}]}"#;
    assert_eq!(skip(whole, b""), Err(Malformed::Range("the depth of a datum")));
}

#[test]
fn the_fingerprint_is_javas() {
    // From the table of the specification, in the order of the bytes.
    assert_eq!(Shape::of("\"null\"").unwrap().fingerprint(), "8a8f25cce724dd63");
    assert_eq!(Shape::of(r#"{"type":"null"}"#).unwrap().fingerprint(), "8a8f25cce724dd63");
}

/// Goal: Flume's header for schemas of which only the data count. Method: what `apache-avro` gets right is the same in our form, and
/// what it does not is as without it.
#[test]
fn the_fingerprint_leaves_out_what_does_not_change_the_data() {
    let record =
        |field: &str| format!(r#"{{"type":"record","name":"R","namespace":"x.y","fields":[{{"name":"a",{field}}}]}}"#);
    let fingerprint = |schema: &str| Shape::of(schema).unwrap().fingerprint().to_owned();
    let same = [
        (r#""type":{"type":"long","logicalType":"timestamp-millis"}"#, r#""type":"long""#),
        (r#""type":{"type":"int","logicalType":"date"}"#, r#""type":"int""#),
        (r#""type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#, r#""type":"bytes""#),
        (r#""type":{"type":"string","logicalType":"uuid"}"#, r#""type":"string""#),
        (r#""type":"long","order":"ignore","default":1,"doc":"d""#, r#""type":"long""#),
        (
            r#""type":{"type":"fixed","name":"D","size":4,"logicalType":"decimal","precision":5}"#,
            r#""type":{"type":"fixed","name":"D","size":4}"#,
        ),
        (r#""type":["null",{"type":"long","logicalType":"local-timestamp-micros"}]"#, r#""type":["null","long"]"#),
    ];
    for (with, without) in same {
        assert_eq!(fingerprint(&record(with)), fingerprint(&record(without)), "{with}");
    }
    let plain =
        record(r#""type":["null","R",{"type":"enum","name":"E","symbols":["P","Q"]},{"type":"map","values":"int"}]"#);
    let nested =
        r#""type":{"type":"record","name":"I","fields":[{"name":"i","type":{"type":"array","items":"x.y.R"}}]}"#;
    for schema in [plain, record(nested)] {
        let parsed = Schema::parse_str(&schema).unwrap();
        assert_eq!(canonical(&parsed), parsed.canonical_form());
    }
    // A name without a namespace stays one within a namespace.
    let alone = record(r#""type":{"type":"fixed","name":"X","namespace":"","size":4}"#);
    let expected =
        r#"{"name":"x.y.R","type":"record","fields":[{"name":"a","type":{"name":"X","type":"fixed","size":4}}]}"#;
    assert_eq!(canonical(&Schema::parse_str(&alone).unwrap()), expected);
    assert_eq!(fingerprint(&alone), super::fingerprint(expected));
    let seen = r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;
    assert_eq!(fingerprint(seen), "9a89b5f44e448d92", "as Flume has it");
}

#[test]
fn an_error_is_a_record() {
    let error = r#"{"type":"record","name":"R","fields":[{"name":"e","type":["null",
        {"type":"error","name":"E","fields":[{"name":"s","type":"string"}]}]}]}"#;
    assert_eq!(skip(error, b"\x02\x04xyz"), Ok(4));
    let record = error.replace("error", "record");
    assert_eq!(Shape::of(error).unwrap().fingerprint(), Shape::of(&record).unwrap().fingerprint());
    assert!(Shape::of(r#"{"type":"error"}"#).is_err());
}
