// A room server on bun's WebSockets, which are uWebSockets' (C++): the measure of how little a delivery can cost.
//
// It speaks what `bench-plain` speaks and promises as little: the native topic of a room does the fan-out, which gathers
// all that one turn of the event loop publishes and writes it to each subscriber at once. Run it as
// `bun server.ts --port 0`; it says where it listens and serves until it is killed.

import type { ServerWebSocket } from "bun";

const SUBPROTOCOL = "parlor.v1.msgpack";
/** `[36, room, seq, 0, 0,` at its longest. */
const MAX_HEADER = 16;
const MAX_FRAME = 64 * 1024;

interface Room {
  readonly number: number;
  readonly name: string;
  readonly topic: string;
  seq: number;
  members: number;
}

/** What belongs to a connection: its rooms by number. */
type Data = Map<number, Room>;

const rooms = new Map<string, Room>();
let lastRoom = 0;
let lastPlayer = 0;

// Reading: one frame at a time, so that its position can be kept outside and no object is made for a message.

let at = 0;
const decoder = new TextDecoder();

function count(bytes: Uint8Array, width: number): number {
  let value = 0;
  for (const end = at + width; at < end; at++) {
    value = value * 256 + bytes[at]!;
  }
  return value;
}

function uint(bytes: Uint8Array): number {
  const marker = bytes[at++]!;
  if (marker < 0x80) return marker;
  if (marker >= 0xcc && marker <= 0xcf) return count(bytes, 1 << (marker - 0xcc));
  throw new Error("an unsigned integer was expected");
}

function text(bytes: Uint8Array): string {
  const length = textLength(bytes);
  at += length;
  return decoder.decode(bytes.subarray(at - length, at));
}

function textLength(bytes: Uint8Array): number {
  const marker = bytes[at++]!;
  if (marker >= 0xa0 && marker < 0xc0) return marker & 0x1f;
  if (marker >= 0xd9 && marker <= 0xdb) return count(bytes, 1 << (marker - 0xd9));
  throw new Error("a text was expected");
}

/** The type of a message is its number or its name. There is only one, so it is passed over. */
function skipType(bytes: Uint8Array): void {
  if (bytes[at]! < 0x80) {
    at++;
  } else {
    at += textLength(bytes);
  }
}

/** A map of texts and numbers, as those of a join are. */
function map(bytes: Uint8Array): Map<string, string | number> {
  const map = new Map<string, string | number>();
  for (let left = bytes[at++]! & 0x0f; left > 0; left--) {
    const key = text(bytes);
    const marker = bytes[at]!;
    map.set(key, marker < 0x80 || marker >= 0xcc && marker <= 0xcf ? uint(bytes) : text(bytes));
  }
  return map;
}

// Writing: into one buffer, since what is sent is copied before the call returns.

const out = new Uint8Array(MAX_HEADER + MAX_FRAME);
let end = 0;
const encoder = new TextEncoder();

function putUint(value: number): void {
  if (value < 0x80) {
    out[end++] = value;
  } else if (value < 0x100) {
    out[end++] = 0xcc;
    out[end++] = value;
  } else if (value < 0x1_0000) {
    out[end++] = 0xcd;
    out[end++] = value >>> 8;
    out[end++] = value;
  } else {
    // A run sends less than 2^32 messages to a room.
    out[end++] = 0xce;
    out[end++] = value >>> 24;
    out[end++] = value >>> 16;
    out[end++] = value >>> 8;
    out[end++] = value;
  }
}

function putText(value: string): void {
  const bytes = encoder.encode(value);
  if (bytes.length < 32) {
    out[end++] = 0xa0 | bytes.length;
  } else {
    out[end++] = 0xd9;
    out[end++] = bytes.length;
  }
  out.set(bytes, end);
  end += bytes.length;
}

function putMap(entries: Record<string, string | number | string[]>): void {
  const pairs = Object.entries(entries);
  out[end++] = 0x80 | pairs.length;
  for (const [key, value] of pairs) {
    putText(key);
    if (typeof value === "string") {
      putText(value);
    } else if (typeof value === "number") {
      putUint(value);
    } else {
      out[end++] = 0x90 | value.length;
      value.forEach(putText);
    }
  }
}

/** `[33, {session, account, server, time, max_frame}]` */
function welcome(): Uint8Array {
  end = 0;
  out[end++] = 0x92;
  putUint(33);
  putMap({ session: "bun", account: "guest", server: "bench-bun/0.1.0", time: 0, max_frame: MAX_FRAME });
  return out.subarray(0, end);
}

/** `[34, id, {room, id, kind, player, role, seq, index, routes, types}, nil]` */
function joined(id: number, room: Room): Uint8Array {
  end = 0;
  out[end++] = 0x94;
  putUint(34);
  putUint(id);
  const { number, name, seq } = room;
  const player = ++lastPlayer;
  putMap({ room: number, id: name, kind: "bench", player, role: "player", seq, index: 0, routes: 1, types: ["move"] });
  out[end++] = 0xc0;
  return out.subarray(0, end);
}

function join(socket: ServerWebSocket<Data>, bytes: Uint8Array): void {
  const id = uint(bytes);
  map(bytes);
  const name = String(map(bytes).get("room"));
  let room = rooms.get(name);
  if (room === undefined) {
    const number = ++lastRoom;
    room = { number, name, topic: String(number), seq: 0, members: 0 };
    rooms.set(name, room);
  }
  if (!socket.data.has(room.number)) {
    socket.data.set(room.number, room);
    room.members++;
  }
  socket.sendBinary(joined(id, room));
  socket.subscribe(room.topic);
}

/** `[4, room, type, payload]` becomes `[36, room, seq, 0, 0, payload]` for all members, the sender among them. */
function publish(socket: ServerWebSocket<Data>, bytes: Uint8Array): void {
  const room = socket.data.get(uint(bytes));
  if (room === undefined) return;
  skipType(bytes);
  end = 0;
  out[end++] = 0x96;
  out[end++] = 36;
  putUint(room.number);
  putUint(++room.seq);
  out[end++] = 0;
  out[end++] = 0;
  out.set(bytes.subarray(at), end);
  server.publish(room.topic, out.subarray(0, end + bytes.length - at));
}

const portFlag = process.argv.indexOf("--port");

const server = Bun.serve<Data>({
  hostname: "127.0.0.1",
  port: portFlag < 0 ? 0 : Number(process.argv[portFlag + 1]),
  fetch(request, server) {
    const asked = request.headers.has("sec-websocket-protocol");
    const headers = asked ? { "Sec-WebSocket-Protocol": SUBPROTOCOL } : undefined;
    if (server.upgrade(request, { data: new Map(), headers })) return undefined;
    return new Response("a WebSocket is expected", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0,
    sendPings: false,
    maxPayloadLength: MAX_FRAME,
    // Like the other servers, it ends a connection rather than lose a message in silence.
    closeOnBackpressureLimit: true,
    message(socket, bytes) {
      if (typeof bytes === "string") return;
      at = 1;
      switch (bytes[at++]) {
        case 1:
          socket.sendBinary(welcome());
          break;
        case 2:
          join(socket, bytes);
          break;
        case 4:
          publish(socket, bytes);
          break;
      }
    },
    close(socket) {
      for (const room of socket.data.values()) {
        if (--room.members === 0) rooms.delete(room.name);
      }
    },
  },
});

console.log(`listening on 127.0.0.1:${server.port}`);
