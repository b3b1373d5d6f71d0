//! Every error that a client can be told: by its code, typed, rightly retryable, counted, and without harm to what goes on.

mod connection;
mod entry;
mod game;
mod provoke;

/// One to each error.
mod ways {
    pub(super) use super::{entry::*, provoke::*};
}

use std::collections::HashSet;

use parlor_client::ErrorCode;

use crate::stage::Told;

/// A test for each way to an error, and the list of the errors that there is one to.
macro_rules! provoked {
    ($($way:ident $code:ident;)*) => {
        $(
            #[tokio::test]
            async fn $way() {
                check(ErrorCode::$code, ways::$way().await);
            }
        )*

        const PROVOKED: &[ErrorCode] = &[$(ErrorCode::$code,)*];
    };
}

provoked! {
    bad_frame BadFrame;
    unknown_op UnknownOp;
    hello_expected HelloExpected;
    hello_repeated HelloRepeated;
    auth_unavailable AuthUnavailable;
    frame_too_large FrameTooLarge;
    unknown_kind UnknownKind;
    unknown_room UnknownRoom;
    room_full RoomFull;
    room_locked RoomLocked;
    room_closed RoomClosed;
    room_failed RoomFailed;
    already_joined AlreadyJoined;
    too_many_rooms TooManyRooms;
    server_full ServerFull;
    no_worker NoWorker;
    not_a_member NotAMember;
    spectator Spectator;
    unknown_type UnknownType;
    event_only EventOnly;
    bad_payload BadPayload;
    queue_full QueueFull;
    snapshot_overdue SnapshotOverdue;
    topic_denied TopicDenied;
    token_required TokenRequired;
    token_invalid TokenInvalid;
    token_expired TokenExpired;
    forbidden Forbidden;
    ticket_required TicketRequired;
    ticket_invalid TicketInvalid;
    ticket_expired TicketExpired;
    ticket_used TicketUsed;
    invite_required InviteRequired;
    unknown_invite UnknownInvite;
    rate_limited RateLimited;
    too_many_subscriptions TooManySubscriptions;
    handler_panicked HandlerPanicked;
    output_failed OutputFailed;
    not_representable NotRepresentable;
    shutting_down ShuttingDown;
}

/// Told over HTTP only: the lobby's tests have them, and those of what comes before a session.
const REST: &[ErrorCode] =
    &[ErrorCode::Unauthorized, ErrorCode::BadRequest, ErrorCode::OriginDenied, ErrorCode::TooManyConnections];

/// Nothing in the broker says these yet; a game may.
const RESERVED: &[ErrorCode] =
    &[ErrorCode::ClientOutdated, ErrorCode::Maintenance, ErrorCode::Internal, ErrorCode::HandlerFailed];

#[test]
fn every_error_is_provoked_somewhere() {
    let covered: Vec<_> = [PROVOKED, REST, RESERVED].concat();
    let distinct: HashSet<_> = covered.iter().collect();
    assert_eq!(distinct.len(), covered.len(), "each is in one list");
    let missing: Vec<_> = ErrorCode::ALL.iter().filter(|code| !distinct.contains(code)).collect();
    assert!(missing.is_empty(), "no test for {missing:?}");
}

fn check(code: ErrorCode, told: Told) {
    let Told { failure, metrics } = told;
    assert_eq!(failure.code, code.as_str());
    assert_eq!(failure.retryable, code.retryable(), "{failure:?}");
    assert!(!failure.text.is_empty());
    assert!(metrics.errors(code) >= 1, "{code:?} is not counted");
}
