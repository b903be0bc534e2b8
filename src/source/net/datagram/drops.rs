//! Datagrams that the kernel received and could not keep.

use std::net::UdpSocket;
use std::path::Path;

use crate::limits::DATAGRAM_TABLE_BYTES_MAX;
use crate::vfs::{OpenMode, OsVfs, Vfs};

/// The drops of one socket, as the kernel's table of sockets tells them.
///
/// The kernel would also tell with each datagram (`SO_RXQ_OVFL`), but to read that takes calls that are not safe.
#[derive(Debug)]
pub(super) struct Drops {
    inode: Option<u64>,
    table: &'static str,
    seen: u32,
}

impl Drops {
    pub(super) fn of(socket: &UdpSocket) -> Self {
        let is_v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
        let inode = rustix::fs::fstat(socket).ok().map(|stat| stat.st_ino);
        Self { inode, table: if is_v6 { "/proc/net/udp6" } else { "/proc/net/udp" }, seen: 0 }
    }

    /// Datagrams that were dropped since this was asked last; `None` if the table is not there or does not tell.
    pub(super) fn look(&mut self) -> Option<u64> {
        let now = find(&read(Path::new(self.table))?, self.inode?)?;
        // The kernel's counter has 32 bits.
        let more = now.wrapping_sub(self.seen);
        self.seen = now;
        Some(u64::from(more))
    }
}

fn read(table: &Path) -> Option<Vec<u8>> {
    let file = OsVfs.open(table, OpenMode::Read).ok()?;
    let mut text = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read_at(&mut chunk, text.len() as u64).ok()?;
        text.extend_from_slice(chunk.get(..read)?);
        if read == 0 || text.len() >= DATAGRAM_TABLE_BYTES_MAX {
            return Some(text);
        }
    }
}

/// The last column of the line of a socket: its drops.
fn find(table: &[u8], inode: u64) -> Option<u32> {
    let table = String::from_utf8_lossy(table);
    let columns = |line: &str| {
        let mut columns = line.split_ascii_whitespace();
        let found: u64 = columns.nth(INODE_COLUMN)?.parse().ok()?;
        (found == inode).then(|| columns.last()?.parse().ok()).flatten()
    };
    table.lines().skip(1).find_map(columns)
}

const CHUNK_BYTES: usize = 16 << 10;
const INODE_COLUMN: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_socket_tells() {
        let table = b"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            10: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12345 2 0000000000000000 7\n\
            11: 0100007F:1F91 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1234 2 0000000000000000 4294967295\n\
            12: cut off 0 0 0 0 0";
        assert_eq!(find(table, 12_345), Some(7));
        assert_eq!(find(table, 1234), Some(u32::MAX));
        assert_eq!(find(table, 1), None);
        assert_eq!(find(b"", 1), None);
        assert_eq!(find(&[0xff; 100], 1), None);
    }

    #[test]
    fn a_socket_that_nobody_reads_drops_and_is_seen_to() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut drops = Drops::of(&socket);
        if drops.look().is_none() {
            println!("{} does not tell", drops.table);
            return;
        }
        for _ in 0..100 {
            sender.send_to(&[0; 1000], socket.local_addr().unwrap()).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 2000];
        let received = std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count() as u64;
        assert!(received < 100);
        assert_eq!(drops.look(), Some(100 - received));
        assert_eq!(drops.look(), Some(0));
    }
}
