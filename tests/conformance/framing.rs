//! Framing, pings and pongs, reserved bits and opcodes, masks, fragments (RFC 6455, sections 5.1 to 5.5).

use crate::cases::{BINARY, CLOSE, Case, FIN, PING, PONG, TEXT, frame, unmasked};

const PROTOCOL: u16 = 1002;
const TOO_LARGE: u16 = 4201;
/// Lengths around those at which the header grows.
const LENGTHS: [usize; 10] = [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536];

pub(crate) fn cases() -> Vec<Case> {
    [messages(), controls(), reserved(), masks(), fragments(), broken_fragments()].concat()
}

fn messages() -> Vec<Case> {
    let of = |kind: u8, name: &str, byte: u8| {
        LENGTHS.map(|len| Case::new(format!("a {name} of {len}")).echoed(kind, vec![byte; len])).to_vec()
    };
    let all: Vec<u8> = (0..=255).collect();
    let ascii: Vec<u8> = (0..128).collect();
    let many = (0..300).fold(Case::new("300 messages in a row"), |case, n| case.echoed(BINARY, vec![n as u8; n]));
    let others = vec![
        Case::new("a binary of all bytes").echoed(BINARY, &all),
        Case::new("a text of all of ASCII").echoed(TEXT, &ascii),
        Case::new("texts and binaries by turns").echoed(TEXT, "a").echoed(BINARY, "b").echoed(TEXT, "c"),
        Case::new("nothing at all"),
        many,
    ];
    [of(TEXT, "text", b'*'), of(BINARY, "binary", 0xfe), others].concat()
}

fn controls() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [0, 1, 124, 125] {
        cases.push(Case::new(format!("a ping of {len}")).pinged(vec![0xff; len]));
        cases.push(Case::new(format!("a pong of {len} that nobody asked for")).frame(FIN | PONG, vec![b'p'; len]));
    }
    for (kind, name) in [(PING, "ping"), (PONG, "pong"), (CLOSE, "close")] {
        for len in [126, 127, 65_536] {
            cases.push(Case::new(format!("a {name} of {len}")).frame(FIN | kind, vec![3; len]).fails(PROTOCOL));
        }
    }
    let ten = (0..10).fold(Case::new("ten pings"), |case, n| case.pinged([n; 3]));
    let mixed =
        Case::new("pongs and pings by turns").frame(FIN | PONG, "x").pinged("y").frame(FIN | PONG, "").pinged("");
    let between = Case::new("pings between messages").echoed(TEXT, "a").pinged("1").echoed(BINARY, "b").pinged("2");
    cases.extend([ten, mixed, between]);
    cases
}

fn reserved() -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in 1..=7u8 {
        for (kind, name) in [(TEXT, "text"), (BINARY, "binary"), (PING, "ping"), (CLOSE, "close")] {
            let payload: &[u8] = if kind == CLOSE { &[3, 232] } else { b"x" };
            let case = Case::new(format!("a {name} with the reserved bits {bits:03b}")).echoed(TEXT, "before");
            cases.push(case.frame(FIN | bits << 4 | kind, payload).fails(PROTOCOL));
        }
    }
    let inside = Case::new("a fragment with a reserved bit").frame(TEXT, "a").frame(FIN | 0x40, "b");
    cases.push(inside.fails(PROTOCOL));
    for opcode in (3..=7).chain(11..=15) {
        for payload in ["", "x"] {
            let case = Case::new(format!("the opcode {opcode} with {} bytes", payload.len())).echoed(TEXT, "before");
            cases.push(case.frame(FIN | opcode, payload).fails(PROTOCOL));
        }
    }
    for opcode in [3, 11] {
        let case = Case::new(format!("the opcode {opcode} inside a message")).frame(TEXT, "a");
        cases.push(case.frame(FIN | opcode, "b").frame(FIN, "c").fails(PROTOCOL));
    }
    cases
}

fn masks() -> Vec<Case> {
    let bare = [(TEXT, "text"), (BINARY, "binary"), (PING, "ping"), (PONG, "pong"), (CLOSE, "close")];
    let mut cases: Vec<_> = bare
        .into_iter()
        .map(|(kind, name)| {
            Case::new(format!("a {name} without a mask")).send(unmasked(FIN | kind, b"")).fails(PROTOCOL)
        })
        .collect();
    let long = Case::new("a long binary without a mask").send(unmasked(FIN | BINARY, &[1; 300]));
    let rest = Case::new("a fragment without a mask").frame(BINARY, "a").send(unmasked(FIN, b"b"));
    let zero = Case::new("a mask of zeros").send([0x82, 0x83, 0, 0, 0, 0, 1, 2, 3]).gives(BINARY, [1, 2, 3]);
    cases.extend([long.fails(PROTOCOL), rest.fails(PROTOCOL), zero]);
    cases
}

fn fragments() -> Vec<Case> {
    let large = vec![b'l'; 65_536];
    let chopped: Vec<&[u8]> = large.chunks(1_300).collect();
    let bytes: Vec<&[u8]> = large[..500].chunks(1).collect();
    let with = |name: &str, control: u8| {
        let case = Case::new(format!("a {name} between fragments")).frame(TEXT, "one ").frame(FIN | control, "x");
        let case = case.frame(0, "two ").frame(FIN | control, "x").frame(FIN, "three").gives(TEXT, "one two three");
        if control == PING { Case { pongs: vec![b"x".to_vec(); 2], ..case } } else { case }
    };
    let flood =
        (0..20).fold(Case::new("pings between fragments").frame(BINARY, "a"), |case, n| case.frame(0, [n]).pinged([n]));
    let whole: Vec<u8> = [&b"a"[..], &(0..20).collect::<Vec<u8>>(), b"z"].concat();
    vec![
        Case::new("a text in two fragments").fragments(TEXT, &[b"hel", b"lo"]),
        Case::new("a binary in three fragments").fragments(BINARY, &[&[0], &[1], &[2]]),
        Case::new("an empty first fragment").fragments(TEXT, &[b"", b"x"]),
        Case::new("an empty last fragment").fragments(TEXT, &[b"x", b""]),
        Case::new("an empty fragment between").fragments(TEXT, &[b"x", b"", b"y"]),
        Case::new("three empty fragments").fragments(BINARY, &[b"", b"", b""]),
        Case::new("65536 bytes in fragments of 1300").fragments(TEXT, &chopped),
        Case::new("500 fragments of one byte").fragments(BINARY, &bytes),
        Case::new("a fragmented message after another").fragments(TEXT, &[b"a", b"b"]).fragments(BINARY, &[b"c", b"d"]),
        Case::new("a whole message after fragments").fragments(TEXT, &[b"a", b"b"]).echoed(BINARY, "c"),
        with("ping", PING),
        with("pong", PONG),
        flood.frame(FIN, "z").gives(BINARY, whole),
        Case::new("a message that does not end").frame(TEXT, "so far"),
    ]
}

fn broken_fragments() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, name) in [(PING, "ping"), (PONG, "pong"), (CLOSE, "close")] {
        cases.push(Case::new(format!("a {name} that is to go on")).frame(kind, "").frame(FIN, "").fails(PROTOCOL));
        let inside = Case::new(format!("a {name} that is to go on, inside a message")).frame(TEXT, "a").frame(kind, "");
        cases.push(inside.frame(FIN, "b").fails(PROTOCOL));
    }
    for (kind, name) in [(TEXT, "text"), (BINARY, "binary")] {
        for fin in [0, FIN] {
            let case =
                Case::new(format!("a new {name} inside a message ({fin})")).frame(TEXT, "a").frame(fin | kind, "b");
            cases.push(case.frame(FIN, "c").fails(PROTOCOL));
        }
    }
    for (first, name) in [(0, "which goes on"), (FIN, "the last")] {
        let alone = Case::new(format!("a fragment of nothing, {name}")).frame(first, "x");
        let after = Case::new(format!("a fragment after the last, {name}")).fragments(TEXT, &[b"a", b"b"]);
        let empty = Case::new(format!("an empty fragment of nothing, {name}")).frame(first, "");
        cases.extend([alone, after.frame(first, "x"), empty].map(|case| case.fails(PROTOCOL)));
    }
    let huge = [&[0x82, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    cases.push(Case::new("a length beyond 2^63").echoed(TEXT, "a").send(huge).fails(TOO_LARGE));
    cases.push(Case::new("garbage").send(frame(0xff, b"")).send([0xff; 64]).fails(PROTOCOL));
    cases
}
