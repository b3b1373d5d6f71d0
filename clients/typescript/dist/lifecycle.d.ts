import { ParlorError } from "./errors.js";
import { type Unsubscribe } from "./listeners.js";
import type { Room } from "./room.js";
/** Why and how a session ended. */
export interface ClosedInfo {
    code: number;
    reason: string;
    /** Whether the code alone would have let the session be taken up again. */
    resumable: boolean;
}
/** A connection was lost, or an attempt to get another one failed; the next one is made in `retryIn` milliseconds. */
export interface DisconnectedInfo {
    code: number;
    reason: string;
    retryIn: number;
}
/** The session goes on over another connection. */
export interface ResumedInfo {
    rooms: RoomResumed[];
}
/**
 * How a room came through. `recovered`: all that was missed follows, in `frames` frames. `view`: there was too much of
 * it, a view follows. `lost`: the membership has ended, `reason` is the code with which it closes.
 */
export interface RoomResumed {
    room: Room<any>;
    outcome: "recovered" | "view" | "lost" | (string & {});
    frames: number | undefined;
    reason: string | undefined;
}
/** `rtt` is smoothed, `sample` the newest measurement, both in milliseconds. */
export interface PingInfo {
    rtt: number;
    sample: number;
}
/** What happens to a session, outside of its rooms. */
export interface LifecycleEvents {
    disconnected: DisconnectedInfo;
    resumed: ResumedInfo;
    /** A room has a new view, because messages were missed. */
    resync: {
        room: Room<any>;
    };
    /** The session could not be taken up again. All its rooms have ended; this is a new one, in no room. */
    lost: {
        reason: string;
    };
    /** The end for good: no other connection is made. */
    closed: ClosedInfo;
    /** An error that answers nothing, a frame that could not be understood, a handler that threw. */
    error: ParlorError;
    ping: PingInfo;
}
/** The events of a session. */
export declare class Lifecycle {
    private readonly listeners;
    on<E extends keyof LifecycleEvents>(event: E, handler: (info: LifecycleEvents[E]) => void): Unsubscribe;
}
