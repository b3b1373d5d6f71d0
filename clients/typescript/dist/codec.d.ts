import type { Frame } from "./frames.js";
/** How frames are written: MessagePack in binary messages, or the same arrays as JSON in text messages. */
export type Codec = "msgpack" | "json";
/** The WebSocket sub-protocol that stands for a codec. */
export declare function subprotocol(codec: Codec): string;
/**
 * Writes one frame. Throws on what cannot be written (a cycle, a function, a bigint), so that the
 * caller learns of it before anything was sent. `undefined` fields are left out in both codecs.
 */
export declare function encode(frame: Frame, codec?: "msgpack"): Uint8Array;
export declare function encode(frame: Frame, codec: "json"): string;
export declare function encode(frame: Frame, codec?: Codec): Uint8Array | string;
/** Reads one frame: text is JSON, bytes are MessagePack. Throws on anything that is not a frame. */
export declare function decode(data: Uint8Array | string): Frame;
