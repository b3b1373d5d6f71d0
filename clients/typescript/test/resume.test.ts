import assert from "node:assert/strict";
import { test } from "node:test";
import { type Codec, type Frame, Op, ParlorError, VERSION } from "../src/index.js";
import { FakeBroker, joined, keptRoom, publish, terms, view, welcome } from "./fake-broker.js";
import { settled } from "./fake-time.js";

const client = `parlor-ts/${VERSION}`;

test("a session asks to be kept, unless it is told not to", async () => {
  const { broker, parlor } = await keptRoom();
  assert.deepEqual(broker.hello, [Op.hello, { client, resume: {} }]);
  assert.equal(parlor.resumeToken, "token-1");
  const other = new FakeBroker();
  await other.connect({ resume: false });
  assert.deepEqual(other.hello, [Op.hello, { client }]);
});

test("a session that ends with its connection is over when it is lost", async () => {
  for (const options of [{ resume: false }, {}]) {
    const broker = new FakeBroker();
    const parlor = await broker.connect(options);
    await broker.cut();
    await broker.time.pass(60_000);
    assert.equal(parlor.closed?.code, 1006);
    assert.equal(parlor.resumeToken, undefined);
    assert.equal(broker.connections, 1);
  }
});

for (const codec of ["msgpack", "json"] satisfies Codec[]) {
  test(`${codec}: over a cut nothing is lost and nothing is said twice`, async () => {
    const { broker, parlor, room, told } = await keptRoom({}, codec);
    const seen: unknown[] = [];
    room.on("moved", (payload) => seen.push(payload));
    room.send("move", "one");
    const request = room.request<string>("buy", "two");
    room.send("move", "three");
    const [, , , id] = (await settled(), broker.got[1]!);
    broker.write(publish(2, "first"));
    await settled();
    broker.got.length = 0;
    await broker.cut();
    // Of the four counted frames (the join too) the broker has had the first two.
    broker.resumed(2, 2, [{ room: 7, no: 1, outcome: "recovered", frames: 1 }]);
    assert.equal(room.send("move", "four"), 4);
    await broker.time.pass(100);
    assert.deepEqual(broker.hello, [Op.hello, { client, resume: { token: "token-1", received: 2 } }]);
    assert.deepEqual(broker.got, [
      [Op.request, 7, 1, id, "two"],
      [Op.send, 7, 0, "three"],
      [Op.send, 7, 0, "four"],
    ]);
    assert.deepEqual(broker.acks, [2], "the proof that the new token has come");
    assert.equal(parlor.resumeToken, "token-2");
    broker.write(publish(2, "second", 6), [Op.reply, 7, 7, 0, id, "bought"]);
    assert.equal(await request, "bought");
    assert.deepEqual(seen, ["first", "second"]);
    assert.deepEqual(told, [
      ["disconnected", { code: 1006, reason: "", retryIn: 100 }],
      ["resumed", { rooms: [{ room, outcome: "recovered", frames: 1, reason: undefined }] }],
    ]);
    assert.equal(room.closed, null);
  });
}

test("what was acknowledged is not kept, and every cut has its own positions", async () => {
  const { broker, room } = await keptRoom();
  room.send("move", 1);
  room.send("move", 2);
  await settled();
  broker.write([Op.acked, 2]);
  await settled();
  for (const [n, received, again] of [
    [2, 2, [2, 3]],
    [3, 3, [3, 4]],
    [4, 5, [5]],
  ] as const) {
    await broker.cut();
    broker.got.length = 0;
    broker.resumed(n, received);
    room.send("move", again.at(-1));
    await broker.time.pass(1_000);
    assert.deepEqual(broker.got.map((frame) => frame[3]), again);
  }
  assert.deepEqual(broker.hello?.[1], { client, resume: { token: "token-3", received: 1 } });
});

test("a join and a subscription that are under way survive", async () => {
  const { broker, parlor, room } = await keptRoom();
  const joining = parlor.create("arena");
  const subscribing = room.subscribe("scores");
  const [join, subscribe] = (await settled(), broker.got.splice(0)) as [Frame, Frame];
  await broker.cut();
  broker.resumed(2, 2, [{ room: 7, no: 0, outcome: "recovered", frames: 0 }]);
  await broker.time.pass(100);
  assert.deepEqual(broker.got, [subscribe]);
  broker.write(joined(join[1] as number, { room: 8 }), [Op.done, subscribe[1]]);
  assert.equal((await joining).number, 8);
  await subscribing;
  assert.deepEqual(parlor.rooms.map(({ number }) => number), [7, 8]);
});

test("without a connection calls wait for their answers as long as ever", async () => {
  const { broker, room } = await keptRoom();
  broker.down = true;
  await broker.cut();
  const request = assert.rejects(room.request("buy", 1, { timeout: 500 }), { code: "timeout" });
  await broker.time.pass(500);
  await request;
});

test("frames count as had when they are no use: unknown, malformed, of no room; some never count", async () => {
  const { broker } = await keptRoom();
  broker.write([45, 7], [Op.publish, 7], publish(2, 1, 5, 0, 99), [Op.error, null, { code: "internal" }]);
  broker.write([Op.pong, 1, 2], [Op.acked, 1], [Op.latest, 7, 5, 0, 2, "k", 1]);
  broker.raw(new Uint8Array([0xc1]));
  await settled();
  await broker.cut();
  broker.resumed(2, 1);
  await broker.time.pass(100);
  // With the answer to the join.
  assert.deepEqual((broker.hello?.[1] as { resume: object }).resume, { token: "token-1", received: 6 });
});

test("acknowledged after so many frames, after so many bytes, and with each ping", async () => {
  const broker = new FakeBroker();
  broker.greeting = [Op.welcome, welcome(terms(1, 4, 1_000))];
  const parlor = await broker.connect({ pingInterval: 2_000 });
  await broker.join(parlor.joinOrCreate("arena"));
  assert.deepEqual(broker.acks, []);
  broker.write(publish(2, 1), publish(2, 2), publish(2, 3), publish(2, 4));
  await settled();
  assert.deepEqual(broker.acks, [4]);
  broker.write(publish(2, "x".repeat(1_000)));
  await settled();
  assert.deepEqual(broker.acks, [4, 6]);
  broker.write(publish(2, 5));
  await settled();
  assert.deepEqual(broker.acks, [4, 6]);
  await broker.time.pass(2_000);
  assert.deepEqual(broker.acks, [4, 6, 7]);
  await broker.time.pass(10_000);
  assert.deepEqual(broker.acks, [4, 6, 7], "nothing new, nothing to acknowledge");
});

test("a view replaces what is known of the room, in order with its messages", async () => {
  const { broker, room, told } = await keptRoom();
  const seen: unknown[] = [];
  room.onAny((type, payload) => seen.push([type, payload]));
  room.onView((shown, meta) => seen.push([shown, meta, room.view]));
  await broker.cut();
  broker.resumed(2, 1, [{ room: 7, no: 0, outcome: "view" }]);
  await broker.time.pass(100);
  const names = ["buy", "sold", "moved", "bought"];
  const later = view({ types: names, routes: 2, properties: { map: "snow" } }, 12, { players: 3 });
  broker.write(publish(2, "old"), later, publish(3, "new", 42));
  await settled();
  assert.deepEqual(seen, [
    ["moved", "old"],
    [{ players: 3 }, { seq: 41, index: 0, handled: 12 }, { players: 3 }],
    ["bought", "new"],
  ]);
  assert.deepEqual([room.joinedAt, room.properties], [{ seq: 4, index: 0 }, { map: "snow" }]);
  assert.equal(room.send("sold"), 1, "message numbers go on");
  assert.deepEqual(await broker.next(Op.send), [Op.send, 7, 1, null]);
  assert.deepEqual(told.slice(1), [
    ["resumed", { rooms: [{ room, outcome: "view", frames: undefined, reason: undefined }] }],
    ["resync", { room }],
  ]);
});

test("latest values are messages with a key", async () => {
  const { broker, room } = await keptRoom();
  const seen: unknown[] = [];
  room.on("moved", (payload, meta) => seen.push([payload, meta]));
  broker.write([Op.latest, 7, 6, 1, 2, "p2", { x: 1 }], publish(2, { x: 2 }, 7));
  await settled();
  assert.deepEqual(seen, [
    [{ x: 1 }, { seq: 6, index: 1, key: "p2" }],
    [{ x: 2 }, { seq: 7, index: 0 }],
  ]);
});

test("a room that ended meanwhile says why, and only that room", async () => {
  const { broker, parlor, room, told } = await keptRoom();
  const other = await broker.join(parlor.create("arena"), { room: 8 });
  await broker.time.pass(0);
  await broker.cut();
  broker.resumed(2, 2, [
    { room: 7, no: 0, outcome: "lost", reason: "expired" },
    { room: 8, no: 0, outcome: "recovered", frames: 0 },
    { room: 9, no: 3, outcome: "view" },
  ]);
  await broker.time.pass(100);
  const outcomes = (told[1]![1] as { rooms: { room: unknown; reason: unknown }[] }).rooms;
  assert.deepEqual(outcomes.map(({ room, reason }) => [room, reason]), [[room, "expired"], [other, undefined]]);
  broker.write([Op.closed, 7, 9, 0, "expired", null], view({ room: 9 }));
  await settled();
  assert.deepEqual(room.closed, { code: "expired", result: null });
  assert.deepEqual(parlor.rooms, [other], "a room that this client knows nothing of stays unknown");
});

test("lost: rooms end, calls fail, nothing is said again, and the next join is in the new session", async () => {
  const { broker, parlor, room, told } = await keptRoom();
  const ends: unknown[] = [];
  room.onClosed((closed) => ends.push(closed));
  const calls = [room.request("buy"), parlor.create("arena"), room.subscribe("scores"), (await settled(), room.request("buy"))];
  const answers = Promise.allSettled(calls);
  await settled();
  broker.got.length = 0;
  await broker.cut();
  room.send("move", "into the void");
  broker.greeting = [Op.welcome, welcome({ session: "s-2", lost: "expired", ...terms(5) })];
  await broker.time.pass(100);
  assert.deepEqual(broker.got, []);
  for (const answer of await answers) {
    const error = (answer as PromiseRejectedResult).reason as ParlorError;
    assert.equal(error.code, "outcome_unknown");
  }
  assert.deepEqual(ends, [{ code: "lost", result: null }]);
  assert.deepEqual(told.slice(1), [["lost", { reason: "expired" }]]);
  assert.deepEqual([parlor.session, parlor.closed, parlor.rooms, parlor.resumeToken], ["s-2", null, [], "token-5"]);
  assert.throws(() => room.send("move"), { code: "room_closed" });
  const again = await broker.join(parlor.joinOrCreate("arena"));
  await broker.time.pass(0);
  assert.equal(again.send("move"), 1);
  await settled();
  await broker.cut();
  broker.got.length = 0;
  broker.resumed(6, 1);
  await broker.time.pass(1_000);
  assert.deepEqual((broker.hello?.[1] as { resume: object }).resume, { token: "token-5", received: 1 });
  assert.deepEqual(broker.got, [[Op.send, 7, 0, null]], "counts began anew");
});

test("a broker that has forgotten how to resume says lost by its welcome alone", async () => {
  const { broker, parlor, told } = await keptRoom();
  await broker.cut();
  broker.greeting = [Op.welcome, welcome()];
  await broker.time.pass(100);
  assert.deepEqual(told.at(-1), ["lost", { reason: "unknown" }]);
  await broker.cut();
  assert.equal(parlor.closed?.code, 1006, "and this one ends with its connection");
});

test("positions that cannot be end the session: nothing can be promised any more", async () => {
  const { broker, parlor, room, told } = await keptRoom();
  await broker.cut();
  broker.resumed(2, 9);
  await broker.time.pass(100);
  assert.equal(told.at(-1)?.[0], "closed");
  assert.deepEqual([parlor.closed?.code, room.closed?.code], [1006, "connection_closed"]);
  assert.equal(broker.time.pending, 0);
});

test("an acknowledgement of what was not sent is told and changes nothing", async () => {
  const { broker, told } = await keptRoom();
  broker.write([Op.acked, 9], [Op.resumed, welcome(terms(2)), 1, []]);
  await settled();
  assert.deepEqual(told.map(([event, error]) => [event, (error as ParlorError).code]), Array(2).fill(["error", "bad_frame"]));
});

test("too much that waits is refused, and leaving is not", async () => {
  const { broker, room } = await keptRoom({ bufferFrames: 3, bufferBytes: 200 });
  broker.write([Op.acked, 1]);
  await broker.cut();
  broker.down = true;
  for (const no of [1, 2, 3]) assert.equal(room.send("move"), no);
  assert.throws(() => room.send("move"), { code: "buffer_full", retryable: true });
  await assert.rejects(room.request("buy"), { code: "buffer_full" });
  const leaving = room.leave();
  broker.down = false;
  broker.resumed(2, 1);
  await broker.time.pass(1_000);
  assert.deepEqual(broker.got.map(([op]) => op), [Op.send, Op.send, Op.send, Op.leave]);
  broker.write([Op.acked, 5], [Op.closed, 7, 9, 0, "left", null]);
  assert.equal((await leaving).code, "left");
});

test("the bound counts bytes, too, and is there with a connection as well", async () => {
  const { broker, room } = await keptRoom({ bufferBytes: 200 });
  broker.write([Op.acked, 1]);
  await settled();
  assert.equal(room.send("move", "x".repeat(150)), 1);
  assert.throws(() => room.send("move", "x".repeat(50)), { code: "buffer_full" });
  broker.write([Op.acked, 2]);
  await settled();
  assert.equal(room.send("move", "x".repeat(1_000)), 2, "alone it may be larger");
});

test("a connection that takes nothing keeps the order, and its ping finds it out", async () => {
  const broker = new FakeBroker();
  broker.greeting = [Op.welcome, welcome(terms(1))];
  let full = false;
  const parlor = await broker.connect({
    transport: (url, subprotocol, events) => {
      const inner = broker.transport(url, subprotocol, events);
      const send = (data: Uint8Array | string) => {
        if (full) throw new Error("closing");
        inner.send(data);
      };
      return { send, close: (code, reason) => inner.close(code, reason) };
    },
  });
  const room = await broker.join(parlor.joinOrCreate("arena"));
  full = true;
  assert.equal(room.send("move", 1), 1);
  broker.resumed(2, 1);
  await broker.time.pass(2_000);
  full = false;
  room.send("move", 2);
  await broker.time.pass(1_000);
  assert.equal(broker.connections, 2);
  assert.deepEqual(broker.got.map((frame) => frame[3]), [1, 2]);
});
