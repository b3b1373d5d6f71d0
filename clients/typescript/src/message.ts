// From a frame to the message that carries it, or to the reason why there can be none.

import { type Codec, encode } from "./codec.js";
import { ParlorError } from "./errors.js";
import type { Frame } from "./frames.js";
import type { Message } from "./positions.js";

/** Encodes a frame. Throws a `ParlorError` when it has no form in the codec, or when the broker would not take it. */
export function pack(frame: Frame, codec: Codec, maxFrame: number): Message {
  let message: Message;
  try {
    message = encode(frame, codec);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new ParlorError("not_representable", text, { cause });
  }
  checkSize(message, maxFrame);
  return message;
}

/** At least as many bytes as the message has. A UTF-16 unit makes at most three, so that no text needs counting. */
export function sizeAtMost(message: Message): number {
  return typeof message === "string" ? message.length * 3 : message.length;
}

// The broker would close the connection on it, and all rooms would suffer.
function checkSize(message: Message, max: number): void {
  if (sizeAtMost(message) <= max) return;
  const size = typeof message === "string" ? new TextEncoder().encode(message).length : message.length;
  if (size <= max) return;
  throw new ParlorError("frame_too_large", `a frame of ${size} bytes; the broker takes ${max}`, {
    params: { size, max },
  });
}
