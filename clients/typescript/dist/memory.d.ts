import type { Transport, TransportEvents, TransportFactory } from "./transport.js";
/** The other end of a memory transport: what it gets, and who is there. */
export type Accept = (peer: Transport, subprotocol: string, url: string) => Omit<TransportEvents, "onOpen">;
/**
 * Connects to a peer in the same process, for tests and for bots: `accept` is called for every
 * connection and plays the broker. Messages are delivered in microtasks, in order, never from within `send`.
 */
export declare function memoryTransport(accept: Accept): TransportFactory;
