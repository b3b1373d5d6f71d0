import { type Codec } from "./codec.js";
import { ParlorError } from "./errors.js";
import type { Frame, Incoming } from "./frames.js";
import type { TransportFactory } from "./transport.js";
/** What a link tells its session. */
export interface LinkEvents {
    onOpen(): void;
    onFrame(frame: Incoming): void;
    onBadFrame(error: ParlorError): void;
    onClose(code: number, reason: string): void;
}
/** One connection: frames in, frames out. Knows the codec and the transport, and nothing of sessions and rooms. */
export declare class Link {
    private readonly codec;
    private readonly events;
    /** The largest frame in bytes that the broker takes, once it said so. */
    maxFrame: number;
    private readonly transport;
    private state;
    constructor(factory: TransportFactory, url: string, codec: Codec, events: LinkEvents);
    /** Writes a frame or throws; after a throw nothing of it was sent. */
    write(frame: Frame): void;
    /** Ends the connection from this side; no event follows. */
    close(code: number, reason: string): void;
    private receive;
    private checkSize;
}
