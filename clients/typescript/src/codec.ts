// Frames to bytes or text and back. Knows neither what the ops mean nor where the bytes go.

import { Decoder, Encoder } from "@msgpack/msgpack";
import type { Frame } from "./frames.js";

/** How frames are written: MessagePack in binary messages, or the same arrays as JSON in text messages. */
export type Codec = "msgpack" | "json";

/** The WebSocket sub-protocol that stands for a codec. */
export function subprotocol(codec: Codec): string {
  return `parlor.v1.${codec}`;
}

/**
 * Writes one frame. Throws on what cannot be written (a cycle, a function, a bigint), so that the
 * caller learns of it before anything was sent. `undefined` fields are left out in both codecs.
 */
export function encode(frame: Frame, codec?: "msgpack"): Uint8Array;
export function encode(frame: Frame, codec: "json"): string;
export function encode(frame: Frame, codec?: Codec): Uint8Array | string;
export function encode(frame: Frame, codec: Codec = "msgpack"): Uint8Array | string {
  return codec === "json" ? JSON.stringify(frame, plainBytes) : encoder.encode(frame);
}

/** Reads one frame: text is JSON, bytes are MessagePack. Throws on anything that is not a frame. */
export function decode(data: Uint8Array | string): Frame {
  const value: unknown = typeof data === "string" ? JSON.parse(data) : decoder.decode(data);
  if (!isFrame(value)) throw new TypeError("a frame is an array that begins with its op");
  return value;
}

// JSON knows no bytes; the broker writes them as an array of numbers, too.
function plainBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Array.from(value) : value;
}

function isFrame(value: unknown): value is Frame {
  return Array.isArray(value) && Number.isInteger(value[0]);
}

// One of each for all connections: they keep their buffers, and guard themselves against re-entry.
const encoder = new Encoder({ ignoreUndefined: true });

// An array is allocated from its announced length before its elements are read. Five bytes must not
// be able to ask for gigabytes.
const decoder = new Decoder({ maxArrayLength: 1 << 20 });
