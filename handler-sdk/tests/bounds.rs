//! What no broker could take from a worker fails the input wherever the room runs, so that a game behaves the same in every mode.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use parlor::prelude::*;
use parlor::{Kind, Runner, Topic, Work};
use parlor_protocol::Seq;
use parlor_protocol::codec::to_payload;
use parlor_protocol::room::{Cause, Fault, Input, Outcome};
use parlor_protocol::worker::{MAX_VALUE_DEPTH, check_outcome};
use serde_json::{Value, json};

const NAME: &str = "a-name-that-is-one-byte-longer-than-any-name-on-any-wire-may-be--";

/// Its name is as long as it may be.
#[derive(Serialize, Message)]
#[message("a-name-that-is-just-as-long-as-any-name-on-any-wire-may-be------")]
struct Fits {}

/// The macros would have refused this; it is written by hand.
#[derive(Serialize)]
struct Long {}

impl Message for Long {
    const TYPE: &'static str = NAME;
}

const WORK: Work<(), u32> = Work::new(NAME, |_env, ()| Box::pin(async { Ok(1) }));

#[derive(Default, Serialize, Deserialize)]
struct Bounds;

#[room(kind = "bounds", latest_topics = ["place"])]
impl Bounds {
    /// Does one thing.
    #[msg::route("do")]
    fn act(&mut self, ctx: &mut Ctx, from: PlayerId, job: (String, usize)) -> Result<()> {
        let (what, size) = job;
        let name = "n".repeat(size);
        let deep = || (0..size).fold(json!(1), |inner, _| json!([inner]));
        match &*what {
            "fits" => ctx.broadcast(&Fits {}),
            "broadcast" => ctx.broadcast(&Long {}),
            "latest" => ctx.publish_latest("place", 1, &Long {}),
            "after" => drop(ctx.after(Duration::from_secs(1), Long {})),
            "run" => drop(ctx.run(WORK, ())),
            "publish" => ctx.publish(name, &Fits {}),
            "forget" => ctx.forget_latest(name, 1),
            "topics" => ctx.set_topics(from, [Topic::from((1, 2)), Topic::from(name)]),
            "property" => ctx.set_property("p", deep()),
            "refuse" => {
                let origin = ctx.defer_reply();
                ctx.refuse(origin, Failure::app("no", "no").with("deep", deep()));
            }
            "refusal" => return Err(Failure::app("no", "no").with("deep", deep())),
            other => panic!("{other}"),
        }
        ctx.defer_reply();
        Ok(())
    }
}

fn act(what: &str, size: usize) -> Outcome {
    let from = Origin { player: PlayerId(1), no: 1, request: Some(1) };
    let payload = to_payload(&(what, size)).unwrap();
    let cause = Cause::Message { from, name: "do".into(), payload };
    let mut room: Box<dyn Runner> = Kind::of::<Bounds>().runner();
    room.handle(&Input { seq: Seq(1), now_ms: 0, cause })
}

fn fails(outcome: &Outcome, why: &str) {
    match &outcome.result {
        Err(Fault::Refused(failure)) if failure.code == "output_failed" && outcome.outputs.is_empty() => {
            assert!(failure.text.contains(why), "{failure}");
        }
        _ => panic!("{outcome:?}"),
    }
}

#[test]
fn names_are_as_long_as_they_may_be() {
    assert_eq!(NAME.len(), 65);
    let fits = act("fits", 0);
    assert!(fits.result.is_ok(), "{fits:?}");
    assert_eq!(check_outcome(&fits, &Kind::of::<Bounds>().policy), Ok(()));
    for what in ["broadcast", "latest", "after", "run"] {
        fails(&act(what, 0), &format!("the name {NAME:?} is longer than 64 bytes"));
    }
}

#[test]
fn topics_are_as_long_as_they_may_be() {
    for what in ["publish", "topics"] {
        let fits = act(what, 64);
        assert!(fits.result.is_ok() && fits.outputs.len() == 1, "{fits:?}");
        assert_eq!(check_outcome(&fits, &Kind::of::<Bounds>().policy), Ok(()));
        fails(&act(what, 65), "is longer than 64 bytes");
    }
    fails(&act("forget", 65), "is longer than 64 bytes");
}

#[test]
fn values_are_as_deep_as_they_may_be() {
    for what in ["property", "refuse", "refusal"] {
        let fits = act(what, MAX_VALUE_DEPTH);
        assert_eq!(check_outcome(&fits, &Kind::of::<Bounds>().policy), Ok(()), "{what}");
        assert_eq!((fits.outputs.len(), fits.result.is_err()), if what == "refusal" { (0, true) } else { (1, false) });
        fails(&act(what, MAX_VALUE_DEPTH + 1), "nests deeper than 62 levels");
    }
}

#[test]
fn the_reason_of_work_is_as_deep_as_it_may_be() {
    async fn refused(_env: Env, deep: Value) -> Result<(), Failure> {
        Err(Failure::app("no", "no").with("deep", deep))
    }
    let work = parlor::WorkFn::new(Work::new("refused", |env, deep| Box::pin(refused(env, deep))));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let code = |levels| {
        let deep = (0..levels).fold(json!(1), |inner, _| json!([inner]));
        let payload = parlor::Payload(to_payload(&deep).unwrap());
        runtime.block_on(work.call(Env::default(), payload)).unwrap_err().code
    };
    assert_eq!((code(MAX_VALUE_DEPTH), code(MAX_VALUE_DEPTH + 1)), ("app.no".into(), "output_failed".into()));
}
