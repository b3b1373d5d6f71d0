// The only source of time: nothing else reads a clock or sets a timer.

/** Time as an argument: tests and simulations bring their own. */
export interface Time {
  /** Milliseconds on a clock that never goes back; its zero does not matter. */
  now(): number;
  /** Calls `fn` in a later macrotask, at least `ms` from now, unless the returned function is called first. */
  after(ms: number, fn: () => void): () => void;
}

/** The time of the platform. */
export const realTime: Time = {
  now: () => performance.now(),
  after(ms, fn) {
    // Platforms take a longer wait, such as `Infinity`, for none at all.
    const timer = setTimeout(fn, Math.min(ms, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
};
