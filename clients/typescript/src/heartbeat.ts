// Whether anybody is still there. Writes nothing itself.

import type { Time } from "./time.js";

/** How long a ping may go without any sign of life before the connection counts as dead, in milliseconds. */
const PATIENCE = 10_000;

/** The same when there is reason for suspicion: the network changed, or the page slept. Coming back is cheap. */
const SUSPICION = 3_000;

/**
 * The rhythm of pings on one connection. What counts is a ping without an answer, never silence alone: the timers of a
 * page in the background may be a minute late, and nothing is wrong then.
 */
export class Heartbeat {
  private asked: number | null = null;
  private stopped = false;
  private stopTick = () => {};
  private stopProbe = () => {};

  /** `ping` writes one; `dead` is called at most once. */
  constructor(
    private readonly time: Time,
    private readonly period: number,
    private readonly ping: () => void,
    private readonly dead: () => void,
  ) {}

  /** Pings at once and then again and again; with a period of 0 never. */
  start(): void {
    if (this.period > 0) this.tick();
  }

  /** Something came. */
  heard(): void {
    this.asked = null;
    this.stopProbe();
  }

  /** Asks whether anybody is there, and does not wait long for the answer. */
  probe(): void {
    this.ask();
    this.stopProbe();
    if (!this.stopped) this.stopProbe = this.time.after(SUSPICION, () => this.die());
  }

  stop(): void {
    this.stopped = true;
    this.stopTick();
    this.stopProbe();
  }

  private tick(): void {
    if (this.asked !== null && this.time.now() - this.asked >= PATIENCE) return this.die();
    this.ask();
    if (!this.stopped) this.stopTick = this.time.after(this.period, () => this.tick());
  }

  private ask(): void {
    this.asked ??= this.time.now();
    this.ping();
  }

  private die(): void {
    this.stop();
    this.dead();
  }
}
