/** Time as an argument: tests and simulations bring their own. */
export interface Time {
    /** Milliseconds on a clock that never goes back; its zero does not matter. */
    now(): number;
    /** Calls `fn` in a later macrotask, at least `ms` from now, unless the returned function is called first. */
    after(ms: number, fn: () => void): () => void;
}
/** The time of the platform. */
export declare const realTime: Time;
