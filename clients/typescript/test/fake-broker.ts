import assert from "node:assert/strict";
import {
  type Codec,
  connect,
  type ConnectOptions,
  decode,
  encode,
  type Frame,
  memoryTransport,
  Op,
  type Parlor,
  type Room,
  type Transport,
  type TransportFactory,
} from "../src/index.js";
import { FakeTime, settled } from "./fake-time.js";

/** What the fake broker's clock shows when the fake time shows 0. */
export const EPOCH = 1_700_000_000_000;

/** What the broker of a session that outlives its connections says of coming back, with the n-th token. */
export function terms(n: number, ack_frames = 1_024, ack_bytes = 65_536): object {
  return { resume: { token: `token-${n}`, ack_frames, ack_bytes } };
}

/** The map of a welcome. */
export function welcome(more: object = {}): object {
  return { session: "s-1", account: "guest-1", server: "fake/1", time: EPOCH + 1_000, max_frame: 4_096, ...more };
}

/**
 * A broker that does what the test says, over a memory transport and in real encoded frames. It
 * answers hello and pings by itself; every other frame waits in `got`, acknowledgements in `acks`.
 */
export class FakeBroker {
  readonly time = new FakeTime();
  /** Frames that no test has looked at yet, pings and hello left out. */
  readonly got: Frame[] = [];
  readonly acks: unknown[] = [];
  hello: Frame | undefined;
  /** How often somebody connected, or tried to. */
  connections = 0;
  pings = 0;
  /** Lets nobody in. */
  down = false;
  /** Hears nothing and says nothing, as if the network had gone. */
  deaf = false;
  autoPong = true;
  /** What answers hello; the test may put an error here, or nothing. */
  greeting: Frame | null = [Op.welcome, welcome()];
  closedWith: { code: number; reason: string } | undefined;
  url = "";
  private peer: Transport | undefined;
  private vanished: Transport | undefined;

  constructor(readonly codec: Codec = "msgpack") {}

  get transport(): TransportFactory {
    return memoryTransport((peer, subprotocol, url) => {
      assert.equal(subprotocol, `parlor.v1.${this.codec}`);
      this.peer = peer;
      this.url = url;
      this.connections += 1;
      if (this.down) peer.close(1006);
      return {
        onMessage: (data) => {
          if (!this.deaf && peer !== this.vanished) this.take(decode(data));
        },
        onClose: (code, reason) => {
          this.closedWith = { code, reason };
        },
      };
    });
  }

  connect(options: ConnectOptions = {}): Promise<Parlor> {
    // Chance is always the same: half of what it may be.
    const own = { transport: this.transport, codec: this.codec, time: this.time, random: () => 0.5 };
    return connect("ws://fake", { ...own, ...options });
  }

  /** Writes frames in one turn: the client gets no macrotask between them. */
  write(...frames: Frame[]): void {
    for (const frame of frames) this.raw(encode(frame, this.codec));
  }

  raw(data: Uint8Array | string): void {
    if (!this.deaf) this.peer?.send(data);
  }

  /** Nothing comes through on this connection any more, and nobody says so; the next one will do. */
  vanish(): void {
    this.vanished = this.peer;
  }

  /** Ends the connection without a word, and lets the client notice. */
  async cut(code = 1006, reason = ""): Promise<void> {
    this.close(code, reason);
    await settled();
  }

  /** What the next hello is answered with: the session goes on with the n-th token. */
  resumed(n: number, received: number, rooms: object[] = [], more: object = {}): void {
    this.greeting = [Op.resumed, welcome({ ...terms(n), ...more }), received, rooms];
  }

  close(code: number, reason = ""): void {
    this.peer?.close(code, reason);
  }

  /** The next frame of the client that was not looked at. */
  async next(op: number): Promise<Frame> {
    await settled();
    const frame = this.got.shift();
    assert.ok(frame !== undefined, "the client wrote nothing");
    assert.equal(frame[0], op);
    return frame;
  }

  /** Answers a join that is on its way; what follows comes in the same turn. */
  async join<R extends Room<any>>(joining: Promise<R>, map: object = {}, ...rest: Frame[]): Promise<R> {
    const [, id] = await this.next(Op.join);
    this.write(joined(id as number, map), ...rest);
    return joining;
  }

  private take(frame: Frame): void {
    if (frame[0] === Op.hello) {
      this.hello = frame;
      if (this.greeting !== null) this.write(this.greeting);
    } else if (frame[0] === Op.ping) {
      this.pings += 1;
      if (this.autoPong) this.write([Op.pong, frame[1], EPOCH + this.time.now()]);
    } else if (frame[0] === Op.ack) {
      this.acks.push(frame[1]);
    } else {
      this.got.push(frame);
    }
  }
}

/** A room "arena" with number 7, in which `move` and `buy` may be sent by number. */
export function joined(id: number, map: object = {}, view: unknown = { players: 1 }): Frame {
  const all = {
    room: 7,
    id: "k3F9xQ2m",
    kind: "arena",
    player: 2,
    role: "player",
    seq: 4,
    index: 0,
    routes: 2,
    types: ["move", "buy", "moved"],
    properties: { map: "dust" },
  };
  return [Op.joined, id, { ...all, ...map }, view];
}

export function publish(type: number, payload: unknown, seq = 5, index = 0, room = 7): Frame {
  return [Op.publish, room, seq, index, type, payload];
}

/** The same room, as of later. */
export function view(map: object = {}, handled = 0, shown: unknown = { players: 9 }): Frame {
  const [, , fields] = joined(0, { seq: 41, ...map });
  return [Op.view, fields, handled, shown];
}

/** As `inRoom`, in a session that outlives its connections. The join was the client's first counted frame. */
export async function keptRoom(
  options: ConnectOptions = {},
  codec: Codec = "msgpack",
): Promise<{ broker: FakeBroker; parlor: Parlor; room: Room; told: unknown[][] }> {
  const broker = new FakeBroker(codec);
  broker.greeting = [Op.welcome, welcome(terms(1))];
  const parlor = await broker.connect(options);
  const told: unknown[][] = [];
  for (const event of ["disconnected", "resumed", "resync", "lost", "closed", "error"] as const) {
    parlor.lifecycle.on(event, (info) => told.push([event, info]));
  }
  const room = await broker.join(parlor.joinOrCreate("arena"));
  await broker.time.pass(0);
  broker.acks.length = 0;
  return { broker, parlor, room, told };
}

/** A broker with one client in room 7, past the turn in which frames are held. */
export async function inRoom(codec: Codec = "msgpack"): Promise<{ broker: FakeBroker; parlor: Parlor; room: Room }> {
  const broker = new FakeBroker(codec);
  const parlor = await broker.connect();
  const room = await broker.join(parlor.joinOrCreate("arena"));
  await broker.time.pass(0);
  return { broker, parlor, room };
}
