import type { BackOff } from "./backoff.js";
import { type Codec } from "./codec.js";
import type { TokenSource } from "./credentials.js";
import { type Network } from "./network.js";
import type { Bound } from "./positions.js";
import type { TokenStorage } from "./saved.js";
import { type Time } from "./time.js";
import type { TransportFactory } from "./transport.js";
import { type WebSocketConstructor } from "./websocket.js";
/** How to connect. Everything has a default. */
export interface ConnectOptions {
    /** The name that other players may see. */
    name?: string;
    /** The version of the game, so that the broker can tell an outdated client. */
    game?: string;
    /**
     * Proves who the user is. Travels in the first frame, never in the URL. A function is asked for every connection, and
     * again before the token ends; a session whose token is a text ends with it.
     */
    token?: string | (() => string | Promise<string>);
    /**
     * Whether the session outlives its connections, default true. False: it ends with its connection. A text: the resume
     * token of an earlier page, to whose session and rooms this one comes back if they are still there.
     */
    resume?: boolean | string;
    /** Where the newest resume token is kept and found, such as `sessionStorage`. Default: nowhere. */
    storage?: TokenStorage;
    /** How long a lost connection is sought again, in milliseconds, default 60000. After that the session has ended. */
    reconnectFor?: number;
    /** The longest first pause, in milliseconds, default 200. It doubles with each attempt; the pause is chance. */
    backOffFirst?: number;
    /** The longest pause between attempts, in milliseconds, default 10000. */
    backOffMost?: number;
    /** How many messages may wait for the broker's acknowledgement, default 512. Beyond it: `buffer_full`. */
    bufferFrames?: number;
    /** The same in bytes (in characters, with `json`), default 262144. */
    bufferBytes?: number;
    /** Default `msgpack`. */
    codec?: Codec;
    /** Default: WebSocket. */
    transport?: TransportFactory;
    /** The WebSocket to use where there is no global one, such as that of the package `ws`. */
    WebSocket?: WebSocketConstructor;
    /** For connecting, joining, requests and subscriptions, in milliseconds. Default 10000. */
    requestTimeout?: number;
    /**
     * In milliseconds, default 2000. A session that can come back pings every 5000 at the least, to find out within 15000
     * that nobody is there any more; any other not at all with 0.
     */
    pingInterval?: number;
    /** Who tells of the network: default the browser, and nobody in Node. */
    network?: Network;
    /** The local clock and timers, for tests. */
    time?: Time;
    /** Chance, from 0 to below 1, for tests. */
    random?: () => number;
}
/** The options with their defaults. */
export interface Settings {
    hello: Record<string, string>;
    codec: Codec;
    transport: TransportFactory;
    token: TokenSource | undefined;
    resume: boolean | string;
    storage: TokenStorage | undefined;
    reconnectFor: number;
    backOff: BackOff;
    buffer: Bound;
    requestTimeout: number;
    pingInterval: number;
    network: Network;
    time: Time;
    random: () => number;
}
export declare const VERSION = "0.1.0";
export declare function settle(options: ConnectOptions): Settings;
/** The address of the broker's socket: `http` becomes `ws`, and the path is `/ws` unless one is given. */
export declare function socketUrl(url: string): string;
