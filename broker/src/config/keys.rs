//! The one table of keys: what is printed, suggested and documented comes from here. A test compares it with the fields.

/// A key of the configuration file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, with that of its section: `limits.rooms`.
    pub name: &'static str,
    /// What its number counts; empty when it is no number.
    pub unit: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

impl Key {
    /// Section and name within it; the section is empty for a key of the file itself.
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }
}

/// Whether this is the name of a table with keys of its own.
pub(super) fn is_section(name: &str) -> bool {
    !name.is_empty() && KEYS.iter().any(|key| key.parts().0 == name)
}

/// Whether a section has this key.
pub(super) fn is_key(section: &str, name: &str) -> bool {
    KEYS.iter().any(|key| key.parts() == (section, name))
}

const fn key(name: &'static str, unit: &'static str, meaning: &'static str) -> Key {
    Key { name, unit, meaning }
}

/// All keys, sections together and in the order in which they are printed.
pub const KEYS: [Key; 49] = [
    key("listen", "", "address and port for WebSocket, REST and pages; port 0 takes any free one"),
    key("server_key", "", "key for REST calls that change something; without one they are refused"),
    key("shards", "threads", "threads that run rooms and their connections; 0: one per core"),
    key(
        "secret",
        "",
        "32 bytes or more, with which tickets are signed; without one they end with the process, as resume tokens always do",
    ),
    key(
        "origins",
        "",
        "origins of pages that may connect beside this server's own, as https://game.example; * lets in all",
    ),
    key(
        "trusted_proxies",
        "",
        "addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
    ),
    key("tls.certificate", "", "PEM file with the certificate and its chain"),
    key("tls.key", "", "PEM file with the private key"),
    key("auth.guests", "", "whether clients without a token are let in, each under an account of its own"),
    key("auth.secret", "", "secret of tokens signed with HS256, 32 bytes or more"),
    key("auth.keys", "", "public keys of tokens signed with EdDSA or RS256: a PEM or JWKS file, or the URL of a JWKS"),
    key(
        "auth.url",
        "",
        "where tokens are checked by the game's services: the URL to ask, which is shown the server_key",
    ),
    key("auth.issuer", "", "what the iss of a token must be; not looked at when not set"),
    key("auth.audience", "", "what the aud of a token must contain; not looked at when not set"),
    key("auth.leeway_s", "seconds", "by how much clocks may differ"),
    key(
        "limits.max_frame_bytes",
        "bytes",
        "largest frame taken from a client; beyond four times as much its connection ends",
    ),
    key("limits.max_fragments", "fragments", "fragments of one WebSocket message"),
    key("limits.max_head_bytes", "bytes", "HTTP request head of a new connection, 8192 or more"),
    key(
        "limits.header_timeout_ms",
        "milliseconds",
        "time for the HTTP request head, and for the TLS handshake before it",
    ),
    key("limits.frame_timeout_ms", "milliseconds", "time to finish a message once it has begun"),
    key("limits.hello_timeout_ms", "milliseconds", "time from the upgrade to the first frame"),
    key("limits.ping_after_ms", "milliseconds", "silence after which a client is pinged"),
    key(
        "limits.idle_timeout_ms",
        "milliseconds",
        "silence after which a connection counts as dead; above ping_after_ms",
    ),
    key("limits.write_deadline_ms", "milliseconds", "how long a client may take nothing while something is owed to it"),
    key("limits.outbox_frames", "frames", "what may wait for a client that does not read"),
    key("limits.outbox_bytes", "bytes", "the same in bytes"),
    key("limits.bad_frames", "frames", "malformed frames after which a connection ends"),
    key("limits.messages_per_s", "frames a second", "what one session may send; five seconds' worth may come at once"),
    key(
        "limits.bytes_per_s",
        "bytes a second",
        "the same in bytes; five seconds' worth hold a frame of max_frame_bytes",
    ),
    key(
        "limits.control_frames_per_s",
        "frames a second",
        "WebSocket pings and pongs from one connection; five seconds' worth may come at once",
    ),
    key("limits.connections", "connections", "connections at a time"),
    key(
        "limits.connections_per_address",
        "connections",
        "connections at a time from one address, or one IPv6 network of 64 bits",
    ),
    key(
        "limits.sessions_away",
        "sessions",
        "sessions kept without a connection, for their clients to come back; 0: none",
    ),
    key("limits.rooms", "rooms", "rooms at a time; 0: none are made"),
    key("limits.rooms_per_session", "rooms", "rooms that one session may be in; it may have made four times as many"),
    key(
        "limits.subscriptions",
        "topics",
        "topics of its own choice that one session may follow, in all its rooms; 0: none",
    ),
    key(
        "limits.gather_members",
        "members",
        "members beyond which a room no longer draws connections to its own thread; 0: it never does",
    ),
    key(
        "limits.drain_ms",
        "milliseconds",
        "time for rooms to end themselves when the broker shuts down; 0: they are cut off",
    ),
    key(
        "workers.token",
        "",
        "what workers must show that connect over the network, 16 bytes or more; without one none is let in there",
    ),
    key("workers.socket", "", "Unix socket for workers on the same machine, which only the broker's own user can open"),
    key(
        "workers.command",
        "",
        "command line of a game's program, started as a worker, and again when it has ended; one word alone gets `worker` behind it",
    ),
    key("workers.count", "processes", "processes of workers.command"),
    key("workers.wait_ms", "milliseconds", "how long a room that opens, and those who want in, wait for a worker"),
    key("workers.gone_ms", "milliseconds", "how long a room whose worker is gone waits for another before it ends"),
    key(
        "workers.time_limit_ms",
        "milliseconds",
        "how long a worker may take over one input before it counts as hanging",
    ),
    key("workers.beat_ms", "milliseconds", "silence after which broker and worker write a beat"),
    key("workers.lost_after_ms", "milliseconds", "silence after which a worker counts as lost; above beat_ms"),
    key(
        "workers.max_frame_bytes",
        "bytes",
        "largest frame between broker and worker, such as a room's state; 262144 or more",
    ),
    key("relay", "", "rooms without a handler: a kind, and any field of a policy"),
];
