//! Every code that a client can meet: one table for errors, one for closes.

/// Makes the enum, its wire text, its retryability and its explanation from one table.
macro_rules! error_codes {
    ($($variant:ident $wire:literal $retryable:literal $text:literal;)*) => {
        /// Why the broker did not do what was asked. The wire text of a code never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $(#[doc = $text] $variant,)* }

        impl ErrorCode {
            /// All codes, in the order of the table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            /// Whether the same message may succeed later.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* }
            }

            /// What happened, for people.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

error_codes! {
    BadFrame "bad_frame" false "the message is not a well-formed frame";
    UnknownOp "unknown_op" false "the frame's op is not known to this broker";
    HelloExpected "hello_expected" false "the first frame must be hello";
    HelloRepeated "hello_repeated" false "hello was said already";
    AuthUnavailable "auth_unavailable" false "this broker knows only guests: send no token";
    TokenRequired "token_required" false "this broker lets nobody in without a token";
    TokenInvalid "token_invalid" false "the token is not one of ours, or says nothing of use";
    TokenExpired "token_expired" false "the token is no longer valid: get a fresh one";
    Forbidden "forbidden" false "the token does not allow this";
    TicketRequired "ticket_required" false "this room is joined with a ticket";
    TicketInvalid "ticket_invalid" false "the ticket is not for this player and room, or no ticket at all";
    TicketExpired "ticket_expired" false "the ticket is no longer valid";
    TicketUsed "ticket_used" false "the ticket has been used";
    InviteRequired "invite_required" false "this room is joined with its invite code";
    UnknownInvite "unknown_invite" false "no room has this invite code";
    RateLimited "rate_limited" true "this session sends too much in too short a time";
    TooManySubscriptions "too_many_subscriptions" true "this session follows as many topics as it may";
    OriginDenied "origin_denied" false "pages of this origin may not connect";
    TooManyConnections "too_many_connections" true "there are as many connections from this address as there may be";
    FrameTooLarge "frame_too_large" false "the frame is larger than the broker takes";
    UnknownKind "unknown_kind" false "no such room kind";
    UnknownRoom "unknown_room" false "no such room";
    RoomFull "room_full" true "the room has no free seat";
    RoomLocked "room_locked" true "the room takes nobody in at present";
    RoomClosed "room_closed" false "the room has closed";
    RoomFailed "room_failed" false "the room's handler failed";
    AlreadyJoined "already_joined" false "this session is in that room already";
    TooManyRooms "too_many_rooms" true "this session is in as many rooms as it may be";
    ServerFull "server_full" true "the broker holds as many rooms as it may";
    NoWorker "no_worker" true "there is nobody at present to run rooms of this kind";
    NotAMember "not_a_member" false "this session is not in that room";
    Spectator "spectator" false "spectators may not send";
    UnknownType "unknown_type" false "the room has no handler for this message type";
    EventOnly "event_only" false "this message type comes from the server side only";
    BadPayload "bad_payload" false "the payload is not what the handler expects";
    QueueFull "queue_full" true "the room's queue is full: try again later";
    SnapshotOverdue "snapshot_overdue" true "the room's state cannot be saved at present: try again later";
    TopicDenied "topic_denied" false "clients may not choose this topic";
    HandlerFailed "handler_failed" false "the handler failed";
    HandlerPanicked "handler_panicked" false "the handler panicked";
    OutputFailed "output_failed" false "an output of the handler could not be encoded or was too large";
    NotRepresentable "not_representable" false "a message of the room has no form in this codec";
    ShuttingDown "shutting_down" true "the broker is shutting down";
    ClientOutdated "client_outdated" false "this game version is too old";
    Maintenance "maintenance" true "the service is under maintenance";
    Unauthorized "unauthorized" false "the server key is missing or wrong";
    BadRequest "bad_request" false "the request is not well-formed";
    Internal "internal" true "the broker made a mistake";
}

/// What a client may do after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseKind {
    /// 4000 to 4099: connect again.
    Resumable,
    /// 4100 to 4199: do not connect again by yourself.
    Terminal,
    /// 4200 to 4299: the client broke the protocol.
    ClientFault,
}

macro_rules! close_codes {
    ($($variant:ident $number:literal $wire:literal $text:literal;)*) => {
        /// Why the broker closed a connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCode { $(#[doc = $text] $variant,)* }

        impl CloseCode {
            /// All codes, in the order of the table.
            pub const ALL: &'static [CloseCode] = &[$(CloseCode::$variant,)*];

            /// The WebSocket close code.
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The close reason on the wire, and the label in metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            /// What happened, for people.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

close_codes! {
    ShuttingDown 4000 "shutting_down" "the broker is shutting down";
    SlowConsumer 4001 "slow_consumer" "the client did not read what it was sent";
    IdleTimeout 4002 "idle_timeout" "nothing was heard from the client";
    Internal 4003 "internal" "the broker made a mistake";
    TokenExpired 4004 "token_expired" "the token is no longer valid";
    HelloTimeout 4005 "hello_timeout" "no hello came in time";
    FrameTimeout 4006 "frame_timeout" "a message was begun and not finished in time";
    Replaced 4100 "replaced" "the session goes on over another connection";
    AuthUnavailable 4101 "auth_unavailable" "the token cannot be checked here";
    Unauthorized 4102 "unauthorized" "the token is missing or not accepted";
    BadFrames 4200 "bad_frames" "too many malformed frames";
    FrameTooLarge 4201 "frame_too_large" "a frame far beyond the limit";
    HelloExpected 4202 "hello_expected" "the first frame was not hello";
    RateLimited 4203 "rate_limited" "the client went on sending too much";
}

impl CloseCode {
    /// What the client may do now, from the number's range.
    pub const fn kind(self) -> CloseKind {
        match self.number() {
            ..=4099 => CloseKind::Resumable,
            4100..=4199 => CloseKind::Terminal,
            _ => CloseKind::ClientFault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique() {
        let errors: HashSet<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(errors.len(), ErrorCode::ALL.len());
        let closes: HashSet<_> = CloseCode::ALL.iter().map(|c| c.number()).collect();
        assert_eq!(closes.len(), CloseCode::ALL.len());
    }

    #[test]
    fn close_codes_lie_in_their_ranges() {
        assert_eq!(CloseCode::SlowConsumer.kind(), CloseKind::Resumable);
        assert_eq!(CloseCode::Replaced.kind(), CloseKind::Terminal);
        assert_eq!(CloseCode::HelloTimeout.kind(), CloseKind::Resumable);
        assert_eq!(CloseCode::BadFrames.kind(), CloseKind::ClientFault);
        assert!(CloseCode::ALL.iter().all(|c| (4000..4300).contains(&c.number())));
    }
}
