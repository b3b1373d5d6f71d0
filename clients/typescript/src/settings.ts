// All options and all defaults, with their units. Nothing else has a default of its own.

import { type Codec } from "./codec.js";
import { realTime, type Time } from "./time.js";
import type { TransportFactory } from "./transport.js";
import { type WebSocketConstructor, webSocketTransport } from "./websocket.js";

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

export const VERSION = "0.1.0";

export function settle(options: ConnectOptions): Settings {
  const hello: Record<string, string> = { client: `parlor-ts/${VERSION}` };
  for (const key of ["game", "name", "token"] as const) {
    const value = options[key];
    if (value !== undefined) hello[key] = value;
  }
  return {
    hello,
    codec: options.codec ?? "msgpack",
    transport: options.transport ?? webSocketTransport(options.WebSocket),
    requestTimeout: options.requestTimeout ?? 10_000,
    pingInterval: options.pingInterval ?? 2_000,
    time: options.time ?? realTime,
  };
}

/** The address of the broker's socket: `http` becomes `ws`, and the path is `/ws` unless one is given. */
export function socketUrl(url: string): string {
  // In a page a path alone will do.
  const base = (globalThis as { location?: { href: string } }).location?.href;
  const parsed = new URL(url, base);
  parsed.protocol = parsed.protocol.replace(/^http/, "ws");
  if (parsed.pathname === "/" || parsed.pathname === "") parsed.pathname = "/ws";
  return parsed.href;
}
