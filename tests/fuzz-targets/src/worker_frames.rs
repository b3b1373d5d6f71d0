//! The frames between broker and worker, in both directions: whatever decodes can be encoded and decoded again, decoding costs no more
//! memory than the bytes are worth, and whatever a room is said to be able to take has only payloads that are well-formed.

use std::fmt::Debug;

use bytes::Bytes;
use parlor_protocol::room::{Outcome, Output};
use parlor_protocol::worker::{FromWorker, ToWorker, WorkerFrameError, check_outcome};
use parlor_protocol::{Policy, msgpack};

/// What decoding may take for each byte of a frame, at any one time. Properties and errors hold values that their reader keeps, and a map
/// in a map is two bytes on the wire but a node with room for eleven, some 640 bytes. Who sends them has the operator's token.
const SHARE: u64 = 384;
/// Beside that: errors with their texts, a batch of outcomes that say nothing.
const CONSTANT: u64 = 64 << 10;

/// What either side says.
pub fn worker_frame(data: &[u8]) {
    if let Some(frame) = check(data, FromWorker::decode, FromWorker::encode) {
        assert!(FromWorker::decode(&Bytes::copy_from_slice(data), data.len() - 1).is_err(), "a limit is a limit");
        if let FromWorker::Outcomes { outcomes, .. } = frame {
            outcomes.iter().for_each(fit);
        }
    }
    check(data, ToWorker::decode, ToWorker::encode);
}

fn check<F: Debug + PartialEq>(
    data: &[u8],
    decode: fn(&Bytes, usize) -> Result<F, WorkerFrameError>,
    encode: fn(&F) -> Vec<u8>,
) -> Option<F> {
    let bytes = Bytes::copy_from_slice(data);
    let mut decoded = None;
    let cost = allocation_counter::measure(|| decoded = Some(decode(&bytes, data.len())));
    let bound = SHARE * data.len() as u64 + CONSTANT;
    assert!(cost.bytes_max <= bound, "{} bytes for {}", cost.bytes_max, data.len());
    let frame = decoded?.ok()?;
    let packed = Bytes::from(encode(&frame));
    let again = decode(&packed, packed.len()).expect("what was encoded can be decoded");
    assert_eq!(again, frame);
    assert_eq!(encode(&again), packed);
    Some(frame)
}

/// What passes can be put into the frames of clients as it is.
fn fit(outcome: &Outcome) {
    if check_outcome(outcome, &Policy::default()).is_err() {
        return;
    }
    let payloads = outcome.outputs.iter().filter_map(|output| match output {
        Output::Publish { payload, .. } | Output::Latest { payload, .. } | Output::Reply { payload, .. } => {
            Some(payload)
        }
        Output::Kick { reason, .. } => Some(reason),
        Output::Close { result } => Some(result),
        _ => None,
    });
    for payload in payloads.chain(&outcome.view) {
        assert_eq!(msgpack::check(payload), Ok(()), "{outcome:?}");
    }
}
