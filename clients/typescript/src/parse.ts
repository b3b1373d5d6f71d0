// The gate for everything that comes from outside: behind it, frames have the fields that their types promise.

import {
  type Frame,
  type Incoming,
  type Membership,
  Op,
  type Place,
  type ResumeTerms,
  type Role,
  type RoomOutcome,
  type Welcome,
  type WireError,
} from "./frames.js";

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
    case Op.resumed:
      return {
        op: Op.resumed,
        welcome: parseWelcome(new Named(read.map(1))),
        received: read.count(2),
        rooms: outcomes(read.any(3)),
      };
    case Op.joined:
      return { op: Op.joined, id: read.count(1), ...parseMembership(new Named(read.map(2)), read.any(3)) };
    case Op.view:
      return { op: Op.view, handled: read.count(2), ...parseMembership(new Named(read.map(1)), read.any(3)) };
    case Op.types:
      return { op: Op.types, room: read.count(1), first: read.count(2), names: strings(read.any(3)) };
    case Op.publish:
      return { op: Op.publish, room: read.count(1), ...place(read), type: read.count(4), payload: read.any(5) };
    case Op.latest:
      return {
        op: Op.latest,
        room: read.count(1),
        ...place(read),
        type: read.count(4),
        key: read.string(5),
        payload: read.any(6),
      };
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
    case Op.acked:
      return { op: Op.acked, received: read.count(1) };
    default:
      return null;
  }
}

function parseWelcome(read: Named): Welcome {
  return {
    op: Op.welcome,
    session: read.string("session"),
    account: read.string("account"),
    server: read.string("server"),
    time: read.number("time"),
    maxFrame: read.count("max_frame"),
    expires: read.has("expires") ? read.number("expires") : undefined,
    resume: read.has("resume") ? parseTerms(new Named(read.map("resume"))) : undefined,
    lost: read.has("lost") ? read.string("lost") : undefined,
  };
}

function parseTerms(read: Named): ResumeTerms {
  return { token: read.string("token"), ackFrames: read.count("ack_frames"), ackBytes: read.count("ack_bytes") };
}

function outcomes(value: unknown): RoomOutcome[] {
  if (!Array.isArray(value)) throw new TypeError("expected an array of rooms");
  return value.map((room, index) => {
    const read = new Named(map(index, room));
    return {
      room: read.count("room"),
      no: read.count("no"),
      outcome: read.string("outcome"),
      frames: read.has("frames") ? read.count("frames") : undefined,
      reason: read.has("reason") ? read.string("reason") : undefined,
    };
  });
}

function parseMembership(read: Named, view: unknown): Membership {
  const types = strings(read.any("types"));
  const routes = read.count("routes");
  if (routes > types.length) throw new TypeError("more routes than types");
  return {
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
    invite: read.has("invite") ? read.string("invite") : undefined,
    view,
  };
}

// `text` and `retryable` are for convenience: an error that lacks them still says what it must.
function parseError(fields: Record<string, unknown>): WireError {
  const read = new Named(fields);
  return {
    code: read.string("code"),
    text: read.has("text") ? read.string("text") : "",
    retryable: fields["retryable"] === true,
    params: read.has("params") ? read.map("params") : {},
    room: read.has("room") ? read.count("room") : undefined,
    no: read.has("no") ? read.count("no") : undefined,
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
    return map(key, this.any(key));
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

  /** Whether an optional field is there; nil is as good as left out. */
  has(key: string): boolean {
    return this.fields[key] != null;
  }

  any(key: string): unknown {
    return this.fields[key];
  }
}

function map(key: unknown, value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(key, "a map");
  return value as Record<string, unknown>;
}

function wrong(key: unknown, expected: string): TypeError {
  return new TypeError(`field ${String(key)} is not ${expected}`);
}
