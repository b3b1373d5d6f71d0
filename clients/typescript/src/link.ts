// One connection, from its opening to its end.

import { type Codec, decode, encode, subprotocol } from "./codec.js";
import { ParlorError } from "./errors.js";
import type { Frame, Incoming } from "./frames.js";
import { parse } from "./parse.js";
import type { Transport, TransportFactory } from "./transport.js";

/** What a link tells its session. */
export interface LinkEvents {
  onOpen(): void;
  onFrame(frame: Incoming): void;
  onBadFrame(error: ParlorError): void;
  onClose(code: number, reason: string): void;
}

/** One connection: frames in, frames out. Knows the codec and the transport, and nothing of sessions and rooms. */
export class Link {
  /** The largest frame in bytes that the broker takes, once it said so. */
  maxFrame = Infinity;
  private readonly transport: Transport;
  private state: "opening" | "open" | "closed" = "opening";

  constructor(
    factory: TransportFactory,
    url: string,
    private readonly codec: Codec,
    private readonly events: LinkEvents,
  ) {
    this.transport = factory(url, subprotocol(codec), {
      onOpen: () => {
        if (this.state !== "opening") return;
        this.state = "open";
        events.onOpen();
      },
      onMessage: (data) => this.receive(data),
      onClose: (code, reason) => {
        if (this.state === "closed") return;
        this.state = "closed";
        events.onClose(code, reason);
      },
    });
  }

  /** Writes a frame or throws; after a throw nothing of it was sent. */
  write(frame: Frame): void {
    if (this.state !== "open") throw new ParlorError("not_connected", "there is no connection");
    const data = this.encode(frame);
    this.checkSize(data);
    try {
      this.transport.send(data);
    } catch (cause) {
      throw new ParlorError("not_connected", "the connection takes nothing", { cause });
    }
  }

  /** Ends the connection from this side; no event follows. */
  close(code: number, reason: string): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.transport.close(code, reason);
  }

  // A frame from the network may be anything. Whatever is wrong with it, the next one is read.
  private receive(data: Uint8Array | string): void {
    if (this.state !== "open") return;
    let frame: Incoming | null;
    try {
      frame = parse(decode(data));
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      this.events.onBadFrame(new ParlorError("bad_frame", text, { cause }));
      return;
    }
    if (frame !== null) this.events.onFrame(frame);
  }

  private encode(frame: Frame): Uint8Array | string {
    try {
      return encode(frame, this.codec);
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new ParlorError("not_representable", text, { cause });
    }
  }

  // The broker would close the connection on it, and all rooms would suffer.
  private checkSize(data: Uint8Array | string): void {
    // A UTF-16 unit makes at most three bytes, so that most texts need no counting.
    if (typeof data === "string" && data.length * 3 <= this.maxFrame) return;
    const size = typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
    if (size <= this.maxFrame) return;
    throw new ParlorError("frame_too_large", `a frame of ${size} bytes; the broker takes ${this.maxFrame}`, {
      params: { size, max: this.maxFrame },
    });
  }
}
