//! What is counted, in the Prometheus text format. One struct, handed in; handles are resolved once.

use parlor_protocol::{CloseCode, ErrorCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// All counters and gauges of one broker. Cloning shares them.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the help texts below say what each is")]
pub struct Metrics {
    pub connections: Gauge,
    pub sessions: Gauge,
    pub rooms: Gauge,
    pub members: Gauge,
    pub sessions_away: Gauge,
    pub sessions_opened: Counter,
    pub sessions_resumed: Counter,
    pub sessions_not_kept: Counter,
    pub publishes_dropped: Counter,
    pub views_sent: Counter,
    pub rooms_opened: Counter,
    pub inputs: Counter,
    pub outputs: Counter,
    pub deliveries: Counter,
    pub frames_in: Counter,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub writes: Counter,
    pub messages_accepted: Counter,
    pub messages_handled: Counter,
    pub messages_room_closed: Counter,
    pub messages_set_aside: Counter,
    pub messages_orphaned: Counter,
    pub queue_full: Counter,
    pub handler_faults: Counter,
    pub handler_panics: Counter,
    pub handler_overruns: Counter,
    pub rooms_restored: Counter,
    pub replays_diverged: Counter,
    pub snapshots: Counter,
    pub snapshots_failed: Counter,
    pub workers: Gauge,
    pub rooms_asleep: Gauge,
    pub rollouts_left: Counter,
    pub rooms_moved: Counter,
    pub moves_failed: Counter,
    pub connections_refused: Counter,
    pub tls_handshakes: Counter,
    pub certificates_loaded: Counter,
    pub certificates_failed: Counter,
    pub workers_started: Counter,
    pub worker_restarts: Counter,
    handshakes_failed: Family<FaultLabel, Counter>,
    errors: Family<ErrorLabel, Counter>,
    closes: Family<CloseLabel, Counter>,
    resumes: Family<OutcomeLabel, Counter>,
    workers_lost: Family<CloseLabel, Counter>,
}

/// Adds to a counter. All threads share it, so that adding nothing is not free.
pub(crate) fn count(counter: &Counter, by: u64) {
    if by > 0 {
        counter.inc_by(by);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloseLabel {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl Metrics {
    /// Counts what became of a membership, or of a whole session, when its client came back.
    pub fn resumed(&self, outcome: &'static str) {
        self.resumes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// How often that was the outcome: `recovered`, `view` or `lost`.
    pub fn resumes(&self, outcome: &'static str) -> u64 {
        self.resumes.get_or_create(&OutcomeLabel { outcome }).get()
    }

    /// Counts an error that a client is told.
    pub fn error(&self, code: ErrorCode) {
        self.errors.get_or_create(&ErrorLabel { code: code.as_str() }).inc();
    }

    /// Counts a failure by its code; all of a game's own codes count as `app`, so that labels stay few.
    pub fn failure(&self, code: &str) {
        match ErrorCode::ALL.iter().find(|known| known.as_str() == code) {
            Some(known) => self.error(*known),
            None => {
                self.errors.get_or_create(&ErrorLabel { code: "app" }).inc();
            }
        }
    }

    /// How often an error was told.
    pub fn errors(&self, code: ErrorCode) -> u64 {
        self.errors.get_or_create(&ErrorLabel { code: code.as_str() }).get()
    }

    /// Counts the end of a connection: the reason of the broker's close code, or `client`.
    pub fn close(&self, cause: &'static str) {
        self.closes.get_or_create(&CloseLabel { cause }).inc();
    }

    /// How often connections ended for this cause, `None` being the client or the network.
    pub fn closes(&self, code: Option<CloseCode>) -> u64 {
        self.closes.get_or_create(&CloseLabel { cause: code.map_or("client", CloseCode::as_str) }).get()
    }

    /// Counts a connection that failed before it was a session.
    pub fn handshake_failed(&self, fault: HandshakeFault) {
        self.handshakes_failed.get_or_create(&FaultLabel { cause: fault.as_str() }).inc();
    }

    /// How often connections failed like this.
    pub fn handshakes_failed(&self, fault: HandshakeFault) -> u64 {
        self.handshakes_failed.get_or_create(&FaultLabel { cause: fault.as_str() }).get()
    }

    /// Counts a worker that has left, for whatever cause.
    pub fn worker_lost(&self, cause: &'static str) {
        self.workers_lost.get_or_create(&CloseLabel { cause }).inc();
    }

    /// How often workers left for this cause: `closed`, `broken`, `silent`, `hanging`, `breach` or `refused`.
    pub fn workers_lost(&self, cause: &'static str) -> u64 {
        self.workers_lost.get_or_create(&CloseLabel { cause }).get()
    }

    /// Everything as Prometheus text.
    pub fn render(&self) -> String {
        let mut registry = Registry::with_prefix("parlor");
        self.register(&mut registry);
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }

    fn register(&self, to: &mut Registry) {
        to.register("connections", "Open TCP connections", self.connections.clone());
        to.register("sessions", "Sessions that said hello", self.sessions.clone());
        to.register("rooms", "Open rooms", self.rooms.clone());
        to.register("members", "Members of all rooms", self.members.clone());
        let help = "Sessions that wait for their clients to come back";
        to.register("sessions_away", help, self.sessions_away.clone());
        to.register("sessions_opened", "Sessions begun", self.sessions_opened.clone());
        let help = "Connections that went on with a session that was there before";
        to.register("sessions_resumed", help, self.sessions_resumed.clone());
        let help = "Sessions that ended with their connection because as many were kept as may be";
        to.register("sessions_not_kept", help, self.sessions_not_kept.clone());
        let help = "Memberships of clients that came back, by what became of them";
        to.register("resumes", help, self.resumes.clone());
        let help = "Publishes that slow or absent clients did not get, replaced by views";
        to.register("publishes_dropped", help, self.publishes_dropped.clone());
        to.register("views_sent", "Views that rooms were asked for in their place", self.views_sent.clone());
        to.register("rooms_opened", "Rooms begun", self.rooms_opened.clone());
        to.register("inputs", "Inputs numbered by rooms", self.inputs.clone());
        to.register("outputs", "Outputs of handlers", self.outputs.clone());
        to.register("deliveries", "Frames put into outboxes by rooms", self.deliveries.clone());
        to.register("frames_in", "Frames read from clients", self.frames_in.clone());
        to.register_with_unit("in", "Frame bytes read from clients", Unit::Bytes, self.bytes_in.clone());
        to.register_with_unit("out", "Bytes written to clients", Unit::Bytes, self.bytes_out.clone());
        to.register("writes", "Write calls to clients", self.writes.clone());
        to.register("messages_accepted", "Client messages taken into a room queue", self.messages_accepted.clone());
        to.register("messages_handled", "Client messages that a handler saw", self.messages_handled.clone());
        let help = "Client messages still queued when their room closed";
        to.register("messages_room_closed", help, self.messages_room_closed.clone());
        let help = "Client messages on which a handler panicked";
        to.register("messages_set_aside", help, self.messages_set_aside.clone());
        let help = "Client messages whose sender was gone when their turn came";
        to.register("messages_orphaned", help, self.messages_orphaned.clone());
        to.register("queue_full", "Joins, messages and events refused by a full queue", self.queue_full.clone());
        to.register("handler_faults", "Inputs that a handler refused or failed", self.handler_faults.clone());
        to.register("handler_panics", "Inputs on which a handler panicked", self.handler_panics.clone());
        let help = "Batches of inputs that took over 100 ms to handle";
        to.register("handler_overruns", help, self.handler_overruns.clone());
        let help = "Handlers made anew after a panic, or the end of their process";
        to.register("rooms_restored", help, self.rooms_restored.clone());
        let help = "Handlers that then had other outputs than before";
        to.register("replays_diverged", help, self.replays_diverged.clone());
        to.register("snapshots", "States of handlers saved", self.snapshots.clone());
        let help = "States of handlers that could not be saved";
        to.register("snapshots_failed", help, self.snapshots_failed.clone());
        let help = "Rooms whose handlers wait, without a worker, until they are needed";
        to.register("rooms_asleep", help, self.rooms_asleep.clone());
        let help = "Versions that new rooms are no longer of, since too many have failed";
        to.register("rollouts_left", help, self.rollouts_left.clone());
        let help = "Open rooms that went on in another version";
        to.register("rooms_moved", help, self.rooms_moved.clone());
        let help = "Open rooms that were to go on in another version, and stayed in theirs";
        to.register("moves_failed", help, self.moves_failed.clone());
        to.register("workers", "Connections of workers", self.workers.clone());
        to.register("connections_refused", "Connections over the limit", self.connections_refused.clone());
        let help = "Connections that failed before they were sessions, by cause";
        to.register("handshakes_failed", help, self.handshakes_failed.clone());
        to.register("tls_handshakes", "TLS handshakes made", self.tls_handshakes.clone());
        to.register("certificates_loaded", "Certificates replaced while running", self.certificates_loaded.clone());
        let help = "Changes of the certificate's files that were of no use";
        to.register("certificates_failed", help, self.certificates_failed.clone());
        to.register("workers_started", "Worker processes started by the broker", self.workers_started.clone());
        let help = "Those of them that replaced one that had ended";
        to.register("worker_restarts", help, self.worker_restarts.clone());
        let help = "Connections of workers that have ended, by cause";
        to.register("workers_lost", help, self.workers_lost.clone());
        to.register("errors", "Errors told to clients, by code", self.errors.clone());
        to.register("closes", "Ends of connections, by cause", self.closes.clone());
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabel {
    cause: &'static str,
}

/// Why a connection ended before it was a session, or while it spoke HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFault {
    /// The TLS handshake failed.
    Tls,
    /// The TLS handshake took too long.
    TlsTimeout,
    /// The request's head took too long.
    HeadTimeout,
    /// The request's head had too many bytes or lines.
    HeadTooLarge,
    /// The request was not HTTP.
    Malformed,
    /// The request's body stopped coming.
    BodyTimeout,
    /// The response was not read.
    Unread,
}

impl HandshakeFault {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::TlsTimeout => "tls_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::HeadTooLarge => "head_too_large",
            Self::Malformed => "malformed",
            Self::BodyTimeout => "body_timeout",
            Self::Unread => "unread",
        }
    }
}
