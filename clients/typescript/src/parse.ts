// The gate for everything that comes from outside: behind it, frames have the fields that their types promise.

import { type Frame, type Incoming, Op, type Place, type Role, type WireError } from "./frames.js";

/**
 * Reads a frame from the broker into its named form, or gives null for an op that this version does
 * not know, because the protocol is only ever extended. Throws `TypeError` on a malformed frame: past
 * this point every field has its type and nobody checks again.
 */
export function parse(frame: Frame): Incoming | null {
  const read = new Fields(frame);
  switch (frame[0]) {
    case Op.welcome:
      return parseWelcome(new Named(read.map(1)));
    case Op.joined:
      return parseJoined(read);
    case Op.types:
      return { op: Op.types, room: read.count(1), first: read.count(2), names: strings(read.any(3)) };
    case Op.publish:
      return { op: Op.publish, room: read.count(1), ...place(read), type: read.count(4), payload: read.any(5) };
    case Op.reply:
      return { op: Op.reply, room: read.count(1), ...place(read), id: read.count(4), payload: read.any(5) };
    case Op.refused:
      return {
        op: Op.refused,
        room: read.count(1),
        ...place(read),
        no: read.count(4),
        id: read.countOrNil(5),
        error: parseError(read.map(6)),
      };
    case Op.closed:
      return { op: Op.closed, room: read.count(1), ...place(read), code: read.string(4), result: read.any(5) };
    case Op.error:
      return { op: Op.error, id: read.countOrNil(1), error: parseError(read.map(2)) };
    case Op.done:
      return { op: Op.done, id: read.count(1) };
    case Op.pong:
      return { op: Op.pong, time: read.number(1), serverTime: read.number(2) };
    case Op.handled:
      return { op: Op.handled, room: read.count(1), no: read.count(2), tick: read.count(3) };
    default:
      return null;
  }
}

function parseWelcome(read: Named): Incoming {
  return {
    op: Op.welcome,
    session: read.string("session"),
    account: read.string("account"),
    server: read.string("server"),
    time: read.number("time"),
    maxFrame: read.count("max_frame"),
  };
}

function parseJoined(frame: Fields): Incoming {
  const read = new Named(frame.map(2));
  const types = strings(read.any("types"));
  const routes = read.count("routes");
  if (routes > types.length) throw new TypeError("more routes than types");
  return {
    op: Op.joined,
    id: frame.count(1),
    room: read.count("room"),
    roomId: read.string("id"),
    kind: read.string("kind"),
    player: read.count("player"),
    role: role(read.string("role")),
    seq: read.count("seq"),
    index: read.count("index"),
    routes,
    types,
    properties: read.map("properties"),
    view: frame.any(3),
  };
}

// `text` and `retryable` are for convenience: an error that lacks them still says what it must.
function parseError(map: Record<string, unknown>): WireError {
  const read = new Named(map);
  return {
    code: read.string("code"),
    text: map["text"] === undefined ? "" : read.string("text"),
    retryable: map["retryable"] === true,
    params: map["params"] == null ? {} : read.map("params"),
    room: map["room"] == null ? undefined : read.count("room"),
    no: map["no"] == null ? undefined : read.count("no"),
  };
}

function place(read: Fields): Place {
  return { seq: read.count(2), index: read.count(3) };
}

function role(value: string): Role {
  if (value !== "player" && value !== "spectator") throw new TypeError(`unknown role ${value}`);
  return value;
}

function strings(value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((name) => typeof name === "string")) {
    throw new TypeError("expected an array of names");
  }
  return value;
}

/** Checked access by key; `Fields` and `Named` differ only in where a value is found. */
abstract class Reader<K> {
  abstract any(key: K): unknown;

  number(key: K): number {
    const value = this.any(key);
    // NaN and infinities pass `typeof` and would spoil every clock that they touch.
    if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(key, "a number");
    return value;
  }

  count(key: K): number {
    const value = this.any(key);
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(key, "an unsigned integer");
    return value as number;
  }

  countOrNil(key: K): number | null {
    return this.any(key) === null ? null : this.count(key);
  }

  string(key: K): string {
    const value = this.any(key);
    if (typeof value !== "string") throw wrong(key, "a string");
    return value;
  }

  map(key: K): Record<string, unknown> {
    const value = this.any(key);
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(key, "a map");
    return value as Record<string, unknown>;
  }
}

class Fields extends Reader<number> {
  constructor(private readonly frame: Frame) {
    super();
  }

  // A payload of nil is there, as null; a payload that is missing makes the frame malformed.
  any(key: number): unknown {
    if (key >= this.frame.length) throw wrong(key, "a value");
    return this.frame[key];
  }
}

class Named extends Reader<string> {
  constructor(private readonly fields: Record<string, unknown>) {
    super();
  }

  any(key: string): unknown {
    return this.fields[key];
  }
}

function wrong(key: unknown, expected: string): TypeError {
  return new TypeError(`field ${String(key)} is not ${expected}`);
}
