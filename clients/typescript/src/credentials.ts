// The proof of who the user is, and its renewal in time.

import { ParlorError } from "./errors.js";
import type { Time } from "./time.js";

/** A token, or what gives one whenever it is asked. */
export type TokenSource = string | (() => string | Promise<string>);

/** How long before its end a token is replaced, in milliseconds; at half of its time if that is later. */
const LEAD = 60_000;

// A token that ends at once must not make a busy loop.
const LEAST = 1_000;

/** Asks for tokens: for every connection, and again before the one in force ends. */
export class Credentials {
  private stopTimer = () => {};

  constructor(
    private readonly source: TokenSource | undefined,
    private readonly time: Time,
  ) {}

  /** Whether there is a fresh token to be had. */
  get renewable(): boolean {
    return typeof this.source === "function";
  }

  /** Calls one of the two: at once for a token that is a text or none, later for one that is fetched. */
  ask(use: (token: string | undefined) => void, failed: (error: ParlorError) => void): void {
    const { source } = this;
    if (typeof source !== "function") return use(source);
    Promise.resolve()
      .then(source)
      .then(use, (cause: unknown) => {
        const text = cause instanceof Error ? cause.message : String(cause);
        failed(new ParlorError("token_failed", text, { cause, retryable: true }));
      });
  }

  /**
   * Calls `renew` in time before the token ends, `remaining` milliseconds from now, and then again and again: nobody
   * says when the new one ends, so it is taken to last as long as this one did.
   */
  expires(remaining: number, renew: () => void): void {
    this.stop();
    if (!this.renewable) return;
    const wait = Math.max(remaining - LEAD, remaining / 2, LEAST);
    this.stopTimer = this.time.after(wait, () => {
      this.expires(remaining, renew);
      renew();
    });
  }

  stop(): void {
    this.stopTimer();
  }
}
