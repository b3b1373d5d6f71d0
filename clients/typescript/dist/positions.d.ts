/** One frame as it goes over the wire. */
export type Message = Uint8Array | string;
/** How many frames, and how many bytes of them, may wait for an acknowledgement. */
export interface Bound {
    frames: number;
    bytes: number;
}
/**
 * Both counts of a session that outlives its connections.
 *
 * Upward, messages are kept from the moment in which they were said until the broker has acknowledged them. Some of
 * the kept ones were written on the present connection: always the first, so that what is written next is always
 * the oldest that was not.
 */
export declare class Positions {
    private readonly bound;
    private due;
    private taken;
    private had;
    private told;
    private bytesSince;
    private readonly kept;
    private keptBytes;
    private written;
    /** `taken` is how many messages of this client the broker has had before: not 0 in a page that was loaded again. */
    constructor(bound: Bound, due: Bound, taken?: number);
    /** How many counted frames came from the broker. */
    get received(): number;
    /** How many messages the broker has not acknowledged. */
    get unacknowledged(): number;
    /** Counts a frame from the broker; true when it is time to acknowledge. */
    count(size: number): boolean;
    /** Whether frames were had that were not acknowledged. */
    get owes(): boolean;
    /** An acknowledgement of all that was had has been written. */
    acknowledged(): void;
    /** Whether one more message would be too much. What is larger than the bound goes alone. */
    full(message: Message): boolean;
    /** Says a message: from now on it is counted. */
    keep(message: Message): void;
    /** The message that is to be written next on this connection. */
    next(): Message | undefined;
    /** What `next` gave has been written. */
    wrote(): void;
    /** The broker has had so many messages. False if that cannot be: then nothing has changed. */
    release(taken: number): boolean;
    /** There is a new connection on which the session goes on: what the broker has not had is to be written on it. */
    resume(taken: number, due: Bound): boolean;
}
