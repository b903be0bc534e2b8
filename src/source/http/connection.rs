//! One connection, from its handshake to its end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::delivery::Shared;
use super::exchange::Exchange;
use super::hold::Hold;
use super::paced::{Paced, Turn, Turns};
use crate::limits::{CONNECTION_LINGER, CONNECTION_LINGER_BYTES, CONNECTION_STOP, HTTP_READ_BYTES};
use crate::source::net::{SecureConnection, TaskConnection, TaskStream};

/// Serves the requests of a connection until it ends.
pub(super) async fn serve(shared: Arc<Shared>, connection: TaskConnection) {
    let Some(SecureConnection { slot, stream, share, peer, signals }) = connection.secure().await else { return };
    let turns = Turns::new();
    let stream = Paced::new(stream, turns.clone(), shared.settings.pace);
    let hold = Arc::new(Hold::new(share));
    let exchange = Exchange::new(Arc::clone(&shared), peer, turns.clone(), hold, signals.clone());
    let mut conversation = server(&shared).serve_connection(TokioIo::new(stream), exchange.clone());
    let mut stopping = pin!(signals.stopping());
    let mut is_told = false;
    let outcome = poll_fn(|cx| {
        if !is_told && stopping.as_mut().poll(cx).is_ready() {
            is_told = true;
            Pin::new(&mut conversation).graceful_shutdown();
        }
        conversation.poll_without_shutdown(cx)
    })
    .await;
    let mut stream = conversation.into_parts().io.into_inner().into_inner();
    let end = End::of(outcome, &turns);
    let in_head = turns.current() == Turn::Head;
    if end == End::TooSlow {
        signals.handle.count_timeout();
        if in_head {
            let limit = shared.settings.pace.answer;
            let _ = timeout(limit, write_all(&mut stream, TOO_SLOW)).await;
        }
    }
    if end == End::Malformed || end == End::TooSlow && in_head {
        shared.context.counters().event_read_fail.fetch_add(1, Ordering::Relaxed);
    }
    let is_sending = exchange.has_unread() || matches!(end, End::Malformed | End::TooSlow);
    if end != End::Broken {
        close(&mut stream, is_sending, signals.is_stopping()).await;
    }
    // Before the socket, so that a peer that sees the end and connects again finds its place free.
    drop(slot);
}

fn server(shared: &Shared) -> http1::Builder {
    let settings = &shared.settings;
    let mut server = http1::Builder::new();
    server
        // A client that has sent all it has to send may still wait for its answer.
        .half_close(true)
        .header_read_timeout(None)
        .max_headers(settings.headers_max)
        .max_header_size(settings.header_bytes_max)
        .max_buf_size(settings.header_bytes_max.max(HTTP_READ_BYTES));
    server
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Good,
    /// The client took too long for something.
    TooSlow,
    /// The client does not speak HTTP as it should; it was told, as far as that was possible.
    Malformed,
    /// The connection is gone.
    Broken,
}

impl End {
    fn of(outcome: hyper::Result<()>, turns: &Turns) -> Self {
        match outcome {
            // For the server of HTTP, silence between requests is as good an end as any.
            _ if turns.is_overdue() => Self::TooSlow,
            Ok(()) => Self::Good,
            Err(error) if error.is_parse() || turns.current() == Turn::Head => Self::Malformed,
            Err(_) => Self::Broken,
        }
    }
}

const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

async fn write_all(stream: &mut TaskStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}

/// Ends the connection so that the last answer reaches a client that is still sending.
///
/// A socket that is closed with unread input makes the kernel send a reset, which may overtake or discard the answer. So
/// the input is read and thrown away for a while, until the client closes, too.
async fn close(stream: &mut TaskStream, is_sending: bool, is_stopping: bool) {
    let limit = if is_stopping { CONNECTION_STOP } else { CONNECTION_LINGER };
    let goodbye = async {
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await?;
        if is_sending {
            let mut rest = CONNECTION_LINGER_BYTES;
            let mut chunk = vec![0; HTTP_READ_BYTES];
            while rest > 0 {
                let mut buffer = ReadBuf::new(&mut chunk);
                poll_fn(|cx: &mut Context<'_>| -> Poll<io::Result<()>> {
                    Pin::new(&mut *stream).poll_read(cx, &mut buffer)
                })
                .await?;
                match buffer.filled().len() {
                    0 => break,
                    read => rest = rest.saturating_sub(read),
                }
            }
        }
        io::Result::Ok(())
    };
    // Whether it went well or not, nothing more can be done.
    let _ = timeout(limit, goodbye).await;
}
