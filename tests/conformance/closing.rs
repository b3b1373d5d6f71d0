//! The goodbye (RFC 6455, sections 5.5.1 and 7).

use crate::cases::{BINARY, CLOSE, Case, FIN, PING, PONG, TEXT, goodbye};

const PROTOCOL: u16 = 1002;
const NOT_UTF8: u16 = 1007;

/// Codes that may be sent: those of RFC 6455 and of the registry that it made, and the two free ranges.
const CODES: [u16; 17] =
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3001, 3999, 4000, 4200, 4999];
/// Codes that mean nothing, or that no frame may have.
const NO_CODES: [u16; 16] =
    [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 32_768, 65_535];

pub(crate) fn cases() -> Vec<Case> {
    let close = |name: &str, payload: &[u8]| Case::new(name).frame(FIN | CLOSE, payload);
    let mut cases = vec![
        close("a goodbye without a code", b"").answered(None),
        close("a goodbye with half a code", b"\x03").fails(PROTOCOL),
        close("a reason of 1", &goodbye(1000, "x")).answered(Some(1000)),
        close("a reason of 123", &goodbye(1000, &"x".repeat(123))).answered(Some(1000)),
        close("a reason of 124", &goodbye(1000, &"x".repeat(124))).fails(PROTOCOL),
        close("a reason in another script", &goodbye(1000, "до свидания")).answered(Some(1000)),
        close("a reason that is no text", b"\x03\xe8\xff\xfe").fails(NOT_UTF8),
        close("a reason with a surrogate", b"\x03\xe8\xed\xa0\x80").fails(NOT_UTF8),
        close("a reason cut off", b"\x03\xe8\xe2\x82").fails(NOT_UTF8),
    ];
    for code in CODES {
        cases.push(close(&format!("the code {code}"), &goodbye(code, "bye")).answered(Some(code)));
    }
    for code in NO_CODES {
        cases.push(close(&format!("the code {code}, which is none"), &goodbye(code, "bye")).answered(Some(PROTOCOL)));
    }
    let bye = || Case::new("").echoed(TEXT, "hello").frame(FIN | CLOSE, goodbye(1000, "")).answered(Some(1000));
    let after = |name: &str, case: Case| Case { name: name.to_owned(), ..case };
    cases.extend([
        after("a goodbye after a message", bye()),
        after("a text after the goodbye", bye().frame(FIN | TEXT, "more")),
        after("a binary after the goodbye", bye().frame(FIN | BINARY, [1; 200])),
        after("a ping after the goodbye", bye().frame(FIN | PING, "more")),
        after("a pong after the goodbye", bye().frame(FIN | PONG, "more")),
        after("a second goodbye", bye().frame(FIN | CLOSE, goodbye(1001, ""))),
        after("nonsense after the goodbye", bye().send([0xff; 32])),
        after("a text that is none after the goodbye", bye().frame(FIN | TEXT, b"\xff")),
        after("a fragment after the goodbye", bye().frame(FIN, "rest")),
        Case::new("a goodbye inside a message")
            .frame(TEXT, "a")
            .frame(FIN | CLOSE, goodbye(1000, ""))
            .answered(Some(1000)),
        Case::new("a goodbye inside a character").frame(TEXT, b"\xe2").frame(FIN | CLOSE, b"").answered(None),
        Case::new("a goodbye after a ping").pinged("x").frame(FIN | CLOSE, goodbye(1000, "")).answered(Some(1000)),
    ]);
    cases
}
