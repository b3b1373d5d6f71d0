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

/**
 * A broker that does what the test says, over a memory transport and in real encoded frames. It
 * answers hello and pings by itself; every other frame waits in `got`.
 */
export class FakeBroker {
  readonly time = new FakeTime();
  /** Frames that no test has looked at yet, pings and hello left out. */
  readonly got: Frame[] = [];
  hello: Frame | undefined;
  pings = 0;
  autoPong = true;
  /** What answers hello; the test may put an error here, or nothing. */
  greeting: Frame | null = [
    Op.welcome,
    { session: "s-1", account: "guest-1", server: "fake/1", time: EPOCH + 1_000, max_frame: 4_096 },
  ];
  closedWith: { code: number; reason: string } | undefined;
  url = "";
  private peer: Transport | undefined;

  constructor(readonly codec: Codec = "msgpack") {}

  get transport(): TransportFactory {
    return memoryTransport((peer, subprotocol, url) => {
      assert.equal(subprotocol, `parlor.v1.${this.codec}`);
      this.peer = peer;
      this.url = url;
      return {
        onMessage: (data) => this.take(decode(data)),
        onClose: (code, reason) => {
          this.closedWith = { code, reason };
        },
      };
    });
  }

  connect(options: ConnectOptions = {}): Promise<Parlor> {
    const own = { transport: this.transport, codec: this.codec, time: this.time };
    return connect("ws://fake", { ...own, ...options });
  }

  /** Writes frames in one turn: the client gets no macrotask between them. */
  write(...frames: Frame[]): void {
    for (const frame of frames) this.raw(encode(frame, this.codec));
  }

  raw(data: Uint8Array | string): void {
    this.peer?.send(data);
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

/** A broker with one client in room 7, past the turn in which frames are held. */
export async function inRoom(codec: Codec = "msgpack"): Promise<{ broker: FakeBroker; parlor: Parlor; room: Room }> {
  const broker = new FakeBroker(codec);
  const parlor = await broker.connect();
  const room = await broker.join(parlor.joinOrCreate("arena"));
  await broker.time.pass(0);
  return { broker, parlor, room };
}
