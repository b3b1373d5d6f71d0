/**
 * Estimates the round trip and the broker's clock from exchanges that carry its time. Of the recent
 * samples the one with the shortest round trip is believed, because its error is at most half of that.
 */
export declare class ServerClock {
    private readonly samples;
    private smoothed;
    private pings;
    /** The smoothed round trip in milliseconds. */
    get rtt(): number;
    /** The broker's clock, in milliseconds since 1970, when the local clock shows `now`. */
    serverNow(now: number): number;
    /** The greeting: good enough to start with, but it contains the broker's own work on a new session. */
    greeted(sent: number, received: number, serverTime: number): void;
    /** A pong; returns the round trip that it showed. */
    ponged(sent: number, received: number, serverTime: number): number;
    private sample;
}
