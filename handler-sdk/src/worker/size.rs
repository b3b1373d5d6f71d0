//! How large an outcome becomes on the wire. It is asked of each, so that most are told by what they hold, without encoding them.

use bytes::Bytes;
use parlor_protocol::room::{Audience, Fault, Outcome, Output, Topic};
use parlor_protocol::worker::{FromWorker, MAX_ENVELOPE, WorkerRoom, output_size};
use parlor_protocol::{Failure, Seq};
use serde_json::Value;

/// What an output, an outcome or a failure needs besides what is counted: the names of its fields, a name of 64 bytes, an origin.
const AROUND: usize = 256;

/// Bytes of an outcome, at least as many as it will have.
pub(super) fn weight(outcome: &Outcome) -> usize {
    let fault = match &outcome.result {
        Ok(()) => 0,
        Err(Fault::Refused(failure)) => of_failure(failure),
        Err(Fault::Panicked(text)) => text.len(),
    };
    let outputs: usize = outcome.outputs.iter().map(of_output).sum();
    AROUND + fault + outputs + outcome.view.as_ref().map_or(0, Bytes::len)
}

/// Whether an outcome can have a frame to itself.
pub(super) fn fits(outcome: &Outcome, max_frame: usize) -> bool {
    if weight(outcome) + MAX_ENVELOPE <= max_frame {
        return true;
    }
    let mut frame = Vec::new();
    // The largest numbers, since what fits should not depend on them.
    let largest = u64::MAX >> 11;
    FromWorker::encode_outcomes(WorkerRoom(u32::MAX), largest, Seq(largest), std::slice::from_ref(outcome), &mut frame);
    frame.len() <= max_frame
}

fn of_output(output: &Output) -> usize {
    const NUMBER: usize = 9;
    let more = match output {
        Output::Publish { to: Audience::AllBut(players), .. } => players.len() * NUMBER,
        Output::SetTopics { topics, .. } => topics.iter().map(of_topic).sum(),
        Output::Refuse { error, .. } => of_failure(error),
        // Counted as JSON already; a number that is short in JSON may be long in MessagePack.
        Output::SetProperty { name, value } => return AROUND + name.len() + of_value(value),
        _ => 0,
    };
    AROUND + output_size(output) as usize + more
}

fn of_topic(topic: &Topic) -> usize {
    const TOPIC: usize = 24;
    match topic {
        Topic::Name(name) => TOPIC + name.len(),
        Topic::Cell(..) => TOPIC,
    }
}

/// Bytes of a failure, at least as many as it will have.
pub(super) fn of_failure(failure: &Failure) -> usize {
    let params = failure.params.iter().map(|(name, value)| 9 + name.len() + of_value(value));
    AROUND + failure.code.len() + failure.text.len() + params.sum::<usize>()
}

fn of_value(value: &Value) -> usize {
    const HEAD: usize = 9;
    HEAD + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(of_value).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| HEAD + name.len() + of_value(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_protocol::room::{Door, Origin, TimerId};
    use parlor_protocol::{Place, PlayerId};
    use serde_json::json;

    fn encoded(outcome: &Outcome) -> usize {
        let mut frame = Vec::new();
        let far = (1 << 53) - 1;
        FromWorker::encode_outcomes(WorkerRoom(u32::MAX), far, Seq(far), std::slice::from_ref(outcome), &mut frame);
        frame.len()
    }

    fn worked(output: Output) -> Outcome {
        Outcome { result: Ok(()), outputs: vec![output; 100], view: None }
    }

    #[test]
    fn an_outcome_is_never_larger_than_its_weight() {
        let far = (1 << 53) - 1;
        let name = || "n".repeat(64);
        let to = Origin { player: PlayerId(u32::MAX), no: far, request: Some(far) };
        let place = Place { seq: Seq(far), index: u32::MAX };
        let failure =
            || Failure::app("c", "t".repeat(300)).with("deep", json!([[0.1, 0.2, -1.5], {"a": [1e300]}, null]));
        let topics = || vec![Topic::from(name()), (i32::MIN, i32::MAX).into(), (1, 2).into()];
        let payload = || Bytes::from(vec![0; 70_000]);
        let everything = [
            Output::Publish {
                to: Audience::AllBut(vec![PlayerId(u32::MAX); 500]),
                name: name().into(),
                payload: payload(),
            },
            Output::Publish { to: Audience::Topic(name().into()), name: name().into(), payload: payload() },
            Output::Latest { topic: name().into(), key: "k".repeat(300), name: name().into(), payload: payload() },
            Output::Forget { topic: name().into(), key: "k".repeat(70_000) },
            Output::Reply { to, payload: payload() },
            Output::Refuse { to, error: failure().into() },
            Output::SetTopics { player: PlayerId(u32::MAX), topics: (0..200).flat_map(|_| topics()).collect() },
            Output::After { delay_ms: far, event: name().into(), payload: payload() },
            Output::Cancel { timer: TimerId(place) },
            Output::Run { name: name().into(), arguments: payload() },
            Output::Kick { player: PlayerId(u32::MAX), reason: payload() },
            Output::Close { result: payload() },
            Output::SetProperty { name: "p".repeat(300), value: json!(vec![0.1; 500]) },
            Output::Lock(Door::Locked),
        ];
        for output in everything {
            let outcome = worked(output.clone());
            assert!(encoded(&outcome) <= weight(&outcome), "{output:?}");
        }
        for outcome in [
            Outcome::failed(Fault::Refused(failure().into())),
            Outcome::failed(Fault::Panicked("p".repeat(70_000))),
            Outcome { view: Some(payload()), result: Ok(()), outputs: Vec::new() },
        ] {
            assert!(
                encoded(&outcome) <= weight(&outcome) && weight(&outcome) <= encoded(&outcome) + 1024,
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn what_fits_is_told_to_the_byte() {
        let outcome = Outcome { view: Some(Bytes::from(vec![0; 5000])), result: Ok(()), outputs: Vec::new() };
        let bytes = encoded(&outcome);
        assert!(fits(&outcome, bytes) && !fits(&outcome, bytes - 1));
    }
}
