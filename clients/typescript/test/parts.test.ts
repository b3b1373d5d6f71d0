import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, Op } from "../src/index.js";
import { ServerClock } from "../src/clock.js";
import { Inbox } from "../src/inbox.js";

test("an inbox holds, then delivers one at a time and in order", () => {
  const seen: number[] = [];
  const inbox = new Inbox<{ n: number }>(({ n }) => {
    // What a delivery causes comes after what is held already, not in the middle.
    if (n === 1) inbox.push({ n: 10 });
    seen.push(n);
  });
  inbox.push({ n: 1 });
  inbox.push({ n: 2 });
  assert.deepEqual(seen.length, 0);
  inbox.open();
  inbox.push({ n: 3 });
  inbox.push({ n: 1 });
  assert.deepEqual(seen, [1, 2, 10, 3, 1, 10]);
});

test("the clock believes the shortest round trip, until it is too old", () => {
  const clock = new ServerClock();
  assert.equal(clock.serverNow(5), 5, "without a sample there is only the local clock");
  clock.greeted(0, 100, 10_000);
  assert.equal(clock.serverNow(100), 10_050);
  clock.ponged(200, 202, 10_201);
  assert.equal(clock.serverNow(202), 10_202);
  // The way there was slow, the way back fast: half of the round trip is wrong by 49 ms.
  clock.ponged(300, 400, 10_399);
  assert.equal(clock.serverNow(400), 10_400);
  for (let i = 0; i < 8; i++) clock.ponged(500 + i, 510 + i, 20_505 + i);
  assert.equal(clock.serverNow(520), 20_520, "a clock that was set is believed at last");
});

test("the round trip starts with the first pong and is smoothed from then on", () => {
  const clock = new ServerClock();
  clock.greeted(0, 500, 0);
  assert.equal(clock.rtt, 500);
  assert.equal(clock.ponged(1_000, 1_016, 0), 16);
  assert.equal(clock.rtt, 16);
  clock.ponged(2_000, 2_096, 0);
  assert.equal(clock.rtt, 26);
  assert.equal(clock.ponged(3_000, 2_999, 0), 0, "a pong from the future took no time");
});

test("an array may not claim more than any frame can hold", () => {
  assert.throws(() => decode(new Uint8Array([0xdd, 0x00, 0x20, 0x00, 0x00])), /array length/);
});

test("bytes are bytes in MessagePack, and numbers in JSON", () => {
  const bytes = new Uint8Array([1, 2, 255]);
  assert.deepEqual(decode(encode([Op.send, 7, 0, bytes])), [Op.send, 7, 0, bytes]);
  assert.equal(encode([Op.send, 7, 0, { bytes }], "json"), '[4,7,0,{"bytes":[1,2,255]}]');
});

test("maps of numbers, as a server may well have them, are read as JSON reads them", () => {
  // {2: "Ann"} with an integer key.
  assert.deepEqual(decode(new Uint8Array([0x92, 36, 0x81, 2, 0xa3, 0x41, 0x6e, 0x6e])), [36, { "2": "Ann" }]);
});
