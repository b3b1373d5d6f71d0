//! Arbitrary frames of the worker protocol. Strategies are boxed where they would fill the stack of a test otherwise.

use std::sync::Arc;

use bytes::Bytes;
use parlor_protocol::policy::{Admission, Handled, OnPanic, SameAccount, TickWhen};
use parlor_protocol::room::{
    Audience, Cause, CloseWhy, Door, Fault, Input, Leave, Origin, Outcome, Output, Player, TimerId, Topic, UsedTicket,
    WorkId,
};
use parlor_protocol::worker::{FromWorker, Hello, KindOffer, SavedState, ToWorker, Welcome, WorkerRoom};
use parlor_protocol::{Failure, PlayerId, Policy, RoomId, Seq};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{any_value, encoded, failure, json_value, place, role, text, uint};
use crate::common::worker::Frame;

/// Any frame of either direction.
pub(crate) fn any_worker_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![from_worker().prop_map(Frame::FromWorker), to_worker().prop_map(Frame::ToWorker)]
}

/// What a handler made of an input.
pub(crate) fn outcome() -> BoxedStrategy<Outcome> {
    let worked = (vec(output(), 0..5), option::of(payload())).prop_map(|(outputs, view)| Outcome {
        result: Ok(()),
        outputs,
        view,
    });
    let fault = prop_oneof![
        failure().prop_map(|failure| Fault::Refused(failure.into())),
        "\\PC{0,80}".prop_map(Fault::Panicked)
    ];
    prop_oneof![3 => worked, 1 => fault.prop_map(Outcome::failed)].boxed()
}

fn payload() -> impl Strategy<Value = Bytes> {
    any_value(true).prop_map(|value| encoded(&value).into())
}

/// What only handlers look into is not even MessagePack.
fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![4 => vec(any::<u8>(), 0..300), 1 => vec(any::<u8>(), 65_000..70_000)].prop_map(Bytes::from)
}

fn about() -> impl Strategy<Value = (WorkerRoom, u64)> {
    (prop_oneof![0..300_u32, any::<u32>()].prop_map(WorkerRoom), uint())
}

fn seq() -> impl Strategy<Value = Seq> {
    uint().prop_map(Seq)
}

fn player_id() -> impl Strategy<Value = PlayerId> {
    prop_oneof![0..300_u32, any::<u32>()].prop_map(PlayerId)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{1,64}", "\\PC{1,16}"]
}

fn room_id() -> impl Strategy<Value = RoomId> {
    "[A-Za-z0-9_-]{1,64}".prop_map(|id| RoomId::parse(&id).unwrap())
}

fn from_worker() -> BoxedStrategy<FromWorker> {
    prop_oneof![
        1 => hello().prop_map(FromWorker::Hello),
        6 => (about(), seq(), vec(outcome(), 0..6)).prop_map(|((room, epoch), first, outcomes)| FromWorker::Outcomes {
            room,
            epoch,
            first,
            outcomes
        }),
        1 => (about(), seq(), saved()).prop_map(|((room, epoch), seq, state)| FromWorker::Snapshot {
            room,
            epoch,
            seq,
            state
        }),
        1 => (about(), option::of(failure())).prop_map(|((room, epoch), error)| FromWorker::Opened {
            room,
            epoch,
            result: error.map_or(Ok(()), Err)
        }),
        1 => (about(), place(), result()).prop_map(|((room, epoch), id, result)| FromWorker::WorkDone {
            room,
            epoch,
            id: WorkId(id),
            result
        }),
        1 => select(vec![FromWorker::Beat, FromWorker::Drain]),
    ]
    .boxed()
}

fn state() -> impl Strategy<Value = SavedState> {
    (name(), bytes()).prop_map(|(version, bytes)| SavedState { version, bytes })
}

fn saved() -> impl Strategy<Value = Result<SavedState, Failure>> {
    prop_oneof![state().prop_map(Ok), failure().prop_map(Err)]
}

fn result() -> impl Strategy<Value = Result<Bytes, Failure>> {
    prop_oneof![bytes().prop_map(Ok), failure().prop_map(Err)]
}

fn hello() -> BoxedStrategy<Hello> {
    // Names of kinds differ.
    let kinds = vec(offer(), 0..3).prop_map(|mut kinds| {
        (0..).zip(&mut kinds).for_each(|(number, kind)| kind.name = format!("{number}{:.15}", kind.name));
        kinds
    });
    (text(), name(), name(), name(), 1..=u32::MAX, kinds)
        .prop_map(|(token, name, version, sdk, capacity, kinds)| Hello { token, name, version, sdk, capacity, kinds })
        .boxed()
}

fn offer() -> impl Strategy<Value = KindOffer> {
    let names = || vec(name(), 0..4);
    (name(), policy(), names(), names(), names()).prop_map(|(name, policy, routes, events, works)| KindOffer {
        name,
        policy,
        routes,
        events,
        works,
    })
}

fn policy() -> BoxedStrategy<Policy> {
    let numbers = (1..u32::MAX, 0..=1000_u32, uint(), uint(), 1..=u32::MAX);
    let admission = || select(vec![Admission::Open, Admission::Ticket, Admission::Invite]);
    let same = select(vec![SameAccount::Replace, SameAccount::Refuse, SameAccount::Allow]);
    let choices = (admission(), admission(), same, any::<[bool; 3]>());
    (numbers, choices, vec(name(), 0..3), vec(name(), 0..3))
        .prop_map(
            |((max_players, tick_hz, empty_ttl_ms, max_view_bytes, queue_len), choices, match_by, latest_topics)| {
                let (join, watch, same_account, [always, told, close]) = choices;
                Policy {
                    max_players,
                    tick_hz,
                    empty_ttl_ms,
                    max_view_bytes,
                    queue_len,
                    join,
                    watch,
                    same_account,
                    match_by,
                    latest_topics,
                    tick_when: if always { TickWhen::Always } else { TickWhen::Occupied },
                    handled: if told { Handled::Told } else { Handled::Silent },
                    on_panic: if close { OnPanic::Close } else { OnPanic::Restore },
                    ..Policy::default()
                }
            },
        )
        .boxed()
}

fn origin() -> impl Strategy<Value = Origin> {
    (player_id(), uint(), option::of(uint())).prop_map(|(player, no, request)| Origin { player, no, request })
}

fn topic() -> impl Strategy<Value = Topic> {
    prop_oneof![text().prop_map(Topic::from), any::<(i32, i32)>().prop_map(Topic::from)]
}

fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![
        Just(Audience::All),
        vec(player_id(), 0..4).prop_map(Audience::AllBut),
        player_id().prop_map(Audience::One),
        topic().prop_map(Audience::Topic),
    ]
}

fn output() -> BoxedStrategy<Output> {
    let owned = || text().prop_map(Into::into);
    prop_oneof![
        (audience(), owned(), payload()).prop_map(|(to, name, payload)| Output::Publish { to, name, payload }),
        (topic(), text(), owned(), payload()).prop_map(|(topic, key, name, payload)| Output::Latest {
            topic,
            key,
            name,
            payload
        }),
        (topic(), text()).prop_map(|(topic, key)| Output::Forget { topic, key }),
        (origin(), payload()).prop_map(|(to, payload)| Output::Reply { to, payload }),
        (origin(), failure()).prop_map(|(to, error)| Output::Refuse { to, error: error.into() }),
        (player_id(), vec(topic(), 0..4)).prop_map(|(player, topics)| Output::SetTopics { player, topics }),
        (uint(), owned(), bytes()).prop_map(|(delay_ms, event, payload)| Output::After { delay_ms, event, payload }),
        place().prop_map(|timer| Output::Cancel { timer: TimerId(timer) }),
        (owned(), bytes()).prop_map(|(name, arguments)| Output::Run { name, arguments }),
        (player_id(), payload()).prop_map(|(player, reason)| Output::Kick { player, reason }),
        payload().prop_map(|result| Output::Close { result }),
        (text(), json_value()).prop_map(|(name, value)| Output::SetProperty { name, value }),
        select(vec![Door::Open, Door::Locked]).prop_map(Output::Lock),
    ]
    .boxed()
}

fn to_worker() -> BoxedStrategy<ToWorker> {
    prop_oneof![
        1 => (uint(), text(), uint(), uint(), uint()).prop_map(
            |(worker, server, beat_ms, lost_after_ms, max_frame_bytes)| {
                ToWorker::Welcome(Welcome { worker, server, beat_ms, lost_after_ms, max_frame_bytes })
            }
        ),
        1 => failure().prop_map(|error| ToWorker::Refused { error }),
        1 => (about(), room_id(), name(), option::of((seq(), state()))).prop_map(|((room, epoch), id, kind, snapshot)| {
            ToWorker::Open { room, epoch, id, kind, snapshot }
        }),
        6 => (about(), vec(input(), 0..6)).prop_map(|((room, epoch), inputs)| ToWorker::Inputs { room, epoch, inputs }),
        1 => (about(), input()).prop_map(|((room, epoch), input)| ToWorker::Skip { room, epoch, input }),
        1 => (about(), option::of(name())).prop_map(|((room, epoch), meant_for)| ToWorker::Snap {
            room,
            epoch,
            meant_for
        }),
        1 => about().prop_map(|(room, epoch)| ToWorker::Close { room, epoch }),
        1 => (about(), place(), text(), text(), bytes()).prop_map(|((room, epoch), id, key, name, arguments)| {
            ToWorker::Run { room, epoch, id: WorkId(id), key, name, arguments }
        }),
        1 => select(vec![ToWorker::Beat, ToWorker::End]),
    ]
    .boxed()
}

fn input() -> impl Strategy<Value = Input> {
    (seq(), uint(), cause()).prop_map(|(seq, now_ms, cause)| Input { seq, now_ms, cause })
}

fn player() -> impl Strategy<Value = Player> {
    (player_id(), text(), text(), role()).prop_map(|(id, account, name, role)| Player { id, account, name, role })
}

fn cause() -> BoxedStrategy<Cause> {
    let ticket = (text(), uint()).prop_map(|(id, expires_s)| UsedTicket { id, expires_s });
    let leave = select(vec![Leave::Left, Leave::Disconnected, Leave::Replaced, Leave::Kicked]);
    let close = select(vec![CloseWhy::Requested, CloseWhy::Empty, CloseWhy::ShuttingDown]);
    let shared = || text().prop_map(|text| -> Arc<str> { text.into() });
    let owned = || text().prop_map(Into::into);
    prop_oneof![
        (room_id(), uint(), payload()).prop_map(|(room, seed, options)| Cause::Open { room, seed, options }),
        (player(), payload(), option::of(ticket)).prop_map(|(player, options, ticket)| Cause::Join {
            player,
            options,
            ticket
        }),
        player_id().prop_map(|player| Cause::Drop { player }),
        player_id().prop_map(|player| Cause::Resume { player }),
        player_id().prop_map(|player| Cause::View { player }),
        (player_id(), leave).prop_map(|(player, why)| Cause::Leave { player, why }),
        (origin(), shared(), payload()).prop_map(|(from, name, payload)| Cause::Message { from, name, payload }),
        (player_id(), topic(), any::<bool>()).prop_map(|(player, topic, follows)| Cause::Follow {
            player,
            topic,
            follows
        }),
        (uint(), uint()).prop_map(|(count, elapsed_us)| Cause::Tick { count, elapsed_us }),
        (place(), owned(), bytes()).prop_map(|(id, event, payload)| Cause::Timer { id: TimerId(id), event, payload }),
        (place(), owned(), result()).prop_map(|(id, name, result)| Cause::Work {
            id: WorkId(id),
            name,
            result: result.map_err(Box::new)
        }),
        (shared(), payload()).prop_map(|(name, payload)| Cause::Event { name, payload }),
        (close, uint()).prop_map(|(why, grace_ms)| Cause::Close { why, grace_ms }),
    ]
    .boxed()
}
