import type { Time } from "../src/index.js";

/** Time that stands still until a test moves it. */
export class FakeTime implements Time {
  private clock = 1_000;
  private timers: { at: number; fn: () => void }[] = [];

  now(): number {
    return this.clock;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.clock + ms, fn };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** How many timers are set, to see that none is left behind. */
  get pending(): number {
    return this.timers.length;
  }

  /** Moves on and fires what is due, in order; the microtasks run after each. */
  async pass(ms: number): Promise<void> {
    const end = this.clock + ms;
    for (let next = this.due(end); next !== undefined; next = this.due(end)) {
      this.timers = this.timers.filter((other) => other !== next);
      this.clock = Math.max(this.clock, next.at);
      next.fn();
      await settled();
    }
    this.clock = end;
    await settled();
  }

  private due(end: number): { at: number; fn: () => void } | undefined {
    const due = this.timers.filter((timer) => timer.at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}

/** When all microtasks have run: memory transports and promises are quiet. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
