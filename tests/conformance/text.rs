//! Texts are UTF-8, and one that is not ends the connection as soon as that is certain (RFC 6455, sections 5.6 and 8.1).

use crate::cases::{BINARY, Case, FIN, TEXT};

const NOT_UTF8: u16 = 1007;

/// Texts at the edges of what each length of a character can say.
const VALID: [(&str, &str); 14] = [
    ("the last of one byte", "\u{7f}"),
    ("the first of two bytes", "\u{80}"),
    ("the last of two bytes", "\u{7ff}"),
    ("the first of three bytes", "\u{800}"),
    ("before the surrogates", "\u{d7ff}"),
    ("after the surrogates", "\u{e000}"),
    ("the replacement", "\u{fffd}"),
    ("a byte order mark", "\u{feff}x"),
    ("no character at all", "\u{fffe}\u{ffff}"),
    ("the first of four bytes", "\u{10000}"),
    ("the last there is", "\u{10ffff}"),
    ("no character of the last plane", "\u{10fffe}"),
    ("zero", "\0"),
    ("many scripts", "κόσμε, Straße, 日本語, 𝄞, 👩‍👩‍👧"),
];

/// What is no UTF-8, and never will be, whatever follows.
const INVALID: [(&str, &[u8]); 26] = [
    ("a continuation byte alone", b"\x80"),
    ("the last continuation byte alone", b"\xbf"),
    ("two continuation bytes", b"\x80\xbf"),
    ("a byte that there is not, fe", b"\xfe"),
    ("a byte that there is not, ff", b"\xff"),
    ("a byte that there is not, f5", b"\xf5\x80\x80\x80"),
    ("a slash too long by one", b"\xc0\xaf"),
    ("a slash too long by two", b"\xe0\x80\xaf"),
    ("a slash too long by three", b"\xf0\x80\x80\xaf"),
    ("five bytes", b"\xf8\x88\x80\x80\x80"),
    ("six bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("a zero too long", b"\xc0\x80"),
    ("two bytes for what needs one", b"\xc1\xbf"),
    ("three bytes for what needs two", b"\xe0\x9f\xbf"),
    ("four bytes for what needs three", b"\xf0\x8f\xbf\xbf"),
    ("the first surrogate", b"\xed\xa0\x80"),
    ("the last high surrogate", b"\xed\xaf\xbf"),
    ("the first low surrogate", b"\xed\xb0\x80"),
    ("the last surrogate", b"\xed\xbf\xbf"),
    ("a pair of surrogates", b"\xed\xa1\x8c\xed\xbe\xb4"),
    ("beyond the last", b"\xf4\x90\x80\x80"),
    ("far beyond the last", b"\xf7\xbf\xbf\xbf"),
    ("a character cut off by a letter", b"\xe2\x82x"),
    ("a character cut off by another", b"\xc3\xc3\xa9"),
    ("a letter inside a character", b"\xf0\x9fx\x98\x80"),
    ("something wrong after much that is right", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"),
];

/// What could still become a character, if it went on.
const CUT: [(&str, &[u8]); 6] = [
    ("one of two bytes", b"\xc3"),
    ("one of three bytes", b"\xe2"),
    ("two of three bytes", b"\xe2\x82"),
    ("one of four bytes", b"\xf0"),
    ("two of four bytes", b"\xf0\x9f"),
    ("three of four bytes", b"\xf0\x9f\x98"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in VALID {
        let bytes = text.as_bytes();
        cases.push(Case::new(format!("{name}, whole")).echoed(TEXT, text));
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        cases.push(Case::new(format!("{name}, a byte a fragment")).fragments(TEXT, &pieces));
    }
    let (head, tail) = "€".as_bytes().split_at(1);
    let split = Case::new("a ping inside a character").frame(TEXT, head).pinged([0xff]).frame(FIN, tail);
    cases.push(split.gives(TEXT, "€"));
    for (name, bytes) in INVALID {
        cases.push(Case::new(format!("{name}, whole")).frame(FIN | TEXT, bytes).fails(NOT_UTF8));
        // The message never ends: what is wrong has to be noticed before.
        cases.push(Case::new(format!("{name}, noticed at once")).frame(TEXT, bytes).fails(NOT_UTF8));
        let (head, tail) = bytes.split_at(bytes.len() / 2);
        let halves = Case::new(format!("{name}, in two fragments")).frame(TEXT, [b"a", head].concat());
        cases.push(halves.frame(FIN, tail).fails(NOT_UTF8));
        cases.push(Case::new(format!("{name}, as a binary")).echoed(BINARY, bytes));
    }
    for (name, bytes) in CUT {
        cases.push(Case::new(format!("{name}, whole")).echoed(TEXT, "a").frame(FIN | TEXT, bytes).fails(NOT_UTF8));
        cases.push(Case::new(format!("{name}, before the end")).frame(TEXT, bytes).frame(FIN, "").fails(NOT_UTF8));
        cases.push(Case::new(format!("{name}, in a message that goes on")).frame(TEXT, bytes));
        cases.push(Case::new(format!("{name}, in a ping")).pinged(bytes));
    }
    cases
}
