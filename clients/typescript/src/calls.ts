// Questions and answers: ids, timeouts, and who is told when no answer can come any more. Knows no frames.

import { ParlorError } from "./errors.js";
import { Op } from "./frames.js";
import type { Time } from "./time.js";

/** The frame that a call waits for; an error answers any of them. */
export type Answer = typeof Op.joined | typeof Op.reply | typeof Op.done;

interface Call {
  answer: Answer;
  owner: object | null;
  resolve(value: unknown): void;
  reject(error: ParlorError): void;
  stop(): void;
}

/** The calls that wait for an answer. Their ids share one space and are never used again. */
export class Calls {
  private readonly waiting = new Map<number, Call>();
  private last = 0;

  constructor(private readonly time: Time) {}

  /**
   * Makes a call: `write` is given the id and writes the frame at once. If it throws, the call is
   * rejected and nothing waits. The owner is whatever the call ends with, see `abandon`.
   */
  start<T>(answer: Answer, owner: object | null, timeout: number, write: (id: number) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = this.last + 1;
      const stop = this.time.after(timeout, () => {
        this.fail(id, new ParlorError("timeout", `no answer within ${timeout} ms`));
      });
      this.waiting.set(id, { answer, owner, resolve: resolve as (value: unknown) => void, reject, stop });
      try {
        write(id);
        // Only now: ids never run ahead of the messages that were written.
        this.last = id;
      } catch (thrown) {
        this.take(id);
        reject(thrown);
      }
    });
  }

  /** Ids up to this one may still be answered to somebody else. */
  startAfter(id: number): void {
    this.last = id;
  }

  /** Whether this answer is still waited for. */
  expects(id: number, answer: Answer): boolean {
    return this.waiting.get(id)?.answer === answer;
  }

  /** Answers a call; one that gave up, or waits for something else, is left alone. */
  settle(id: number, answer: Answer, value: unknown): void {
    if (this.expects(id, answer)) this.take(id)?.resolve(value);
  }

  fail(id: number, error: ParlorError): void {
    this.take(id)?.reject(error);
  }

  /** Rejects all calls of an owner, because it has ended. */
  abandon(owner: object | null, error: ParlorError): void {
    for (const [id, call] of this.waiting) {
      if (call.owner === owner) this.fail(id, error);
    }
  }

  private take(id: number): Call | undefined {
    const call = this.waiting.get(id);
    this.waiting.delete(id);
    call?.stop();
    return call;
  }
}
