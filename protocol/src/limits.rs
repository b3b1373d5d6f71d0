//! Limits that are part of the wire itself. What an operator may change stands in the broker's table of defaults instead.

/// Nesting of arrays and maps that a payload may have. Deeper ones are refused, so that no decoder's stack can be exhausted.
pub const MAX_DEPTH: usize = 64;

/// Bytes of a message type, room kind, topic or field name.
pub const MAX_NAME: usize = 64;

/// Bytes of the `client`, `game` and `name` fields of a hello.
pub const MAX_LABEL: usize = 64;

/// Largest integer on the wire: what a JavaScript number can hold exactly.
pub const MAX_UINT: u64 = (1 << 53) - 1;
