use super::*;
use crate::testing::Random;

/// A pipe that takes and gives a few bytes a time, and nothing at every other call.
#[derive(Default)]
struct Narrow {
    bytes: std::collections::VecDeque<u8>,
    refuse: bool,
}

impl Narrow {
    fn block(&mut self) -> io::Result<()> {
        self.refuse = !self.refuse;
        if self.refuse { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block()?;
        let taken = bytes.len().min(7);
        self.bytes.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Narrow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.block()?;
        let count = buffer.len().min(5).min(self.bytes.len());
        for (slot, byte) in buffer.iter_mut().zip(self.bytes.drain(..count)) {
            *slot = byte;
        }
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }
}

fn insist<T>(mut call: impl FnMut() -> io::Result<T>) -> T {
    for _ in 0..1_000_000 {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            outcome => return outcome.unwrap(),
        }
    }
    panic!("no progress");
}

#[test]
fn what_is_flushed_arrives_whatever_the_layer_below_takes_at_once() {
    let seed = Random::seed();
    println!("AQUEDUCT_SEED={seed}");
    let mut random = Random::new(seed);
    for level in [0, 1, 6, 9] {
        let (mut from, mut to) = (Deflate::new(level), Deflate::new(level));
        let mut wire = Narrow::default();
        for size in [0_usize, 1, 100, 5000, 200_000] {
            let sent: Vec<u8> = (0..size).map(|_| random.next_u64().to_le_bytes()[0] % 7).collect();
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let written = insist(|| from.write(&mut wire, rest));
                rest = &rest[written..];
            }
            insist(|| from.flush(&mut wire));
            let mut received = vec![0; size];
            let mut at = 0;
            while at < size {
                at += insist(|| to.read(&mut wire, &mut received[at..]));
            }
            assert!(received == sent, "level {level}, {size} bytes");
            let more = to.read(&mut wire, &mut [0; 10]);
            assert_eq!(more.unwrap_err().kind(), ErrorKind::WouldBlock, "nothing but what was sent");
        }
    }
}

#[test]
fn the_stream_looks_as_flume_makes_it() {
    let mut sender = Deflate::new(6);
    let mut wire = Vec::new();
    sender.write(&mut wire, b"hello").unwrap();
    sender.flush(&mut wire).unwrap();
    assert!(wire.starts_with(&[0x78, 0x9c]) && wire.ends_with(&[0, 0, 0xff, 0xff]), "{wire:02x?}");
    let before = wire.len();
    sender.flush(&mut wire).unwrap();
    assert_eq!(wire.len(), before, "nothing to flush");
}

#[test]
fn what_is_not_compressed_is_an_error_that_says_what_to_look_at() {
    let error = Deflate::new(6).read(&mut &b"\0\0\0\x01\0\0\0\x02"[..], &mut [0; 10]).unwrap_err();
    assert!(error.to_string().contains("is compression set on both sides?"), "{error}");
    assert_eq!(Deflate::new(6).read(&mut &b""[..], &mut [0; 10]).unwrap(), 0, "the end");
}
