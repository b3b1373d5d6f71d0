import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, decode, encode, type Frame, Op, type Parlor, type Room, type TransportEvents } from "../src/index.js";
import { joined, publish, welcome } from "./fake-broker.js";
import { FakeTime, settled } from "./fake-time.js";
import { chance, seeds } from "./seeds.js";

/** One connection: what is on its way in both directions is lost when it is cut. */
class Wire {
  up: Frame[] = [];
  down: Frame[] = [];
  open = true;
  constructor(readonly events: TransportEvents) {}
}

/**
 * A broker that keeps its side of the protocol's section "Coming back" with plain arrays: every counted frame that it ever
 * said or heard, in order. It publishes what it is sent.
 */
class Model {
  wires: Wire[] = [];
  wire: Wire | undefined;
  heard: Frame[] = [];
  said: Frame[] = [];
  acked = 0;
  seq = 4;
  /** The token that the client is known to have, and the one that was made last. */
  proven = 0;
  newest = 0;

  take(frame: Frame, wire: Wire): void {
    if (frame[0] === Op.hello) return this.greet(frame, wire);
    if (wire !== this.wire) return;
    this.proven = this.newest;
    if (frame[0] === Op.ping) return void wire.down.push([Op.pong, frame[1], 0]);
    if (frame[0] === Op.ack) {
      assert.ok((frame[1] as number) >= this.acked && (frame[1] as number) <= this.said.length);
      this.acked = frame[1] as number;
      return;
    }
    this.heard.push(frame);
    if (frame[0] === Op.join) this.say(joined(frame[1] as number));
    if (frame[0] === Op.send) this.say(publish(2, frame[3], ++this.seq));
    if (frame[0] === Op.request) this.say([Op.reply, 7, ++this.seq, 0, frame[3], frame[4]]);
  }

  acknowledge(): void {
    this.wire?.down.push([Op.acked, this.heard.length]);
  }

  private say(frame: Frame): void {
    this.said.push(frame);
    this.wire?.down.push(frame);
  }

  private greet(frame: Frame, wire: Wire): void {
    const { resume } = frame[1] as { resume: { token?: string; received?: number } };
    const map = welcome({ resume: { token: `t${this.newest + 1}`, ack_frames: 5, ack_bytes: 1_000 } });
    this.wire = wire;
    if (resume.token !== undefined) {
      assert.ok([`t${this.proven}`, `t${this.newest}`].includes(resume.token));
      this.proven = Number(resume.token.slice(1));
    }
    this.newest += 1;
    if (resume.token === undefined) return void wire.down.push([Op.welcome, map]);
    const received = resume.received!;
    assert.ok(received >= this.acked && received <= this.said.length, "the client has had what it says");
    wire.down.push([Op.resumed, map, this.heard.length, [{ room: 7, no: 0, outcome: "recovered", frames: 0 }]]);
    wire.down.push(...this.said.slice(received));
  }
}

for (const seed of seeds(60)) {
  test(`a session over cuts at any moment: every message once, in order, both ways: seed ${seed}`, async () => {
    const { below } = chance(seed);
    const model = new Model();
    const time = new FakeTime();
    const connecting = connect("ws://model", {
      time,
      requestTimeout: 1e9,
      reconnectFor: 1e9,
      backOffMost: 500,
      random: () => below(1_000) / 1_000,
      transport: (_url, _subprotocol, events) => {
        const wire = new Wire(events);
        model.wires.push(wire);
        queueMicrotask(() => events.onOpen());
        return {
          send: (data) => {
            if (!wire.open) throw new Error("closed");
            wire.up.push(decode(data));
          },
          close: () => (wire.open = false),
        };
      },
    });
    const flow = () => {
      const wire = model.wires.at(-1)!;
      for (let n = below(4); n > 0 && wire.up.length > 0; n--) model.take(wire.up.shift()!, wire);
      for (let n = below(4); n > 0 && wire.open && wire.down.length > 0; n--) wire.events.onMessage(encode(wire.down.shift()!));
    };
    const cut = () => {
      const wire = model.wires.at(-1)!;
      if (!wire.open) return;
      wire.open = false;
      if (model.wire === wire) model.wire = undefined;
      wire.events.onClose(1006, "");
    };
    const until = async (done: () => boolean) => {
      for (let i = 0; !done(); i++) {
        assert.ok(i < 10_000, "it does not come to an end");
        flow();
        await time.pass(i % 10 === 0 ? 100 : 0);
      }
    };
    await settled();
    let parlor: Parlor | undefined;
    void connecting.then((there) => (parlor = there));
    await until(() => parlor !== undefined);
    let room: Room | undefined;
    void parlor!.joinOrCreate("arena").then((there) => (room = there));
    await until(() => room !== undefined);
    await time.pass(0);

    const got: unknown[] = [];
    const expected: unknown[] = [];
    const answers: Promise<unknown>[] = [];
    room!.on("moved", (payload) => got.push(payload));
    parlor!.lifecycle.on("lost", () => assert.fail("nothing was lost"));
    parlor!.lifecycle.on("error", (error) => assert.fail(error.message));
    let said = 0;
    for (let step = 0; step < 150; step++) {
      const dice = below(20);
      if (dice < 6) {
        expected.push(++said);
        assert.equal(room!.send("move", said), said);
      } else if (dice < 8) {
        const no = ++said;
        answers.push(room!.request("buy", no).then((answer) => assert.equal(answer, no)));
      } else if (dice < 16) flow();
      else if (dice < 17) model.acknowledge();
      else if (dice < 18) cut();
      else await time.pass(below(300));
    }
    await until(() => got.length >= expected.length && model.heard.length > said);
    await until(() => model.wires.at(-1)!.down.length === 0);
    await Promise.all(answers);
    assert.deepEqual(got, expected);
    const numbers = model.heard.slice(1).map((frame) => frame.at(-1));
    assert.deepEqual(numbers, Array.from({ length: said }, (_, i) => i + 1));
    parlor!.close();
    assert.equal(time.pending, 0);
  });
}
