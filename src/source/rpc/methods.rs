//! The settings that the sources of Flume's RPC share, whatever the encoding.

/// Methods of a source with the fields `settings`, `listener` and `handle`. They are part of each source, so that they
/// return it and stand in its documentation.
macro_rules! rpc_settings {
    () => {
        /// The address and the counters of the listener, while the source runs elsewhere.
        #[must_use]
        pub fn handle(&self) -> $crate::source::net::ListenerHandle {
            self.handle.clone()
        }

        /// When clients are answered. Default: [`RpcAck::AfterCommit`](crate::source::RpcAck::AfterCommit).
        #[must_use]
        pub fn ack(mut self, ack: $crate::source::RpcAck) -> Self {
            self.settings.ack = ack;
            self
        }

        /// Serves only clients that these rules let in. Default: all.
        #[must_use]
        pub fn ip_filter(mut self, filter: $crate::source::net::IpFilter) -> Self {
            self.listener.filter = Some(filter);
            self
        }

        /// Bytes of one request, at most, as received, and of its events in memory. A connection that sends more is closed,
        /// over Avro RPC with an answer that names the limit.
        /// Default: [`RPC_FRAME_BYTES_MAX`](crate::limits::RPC_FRAME_BYTES_MAX).
        #[must_use]
        pub fn frame_bytes_max(mut self, bytes: usize) -> Self {
            self.settings.frame_bytes_max = bytes;
            self.listener.reserve_bytes = $crate::source::rpc::Settings::reserve(bytes);
            self
        }

        /// Events of one request, at most; more are answered with an error. Default:
        /// [`TRANSACTION_EVENTS_MAX`](crate::limits::TRANSACTION_EVENTS_MAX).
        #[must_use]
        pub fn batch_events_max(mut self, events: usize) -> Self {
            self.settings.batch_events_max = events;
            self
        }

        /// Connections at once, at most; more are closed. Default: [`CONNECTIONS_MAX`](crate::limits::CONNECTIONS_MAX).
        #[must_use]
        pub fn connections_max(mut self, connections: usize) -> Self {
            self.listener.connections_max = connections;
            self
        }

        /// Bytes that are received and not committed, at most, over all connections. Must be at least `connections_max` times
        /// [`RPC_CONNECTION_BYTES`](crate::limits::RPC_CONNECTION_BYTES), which every connection has for small requests, and two
        /// times `frame_bytes_max`, which one request at a time can have. What is beyond that is for all requests together,
        /// for each up to [`CONNECTION_BYTES_IN_FLIGHT_MAX`](crate::limits::CONNECTION_BYTES_IN_FLIGHT_MAX) or an eighth of what
        /// is free of it. Default: [`RPC_BYTES_IN_FLIGHT_MAX`](crate::limits::RPC_BYTES_IN_FLIGHT_MAX).
        #[must_use]
        pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
            self.listener.bytes_in_flight_max = bytes;
            self
        }

        /// How long a client may be silent between two requests, and before the first. Default:
        /// [`RPC_IDLE`](crate::limits::RPC_IDLE).
        #[must_use]
        pub fn idle_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.idle_timeout = timeout;
            self
        }

        /// How long a client may take from the first byte of a request to its last. Time in which the source does not read
        /// does not count. Default: [`CONNECTION_FRAME`](crate::limits::CONNECTION_FRAME).
        #[must_use]
        pub fn frame_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.frame_timeout = timeout;
            self
        }

        /// How long a client may be silent in the middle of a request. Default:
        /// [`CONNECTION_SILENCE`](crate::limits::CONNECTION_SILENCE).
        #[must_use]
        pub fn silence_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.silence_timeout = timeout;
            self
        }

        /// How long a client may leave its answers unread once the network's buffers are full of them. Default:
        /// [`CONNECTION_ANSWER`](crate::limits::CONNECTION_ANSWER).
        #[must_use]
        pub fn answer_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings.answer_timeout = timeout;
            self
        }

        $crate::source::net::listener_settings!();
    };
}

pub(crate) use rpc_settings;
