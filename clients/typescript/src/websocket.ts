// The transport that is used outside of tests. Knows nothing of frames.

import type { Transport, TransportEvents, TransportFactory } from "./transport.js";

/** As much of a WebSocket as is used here: the browser's, and that of the package `ws`. */
export interface WebSocketLike {
  readonly readyState: number;
  binaryType: string;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string) => WebSocketLike;

const OPEN = 1;

// What a browser reports when a connection ends without a close frame.
const ABNORMAL = 1006;

/** Frames over WebSocket, one in each message. */
export function webSocketTransport(constructor: WebSocketConstructor | undefined = globalWebSocket()): TransportFactory {
  if (constructor === undefined) {
    throw new TypeError("there is no global WebSocket here: give one as the option `WebSocket`");
  }
  return (url, subprotocol, events) => {
    const socket = new constructor(url, subprotocol);
    socket.binaryType = "arraybuffer";
    listen(socket, events);
    return new WebSocketTransport(socket);
  };
}

function listen(socket: WebSocketLike, events: TransportEvents): void {
  let failure = "";
  socket.onopen = () => events.onOpen();
  socket.onmessage = ({ data }: { data: unknown }) => {
    events.onMessage(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
  };
  // An error is always followed by a close; browsers do not say what went wrong, `ws` does.
  socket.onerror = (event: { message?: unknown }) => {
    if (typeof event.message === "string") failure = event.message;
  };
  socket.onclose = (event: { code?: number; reason?: unknown }) => {
    events.onClose(event.code ?? ABNORMAL, String(event.reason ?? "") || failure);
  };
}

class WebSocketTransport implements Transport {
  constructor(private readonly socket: WebSocketLike) {}

  send(data: Uint8Array | string): void {
    // A closing WebSocket takes everything and sends nothing.
    if (this.socket.readyState !== OPEN) throw new Error("the WebSocket is not open");
    this.socket.send(data);
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason);
  }
}

function globalWebSocket(): WebSocketConstructor | undefined {
  return (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
}
