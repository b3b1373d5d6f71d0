// How far each side has come: what was had, what was written, what the other side may not have had. Arithmetic
// only: it writes nothing, knows no frames and no time.

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
export class Positions {
  private had = 0;
  private told = 0;
  private bytesSince = 0;
  private readonly kept: Message[] = [];
  private keptBytes = 0;
  private written = 0;

  /** `taken` is how many messages of this client the broker has had before: not 0 in a page that was loaded again. */
  constructor(
    private readonly bound: Bound,
    private due: Bound,
    private taken = 0,
  ) {}

  /** How many counted frames came from the broker. */
  get received(): number {
    return this.had;
  }

  /** How many messages the broker has not acknowledged. */
  get unacknowledged(): number {
    return this.kept.length;
  }

  /** Counts a frame from the broker; true when it is time to acknowledge. */
  count(size: number): boolean {
    this.had += 1;
    this.bytesSince += size;
    return this.had - this.told >= this.due.frames || this.bytesSince >= this.due.bytes;
  }

  /** Whether frames were had that were not acknowledged. */
  get owes(): boolean {
    return this.had > this.told;
  }

  /** An acknowledgement of all that was had has been written. */
  acknowledged(): void {
    this.told = this.had;
    this.bytesSince = 0;
  }

  /** Whether one more message would be too much. What is larger than the bound goes alone. */
  full(message: Message): boolean {
    if (this.kept.length === 0) return false;
    return this.kept.length >= this.bound.frames || this.keptBytes + message.length > this.bound.bytes;
  }

  /** Says a message: from now on it is counted. */
  keep(message: Message): void {
    this.kept.push(message);
    this.keptBytes += message.length;
  }

  /** The message that is to be written next on this connection. */
  next(): Message | undefined {
    return this.kept[this.written];
  }

  /** What `next` gave has been written. */
  wrote(): void {
    this.written += 1;
  }

  /** The broker has had so many messages. False if that cannot be: then nothing has changed. */
  release(taken: number): boolean {
    const news = taken - this.taken;
    if (news < 0 || news > this.written) return false;
    for (const message of this.kept.splice(0, news)) this.keptBytes -= message.length;
    this.taken = taken;
    this.written -= news;
    return true;
  }

  /** There is a new connection on which the session goes on: what the broker has not had is to be written on it. */
  resume(taken: number, due: Bound): boolean {
    if (!this.release(taken)) return false;
    this.written = 0;
    this.due = due;
    return true;
  }
}
