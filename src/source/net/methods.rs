//! Settings that listening sources share. The macros make methods of the source itself, so that they return it and stand
//! in its documentation.

/// Methods of a source with connections, with the field `listener`.
macro_rules! connection_settings {
    () => {
        /// Connections from one address at once, at most. Default:
        /// [`CONNECTIONS_PER_PEER_MAX`](crate::limits::CONNECTIONS_PER_PEER_MAX).
        #[must_use]
        pub fn connections_per_peer_max(mut self, connections: usize) -> Self {
            self.listener.connections_per_peer_max = connections;
            self
        }

        /// Serves clients that speak TLS, and no others. Default: plain text.
        #[cfg(feature = "tls")]
        #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
        #[must_use]
        pub fn tls(mut self, tls: $crate::tls::TlsServer) -> Self {
            self.listener.layers.tls = Some(tls);
            self
        }

        /// How long the handshake of TLS may take. Default: [`TLS_HANDSHAKE`](crate::limits::TLS_HANDSHAKE).
        #[cfg(feature = "tls")]
        #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
        #[must_use]
        pub fn handshake_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.listener.handshake_timeout = timeout;
            self
        }
    };
}

/// The same, and those of one whose connections have threads.
macro_rules! listener_settings {
    () => {
        $crate::source::net::connection_settings!();

        /// The stack of the thread of each connection, in which interceptors and the channel's write run, too. It is address
        /// space: only what is used becomes memory. Default:
        /// [`CONNECTION_STACK_BYTES`](crate::limits::CONNECTION_STACK_BYTES), at least
        /// [`CONNECTION_STACK_BYTES_MIN`](crate::limits::CONNECTION_STACK_BYTES_MIN), at most
        /// [`CONNECTION_STACK_BYTES_MAX`](crate::limits::CONNECTION_STACK_BYTES_MAX).
        #[must_use]
        pub fn connection_stack_bytes(mut self, bytes: usize) -> Self {
            self.listener.stack_bytes = bytes.max($crate::limits::CONNECTION_STACK_BYTES_MIN);
            self
        }
    };
}

/// Methods of a source of datagrams, with the fields `options` and `handle`.
macro_rules! datagram_settings {
    () => {
        /// The address and the counters, while the source runs elsewhere.
        #[must_use]
        pub fn handle(&self) -> $crate::source::net::DatagramHandle {
            self.handle.clone()
        }

        /// What happens when the channel is full. Default: [`OnFull::Wait`](crate::source::OnFull::Wait): the source keeps what
        /// is within its limit, and beyond that the kernel drops.
        #[must_use]
        pub fn on_full(mut self, on_full: $crate::source::OnFull) -> Self {
            self.options.on_full = on_full;
            self
        }

        /// Events in one transaction, at most. Default: [`SOURCE_BATCH_EVENTS`](crate::limits::SOURCE_BATCH_EVENTS).
        #[must_use]
        pub fn batch_max(mut self, events: usize) -> Self {
            self.options.batch_max = events;
            self
        }

        /// Bytes that are received and not committed, at most. Default:
        /// [`SOURCE_BYTES_IN_FLIGHT_MAX`](crate::limits::SOURCE_BYTES_IN_FLIGHT_MAX).
        #[must_use]
        pub fn bytes_in_flight_max(mut self, bytes: usize) -> Self {
            self.options.bytes_in_flight_max = bytes;
            self
        }

        /// The size of the kernel's buffer that the source asks for; the kernel gives what `net.core.rmem_max` allows. Default:
        /// [`DATAGRAM_RECEIVE_BUFFER_BYTES`](crate::limits::DATAGRAM_RECEIVE_BUFFER_BYTES).
        #[must_use]
        pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
            self.options.receive_buffer_bytes = bytes;
            self
        }
    };
}

pub(crate) use {connection_settings, datagram_settings, listener_settings};
