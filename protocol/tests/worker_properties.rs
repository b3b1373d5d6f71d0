//! What must hold for every frame between broker and worker, and for any bytes whatever.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod arbitrary;
mod common;
mod mutation;

use arbitrary::worker::{any_worker_frame, outcome};
use arbitrary::{any_value, encoded};
use common::worker::{Direction, Frame, MAX, frames};
use mutation::{mutation, telling_byte};
use parlor_protocol::Policy;
use parlor_protocol::worker::check_outcome;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;

fn config() -> ProptestConfig {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worker_properties.regressions");
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..ProptestConfig::with_cases(256)
    }
}

/// Decodes as everything that it could be; a panic is what the test looks for. What decodes must survive a round trip.
fn decode_both(bytes: &[u8]) -> Result<(), TestCaseError> {
    for direction in Direction::BOTH {
        let Ok(frame) = Frame::decode(direction, bytes, MAX) else { continue };
        let once = frame.encode();
        let again = Frame::decode(direction, &once, MAX).unwrap();
        prop_assert_eq!(&once, &again.encode());
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_frame_survives(frame in any_worker_frame()) {
        let bytes = frame.encode();
        prop_assert_eq!(Frame::decode(frame.direction(), &bytes, bytes.len()).unwrap(), frame);
    }

    /// The wire is only ever extended at the end, and readers of today must bear it.
    #[test]
    fn more_elements_are_passed_over(frame in any_worker_frame(), more in vec(any_value(false), 1..4)) {
        let mut bytes = frame.encode();
        bytes[0] += u8::try_from(more.len()).unwrap();
        more.iter().for_each(|value| bytes.extend(encoded(value)));
        prop_assert_eq!(Frame::decode(frame.direction(), &bytes, MAX).unwrap(), frame);
    }

    #[test]
    fn any_bytes_decode_or_are_refused(bytes in vec(telling_byte(), 0..200)) {
        decode_both(&bytes)?;
    }

    #[test]
    fn arrays_of_anything_decode_or_are_refused(
        op in prop_oneof![60..=75_u8, 95..=110_u8],
        fields in vec(any_value(true), 0..8),
    ) {
        let array = [vec![op.into()], fields].concat();
        decode_both(&encoded(&rmpv::Value::Array(array)))?;
    }

    #[test]
    fn mutated_frames_decode_or_are_refused((_, frame) in select(frames()), mutations in vec(mutation(), 1..6)) {
        let mut bytes = frame.encode();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
            decode_both(&bytes)?;
        }
    }

    /// The generator keeps to all bounds.
    #[test]
    fn outcomes_within_bounds_are_taken(outcome in outcome()) {
        prop_assert_eq!(check_outcome(&outcome, &Policy { max_output_bytes: 1 << 20, ..Policy::default() }), Ok(()));
    }
}
