import assert from "node:assert/strict";
import { test } from "node:test";
import { closeKind, Op, ParlorError } from "../src/index.js";
import { FakeBroker, inRoom, publish } from "./fake-broker.js";
import { settled } from "./fake-time.js";

test("a request is answered by its reply, in whatever order", async () => {
  const { broker, room } = await inRoom();
  const first = room.request<{ coins: number }>("buy", { item: 1 });
  const second = room.request("buy", { item: 2 });
  const [, , , a] = await broker.next(Op.request);
  const [, , , b] = await broker.next(Op.request);
  assert.notEqual(a, b);
  broker.write([Op.reply, 7, 6, 0, b, null], [Op.reply, 7, 7, 0, a, { coins: 3 }]);
  assert.equal((await first).coins, 3);
  assert.equal(await second, null);
});

test("a refused request rejects with code, parameters and number", async () => {
  const { broker, room } = await inRoom();
  room.onRefused(() => assert.fail("a refused request answers itself"));
  const request = room.request("buy", { item: 1 });
  const [, , , id] = await broker.next(Op.request);
  const error = { code: "app.too_expensive", text: "3 coins", retryable: false, params: { price: 10 } };
  broker.write([Op.refused, 7, 6, 0, 1, id, error]);
  await assert.rejects(request, { code: "app.too_expensive", text: "3 coins", params: { price: 10 }, no: 1 });
});

test("a request that never reached the room rejects, too", async () => {
  const { broker, room } = await inRoom();
  const request = room.request("buy");
  const [, , , id] = await broker.next(Op.request);
  broker.write([Op.error, id, { code: "queue_full", text: "later", retryable: true, room: 7, no: 1 }]);
  await assert.rejects(request, { code: "queue_full", retryable: true, no: 1 });
});

test("a request waits for as long as it is told, and a late reply harms nothing", async () => {
  const { broker, parlor, room } = await inRoom();
  parlor.lifecycle.on("error", () => assert.fail("a late reply is no error"));
  const quick = assert.rejects(room.request("buy", 1, { timeout: 50 }), { code: "timeout" });
  const slow = room.request("buy", 2);
  const [, , , id] = await broker.next(Op.request);
  const [, , , slowId] = await broker.next(Op.request);
  await broker.time.pass(50);
  await quick;
  broker.write([Op.reply, 7, 6, 0, id, 1], [Op.reply, 7, 6, 1, slowId, 2]);
  assert.equal(await slow, 2);
});

test("by default a request waits for ten seconds", async () => {
  const { broker, room } = await inRoom();
  const failed: ParlorError[] = [];
  room.request("buy").catch((error: ParlorError) => failed.push(error));
  await broker.time.pass(9_999);
  assert.equal(failed.length, 0);
  await broker.time.pass(1);
  assert.deepEqual(failed.map((error) => error.code), ["timeout"]);
});

test("a close answers what waits: requests, joins and subscriptions", async () => {
  const { broker, parlor, room } = await inRoom();
  const waiting = [room.request("buy"), parlor.joinOrCreate("arena"), room.subscribe("scores")];
  const answers = Promise.allSettled(waiting);
  await settled();
  broker.close(4201, "frame_too_large");
  for (const answer of await answers) {
    assert.equal(answer.status, "rejected");
    const error = (answer as PromiseRejectedResult).reason as ParlorError;
    assert.ok(error instanceof ParlorError);
    assert.equal(error.code, "outcome_unknown");
    assert.equal(error.close_code, 4201);
    assert.deepEqual(error.params, { close_code: 4201, reason: "frame_too_large" });
  }
  assert.equal(broker.time.pending, 0, "no timer is left behind");
  await assert.rejects(room.request("buy"), { code: "room_closed" });
  assert.throws(() => room.send("move"), { code: "room_closed" });
});

test("the end of a room answers its requests, and only its own", async () => {
  const { broker, parlor, room } = await inRoom();
  const other = await broker.join(parlor.joinOrCreate("arena"), { room: 8 });
  await broker.time.pass(0);
  const lost = room.request("buy");
  const kept = other.request("buy");
  await broker.next(Op.request);
  const [, , , id] = await broker.next(Op.request);
  broker.write([Op.closed, 7, 9, 0, "closed", { winner: 2 }], [Op.reply, 8, 3, 0, id, "ok"]);
  await assert.rejects(lost, { code: "outcome_unknown", params: { room_closed: "closed" }, close_code: undefined });
  assert.equal(await kept, "ok");
});

test("an answer of the wrong kind answers nothing", async () => {
  const { broker, room } = await inRoom();
  const request = room.request("buy");
  const [, , , id] = await broker.next(Op.request);
  broker.write([Op.done, id], [Op.reply, 7, 6, 0, id, "right"]);
  assert.equal(await request, "right");
});

test("a reply comes after what was published before it", async () => {
  const { broker, room } = await inRoom();
  const order: string[] = [];
  room.on("moved", () => order.push("moved"));
  const request = room.request("buy").then(() => order.push("reply"));
  const [, , , id] = await broker.next(Op.request);
  broker.write(publish(2, 1), [Op.reply, 7, 5, 1, id, null]);
  await request;
  assert.deepEqual(order, ["moved", "reply"]);
});

test("a connection that takes nothing more throws, and the message is not counted", async () => {
  const broker = new FakeBroker();
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
  assert.throws(() => room.send("move"), { code: "not_connected" });
  await assert.rejects(room.request("buy"), { code: "not_connected" });
  full = false;
  assert.equal(room.send("move"), 1);
});

test("close codes come in ranges", () => {
  const kinds = [4000, 4099, 4100, 4199, 4200, 4299, 1000, 1006, 1001, 4300].map(closeKind);
  const [r, t, c, n] = ["resumable", "terminal", "client_fault", "network"];
  assert.deepEqual(kinds, [r, r, t, t, c, c, t, n, n, n]);
});
