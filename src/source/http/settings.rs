//! What a source is configured to do.

use std::time::Duration;

use super::Ack;
use super::paced::Pace;
use crate::limits;

/// What all connections need to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) ack: Ack,
    pub(super) get: bool,
    pub(super) gzip: bool,
    pub(super) body_bytes_max: usize,
    pub(super) header_bytes_max: usize,
    pub(super) headers_max: usize,
    pub(super) batch_events_max: usize,
    pub(super) pace: Pace,
    pub(super) body_timeout: Duration,
    pub(super) silence_timeout: Duration,
    pub(super) full_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) workers: usize,
}

impl Settings {
    /// Settings with the defaults of [`limits`].
    pub(super) fn new() -> Self {
        Self {
            ack: Ack::default(),
            get: false,
            gzip: false,
            body_bytes_max: limits::HTTP_BODY_BYTES_MAX,
            header_bytes_max: limits::HTTP_HEADER_BYTES_MAX,
            headers_max: limits::HTTP_HEADERS_MAX,
            batch_events_max: limits::TRANSACTION_EVENTS_MAX,
            pace: Pace {
                first_byte: limits::CONNECTION_FIRST_BYTE,
                idle: limits::CONNECTION_IDLE,
                head: limits::HTTP_HEADER,
                answer: limits::CONNECTION_ANSWER,
            },
            body_timeout: limits::CONNECTION_FRAME,
            silence_timeout: limits::CONNECTION_SILENCE,
            full_timeout: limits::PUT_WAIT,
            stop_timeout: limits::HTTP_STOP,
            workers: limits::HTTP_WORKERS,
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (name, value, min) in [
            ("body_bytes_max", self.body_bytes_max, 1),
            ("header_bytes_max", self.header_bytes_max, limits::HTTP_HEADER_BYTES_MIN),
            ("headers_max", self.headers_max, 1),
            ("batch_events_max", self.batch_events_max, 1),
            ("workers", self.workers, 1),
        ] {
            if value < min {
                return Err(format!("{name} is {value}; it must be at least {min}"));
            }
        }
        if self.headers_max > limits::HTTP_HEADERS_CEILING {
            let (value, max) = (self.headers_max, limits::HTTP_HEADERS_CEILING);
            return Err(format!("headers_max is {value}; it must be at most {max}"));
        }
        for (name, timeout) in [
            ("first_byte_timeout", self.pace.first_byte),
            ("idle_timeout", self.pace.idle),
            ("header_timeout", self.pace.head),
            ("answer_timeout", self.pace.answer),
            ("body_timeout", self.body_timeout),
            ("silence_timeout", self.silence_timeout),
        ] {
            if timeout.is_zero() {
                return Err(format!("{name} is zero, so that every client would be closed at once; it must be longer"));
            }
        }
        Ok(())
    }

    /// What a source may hold besides what each connection may hold anyway, and what of it one request at a time can have.
    pub(super) fn shared_bytes(
        &self,
        bytes_in_flight_max: usize,
        connections_max: usize,
    ) -> Result<(usize, usize), String> {
        let bases = connections_max.saturating_mul(limits::HTTP_CONNECTION_BYTES);
        let needed = self.body_bytes_max.saturating_mul(2);
        match bytes_in_flight_max.checked_sub(bases) {
            // Events may take more than the body.
            Some(shared) if shared >= needed => Ok((shared, needed.max(shared / 2))),
            _ => Err(format!(
                "{connections_max} connections that hold up to {} bytes each, and one body of the largest size with its \
                 events, need {} bytes, but bytes_in_flight_max is {bytes_in_flight_max}; raise it to that, or lower \
                 connections_max or body_bytes_max",
                limits::HTTP_CONNECTION_BYTES,
                bases.saturating_add(needed)
            )),
        }
    }
}
