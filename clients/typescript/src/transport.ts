// The seam between frames and whatever carries them. Everything above it can run without a network.

/** What carries frames: a WebSocket, a pair in memory, or something of your own. Messages arrive whole and in order. */
export interface Transport {
  /** Sends one message; throws when it cannot. */
  send(data: Uint8Array | string): void;
  /** Ends it. `onClose` may, but need not, follow. */
  close(code?: number, reason?: string): void;
}

/** What a transport tells its user; it must not do so before it was returned. */
export interface TransportEvents {
  onOpen(): void;
  onMessage(data: Uint8Array | string): void;
  /** Comes once, also when it never opened; nothing follows it. */
  onClose(code: number, reason: string): void;
}

/** Starts to connect. The sub-protocol names the codec that both sides will speak. */
export type TransportFactory = (url: string, subprotocol: string, events: TransportEvents) => Transport;
