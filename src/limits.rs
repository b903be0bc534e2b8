//! Every limit of the crate with its default, in one place. Builders override most of them.

use std::time::Duration;

/// Headers of one event, at most. Format limit of [`Headers`](crate::Headers).
pub const HEADERS_COUNT_MAX: usize = 1024;
/// Bytes of the headers of one event, keys and values and 6 bytes for each header, at most. Format limit.
pub const HEADERS_BYTES_MAX: usize = 1 << 20;
/// Bytes of one header name, at most. Format limit.
pub const HEADER_NAME_BYTES_MAX: usize = u16::MAX as usize;
/// Default of the bytes of one event's body that a channel accepts: 8 MiB.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Default of the events in one transaction.
pub const TRANSACTION_EVENTS_MAX: usize = 100_000;
/// Bytes of short bodies of one batch that share an allocation, and so what one of them keeps in memory, at most: 64 KiB.
pub const EVENT_BLOCK_BYTES: usize = 64 << 10;
/// Bytes of a body that shares an allocation with others, at most: 16 KiB.
pub const EVENT_BLOCK_BODY_BYTES_MAX: usize = EVENT_BLOCK_BYTES / 4;
/// Default of the bytes in one transaction, headers and bodies: 64 MiB.
pub const TRANSACTION_BYTES_MAX: usize = 64 << 20;
/// Bytes of a regular expression, at most: 64 KiB.
pub const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Character classes within each other in a regular expression, at most.
pub const PATTERN_CLASS_DEPTH_MAX: usize = 100;
/// Bytes of the name of a position's owner, at most. Format limit.
pub const POSITION_OWNER_BYTES_MAX: usize = 1024;
/// Bytes of one position, at most. Format limit.
pub const POSITION_BYTES_MAX: usize = 64 << 10;
/// Positions in one transaction, at most. Format limit.
pub const POSITIONS_PER_TRANSACTION_MAX: usize = 1024;
/// Positions that a store keeps, at most.
pub const POSITIONS_MAX: usize = 65_536;
/// Bytes of all positions that a store keeps, with the names of their owners, at most: every segment and checkpoint repeats
/// them.
pub const POSITIONS_BYTES_MAX: u64 = 16 << 20;
/// Transactions of a file channel that one take reaches into, at most.
pub const TAKE_TRANSACTIONS_MAX: usize = 4096;
/// Bytes of a component's name (agent, channel, source, sink), at most. Format limit.
pub const NAME_BYTES_MAX: usize = 255;
/// Default capacity of a file channel in events.
pub const FILE_CHANNEL_EVENTS: u64 = 100_000_000;
/// Default capacity of a file channel in bytes, headers and bodies: 16 GiB.
pub const FILE_CHANNEL_BYTES: u64 = 16 << 30;
/// Default capacity of a memory channel in events.
pub const MEMORY_CHANNEL_EVENTS: u64 = 100_000;
/// Default capacity of a memory channel in bytes, headers and bodies: 64 MiB.
pub const MEMORY_CHANNEL_BYTES: u64 = 64 << 20;
/// Default of the events that a spillable channel holds in memory, as in Flume.
pub const SPILLABLE_MEMORY_EVENTS: u64 = 10_000;
/// Tasks that wait for events of a channel, at most. Beyond it, and on the way there whenever their number has doubled from 1,024 on,
/// all are woken to make room; those that still wait find nothing, and wait again.
pub const READY_TASKS_MAX: usize = 65_536;
/// Channels of one store, at most. Format limit.
pub const CHANNELS_MAX: usize = 1024;
/// Data directories (lanes) of one store, at most. Format limit.
pub const LANES_MAX: usize = 64;
/// How long opening a store asks again for a directory that somebody else has: 300 ms. Whoever looks at a store, and programs that
/// are being started, hold it for a moment.
pub const LOCK_WAIT: Duration = Duration::from_millis(300);
/// Default size of a full-grown segment: 64 MiB.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// The smallest size of a full-grown segment that can be set: 4 KiB.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 10;
/// The largest size of a full-grown segment that can be set: 1 GiB.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// The largest limit of the bytes in one transaction that can be set for a store: 1 GiB.
pub const STORE_TRANSACTION_BYTES_MAX: usize = 1 << 30;
/// Bytes of a store's list of channels and lanes, at most: far above one of the largest number of channels with the longest
/// names.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Bytes of the checkpoint of a Flume file channel that is imported, at most. One of `n` entries takes `8 * (n + 1029)` bytes.
pub const IMPORT_CHECKPOINT_BYTES_MAX: u64 = 4 << 30;
/// Bytes of each of the other files beside that checkpoint, at most: 1 GiB.
pub const IMPORT_INFLIGHT_BYTES_MAX: u64 = 1 << 30;
/// Bytes of a log of Flume's that are searched at once for a record behind damage: 64 KiB.
pub const IMPORT_SEARCH_BYTES: usize = 64 << 10;
/// Default size of the first segment after an open; later ones grow fourfold up to [`SEGMENT_BYTES`].
pub const SEGMENT_BYTES_FIRST: u64 = 1 << 20;
/// Size of each of the two segments that every lane keeps for acknowledgements when the disk is full: 256 KiB.
pub const SEGMENT_BYTES_RESERVE: u64 = 256 << 10;
/// Default of the bytes that recovery replays at most after the newest checkpoint: 16 MiB.
pub const REPLAY_BYTES_MAX: u64 = 16 << 20;
/// Default of the bytes of recent events that a store keeps in memory: 8 MiB.
pub const TAIL_CACHE_BYTES: u64 = 8 << 20;
/// Bytes that one group commit writes at most before it syncs, unless a single transaction is larger: 8 MiB.
pub const GROUP_BYTES_MAX: u64 = 8 << 20;
/// Transactions in one group commit, at most.
pub const GROUP_TRANSACTIONS_MAX: usize = 4096;
/// Segments that a lane may hold unsynced, and so open, before it syncs on its own: 32.
pub const UNSYNCED_SEGMENTS_MAX: usize = 32;
/// The largest limit of unsynced bytes that can be set for a store: 1 GiB. An open may have to write them again.
pub const STORE_UNSYNCED_BYTES_MAX: u64 = 1 << 30;
/// Bytes that a lane may hold unsynced under `Durability::Os` before it syncs on its own: 256 MiB.
pub const UNSYNCED_BYTES_MAX: u64 = 256 << 20;
/// Bytes read ahead when a channel reads its backlog from disk: 256 KiB.
pub const READ_AHEAD_BYTES: u64 = 256 << 10;
/// Default of the time that a put waits for room.
pub const PUT_WAIT: Duration = Duration::from_secs(3);
/// Default of the events that a sink takes in one transaction.
pub const SINK_BATCH_EVENTS: usize = 100;
/// Default of the events that a pull source hands over in one transaction.
pub const SOURCE_BATCH_EVENTS: usize = 100;
/// Default of the longest line of line-based sources, in bytes: 64 KiB.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Default of the bytes that the spool directory source reads at once: 256 KiB.
pub const SPOOL_READ_BYTES: usize = 256 << 10;
/// The longest line that the spool directory source can be configured for: 256 MiB.
pub const SPOOL_LINE_BYTES_CEILING: usize = 256 << 20;
/// Bytes of lines that the spool directory source hands over in one transaction, at most, and one line more: 8 MiB.
pub const SPOOL_BATCH_BYTES_MAX: usize = 8 << 20;
/// Bytes that the spool directory source reads in one poll, at most, and one piece more: 64 MiB.
pub const SPOOL_POLL_BYTES_MAX: usize = 64 << 20;
/// Bytes that the files which were finished in one transaction take in its position, at most, and one file more: 32 KiB.
pub const SPOOL_DONE_BYTES_MAX: usize = 32 << 10;
/// Directory entries that the spool directory source looks at in one poll, at most.
pub const SPOOL_ENTRIES_PER_POLL: usize = 8192;
/// Files that the spool directory source remembers from one listing, at most; it lists again when they are read.
pub const SPOOL_CANDIDATES_MAX: usize = 32_768;
/// Directories below each other that the spool directory source descends, at most.
pub const SPOOL_DEPTH_MAX: usize = 64;
/// Completed files of which the spool directory source remembers that their tracker is theirs, at most; with more it looks
/// at all of them again.
pub const SPOOL_TRACKED_MAX: usize = 1 << 20;
/// Files with problems that the spool directory source keeps in mind, at most; with more it stops until some are gone.
pub const SPOOL_KEPT_FILES_MAX: usize = 512;
/// How long a file that grew must stand still before the spool directory source takes it for complete.
pub const SPOOL_SETTLE: Duration = Duration::from_secs(1);
/// Default of the bytes that the tail directory source reads at once: 64 KiB.
pub const TAIL_READ_BYTES: usize = 64 << 10;
/// Files that the tail directory source follows, at most.
pub const TAIL_FILES_MAX: usize = 16_384;
/// Default of the files that the tail directory source keeps open.
pub const TAIL_OPEN_FILES: usize = 256;
/// Default of the time after which a file that does not change is closed, as in Flume; its last line counts as complete then.
pub const TAIL_IDLE: Duration = Duration::from_secs(120);
/// Default of the longest time after which the tail directory source looks at its directories and files again.
pub const TAIL_POLL: Duration = Duration::from_secs(1);
/// How long a file must be missing from its directory before the tail directory source forgets it.
pub const TAIL_GONE: Duration = Duration::from_secs(3);
/// Bytes of unfinished lines that the tail directory source holds for files whose turn is over, at most; those beyond it are
/// read again: 64 MiB.
pub const TAIL_BUFFERED_BYTES_MAX: usize = 64 << 20;
/// Bytes of an unfinished line, the last of them, that the tail directory source compares with its file at each look, at most:
/// 4 KiB.
pub const TAIL_COMPARED_BYTES_MAX: usize = 4 << 10;
/// Bytes of a position file that are read, at most: 16 MiB.
pub const TAIL_POSITION_FILE_BYTES_MAX: usize = 16 << 20;
/// Default of the interval at which a position file is written, as in Flume.
pub const TAIL_POSITION_FILE_INTERVAL: Duration = Duration::from_secs(3);
/// Default of the bytes of one event that joins lines: 1 MiB.
pub const MULTI_LINE_BYTES_MAX: usize = 1 << 20;
/// Default of the lines of one event that joins lines.
pub const MULTI_LINE_LINES_MAX: usize = 1000;
/// Default of the bytes of one event that is a whole file, as in Flume.
pub const BLOB_BYTES_MAX: usize = 100_000_000;
/// Bytes of the header of an Avro container file that is read, at most: 1 MiB.
pub const AVRO_HEADER_BYTES_MAX: usize = 1 << 20;
/// Bytes of one block of an Avro container file that is read, as they stand there: 64 MiB. Unpacked they are 512 MiB at most.
pub const AVRO_BLOCK_BYTES_MAX: usize = 64 << 20;
/// Parts of a datum within each other that are read, at most.
pub const AVRO_DEPTH_MAX: usize = 256;
/// Data of a block, and items of a datum, that take no bytes, at most.
pub const AVRO_EMPTY_ITEMS_MAX: usize = 1 << 20;
/// Default of the bytes of a body of the stress source, as in Flume.
pub const STRESS_BODY_BYTES: usize = 500;
/// How long the stress source waits at once for its next event to be due.
pub const STRESS_SLICE: Duration = Duration::from_millis(100);
/// Default of the lines that the exec source hands over in one transaction, as in Flume.
pub const EXEC_BATCH_EVENTS: usize = 20;
/// Default of the time after a commit at which the exec source commits whatever it has, as in Flume.
pub const EXEC_BATCH_WAIT: Duration = Duration::from_secs(3);
/// Bytes of lines that the exec source hands over in one transaction, at most, and one line more: 8 MiB.
pub const EXEC_BATCH_BYTES_MAX: usize = 8 << 20;
/// Default of the pause before the exec source of a Flume configuration runs its command again, as in Flume.
pub const EXEC_RESTART_PAUSE: Duration = Duration::from_secs(10);
/// Bytes that the exec source reads from its command at once: 64 KiB, as much as a pipe holds.
pub const EXEC_READ_BYTES: usize = 64 << 10;
/// The longest line of a command's standard error that is told as one: 8 KiB.
pub const EXEC_ERROR_LINE_BYTES_MAX: usize = 8 << 10;
/// How long a command that has closed its output may take to end by itself.
pub const EXEC_EXIT: Duration = Duration::from_secs(1);
/// How long a command may go on that was asked to end, before it is killed.
pub const EXEC_STOP: Duration = Duration::from_secs(2);
/// How long a command that was killed is waited for.
pub const EXEC_KILL: Duration = Duration::from_secs(1);
/// Pause between two looks at a command that is about to end.
pub const EXEC_END_SLICE: Duration = Duration::from_millis(10);
/// A source that waits for a file system's notes, or for a command, looks this often whether it should stop.
pub const WATCH_SLICE: Duration = Duration::from_millis(100);
/// Bytes of a file system's notes that are read at once: 16 KiB.
pub const WATCH_BYTES: usize = 16 << 10;
/// Default of the connections that a network source serves at once.
pub const CONNECTIONS_MAX: usize = 1024;
/// Default of the connections from one address that a network source serves at once.
pub const CONNECTIONS_PER_PEER_MAX: usize = 64;
/// Default of the bytes that a network source holds for all its connections: 64 MiB.
pub const SOURCE_BYTES_IN_FLIGHT_MAX: usize = 64 << 20;
/// Default of the bytes that a network source holds for one connection: 1 MiB. A request of Avro or Thrift RPC or of HTTP may
/// have more, if others leave enough or one at a time.
pub const CONNECTION_BYTES_IN_FLIGHT_MAX: usize = 1 << 20;
/// Default time after which a silent connection is closed.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(300);
/// Longest syslog message of Flume's sources over TCP: what `eventSize` is when a properties file does not give it.
pub const SYSLOG_EVENT_BYTES_FLUME: usize = 2500;
/// Default time after which a silent syslog connection is closed. Longer than [`CONNECTION_IDLE`], because syslog has no
/// answers: what a sender writes to a connection that was closed meanwhile is lost.
pub const SYSLOG_IDLE: Duration = Duration::from_secs(3600);
/// Names of clients that a source remembers, at most.
pub const HOST_NAMES_MAX: usize = 4096;
/// Clients that wait for their names to be looked up aside, at most.
pub const HOST_NAME_LOOKUPS_MAX: usize = 64;
/// How long a source believes that a client has the name that was looked up for it.
pub const HOST_NAME_AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// Time until a listener asks again about a host or client of its IP filter that the resolver did not know.
pub const HOST_NAME_RETRY: Duration = Duration::from_secs(60);
/// Addresses that one source listens at, at most.
pub const LISTEN_ADDRESSES_MAX: usize = 1024;
/// Bytes of one datagram, at most: what UDP allows.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Default of the kernel's buffer that a source of datagrams asks for: 4 MiB. The kernel gives what `net.core.rmem_max`
/// allows.
pub const DATAGRAM_RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Bytes of the kernel's table of sockets that are looked through for that, at most: 8 MiB.
pub const DATAGRAM_TABLE_BYTES_MAX: usize = 8 << 20;
/// How often a source of datagrams looks how many the kernel has dropped, while some arrive.
pub const DATAGRAM_DROPS_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of the host in a syslog message, at most; a longer word is no host.
pub const SYSLOG_HOST_BYTES_MAX: usize = 1024;
/// Bytes of a file name that sinks make, at most: what file systems allow.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// Default of the time after which `FileRoll` finishes a file, as in Flume.
pub const FILE_ROLL_INTERVAL: Duration = Duration::from_secs(30);
/// Bytes that `FileRoll` collects before it writes them to its file: 256 KiB.
pub const FILE_ROLL_WRITE_BYTES: usize = 256 << 10;
/// Bytes of the beginning of a file that a serializer is shown when it is gone on with, at most: 64 KiB.
pub const SERIALIZER_HEAD_BYTES: usize = 64 << 10;
/// Default of the bytes of one block in the container files of `AvroEvent`, before compression, as in Flume.
pub const AVRO_SYNC_INTERVAL_BYTES: usize = 2_048_000;
/// The smallest such block that can be asked for, as in Avro.
pub const AVRO_SYNC_INTERVAL_BYTES_MIN: usize = 32;
/// The largest such block that can be asked for: 64 MiB.
pub const AVRO_SYNC_INTERVAL_BYTES_CEILING: usize = 64 << 20;
/// Default of the bytes of headers, and of the body, that `Logger` shows of one event.
pub const LOG_BYTES: usize = 256;
/// Default of the bytes of the body that `Logger` shows in Flume's format, as in Flume.
pub const LOG_BYTES_FLUME: usize = 16;
/// Default time within which the TLS handshake of a new connection must be complete.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes of a file with keys or certificates, at most: 4 MiB.
pub const TLS_FILE_BYTES_MAX: u64 = 4 << 20;
/// Entries of a key store in Java's format JKS, at most.
pub const KEY_STORE_ENTRIES_MAX: usize = 4096;
/// Level at which servers compress connections, and default of clients, as in Flume.
pub const DEFLATE_LEVEL: u32 = 6;
/// Default of the bytes of one request of Avro or Thrift RPC, as received, and of the events in it: 16 MiB.
pub const RPC_FRAME_BYTES_MAX: usize = 16 << 20;
/// Default of the bytes that an Avro or Thrift source holds for all its connections: 96 MiB. Twice the largest request is in it,
/// which one connection at a time can have.
pub const RPC_BYTES_IN_FLIGHT_MAX: usize = 2 * RPC_FRAME_BYTES_MAX + SOURCE_BYTES_IN_FLIGHT_MAX;
/// Bytes that a connection of Avro or Thrift RPC may hold at any time, without asking for more: 32 KiB.
pub const RPC_CONNECTION_BYTES: usize = 32 << 10;
/// Bytes that a connection of Avro or Thrift RPC reads at once, unless it reads them to their place in a request: 32 KiB.
pub const RPC_READ_BYTES: usize = 32 << 10;
/// Bytes of a buffer of a request of Avro RPC that must be missing, at least, for them to be read to their place in memory: 16 KiB,
/// twice what Java's buffers have. Fewer are read with what follows them, and copied.
pub const RPC_IN_PLACE_BYTES_MIN: usize = 16 << 10;
/// Bytes that are read at once behind those that are read to their place, and first of what may be such a request: 4 KiB.
pub const RPC_READ_AHEAD_BYTES: usize = 4 << 10;
/// Bytes that a connection of Avro or Thrift RPC keeps allocated for its next request, besides: 64 KiB.
pub const RPC_KEPT_BYTES: usize = 64 << 10;
/// Positions of a lane that are cleared, and wait for a sync to be forgotten, at most; they count towards [`POSITIONS_MAX`].
pub const CLEARED_POSITIONS_MAX: usize = 4096;
/// Messages that a connection of Avro RPC remembers, to use the memory of each again, of up to [`RPC_KEPT_BYTES`], once none of
/// its events is left.
pub const AVRO_MESSAGES_LENT: usize = 2;
/// Bytes of a request of Avro RPC that its events share, and so what one of them keeps in memory, at most: 1 MiB. The bodies of
/// longer requests, and of those that are less than half events, are copied.
pub const AVRO_SHARED_BYTES_MAX: usize = 1 << 20;
/// Buffers of one frame of Avro RPC, at most, where frames have up to 16 MiB. Java cuts messages into buffers of 8 KiB.
pub const AVRO_FRAME_BUFFERS_MAX: u32 = 4096;
/// Where frames of Avro RPC may be longer, they have one buffer for so many bytes of the limit, at most: 4 KiB.
pub const AVRO_FRAME_BUFFER_BYTES_MIN: usize = 4 << 10;
/// Bytes of the text of a protocol that an Avro client shows, at most: 64 KiB.
pub const AVRO_PROTOCOL_BYTES_MAX: usize = 64 << 10;
/// Requests of one connection that are committed at the same time, at most.
pub const RPC_PIPELINE_MAX: usize = 64;
/// Default time after which a connection of Avro or Thrift RPC that carries nothing is closed. Clients connect before
/// they have anything to send, and connect again when they find themselves disconnected.
pub const RPC_IDLE: Duration = Duration::from_secs(300);
/// Default time that a client or sink waits for a connection, handshakes included, as in Flume.
pub const RPC_CONNECT: Duration = Duration::from_secs(20);
/// Default time that a client or sink waits for the answer to a request, as in Flume.
pub const RPC_REQUEST: Duration = Duration::from_secs(20);
/// Time that a client or sink that is asked to stop still waits for the answer to a request under way.
pub const RPC_STOP: Duration = Duration::from_secs(2);
/// Bytes of one answer that a client accepts, at most: 1 MiB.
pub const RPC_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Default of the events in one request of a client or sink, as in Flume.
pub const RPC_BATCH_EVENTS: usize = 100;
/// Default of the requests of one call that a client of Avro RPC has in flight at once, as in Flume: each waits for the answer to
/// the one before.
pub const RPC_REQUESTS_IN_FLIGHT: usize = 1;
/// Requests of one call that a client of Avro RPC has in flight at once, at most.
pub const RPC_REQUESTS_IN_FLIGHT_MAX: usize = 64;
/// Bytes of the events in one request of a client or sink, at most, unless it is a single event: 8 MiB. With what stands
/// around them they are within [`RPC_FRAME_BYTES_MAX`], and so within what a source takes.
pub const RPC_REQUEST_BYTES_MAX: u64 = 8 << 20;
/// Bytes by which each event counts more than its own in a request, for what it takes in memory besides.
pub const RPC_REQUEST_EVENT_BYTES: u64 = 64;
/// Hosts of one client, at most.
pub const RPC_HOSTS_MAX: usize = 1024;
/// Default of the longest time for which a host that failed is passed over, as in Flume.
pub const RPC_HOST_BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Default time within which the first byte of a new connection must come.
pub const CONNECTION_FIRST_BYTE: Duration = Duration::from_secs(10);
/// Default time within which a line, frame or request that has begun must be complete.
pub const CONNECTION_FRAME: Duration = Duration::from_secs(30);
/// Default time for which a client may be silent in the middle of a request of Avro or Thrift RPC, or of a body of HTTP.
pub const CONNECTION_SILENCE: Duration = Duration::from_secs(30);
/// Default time that a peer may take to accept an answer.
pub const CONNECTION_ANSWER: Duration = Duration::from_secs(30);
/// How long a connection that is closed because of an error is still read from (and the input thrown away), so that
/// the error message reaches a peer that is still sending.
pub const CONNECTION_LINGER: Duration = Duration::from_secs(1);
/// Bytes that are thrown away at most in that time: 1 MiB.
pub const CONNECTION_LINGER_BYTES: usize = 1 << 20;
/// Time that answers and lingering may take once the source is asked to stop.
pub const CONNECTION_STOP: Duration = Duration::from_millis(500);
/// Stack of the thread of one connection: 512 KiB of address space, of which only what is used becomes memory.
pub const CONNECTION_STACK_BYTES: usize = 512 << 10;
/// The smallest stack of the thread of one connection; less is rounded up to it.
pub const CONNECTION_STACK_BYTES_MIN: usize = 128 << 10;
/// The largest such stack: 1 GiB.
pub const CONNECTION_STACK_BYTES_MAX: usize = 1 << 30;
/// Bytes that one connection reads at once: 16 KiB.
pub const CONNECTION_READ_BYTES: usize = 16 << 10;
/// Connections that wait in the kernel to be accepted.
pub const LISTEN_BACKLOG: i32 = 1024;
/// Longest pause after a failed `accept`, such as one for lack of file descriptors.
pub const ACCEPT_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long a source that is asked to stop still waits for room in a full channel, how long one pauses whose channel does not let
/// it wait, and how often one that waits for its own memory looks whether it should stop.
pub const SOURCE_FULL_WAIT: Duration = Duration::from_millis(200);
/// Default of the first pause of a pull source that has nothing new; it doubles up to [`SOURCE_IDLE_MAX`].
pub const SOURCE_IDLE_MIN: Duration = Duration::from_millis(10);
/// Default of the longest pause of a pull source that has nothing new.
pub const SOURCE_IDLE_MAX: Duration = Duration::from_secs(1);
/// Polls in a row with which a pull source may say that there is more and bring nothing; each further one is followed by the first
/// pause of a source that has nothing new, or [`SOURCE_IDLE_MIN`] if that is shorter.
pub const SOURCE_EMPTY_POLLS_MAX: u32 = 100;
/// Default of the first pause after an error of a source or sink; it doubles up to [`RETRY_MAX`].
pub const RETRY_MIN: Duration = Duration::from_millis(100);
/// Default of the longest pause after an error of a source or sink, as in Flume.
pub const RETRY_MAX: Duration = Duration::from_secs(5);
/// Default of the longest time that a sink of a group is left alone after failures, as in Flume.
pub const SINK_PENALTY_MAX: Duration = Duration::from_secs(30);
/// Failures of a sink of a load balancing group that are so close to each other count as failures in a row, as in Flume.
pub const SINK_FAILURES_WITHIN: Duration = Duration::from_secs(60 * 60);
/// Time between two calls of a sink's `idle` while no events come.
pub const SINK_IDLE: Duration = Duration::from_secs(1);
/// A put of a source that waits for room in a channel looks this often whether the source is asked to stop.
pub const RECALL_LOOK: Duration = Duration::from_millis(100);
/// How long the put into the channel for what a sink cannot deliver waits for room.
pub const DEAD_LETTER_WAIT: Duration = Duration::from_millis(100);
/// Events that the sinks of channels which divert into each other divert without one that is delivered, at most, before they pause.
pub const DIVERTED_IN_A_ROW_MAX: u64 = 100;
/// Starting an agent waits at most this long for the sinks to open before it opens the sources.
pub const SINK_OPEN_WAIT: Duration = Duration::from_secs(1);
/// A source or sink whose name somebody else still works under in its channel waits this long before that counts as a failure.
pub const LEASE_WAIT: Duration = Duration::from_secs(1);
/// Default of the time that stopping waits for a source or sink that does not return.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// Bytes of one event's body that the channels of a Flume configuration accept: 128 MiB, over what Flume's blobs can have.
pub const FLUME_BODY_BYTES_MAX: usize = 128 << 20;
/// Bytes of one transaction of the channels of a Flume configuration, at most: 256 MiB.
pub const FLUME_TRANSACTION_BYTES_MAX: u64 = 256 << 20;
/// Percent of the machine's memory that a Flume memory channel may hold without `byteCapacity`: as 80 percent of Java's
/// heap, which is a quarter of the memory.
pub const FLUME_MEMORY_PERCENT: u64 = 20;
/// Time after which a network source of a Flume configuration closes a silent connection. Flume never does.
pub const FLUME_CONNECTION_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest line that a network source of a Flume configuration can be set to: 16 MiB.
pub const LINE_BYTES_CEILING: usize = 16 << 20;
/// Bytes of a properties file, at most: 16 MiB.
pub const PROPERTIES_BYTES_MAX: usize = 16 << 20;
/// Bytes of one property, with the lines that continue it, at most: 1 MiB.
pub const PROPERTIES_LINE_BYTES_MAX: usize = 1 << 20;
/// Properties of one file, at most.
pub const PROPERTIES_COUNT_MAX: usize = 100_000;
/// References of a property within each other, at most.
pub const REFERENCES_DEPTH_MAX: usize = 32;
/// References that resolving one property may take, at most: those in it, and those that they bring in.
pub const REFERENCES_MAX: usize = 1000;
/// Bytes that all references of a configuration bring in, those within them once more, and what is told about them, at most:
/// 16 MiB.
pub const REFERENCES_BYTES_MAX: usize = 16 << 20;
/// References in a properties file with another one in their name that are remembered, to know the keys that they may use.
pub const NESTED_REFERENCES_MAX: usize = 1000;
/// Bytes of the value of a property with its references resolved, and of a file that one of them brings in, at most:
/// 256 KiB.
pub const VALUE_BYTES_MAX: usize = 256 << 10;
/// Mistakes and warnings of a configuration that are reported, at most.
pub const PROBLEMS_MAX: usize = 1000;
/// How long the program of a config filter may take for one key.
pub const FILTER_WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether the program of a config filter that prints no more has ended.
pub const FILTER_END_POLL: Duration = Duration::from_millis(10);
/// Bytes of what the program of a config filter prints that are read, at most: 64 KiB.
pub const FILTER_OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Logs of a Flume file channel that are read at once; each is an open file.
pub const FLUME_LOGS_MAX: usize = 4096;
/// Bytes of one record of a Flume file channel: 1 GiB, over what its integers can frame in practice.
pub const FLUME_RECORD_BYTES_MAX: u32 = 1 << 30;
/// Default of the bytes of the body of one request of an HTTP source, also after it is unpacked: 16 MiB.
pub const HTTP_BODY_BYTES_MAX: usize = 16 << 20;
/// Default of the bytes that an HTTP source holds for all its connections: 96 MiB. Twice the largest body is in it, which one
/// request at a time can have.
pub const HTTP_BYTES_IN_FLIGHT_MAX: usize = 2 * HTTP_BODY_BYTES_MAX + SOURCE_BYTES_IN_FLIGHT_MAX;
/// Default of the bytes of the head of one request of an HTTP source, its first line included: 16 KiB.
pub const HTTP_HEADER_BYTES_MAX: usize = 16 << 10;
/// The smallest limit of the head of a request that an HTTP source can be set to: 8 KiB.
pub const HTTP_HEADER_BYTES_MIN: usize = 8 << 10;
/// Default of the headers of one request of an HTTP source.
pub const HTTP_HEADERS_MAX: usize = 64;
/// The largest limit of the headers of a request that an HTTP source can be set to.
pub const HTTP_HEADERS_CEILING: usize = 1024;
/// Bytes of a request, received or as events, that each connection of an HTTP source can hold at any time: 32 KiB.
pub const HTTP_CONNECTION_BYTES: usize = 32 << 10;
/// Bytes that an HTTP source reads from a connection at once, at most: 16 KiB.
pub const HTTP_READ_BYTES: usize = 16 << 10;
/// How many times as large as it came a body may get when it is unpacked, beyond [`HTTP_GZIP_BYTES_FREE`].
pub const HTTP_GZIP_RATIO_MAX: usize = 100;
/// Bytes that a body may have when it is unpacked, however small it came: 64 KiB.
pub const HTTP_GZIP_BYTES_FREE: usize = 64 << 10;
/// Default time within which the head of a request must be complete once it has begun.
pub const HTTP_HEADER: Duration = Duration::from_secs(10);
/// Requests of an HTTP source that stand in the line of a full channel at once, at most: each has a thread meanwhile. Others try
/// again from time to time, until one of these places is free.
pub const HTTP_WAITING_MAX: usize = 64;
/// First pause before an HTTP source tries a full channel again; it doubles up to [`SOURCE_FULL_WAIT`].
pub const HTTP_FULL_PAUSE_MIN: Duration = Duration::from_millis(5);
/// Default of the time that an HTTP source gives its clients to finish once it is asked to stop.
pub const HTTP_STOP: Duration = Duration::from_secs(5);
/// Default of the threads in which an HTTP source makes events of requests and puts them, at most.
pub const HTTP_WORKERS: usize = 8;
/// Default of the time that an HTTP sink takes to connect, as in Flume.
pub const HTTP_CONNECT: Duration = Duration::from_secs(5);
/// Default of the time that a request of an HTTP sink may take, as in Flume.
pub const HTTP_REQUEST: Duration = Duration::from_secs(5);
/// Timeouts of an HTTP sink from which on there is none: a year.
pub const HTTP_TIME_UNLIMITED: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bytes of an answer that an HTTP sink reads, at most: 64 KiB.
pub const HTTP_ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Structures in each other that are passed over in a message of Thrift, at most, because nobody knows their field.
pub const THRIFT_DEPTH_MAX: usize = 32;
/// Bytes of the name of a method in a message of Thrift, at most.
pub const THRIFT_NAME_BYTES_MAX: usize = 256;
/// Threads that an HTTP source can be set to.
pub const HTTP_WORKERS_CEILING: usize = 4096;
/// Time after which the HTTP source of a Flume configuration closes a silent connection, as Flume's web server does.
pub const FLUME_HTTP_IDLE: Duration = Duration::from_secs(30);
/// Bytes of one request of the Avro and Thrift sources of a Flume configuration, as of a transaction: 256 MiB. Flume's
/// sinks put a batch into one request, whatever its size, and Flume's sources take it.
pub const FLUME_RPC_FRAME_BYTES_MAX: usize = 256 << 20;
/// Bytes that the Avro and Thrift sources of a Flume configuration hold for all their connections: 704 MiB. Twice the
/// largest request is in it, which one connection at a time can have, and 160 MiB for the others.
pub const FLUME_RPC_BYTES_IN_FLIGHT_MAX: usize = 2 * FLUME_RPC_FRAME_BYTES_MAX + 3 * SOURCE_BYTES_IN_FLIGHT_MAX;
/// Time within which a request must be complete at these sources, however slow the client is. Flume has no such limit. Clients
/// that are silent are closed after [`CONNECTION_SILENCE`].
pub const FLUME_RPC_FRAME: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes that the HTTP source of a Flume configuration holds for all its connections: 448 MiB. Twice the largest body is in it,
/// which one request at a time can have, and 160 MiB for the others.
pub const FLUME_HTTP_BYTES_IN_FLIGHT_MAX: usize = 2 * FLUME_BODY_BYTES_MAX + 3 * SOURCE_BYTES_IN_FLIGHT_MAX;
/// Time within which a body must be complete at the HTTP source of a Flume configuration, however slow the client is. Flume has no
/// such limit. Clients that are silent are closed after [`CONNECTION_SILENCE`], as by Flume's web server.
pub const FLUME_HTTP_BODY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest time in milliseconds that a property of a component may give where the component has no limit of its own: a day.
pub const PROPERTY_MILLIS_MAX: u64 = 24 * 60 * 60 * 1000;
/// The largest head of a request that an HTTP source can be set to in a Flume configuration: 1 MiB.
pub const HTTP_HEADER_BYTES_CEILING: usize = 1 << 20;
/// Bytes of the name that the system's resolver has for an address, at most.
pub const HOST_NAME_BYTES_MAX: usize = 1025;
/// Events that a source that makes them itself makes in one poll, at most, whatever the batch has room for.
pub const MADE_EVENTS_PER_POLL_MAX: u64 = 100_000;
/// Changes of files that are taken in at one look of a source that follows files, at most; others are left for the next look.
pub const WATCH_NOTES_MAX: usize = 65_536;
/// Bytes of a checkpoint, at most: 256 MiB, far above what the limits on positions, channels and segments add up to.
pub const CHECKPOINT_BYTES_MAX: u64 = 256 << 20;
/// Buffers for the records of puts that a store keeps to use them again.
pub const RECORD_BUFFERS_MAX: usize = 16;
/// Bytes of such a buffer, at most: 256 KiB. Larger ones are made for each put.
pub const RECORD_BUFFER_BYTES_MAX: usize = 256 << 10;
/// Full-grown segments that a lane keeps to use them again: filling them with zeros costs as much as writing the events.
pub const REUSABLE_SEGMENTS_MAX: usize = 3;
/// Times at which events came that a file channel remembers to tell the age of its oldest one, at most; they get coarser.
pub const CHANNEL_AGES_MAX: usize = 4096;
/// Events that a spillable channel saves in one transaction when it is closed, at most.
pub const SPILLABLE_SAVE_EVENTS_MAX: usize = 1000;
/// Bytes of the system's list of users, in which the home of a configuration's user is looked up, at most: 16 MiB.
pub const USERS_FILE_BYTES_MAX: usize = 16 << 20;
