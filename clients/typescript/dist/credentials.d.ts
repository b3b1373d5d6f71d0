import { ParlorError } from "./errors.js";
import type { Time } from "./time.js";
/** A token, or what gives one whenever it is asked. */
export type TokenSource = string | (() => string | Promise<string>);
/** Asks for tokens: for every connection, and again before the one in force ends. */
export declare class Credentials {
    private readonly source;
    private readonly time;
    private stopTimer;
    constructor(source: TokenSource | undefined, time: Time);
    /** Whether there is a fresh token to be had. */
    get renewable(): boolean;
    /** Calls one of the two: at once for a token that is a text or none, later for one that is fetched. */
    ask(use: (token: string | undefined) => void, failed: (error: ParlorError) => void): void;
    /**
     * Calls `renew` in time before the token ends, `remaining` milliseconds from now, and then again and again: nobody
     * says when the new one ends, so it is taken to last as long as this one did.
     */
    expires(remaining: number, renew: () => void): void;
    stop(): void;
}
