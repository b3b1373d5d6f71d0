import assert from "node:assert/strict";
import { test } from "node:test";
import { pause } from "../src/backoff.js";
import { Positions } from "../src/positions.js";
import { chance, seeds } from "./seeds.js";

const bound = { frames: 4, bytes: 20 };
const due = { frames: 3, bytes: 100 };

test("acknowledgements are due after so many frames, or so many bytes", () => {
  const positions = new Positions(bound, due);
  assert.deepEqual([positions.count(1), positions.count(1), positions.count(1)], [false, false, true]);
  assert.equal(positions.owes, true);
  positions.acknowledged();
  assert.deepEqual([positions.owes, positions.received], [false, 3]);
  assert.deepEqual([positions.count(99), positions.count(1)], [false, true]);
});

test("what waits for an acknowledgement is bounded in number and size", () => {
  const positions = new Positions(bound, due);
  assert.equal(positions.full("x".repeat(50)), false, "what is larger than the bound goes alone");
  for (const message of ["a", "b", "c"]) positions.keep(message);
  assert.equal(positions.full("x".repeat(18)), true);
  assert.equal(positions.full("x".repeat(17)), false);
  positions.keep("d");
  assert.equal(positions.full(""), true);
  for (let i = 0; i < 4; i++) positions.wrote();
  assert.equal(positions.release(2), true);
  assert.equal(positions.full("x".repeat(18)), false);
});

test("numbers that cannot be change nothing", () => {
  const positions = new Positions(bound, due, 10);
  positions.keep("a");
  positions.keep("b");
  positions.wrote();
  assert.equal(positions.release(9), false);
  assert.equal(positions.release(12), false, "that one was not written");
  assert.equal(positions.resume(12, due), false);
  assert.equal(positions.release(11), true);
  assert.equal(positions.next(), "b");
  assert.equal(positions.unacknowledged, 1);
});

/** The other side: takes what comes over one connection, in order, and loses what was on its way when it breaks. */
class Peer {
  taken: string[] = [];
  wire: string[] = [];
}

for (const seed of seeds(200)) {
  test(`every message reaches the peer once and in order, over cuts: seed ${seed}`, () => {
    const { below } = chance(seed);
    const positions = new Positions({ frames: 40, bytes: 1e6 }, due);
    const peer = new Peer();
    let said = 0;
    let connected = true;
    const write = () => {
      for (let next = positions.next(); connected && next !== undefined; next = positions.next()) {
        peer.wire.push(next as string);
        positions.wrote();
      }
    };
    const comeBack = () => {
      connected = true;
      assert.ok(positions.resume(peer.taken.length, due));
      write();
    };
    for (let step = 0; step < 400; step++) {
      const dice = below(20);
      if (dice < 8 && !positions.full("m")) {
        positions.keep(`m${++said}`);
        write();
      } else if (dice < 15) {
        if (connected) peer.taken.push(...peer.wire.splice(0, 1 + below(5)));
      } else if (dice < 18) {
        if (connected) assert.ok(positions.release(peer.taken.length));
      } else if (connected) {
        connected = false;
        peer.wire.length = 0;
      } else comeBack();
      assert.ok(positions.unacknowledged <= 40);
    }
    if (!connected) comeBack();
    peer.taken.push(...peer.wire);
    assert.deepEqual(peer.taken, Array.from({ length: said }, (_, i) => `m${i + 1}`));
  });
}

test("pauses double up to the longest, and all of them is chance", () => {
  const bounds = [0, 1, 2, 5, 6, 50].map((n) => pause({ first: 200, most: 10_000 }, n, () => 1));
  assert.deepEqual(bounds, [200, 400, 800, 6_400, 10_000, 10_000]);
  assert.equal(pause({ first: 200, most: 10_000 }, 3, () => 0), 0);
  assert.equal(pause({ first: 200, most: 10_000 }, 3, () => 0.25), 400);
});
