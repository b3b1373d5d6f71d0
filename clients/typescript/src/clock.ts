// Arithmetic on times that others measured. Sends nothing and reads no clock.

// How many samples are looked at: 16 s at the default ping interval. Long enough that one of them met
// no queue on its way, short enough that two drifting clocks stay within a millisecond.
const WINDOW = 8;

// The weight of a new round trip in the smoothed one, as TCP does it.
const GAIN = 1 / 8;

/**
 * Estimates the round trip and the broker's clock from exchanges that carry its time. Of the recent
 * samples the one with the shortest round trip is believed, because its error is at most half of that.
 */
export class ServerClock {
  private readonly samples: { rtt: number; offset: number }[] = [];
  private smoothed = 0;
  private pings = 0;

  /** The smoothed round trip in milliseconds. */
  get rtt(): number {
    return this.smoothed;
  }

  /** The broker's clock, in milliseconds since 1970, when the local clock shows `now`. */
  serverNow(now: number): number {
    const first = this.samples[0];
    if (first === undefined) return now;
    const best = this.samples.reduce((a, b) => (b.rtt < a.rtt ? b : a), first);
    return now + best.offset;
  }

  /** The greeting: good enough to start with, but it contains the broker's own work on a new session. */
  greeted(sent: number, received: number, serverTime: number): void {
    this.smoothed = this.sample(sent, received, serverTime);
  }

  /** A pong; returns the round trip that it showed. */
  ponged(sent: number, received: number, serverTime: number): number {
    const rtt = this.sample(sent, received, serverTime);
    this.smoothed = this.pings === 0 ? rtt : this.smoothed + (rtt - this.smoothed) * GAIN;
    this.pings += 1;
    return rtt;
  }

  private sample(sent: number, received: number, serverTime: number): number {
    const rtt = Math.max(0, received - sent);
    this.samples.push({ rtt, offset: serverTime + rtt / 2 - received });
    if (this.samples.length > WINDOW) this.samples.shift();
    return rtt;
  }
}
