import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, Op, ParlorError, VERSION } from "../src/index.js";
import { EPOCH, FakeBroker } from "./fake-broker.js";
import { FakeTime, settled } from "./fake-time.js";

test("hello says who is there, and the welcome names the session", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect({ name: "Ann", game: "1.4.2", token: "secret" });
  assert.deepEqual(broker.hello, [
    Op.hello,
    { client: `parlor-ts/${VERSION}`, game: "1.4.2", name: "Ann", token: "secret", resume: {} },
  ]);
  assert.equal(parlor.session, "s-1");
  assert.equal(parlor.account, "guest-1");
  assert.equal(parlor.server, "fake/1");
  assert.equal(parlor.closed, null);
  assert.ok(!broker.url.includes("secret"), "a token never travels in the URL");
});

test("what is not given is not in hello", async () => {
  const broker = new FakeBroker("json");
  await broker.connect();
  assert.deepEqual(broker.hello, [Op.hello, { client: `parlor-ts/${VERSION}`, resume: {} }]);
});

test("the address: http becomes ws, and the path is /ws unless one is given", async () => {
  for (const [given, used] of [
    ["ws://localhost:7373", "ws://localhost:7373/ws"],
    ["https://play.example/", "wss://play.example/ws"],
    ["wss://play.example/games/ws", "wss://play.example/games/ws"],
  ]) {
    const broker = new FakeBroker();
    await connect(given!, { transport: broker.transport, time: broker.time });
    assert.equal(broker.url, used);
  }
});

test("a broker that answers hello with an error rejects with it", async () => {
  const broker = new FakeBroker();
  broker.greeting = [Op.error, null, { code: "auth_unavailable", text: "guests only", retryable: false }];
  await assert.rejects(broker.connect({ token: "x" }), { code: "auth_unavailable", text: "guests only" });
  await settled();
  assert.ok(broker.closedWith, "the connection is not left open");
  assert.equal(broker.time.pending, 0);
});

test("a broker that closes instead of welcoming rejects with the close code", async () => {
  const broker = new FakeBroker();
  broker.greeting = null;
  const connecting = broker.connect();
  await settled();
  broker.close(4101, "auth_unavailable");
  await assert.rejects(connecting, { code: "not_connected", close_code: 4101, text: "auth_unavailable" });
  assert.equal(broker.time.pending, 0);
});

test("a broker that says nothing is given up", async () => {
  const broker = new FakeBroker();
  broker.greeting = null;
  const connecting = broker.connect({ requestTimeout: 3_000 });
  const rejected = assert.rejects(connecting, { code: "timeout" });
  await broker.time.pass(2_999);
  assert.equal(broker.closedWith, undefined);
  await broker.time.pass(1);
  await rejected;
  assert.ok(broker.closedWith);
});

test("who begins with something else is not a broker", async () => {
  for (const first of ["hello?", JSON.stringify([Op.done, 1])]) {
    const broker = new FakeBroker("json");
    broker.greeting = null;
    const connecting = broker.connect();
    await settled();
    broker.raw(first);
    await assert.rejects(connecting, { code: "bad_frame" });
  }
});

test("a bad address, and a missing WebSocket, reject and do not throw", async () => {
  await assert.rejects(connect("not an address"), { code: "not_connected" });
  const global = globalThis as { WebSocket?: unknown };
  const saved = global.WebSocket;
  delete global.WebSocket;
  try {
    await assert.rejects(connect("ws://localhost:1"), (error: ParlorError) => /WebSocket/.test(error.text));
  } finally {
    if (saved !== undefined) global.WebSocket = saved;
  }
});

test("close ends the session once, and says so", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const closed: unknown[] = [];
  parlor.lifecycle.on("closed", (info) => closed.push(info));
  parlor.close();
  parlor.close();
  await settled();
  assert.deepEqual(closed, [{ code: 1000, reason: "", resumable: false }]);
  assert.deepEqual(broker.closedWith, { code: 1000, reason: "" });
  assert.equal(broker.time.pending, 0, "no timer is left behind");
  await assert.rejects(parlor.joinOrCreate("arena"), { code: "not_connected" });
});

test("a lost connection says how it ended and whether the session may come back", async () => {
  for (const [code, resumable] of [
    [4000, true],
    [1006, true],
    [4100, false],
    [4200, false],
  ] as const) {
    const broker = new FakeBroker();
    const parlor = await broker.connect();
    const closed: unknown[] = [];
    parlor.lifecycle.on("closed", (info) => closed.push(info));
    broker.close(code, "why");
    await settled();
    assert.deepEqual(closed, [{ code, reason: "why", resumable }]);
    assert.deepEqual(parlor.closed, closed[0]);
    assert.equal(broker.time.pending, 0);
  }
});

test("the server's clock and the round trip come from pings", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect({ pingInterval: 500 });
  const pings: unknown[] = [];
  parlor.lifecycle.on("ping", (info) => pings.push(info));
  await settled();
  assert.equal(parlor.serverNow(), EPOCH + broker.time.now());
  assert.equal(broker.pings, 1, "the first ping does not wait");
  await broker.time.pass(500);
  await broker.time.pass(500);
  assert.equal(broker.pings, 3);
  assert.deepEqual(pings, Array(3).fill({ rtt: 0, sample: 0 }));
});

test("a slow pong counts in the round trip, and not in the clock", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect({ pingInterval: 10_000 });
  await settled();
  broker.autoPong = false;
  const sent = broker.time.now();
  await broker.time.pass(80);
  // It says the time at which it was written; the answer then took all of the 80 ms.
  broker.write([Op.pong, sent, EPOCH + sent]);
  await settled();
  assert.equal(parlor.rtt, 10, "an eighth of the new sample");
  assert.equal(parlor.serverNow(), EPOCH + broker.time.now());
});

test("no pings where none are wanted", async () => {
  const broker = new FakeBroker();
  await broker.connect({ pingInterval: 0 });
  await broker.time.pass(60_000);
  assert.equal(broker.pings, 0);
});

test("the real time waits for as long as a timer can", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { realTime } = await import("../src/time.js");
  let fired = 0;
  realTime.after(Infinity, () => fired++);
  const stop = realTime.after(5, () => fired++);
  stop();
  t.mock.timers.tick(1_000_000);
  assert.equal(fired, 0);
  assert.ok(realTime.now() <= realTime.now());
  assert.ok(new FakeTime().now() > 0);
});
