//! Events that are not lines.

use super::power::{Sample, no_power_cut_and_no_fault_harms};
use super::*;

fn multi_line() -> Deserializer {
    Deserializer::MultiLine(MultiLine::continues(r"^\s").unwrap().lines_max(4).bytes_max(64))
}

/// Opens the source anew for each poll, of which every other one is lost, until there is nothing more.
fn run_with_restarts(bench: &mut Bench, make: &dyn Fn(&Bench) -> SpoolDir) {
    for round in 0..10_000 {
        bench.batch = round / 2 % 3 + 1;
        let mut source = bench.opened(make(bench));
        let mut out = PullBatch::new(bench.batch);
        let pulled = source.poll(&mut out).unwrap();
        if out.is_empty() && pulled == Pulled::Idle {
            return;
        }
        if round % 2 == 1 {
            bench.context().put_batch(out.into_put_batch(), None).unwrap();
        }
    }
    panic!("the source does not come to an end");
}

fn bodies_of(bench: &Bench) -> Vec<Vec<u8>> {
    bench.events().iter().map(|event| event.body().to_vec()).collect()
}

#[test]
fn lines_that_belong_together_are_one_event() {
    for read_bytes in [1, 5, 1 << 16] {
        let mut bench = Bench::new();
        bench.write("a", "one\n at x\n at y\r\ntwo\n\nthree\n 1\n 2\n 3\n 4\n 5", 3);
        bench.write("b", "", 2);
        bench.write("c", " first\nlast\n", 1);
        let source = |bench: &Bench| bench.source().deserializer(multi_line()).read_bytes(read_bytes);
        run_with_restarts(&mut bench, &source);
        let expected = ["one\n at x\n at y\r", "two", "", "three\n 1\n 2\n 3", " 4\n 5", "", " first", "last"];
        assert_eq!(bench.bodies(), expected, "pieces of {read_bytes}");
        assert_eq!((bench.reports(), bench.names().len()), (Vec::new(), 3));
        assert!(bench.names().iter().all(|name| name.ends_with(".COMPLETED")));
    }
}

#[test]
fn a_file_that_is_one_event_is_as_it_was_and_cut_where_it_is_too_long() {
    for read_bytes in [1, 4, 1 << 16] {
        let mut bench = Bench::new();
        bench.write("a", b"\xff\n\0\r\n", 5);
        bench.write("b", "", 4);
        bench.write("c", "0123456789", 3);
        bench.write("d", "0123456789a", 2);
        bench.write("e", "0123456789abcdefghijxy", 1);
        let source = |bench: &Bench| {
            let blob = Deserializer::Blob { bytes_max: 10 };
            bench.source().encoding("UTF-16").deserializer(blob).basename_header("name").read_bytes(read_bytes)
        };
        run_with_restarts(&mut bench, &source);
        let expected: [&[u8]; 8] =
            [b"\xff\n\0\r\n", b"", b"0123456789", b"0123456789", b"a", b"0123456789", b"abcdefghij", b"xy"];
        assert_eq!(bodies_of(&bench), expected, "pieces of {read_bytes}");
        let names: Vec<_> =
            bench.events().iter().map(|event| event.headers().get("name").unwrap().to_owned()).collect();
        assert_eq!(names.concat(), "abcddeee");
        assert_eq!(bench.reports(), [""; 0]);
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let blob = |bytes_max| SpoolDir::new("in").deserializer(Deserializer::Blob { bytes_max }).check();
    assert_eq!(blob(0).unwrap_err().setting, "deserializer bytes_max");
    assert!(blob(1).is_ok() && blob(usize::MAX).is_err());
    let lines = MultiLine::begins("x").unwrap().bytes_max(usize::MAX);
    assert!(SpoolDir::new("in").deserializer(Deserializer::MultiLine(lines)).check().is_err());
}

#[test]
fn no_crash_loses_or_repeats_joined_lines() {
    let files = vec![
        ("a", b"1\n a\n b\n2\n c".to_vec()),
        ("b", Vec::new()),
        ("d/c", b" d\n3\n".to_vec()),
        ("e", b"4\n a\n b\n c\n d\n e\n".to_vec()),
    ];
    let bodies = ["", " d", " d\n e", "1\n a\n b", "2\n c", "3", "4\n a\n b\n c"].map(|body| body.as_bytes().to_vec());
    no_power_cut_and_no_fault_harms(Sample { files, deserializer: multi_line(), bodies: bodies.to_vec() });
}

#[test]
fn no_crash_loses_or_repeats_a_file_that_is_one_event() {
    let files = vec![("a", b"0123456789".to_vec()), ("b", Vec::new()), ("d/c", b"abcdefghij\nkl".to_vec())];
    let bodies = ["", "0123456789", "\nkl", "abcdefghij"].map(|body| body.as_bytes().to_vec());
    let mut bodies = bodies.to_vec();
    bodies.sort();
    no_power_cut_and_no_fault_harms(Sample { files, deserializer: Deserializer::Blob { bytes_max: 10 }, bodies });
}

#[cfg(feature = "avro")]
mod avro {
    use super::*;
    use crate::codec::avro::container::{codec, put_block, put_header};
    use crate::codec::avro::data::put_bytes;
    use crate::source::spool_dir::AvroSchema;

    const MARK: [u8; 16] = *b"0123456789abcdef";

    /// A container file of strings, with these blocks; and their data.
    fn container(codec_name: &str, blocks: &[&[&str]]) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut file = Vec::new();
        let mut data = Vec::new();
        put_header(&mut file, "\"string\"", codec(codec_name).unwrap(), &MARK);
        for block in blocks {
            let mut packed = Vec::new();
            for text in *block {
                let mut datum = Vec::new();
                put_bytes(&mut datum, text.as_bytes());
                packed.extend_from_slice(&datum);
                data.push(datum);
            }
            codec(codec_name).unwrap().compress(&mut packed).unwrap();
            put_block(&mut file, i64::try_from(block.len()).unwrap(), &packed, &MARK);
        }
        (file, data)
    }

    const BLOCKS: [&[&str]; 4] = [&["1", "2", "3", "4", "5"], &[], &["6"], &["7", "", "9\n"]];

    #[test]
    fn each_datum_is_an_event_with_its_schema() {
        for (name, read_bytes, schema) in
            [("null", 1, AvroSchema::Hash), ("deflate", 7, AvroSchema::Literal), ("snappy", 1 << 16, AvroSchema::Hash)]
        {
            let mut bench = Bench::new();
            let (file, mut expected) = container(name, &BLOCKS);
            let (empty, none) = container(name, &[]);
            let (other, more) = container("bzip2", &[&["x"], &["y", "z"]]);
            bench.write("a", &file, 3);
            bench.write("b", &empty, 2);
            bench.write("c", &other, 1);
            expected.extend(none.into_iter().chain(more));
            let source = |bench: &Bench| {
                let source = bench.source().deserializer(Deserializer::Avro(schema)).read_bytes(read_bytes);
                source.encoding("UTF-16").basename_header("name")
            };
            run_with_restarts(&mut bench, &source);
            assert_eq!(bodies_of(&bench), expected, "{name} in pieces of {read_bytes}");
            let expected = match schema {
                AvroSchema::Hash => ("flume.avro.schema.hash", "c70345637248018f"),
                AvroSchema::Literal => ("flume.avro.schema.literal", "\"string\""),
            };
            for event in bench.events() {
                assert_eq!(event.headers().get(expected.0), Some(expected.1));
                assert_eq!(event.headers().len(), 2);
            }
            assert_eq!((bench.reports(), bench.names().len()), (Vec::new(), 3));
            assert!(bench.names().iter().all(|name| name.ends_with(".COMPLETED")));
        }
    }

    #[test]
    fn a_header_longer_than_what_is_read_at_once_is_read_all_the_same() {
        let bench = Bench::new();
        let fields: Vec<_> = (0..2000).map(|field| format!("{{\"name\":\"f{field}\",\"type\":\"null\"}}")).collect();
        let schema = format!("{{\"type\":\"record\",\"name\":\"R\",\"fields\":[{}]}}", fields.join(","));
        let mut file = Vec::new();
        put_header(&mut file, &schema, codec("null").unwrap(), &MARK);
        put_block(&mut file, 2, b"", &MARK);
        bench.write("a", &file, 1);
        bench.run(bench.source().deserializer(Deserializer::Avro(AvroSchema::Literal)).read_bytes(10));
        assert_eq!(bodies_of(&bench), [b"", b""]);
        assert_eq!(bench.events()[1].headers().get("flume.avro.schema.literal"), Some(schema.as_str()));
    }

    /// Goal: what is no container, or ends too early, is told and left alone, and read on once it is mended. Method: files of
    /// each kind beside a good one; the one that was cut in its third block then gets its end.
    #[test]
    fn what_is_no_container_is_left_alone_until_it_changes() {
        let bench = Bench::new();
        let (good, data) = container("deflate", &BLOCKS);
        bench.write("bad", "no container", 5);
        bench.write("empty", "", 4);
        bench.write("header", &good[..20], 3);
        bench.write("half", &good[..good.len() - 5], 2);
        bench.write("good", &good, 1);
        let avro = || bench.source().deserializer(Deserializer::Avro(AvroSchema::Hash));
        let mut source = bench.ran(avro());
        assert_eq!(bodies_of(&bench), [&data[..6], &data[..]].concat());
        let reports = bench.reports();
        assert_eq!(reports.len(), 4, "{reports:#?}");
        for (report, part) in
            reports.iter().zip(["does not begin", "within its header", "within its header", "within a block"])
        {
            assert!(report.contains(part) && report.contains("left alone"), "{report}");
        }
        assert_eq!(bench.drain(&mut source), Pulled::Idle);
        assert_eq!((bench.events().len(), bench.reports()), (15, Vec::new()));

        bench.write("half", &good, 0);
        let mut source = bench.ran(avro());
        bench.settle();
        bench.drain(&mut source);
        let reports = bench.reports();
        assert!(!reports.iter().any(|report| report.contains("half")), "{reports:#?}");
        assert_eq!(bodies_of(&bench)[15..], data[6..]);
        let names = bench.names();
        assert_eq!(names, ["bad", "empty", "good.COMPLETED", "half.COMPLETED", "header"]);
    }

    #[test]
    fn no_crash_loses_or_repeats_a_datum() {
        let (a, mut bodies) = container("null", &BLOCKS);
        let (b, more) = container("deflate", &[&["a", "b"], &["c"]]);
        bodies.extend(more);
        bodies.sort();
        let files = vec![("a", a), ("d/b", b), ("e", container("null", &[]).0)];
        no_power_cut_and_no_fault_harms(Sample { files, deserializer: Deserializer::Avro(AvroSchema::Hash), bodies });
    }
}
