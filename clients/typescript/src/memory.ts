// A transport without a network, that behaves as one: asynchronous, ordered, and cut when it is closed.

import type { Transport, TransportEvents, TransportFactory } from "./transport.js";

/** The other end of a memory transport: what it gets, and who is there. */
export type Accept = (peer: Transport, subprotocol: string, url: string) => Omit<TransportEvents, "onOpen">;

/**
 * Connects to a peer in the same process, for tests and for bots: `accept` is called for every
 * connection and plays the broker. Messages are delivered in microtasks, in order, never from within `send`.
 */
export function memoryTransport(accept: Accept): TransportFactory {
  return (url, subprotocol, events) => {
    const client = new End();
    const broker = new End();
    client.peer = broker;
    broker.peer = client;
    client.events = events;
    broker.events = accept(broker, subprotocol, url);
    queueMicrotask(() => {
      if (client.open) events.onOpen();
    });
    return client;
  };
}

class End implements Transport {
  open = true;
  peer: End | undefined;
  events: Omit<TransportEvents, "onOpen"> | undefined;

  send(data: Uint8Array | string): void {
    if (!this.open) throw new Error("the memory transport is closed");
    const peer = this.peer;
    queueMicrotask(() => {
      if (peer?.open) peer.events?.onMessage(data);
    });
  }

  // What was sent before is delivered before; the closing end hears nothing any more.
  close(code = 1000, reason = ""): void {
    if (!this.open) return;
    this.open = false;
    const peer = this.peer;
    queueMicrotask(() => {
      if (!peer?.open) return;
      peer.open = false;
      peer.events?.onClose(code, reason);
    });
  }
}
