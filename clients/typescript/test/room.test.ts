import assert from "node:assert/strict";
import { test } from "node:test";
import { type Codec, Op, type ParlorError, type Room } from "../src/index.js";
import { FakeBroker, inRoom, joined, publish } from "./fake-broker.js";
import { settled } from "./fake-time.js";

for (const codec of ["msgpack", "json"] satisfies Codec[]) {
  test(`${codec}: joining gives a room and what the game shows of it`, async () => {
    const broker = new FakeBroker(codec);
    const parlor = await broker.connect();
    const joining = parlor.joinOrCreate("arena", { map: "dust" });
    const frame = await broker.next(Op.join);
    assert.deepEqual(frame, [Op.join, 1, { mode: "find_or_create", kind: "arena" }, { map: "dust" }]);
    broker.write(joined(1));
    const room = await joining;
    assert.equal(room.id, "k3F9xQ2m");
    assert.equal(room.number, 7);
    assert.equal(room.kind, "arena");
    assert.equal(room.player, 2);
    assert.equal(room.role, "player");
    assert.deepEqual(room.view, { players: 1 });
    assert.deepEqual(room.joinedAt, { seq: 4, index: 0 });
    assert.deepEqual(room.properties, { map: "dust" });
    assert.equal(room.closed, null);
  });

  test(`${codec}: messages arrive by type, with their place`, async () => {
    const { broker, room } = await inRoom(codec);
    const seen: unknown[] = [];
    room.on("moved", (payload, meta) => seen.push([payload, meta]));
    broker.write(publish(2, { x: 1.5 }, 9, 1), publish(0, "not asked for", 9, 2), publish(2, null, 10, 0));
    await settled();
    assert.deepEqual(seen, [
      [{ x: 1.5 }, { seq: 9, index: 1 }],
      [null, { seq: 10, index: 0 }],
    ]);
  });
}

test("the other ways into a room", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const joins = [
    parlor.create("arena", undefined, { private: true }),
    parlor.create("arena", { laps: 3 }),
    parlor.joinById("k3F9xQ2m", undefined, { role: "spectator" }),
  ];
  for (const joining of joins) joining.catch(() => {});
  assert.deepEqual(await broker.next(Op.join), [Op.join, 1, { mode: "create", kind: "arena", private: true }, null]);
  assert.deepEqual(await broker.next(Op.join), [Op.join, 2, { mode: "create", kind: "arena" }, { laps: 3 }]);
  assert.deepEqual(await broker.next(Op.join), [
    Op.join,
    3,
    { mode: "id", room: "k3F9xQ2m", role: "spectator" },
    null,
  ]);
});

test("a refused join rejects with the broker's error", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const joining = parlor.joinOrCreate("arena");
  await settled();
  broker.write([Op.error, 1, { code: "room_full", text: "no seat", retryable: true, params: { max_players: 16 } }]);
  await assert.rejects(joining, (error: ParlorError) => {
    assert.equal(error.name, "ParlorError");
    assert.equal(error.code, "room_full");
    assert.equal(error.message, "room_full: no seat");
    assert.equal(error.retryable, true);
    assert.deepEqual(error.params, { max_players: 16 });
    return true;
  });
});

test("a join that was given up is left when it succeeds after all", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect({ requestTimeout: 100 });
  const rejected = assert.rejects(parlor.joinOrCreate("arena"), { code: "timeout" });
  const [, id] = await broker.next(Op.join);
  await broker.time.pass(100);
  await rejected;
  broker.write(joined(id as number), publish(2, 1));
  assert.deepEqual(await broker.next(Op.leave), [Op.leave, 7]);
});

test("sends are numbered with requests, and go by number where the room knows the type", async () => {
  const { broker, room } = await inRoom();
  assert.equal(room.send("move", { x: 1, gone: undefined }), 1);
  void room.request("buy", { item: 7 }).catch(() => {});
  assert.equal(room.send("wave"), 3);
  assert.equal(room.send("moved"), 4, "a type that is no route goes by name");
  assert.deepEqual(await broker.next(Op.send), [Op.send, 7, 0, { x: 1 }]);
  assert.deepEqual(await broker.next(Op.request), [Op.request, 7, 1, 2, { item: 7 }]);
  assert.deepEqual(await broker.next(Op.send), [Op.send, 7, "wave", null]);
  assert.deepEqual(await broker.next(Op.send), [Op.send, 7, "moved", null]);
});

test("what cannot be written is not counted", async () => {
  const { broker, room } = await inRoom();
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  assert.throws(() => room.send("move", cycle), { code: "not_representable" });
  await assert.rejects(room.request("buy", cycle), { code: "not_representable" });
  assert.throws(() => room.send("move", "x".repeat(5_000)), { code: "frame_too_large" });
  await assert.rejects(room.request("buy", "x".repeat(5_000)), { code: "frame_too_large" });
  assert.equal(room.send("move"), 1);
  await broker.next(Op.send);
  assert.equal(broker.got.length, 0);
});

test("the broker's limit counts bytes in JSON, too", async () => {
  const { room } = await inRoom("json");
  assert.throws(() => room.send("move", "é".repeat(2_050)), { code: "frame_too_large" });
  assert.equal(room.send("move", "e".repeat(2_050)), 1);
});

test("a refused send is told with its number, wherever it was refused", async () => {
  const { broker, room } = await inRoom();
  const refused: ParlorError[] = [];
  room.onRefused((error) => refused.push(error));
  const no = room.send("move");
  broker.write([Op.refused, 7, 8, 0, no, null, { code: "app.blocked", text: "a wall", retryable: false }]);
  broker.write([Op.error, null, { code: "queue_full", text: "later", retryable: true, room: 7, no: 2 }]);
  await settled();
  assert.deepEqual(
    refused.map((error) => [error.code, error.no, error.retryable]),
    [
      ["app.blocked", 1, false],
      ["queue_full", 2, true],
    ],
  );
});

test("a refused send that nobody hears in the room is an error of the session", async () => {
  const { broker, parlor } = await inRoom();
  const errors: ParlorError[] = [];
  parlor.lifecycle.on("error", (error) => errors.push(error));
  broker.write([Op.refused, 7, 8, 0, 1, null, { code: "bad_payload", text: "", retryable: false }]);
  await settled();
  assert.deepEqual(errors.map((error) => [error.code, error.no]), [["bad_payload", 1]]);
});

test("the type table grows before its new names are used", async () => {
  const { broker, parlor, room } = await inRoom();
  const seen: unknown[] = [];
  const errors: ParlorError[] = [];
  room.onAny((type, payload, meta) => seen.push([type, payload, meta.seq]));
  parlor.lifecycle.on("error", (error) => errors.push(error));
  broker.write([Op.types, 7, 3, ["bought", "sold"]], publish(4, "b"), publish(3, "a", 6));
  broker.write([Op.types, 7, 9, ["lost"]], publish(9, "c", 7));
  await settled();
  assert.deepEqual(seen, [
    ["sold", "b", 5],
    ["bought", "a", 6],
  ]);
  assert.deepEqual(errors.map((error) => error.code), ["bad_frame", "bad_frame"]);
});

test("subscriptions are confirmed or denied", async () => {
  const { broker, room } = await inRoom();
  const subscribing = room.subscribe("scores");
  const [, id, number, topic] = await broker.next(Op.subscribe);
  assert.deepEqual([number, topic], [7, "scores"]);
  broker.write([Op.done, id]);
  await subscribing;
  const denied = room.unsubscribe("scores");
  const [, second] = await broker.next(Op.unsubscribe);
  broker.write([Op.error, second, { code: "topic_denied", text: "", retryable: false }]);
  await assert.rejects(denied, { code: "topic_denied" });
});

test("handled tells up to where the room has heard this client", async () => {
  const { broker, room } = await inRoom();
  const handled: unknown[] = [];
  room.onHandled((info) => handled.push(info));
  broker.write([Op.handled, 7, 12, 345]);
  await settled();
  assert.deepEqual(handled, [{ no: 12, tick: 345 }]);
});

test("leaving ends the room, and after that nothing is sent", async () => {
  const { broker, room } = await inRoom();
  const closed: unknown[] = [];
  room.onClosed((info) => closed.push(info));
  const leaving = room.leave();
  await broker.next(Op.leave);
  broker.write([Op.closed, 7, 9, 0, "left", null], publish(2, "too late"));
  room.onAny(() => assert.fail("no frame of a room follows its end"));
  assert.deepEqual(await leaving, { code: "left", result: null });
  assert.deepEqual(closed, [{ code: "left", result: null }]);
  assert.deepEqual(room.closed, closed[0]);
  assert.throws(() => room.send("move"), { code: "room_closed" });
  await assert.rejects(room.request("buy"), { code: "room_closed" });
  assert.deepEqual(await room.leave(), { code: "left", result: null });
});

test("a room number is used again after its room has ended", async () => {
  const { broker, parlor, room } = await inRoom();
  broker.write([Op.closed, 7, 9, 0, "kicked", "afk"]);
  const again = await broker.join(parlor.joinOrCreate("arena"), { id: "other" });
  await broker.time.pass(0);
  const seen: string[] = [];
  room.onAny(() => seen.push("old"));
  again.onAny(() => seen.push("new"));
  broker.write(publish(2, 1));
  await settled();
  assert.deepEqual(seen, ["new"]);
  assert.deepEqual(room.closed, { code: "kicked", result: "afk" });
});

test("a room that has ended is forgotten", async () => {
  const { broker, parlor, room } = await inRoom();
  room.onRefused(() => assert.fail("nobody is in this room any more"));
  const errors: ParlorError[] = [];
  parlor.lifecycle.on("error", (error) => errors.push(error));
  broker.write([Op.closed, 7, 9, 0, "closed", null]);
  broker.write([Op.error, null, { code: "not_a_member", text: "", retryable: false, room: 7, no: 1 }]);
  await settled();
  assert.deepEqual(errors.map((error) => error.code), ["not_a_member"]);
});

test("when the connection ends, every room ends", async () => {
  const { broker, parlor, room } = await inRoom();
  const order: string[] = [];
  room.onClosed(({ code }) => order.push(code));
  parlor.lifecycle.on("closed", ({ code }) => order.push(String(code)));
  const leaving = room.leave();
  broker.close(4000, "shutting_down");
  assert.deepEqual(await leaving, { code: "connection_closed", result: null });
  assert.deepEqual(order, ["connection_closed", "4000"]);
});

test("what a room sends can be declared", async () => {
  interface Messages {
    moved: { player: number; x: number };
  }
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const room: Room<Messages, { players: number }> = await broker.join(
    parlor.joinOrCreate<Messages, { players: number }>("arena"),
  );
  const players: number = room.view.players;
  let x = 0;
  room.on("moved", (moved) => (x = moved.x));
  // @ts-expect-error: not a type that this room sends
  room.on("mvoed", () => {});
  // @ts-expect-error: not a field of the payload
  room.on("moved", (moved) => moved.y);
  broker.write(publish(2, { player: 2, x: 3 }));
  await settled();
  await broker.time.pass(0);
  assert.deepEqual([players, x], [1, 3]);
});
