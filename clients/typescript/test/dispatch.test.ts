import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, type Frame, Op, type ParlorError } from "../src/index.js";
import { FakeBroker, inRoom, joined, publish, terms, view, welcome } from "./fake-broker.js";
import { settled } from "./fake-time.js";

test("frames that come in the turn of joined wait for the handlers", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const early: Frame[] = [[Op.types, 7, 3, ["bought"]], publish(2, "a", 5), publish(3, "b", 6), publish(2, "c", 7)];
  const room = await broker.join(parlor.joinOrCreate("arena"), {}, ...early);
  await settled();
  const seen: unknown[] = [];
  room.on("moved", (payload) => seen.push(payload));
  await settled();
  assert.equal(seen.length, 0, "held until the macrotask after the join, whatever is registered");
  room.on("bought", (payload) => seen.push(payload));
  await broker.time.pass(0);
  assert.deepEqual(seen, ["a", "b", "c"]);
  broker.write(publish(2, "d", 8));
  await settled();
  assert.deepEqual(seen, ["a", "b", "c", "d"]);
});

test("an early end is held in its order, after what came before it", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const end: Frame = [Op.closed, 7, 6, 0, "closed", { winner: 2 }];
  const room = await broker.join(parlor.joinOrCreate("arena"), {}, publish(2, "a"), end);
  const order: unknown[] = [];
  room.onClosed(({ result }) => order.push(result));
  room.on("moved", (payload) => order.push(payload));
  await broker.time.pass(0);
  assert.deepEqual(order, ["a", { winner: 2 }]);
});

test("a reply that is held when the connection ends is still a reply", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const room = await broker.join(parlor.joinOrCreate("arena"));
  const answered = room.request("buy");
  const unanswered = assert.rejects(room.request("buy"), { code: "outcome_unknown", close_code: 4000 });
  const [, , , id] = await broker.next(Op.request);
  broker.write([Op.reply, 7, 5, 0, id, "receipt"]);
  broker.close(4000);
  await settled();
  await broker.time.pass(0);
  assert.equal(await answered, "receipt");
  await unanswered;
});

test("handlers of one type are called in order, until they are taken off", async () => {
  const { broker, room } = await inRoom();
  const seen: string[] = [];
  const off = room.on("moved", () => seen.push("first"));
  room.on("moved", () => seen.push("second"));
  room.onAny((type) => seen.push(`any ${type}`));
  broker.write(publish(2, 1));
  await settled();
  off();
  off();
  broker.write(publish(2, 1));
  await settled();
  assert.deepEqual(seen, ["first", "second", "any moved", "second", "any moved"]);
});

test("a handler that throws harms no other, and its error is told", async () => {
  const { broker, parlor, room } = await inRoom();
  const errors: ParlorError[] = [];
  const seen: unknown[] = [];
  const bug = new Error("a bug in the game");
  parlor.lifecycle.on("error", (error) => errors.push(error));
  room.on("moved", () => {
    throw bug;
  });
  room.on("moved", (payload) => seen.push(payload));
  broker.write(publish(2, "a"), publish(2, "b", 6));
  await settled();
  assert.deepEqual(seen, ["a", "b"]);
  assert.deepEqual(errors.map((error) => [error.code, error.cause]), Array(2).fill(["handler_threw", bug]));
});

test("an error that nobody hears is thrown outside of the dispatch", async () => {
  const { broker, room } = await inRoom();
  const bug = new Error("a bug in the game");
  const seen: unknown[] = [];
  room.on("moved", () => {
    throw bug;
  });
  room.onAny((type) => seen.push(type));
  const uncaught = new Promise((resolve) => {
    process.setUncaughtExceptionCaptureCallback(resolve);
  });
  try {
    broker.write(publish(2, "a"));
    assert.equal(await uncaught, bug);
    assert.deepEqual(seen, ["moved"]);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
});

test("an error handler that throws is not told of its own error", async () => {
  const { broker, parlor } = await inRoom();
  const bug = new Error("a bug in the error handler");
  let calls = 0;
  parlor.lifecycle.on("error", () => {
    calls += 1;
    throw bug;
  });
  const uncaught = new Promise((resolve) => {
    process.setUncaughtExceptionCaptureCallback(resolve);
  });
  try {
    broker.write([Op.error, null, { code: "internal", text: "", retryable: true }]);
    assert.equal(await uncaught, bug);
    assert.equal(calls, 1);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
});

test("an error that answers nothing is an error of the session", async (t) => {
  const { broker, parlor } = await inRoom();
  const frame: Frame = [Op.error, null, { code: "internal", text: "oh", retryable: true }];
  const warn = t.mock.method(console, "warn", () => {});
  broker.write(frame);
  await settled();
  assert.equal(warn.mock.callCount(), 1, "unheard, it is at least printed");
  const errors: ParlorError[] = [];
  parlor.lifecycle.on("error", (error) => errors.push(error));
  broker.write(frame);
  await settled();
  assert.deepEqual(errors.map(({ code, text }) => [code, text]), [["internal", "oh"]]);
  assert.equal(warn.mock.callCount(), 1);
});

const malformed: [string, Frame | Uint8Array | string][] = [
  ["not MessagePack", new Uint8Array([0xc1])],
  ["cut off", encode(publish(2, "hello")).slice(0, -2)],
  ["with bytes behind it", new Uint8Array([...encode(publish(2, 1)), 0])],
  ["an array that claims four billion elements", new Uint8Array([0xdd, 0xff, 0xff, 0xff, 0xff])],
  ["not JSON", "[36,"],
  ["no array", '{"op":36}'],
  ["empty", "[]"],
  ["nothing at all", ""],
  ["an op that is no number", '["publish",7]'],
  ["a publish without payload", [Op.publish, 7, 5, 0, 2]],
  ["a room that is text", [Op.publish, "7", 5, 0, 2, null]],
  ["a negative seq", [Op.publish, 7, -1, 0, 2, null]],
  ["a type that is a fraction", [Op.publish, 7, 5, 0, 1.5, null]],
  ["a type without a name", publish(99, 1)],
  ["a type table that is no array", [Op.types, 7, 3, "bought"]],
  ["a type table of numbers", [Op.types, 7, 3, [1]]],
  ["an error that is no map", [Op.error, null, "oh"]],
  ["an error without a code", [Op.error, null, {}]],
  ["a pong without a time", [Op.pong, 1, null]],
  ["a pong that is out of time", new Uint8Array([0x93, 42, 1, 0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0])],
  ["a joined with an unknown role", joined(1, { role: "ghost" })],
  ["a joined with more routes than types", joined(1, { routes: 4 })],
  ["an ack in a session that keeps nothing", [Op.acked, 0]],
  ["an ack that is no number", [Op.acked, "1"]],
  ["a resumed that nobody asked for", [Op.resumed, welcome(terms(2)), 0, []]],
  ["a resumed without rooms", [Op.resumed, welcome(terms(2)), 0]],
  ["a resumed with a room that is no map", [Op.resumed, welcome(terms(2)), 0, [7]]],
  ["a view without a role", view({ role: undefined })],
  ["a view without what was handled", [Op.view, view()[1], null, 1]],
  ["a latest without a key", [Op.latest, 7, 6, 1, 2, null, 1]],
  ["a second welcome", [Op.welcome, { session: "s", account: "a", server: "b", time: 0, max_frame: 1 }]],
];

for (const [what, data] of malformed) {
  test(`a malformed frame is left out and told: ${what}`, async () => {
    const { broker, parlor, room } = await inRoom();
    const errors: ParlorError[] = [];
    const seen: unknown[] = [];
    parlor.lifecycle.on("error", (error) => errors.push(error));
    room.on("moved", (payload) => seen.push(payload));
    if (Array.isArray(data)) broker.write(data as unknown as Frame);
    else broker.raw(data as Uint8Array | string);
    broker.write(publish(2, "after", 6));
    await settled();
    assert.deepEqual(errors.map((error) => error.code), ["bad_frame"]);
    assert.deepEqual(seen, ["after"], "the next frame is read as if nothing had been");
    assert.equal(parlor.closed, null);
  });
}

test("what a later version may add is passed over in silence", async () => {
  const { broker, parlor, room } = await inRoom();
  parlor.lifecycle.on("error", (error) => assert.fail(error.message));
  const seen: unknown[] = [];
  room.on("moved", (payload) => seen.push(payload));
  const longer: Frame = [...publish(2, "a"), "more"];
  broker.write([45, 7, "state"], [99], longer, publish(2, "of a room that is gone", 6, 0, 1234));
  await settled();
  assert.deepEqual(seen, ["a"]);
});

test("random bytes never throw into the socket, and never end the session", async () => {
  const { broker, parlor, room } = await inRoom();
  parlor.lifecycle.on("error", () => {});
  const seen: unknown[] = [];
  room.on("moved", (payload) => seen.push(payload));
  let seed = 1;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647);
  for (let i = 0; i < 3_000; i++) {
    const bytes = encode(publish(2, { x: [i, "text"] }));
    // From a whole frame with one byte changed to pure noise.
    const changes = 1 + (random() % 8);
    for (let c = 0; c < changes; c++) bytes[random() % bytes.length] = random() % 256;
    broker.raw(bytes);
  }
  await settled();
  seen.length = 0;
  broker.write(publish(2, "after", 6));
  await settled();
  assert.deepEqual(seen, ["after"]);
});
