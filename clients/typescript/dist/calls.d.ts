import { ParlorError } from "./errors.js";
import { Op } from "./frames.js";
import type { Time } from "./time.js";
/** The frame that a call waits for; an error answers any of them. */
export type Answer = typeof Op.joined | typeof Op.reply | typeof Op.done;
/** The calls that wait for an answer. Their ids share one space and are never used again. */
export declare class Calls {
    private readonly time;
    private readonly waiting;
    private last;
    constructor(time: Time);
    /**
     * Makes a call: `write` is given the id and writes the frame at once. If it throws, the call is
     * rejected and nothing waits. The owner is whatever the call ends with, see `abandon`.
     */
    start<T>(answer: Answer, owner: object | null, timeout: number, write: (id: number) => void): Promise<T>;
    /** Whether this answer is still waited for. */
    expects(id: number, answer: Answer): boolean;
    /** Answers a call; one that gave up, or waits for something else, is left alone. */
    settle(id: number, answer: Answer, value: unknown): void;
    fail(id: number, error: ParlorError): void;
    /** Rejects all calls of an owner, because it has ended. */
    abandon(owner: object | null, error: ParlorError): void;
    private take;
}
