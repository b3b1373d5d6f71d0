import { ParlorError } from "./errors.js";
import { type Unsubscribe } from "./listeners.js";
/** Why and how a connection ended. */
export interface ClosedInfo {
    code: number;
    reason: string;
    /** Whether the session could be taken up again on another connection. */
    resumable: boolean;
}
/** `rtt` is smoothed, `sample` the newest measurement, both in milliseconds. */
export interface PingInfo {
    rtt: number;
    sample: number;
}
/** What happens to a session, outside of its rooms. The names `disconnected`, `resumed` and `resync` are reserved. */
export interface LifecycleEvents {
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
