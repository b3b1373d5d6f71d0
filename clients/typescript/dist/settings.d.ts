import { type Codec } from "./codec.js";
import { type Time } from "./time.js";
import type { TransportFactory } from "./transport.js";
import { type WebSocketConstructor } from "./websocket.js";
/** How to connect. Everything has a default. */
export interface ConnectOptions {
    /** The name that other players may see. */
    name?: string;
    /** The version of the game, so that the broker can tell an outdated client. */
    game?: string;
    /** Proves who the user is. Travels in the first frame, never in the URL. */
    token?: string;
    /** Default `msgpack`. */
    codec?: Codec;
    /** Default: WebSocket. */
    transport?: TransportFactory;
    /** The WebSocket to use where there is no global one, such as that of the package `ws`. */
    WebSocket?: WebSocketConstructor;
    /** For connecting, joining, requests and subscriptions, in milliseconds. Default 10000. */
    requestTimeout?: number;
    /** In milliseconds, default 2000; 0 for none. The broker lets go of clients from which it hears nothing. */
    pingInterval?: number;
    /** The local clock and timers, for tests. */
    time?: Time;
}
/** The options with their defaults. */
export interface Settings {
    hello: Record<string, string>;
    codec: Codec;
    transport: TransportFactory;
    requestTimeout: number;
    pingInterval: number;
    time: Time;
}
export declare const VERSION = "0.1.0";
export declare function settle(options: ConnectOptions): Settings;
/** The address of the broker's socket: `http` becomes `ws`, and the path is `/ws` unless one is given. */
export declare function socketUrl(url: string): string;
