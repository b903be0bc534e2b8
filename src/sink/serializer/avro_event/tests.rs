use std::collections::BTreeMap;

use apache_avro::Reader;
use apache_avro::types::Value;

use super::*;

const ALL: [AvroCompression; 4] =
    [AvroCompression::Null, AvroCompression::Deflate, AvroCompression::Snappy, AvroCompression::Bzip2];

fn events(from: usize, count: usize) -> Vec<Event> {
    let event = |number: usize| {
        let event = Event::new(format!("body {number} {}", "x".repeat(number % 50)));
        let event = event.with_header("number", &number.to_string()).unwrap();
        if number.is_multiple_of(3) { event.with_header("empty", "").unwrap() } else { event }
    };
    (from..from + count).map(event).collect()
}

fn write(serializer: &mut AvroEvent, events: &[Event], out: &mut Vec<u8>) {
    events.iter().for_each(|event| serializer.event(event, out).unwrap());
    serializer.flush_block(out).unwrap();
}

/// What another implementation of Avro reads.
fn read(file: &[u8]) -> Vec<Event> {
    let reader = Reader::new(file).unwrap();
    let event = |value: Value| {
        let Value::Record(fields) = value else { panic!("no record: {value:?}") };
        let [(_, Value::Map(headers)), (_, Value::Bytes(body))] = &fields[..] else { panic!("{fields:?}") };
        let headers: BTreeMap<_, _> = headers.iter().collect();
        headers.into_iter().rev().fold(Event::new(body.clone()), |event, (name, value)| {
            let Value::String(value) = value else { panic!("{value:?}") };
            event.with_header(name, value).unwrap()
        })
    };
    reader.map(|value| event(value.unwrap())).collect()
}

#[test]
fn a_file_is_one_of_flume_and_is_read_by_another_implementation() {
    for compression in ALL {
        for interval in [32, 500, 2_048_000] {
            let mut serializer = AvroEvent::new().compression(compression).sync_interval_bytes(interval);
            let mut file = Vec::new();
            serializer.begin(&mut file).unwrap();
            if compression == AvroCompression::Null {
                assert_eq!(file.len(), 185, "as Flume's");
            }
            assert!(read(&file).is_empty());
            write(&mut serializer, &events(0, 100), &mut file);
            assert_eq!(read(&file), events(0, 100), "{compression:?}, a reader while it is written");
            write(&mut serializer, &events(100, 1), &mut file);
            serializer.end(&mut file).unwrap();
            assert_eq!(read(&file), events(0, 101), "{compression:?}, blocks of {interval}");
        }
    }
}

#[test]
fn a_file_that_is_cut_to_a_batch_is_gone_on_with() {
    for compression in ALL {
        let make = || AvroEvent::new().compression(compression).sync_interval_bytes(300);
        let mut file = Vec::new();
        let mut serializer = make();
        serializer.begin(&mut file).unwrap();
        write(&mut serializer, &events(0, 20), &mut file);
        let committed = file.len();
        // A life ends in the middle of a batch.
        events(500, 15).iter().for_each(|event| serializer.event(event, &mut file).unwrap());
        for mut serializer in [serializer, make()] {
            file.truncate(committed);
            assert!(serializer.resume(&file).unwrap());
            write(&mut serializer, &events(20, 20), &mut file);
            assert_eq!(read(&file), events(0, 40));
        }
    }
}

#[test]
fn files_of_other_formats_and_settings_are_not_gone_on_with() {
    let mut file = Vec::new();
    AvroEvent::new().begin(&mut file).unwrap();
    assert!(AvroEvent::new().resume(&file).unwrap());
    assert!(!AvroEvent::new().compression(AvroCompression::Snappy).resume(&file).unwrap());
    assert!(!AvroEvent::new().resume(b"a line of text\n").unwrap());
    assert!(!AvroEvent::new().resume(&file[..100]).unwrap());
    let mut other = Vec::new();
    put_header(&mut other, "\"bytes\"", Codec::Null, &[0; 16]);
    assert!(!AvroEvent::new().resume(&other).unwrap());
}
