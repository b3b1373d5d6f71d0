// One connection, from its opening to its end.

import { type Codec, decode, subprotocol } from "./codec.js";
import { ParlorError } from "./errors.js";
import { type Frame, type Incoming, Op } from "./frames.js";
import { sizeAtMost } from "./message.js";
import { parse } from "./parse.js";
import type { Message } from "./positions.js";
import type { Transport, TransportFactory } from "./transport.js";

/** What a link tells its user. */
export interface LinkEvents {
  onOpen(): void;
  /** A message came; `counted` is its size in bytes, rounded up, or null if it does not count for coming back. */
  onHeard(counted: number | null): void;
  /** Follows `onHeard`, if this version knows the frame. */
  onFrame(frame: Incoming): void;
  onBadFrame(error: ParlorError): void;
  onClose(code: number, reason: string): void;
}

/** One connection: frames in, messages out. Knows the codec and the transport, and nothing of sessions and rooms. */
export class Link {
  private readonly transport: Transport;
  private state: "opening" | "open" | "closed" = "opening";

  constructor(
    factory: TransportFactory,
    url: string,
    codec: Codec,
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

  /** Writes a message or throws; after a throw nothing of it was sent. */
  send(message: Message): void {
    if (this.state !== "open") throw new ParlorError("not_connected", "there is no connection");
    try {
      this.transport.send(message);
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
  private receive(data: Message): void {
    if (this.state !== "open") return;
    let raw: Frame | undefined;
    let frame: Incoming | null = null;
    let wrong: unknown;
    try {
      raw = decode(data);
      frame = parse(raw);
    } catch (thrown) {
      wrong = thrown;
    }
    // The broker has counted it, whether it can be understood or not.
    this.events.onHeard(raw !== undefined && uncounted.has(raw[0]) ? null : sizeAtMost(data));
    if (frame !== null) this.events.onFrame(frame);
    else if (wrong !== undefined) {
      const text = wrong instanceof Error ? wrong.message : String(wrong);
      this.events.onBadFrame(new ParlorError("bad_frame", text, { cause: wrong }));
    }
  }
}

const uncounted: ReadonlySet<number> = new Set([Op.welcome, Op.resumed, Op.pong, Op.acked, Op.latest]);
