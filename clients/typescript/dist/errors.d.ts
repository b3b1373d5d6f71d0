import type { WireError } from "./frames.js";
/**
 * Codes that this library gives itself; all other codes come from the broker or, if they begin
 * with `app.`, from the game.
 *
 * - `timeout`: no answer in time. A request may still take effect.
 * - `outcome_unknown`: it was written, and the connection or the room ended before an answer came.
 * - `not_connected`: nothing was written, there is no connection.
 * - `buffer_full`: nothing was written, too much waits for the broker's acknowledgement.
 * - `token_failed`: the application's own source of tokens failed; its error is the `cause`.
 * - `room_closed`: nothing was written, this room has ended.
 * - `frame_too_large`: nothing was written, the broker would not take it.
 * - `not_representable`: nothing was written, the payload has no form in the codec (a cycle, a function).
 * - `bad_frame`: the broker said something that cannot be understood; it was left out.
 * - `handler_threw`: a handler of the application threw; its error is the `cause`.
 */
export type ClientCode = "timeout" | "outcome_unknown" | "not_connected" | "buffer_full" | "token_failed" | "room_closed" | "frame_too_large" | "not_representable" | "bad_frame" | "handler_threw";
/** Why something was refused or failed: `code` is for programs, `text` for people. */
export declare class ParlorError extends Error {
    readonly name = "ParlorError";
    /** Stable; compare this. */
    readonly code: ClientCode | (string & {});
    readonly text: string;
    /** What the code is about, as named values. */
    readonly params: Record<string, unknown>;
    /** Whether the same message may succeed later. */
    readonly retryable: boolean;
    /** The number of the refused message, as `send` returned it. */
    readonly no: number | undefined;
    /** How the connection was closed, if that is the answer. */
    readonly close_code: number | undefined;
    constructor(code: ClientCode | (string & {}), text: string, details?: ErrorDetails);
}
export interface ErrorDetails {
    params?: Record<string, unknown> | undefined;
    retryable?: boolean | undefined;
    no?: number | undefined;
    close_code?: number | undefined;
    cause?: unknown;
}
/** An error from the wire as what the application gets. */
export declare function fromWire(error: WireError, no?: number | undefined): ParlorError;
/** What is said to a call that a close has left without its answer. */
export declare function unknownOutcome(what: string, { code, reason }: {
    code: number;
    reason: string;
}): ParlorError;
export declare function closeDetails(code: number, reason: string): ErrorDetails;
/**
 * What a close code means for the session:
 *
 * - `resumable` (4000 to 4099): the broker let go of the connection, the session may come back.
 * - `terminal` (4100 to 4199, and 1000): the session is over.
 * - `client_fault` (4200 to 4299): the client did what it must not; coming back would repeat it.
 * - `network`: everything else; the connection was lost without a word from the broker.
 */
export type CloseKind = "resumable" | "terminal" | "client_fault" | "network";
export declare function closeKind(code: number): CloseKind;
