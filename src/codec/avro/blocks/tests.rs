use super::*;
use crate::codec::avro::container::{codec, put_block, put_header, read_header};
use crate::codec::avro::data::{put_bytes, put_long};

const MARK: [u8; 16] = *b"0123456789abcdef";
const SCHEMA: &str =
    r#"{"type":"record","name":"R","fields":[{"name":"n","type":"long"},{"name":"s","type":"string"}]}"#;

fn datum(number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_long(&mut out, number);
    put_bytes(&mut out, "x".repeat(usize::try_from(number).unwrap() % 7).as_bytes());
    out
}

fn file(codec_name: &str, blocks: &[&[i64]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_header(&mut out, SCHEMA, codec(codec_name).unwrap(), &MARK);
    for block in blocks {
        let mut data: Vec<u8> = block.iter().flat_map(|number| datum(*number)).collect();
        codec(codec_name).unwrap().compress(&mut data).unwrap();
        put_block(&mut out, i64::try_from(block.len()).unwrap(), &data, &MARK);
    }
    out
}

fn opened(file: &[u8], offset: u64, within: u64) -> Blocks {
    Blocks::new(read_header(file).unwrap().unwrap(), offset, within).unwrap()
}

fn all(file: &[u8], piece: usize) -> Result<Vec<Bytes>, BlockError> {
    let mut blocks = opened(file, 0, 0);
    let mut data = Vec::new();
    for piece in file[blocks.header.len..].chunks(piece) {
        blocks.push(piece);
        while let Some(datum) = blocks.next_datum()? {
            data.push(datum);
        }
    }
    blocks.end()?;
    Ok(data)
}

const BLOCKS: [&[i64]; 5] = [&[1, 2, 3], &[4], &[], &[5, 6, 7, 8, 9], &[10]];

#[test]
fn data_come_out_byte_for_byte_whatever_the_codec_and_the_pieces() {
    let expected: Vec<_> = (1..=10).map(datum).collect();
    for name in ["null", "deflate", "snappy", "bzip2"] {
        let file = file(name, &BLOCKS);
        for piece in [1, 7, file.len()] {
            assert_eq!(all(&file, piece).unwrap(), expected, "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn reading_goes_on_behind_any_datum() {
    let file = file("deflate", &BLOCKS);
    let (mut offset, mut within) = (0, 0);
    let mut data = Vec::new();
    loop {
        let mut blocks = opened(&file, offset, within);
        let from = usize::try_from(blocks.start).unwrap();
        blocks.push(&file[from..]);
        let Some(datum) = blocks.next_datum().unwrap() else { break };
        data.push(datum);
        (offset, within) = (blocks.offset(), blocks.within());
    }
    assert_eq!(data, (1..=10).map(datum).collect::<Vec<_>>());
}

#[test]
fn damage_is_told_and_what_is_before_it_comes_out() {
    let good = file("null", &BLOCKS);
    let start = read_header(&good).unwrap().unwrap().len;
    for cut in start..good.len() {
        // Between two blocks it is a shorter file.
        match all(&good[..cut], 5) {
            Ok(data) => assert!([0, 3, 4, 9].contains(&data.len()), "{} data of {cut} bytes", data.len()),
            Err(error) => assert_eq!(error, BlockError::Unfinished, "{cut} bytes"),
        }
    }
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bad = good.clone();
        change(&mut bad);
        all(&bad, 1000).unwrap_err()
    };
    assert_eq!(with(&|bad| *bad.last_mut().unwrap() ^= 1), BlockError::Mark);
    assert_eq!(with(&|bad| bad[start] = 4), BlockError::Malformed(Malformed::Rest(datum(3).len())));
    assert_eq!(with(&|bad| bad[start] = 1), BlockError::Malformed(Malformed::Range("the number of its data")));
    let bytes = |bad: &mut Vec<u8>| drop(bad.splice(start + 1..start + 2, [0xff, 0xff, 0xff, 0xff, 0x7f]));
    assert_eq!(with(&bytes), BlockError::Malformed(Malformed::Range("its length")));
    let mut packed = file("snappy", &BLOCKS);
    let end = packed.len();
    packed[end - 20] ^= 0xff;
    assert!(matches!(all(&packed, 1000), Err(BlockError::Packed(_))));
}
