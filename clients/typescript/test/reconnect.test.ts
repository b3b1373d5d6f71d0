import assert from "node:assert/strict";
import { test } from "node:test";
import { type NetworkSign, Op, type ParlorError } from "../src/index.js";
import { platformNetwork } from "../src/network.js";
import { EPOCH, FakeBroker, keptRoom, publish, terms, welcome } from "./fake-broker.js";
import { settled } from "./fake-time.js";

/** A network whose signs the test gives. */
function fakeNetwork() {
  const network = {
    tell: undefined as ((sign: NetworkSign) => void) | undefined,
    watch(told: (sign: NetworkSign) => void) {
      network.tell = told;
      return () => {
        network.tell = undefined;
      };
    },
  };
  return network;
}

const hello = (broker: FakeBroker) => broker.hello?.[1] as { token?: string; resume?: object };

test("pauses double, then stay, and after a minute it gives up", async () => {
  const { broker, parlor, room, told } = await keptRoom();
  const request = assert.rejects(room.request("buy", 1, { timeout: 1e6 }), { code: "outcome_unknown", close_code: 1006 });
  broker.down = true;
  await broker.cut(1001, "gone");
  await broker.time.pass(59_999);
  assert.equal(parlor.closed, null);
  const pauses = told.map(([, info]) => (info as { retryIn: number }).retryIn);
  assert.deepEqual(pauses.slice(0, 9), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
  assert.deepEqual(told[0], ["disconnected", { code: 1001, reason: "gone", retryIn: 100 }]);
  await broker.time.pass(1);
  assert.deepEqual(told.at(-1), ["closed", { code: 1006, reason: "", resumable: true }]);
  assert.equal(room.closed?.code, "connection_closed");
  await request;
  assert.equal(broker.time.pending, 0);
  assert.throws(() => room.send("move"), { code: "room_closed" });
});

test("the pauses and the patience can be chosen", async () => {
  const { broker, parlor, told } = await keptRoom({ backOffFirst: 1_000, backOffMost: 3_000, reconnectFor: 5_000 });
  broker.down = true;
  await broker.cut();
  await broker.time.pass(4_999);
  const pauses = told.map(([, info]) => (info as { retryIn: number }).retryIn);
  assert.deepEqual(pauses, [500, 1_000, 1_500, 1_500, 1_500]);
  await broker.time.pass(1);
  assert.notEqual(parlor.closed, null);
});

test("a connection that lasts makes the next pause short again, one that breaks at once does not", async () => {
  const { broker, told } = await keptRoom();
  broker.resumed(2, 1);
  for (const lasting of [0, 0, 9_999, 10_000]) {
    await broker.time.pass(lasting);
    await broker.cut();
    await broker.time.pass(5_000 - 1);
    assert.equal(told.at(-1)?.[0], "resumed");
  }
  await broker.time.pass(0);
  const pauses = told.filter(([event]) => event === "disconnected").map(([, info]) => (info as { retryIn: number }).retryIn);
  assert.deepEqual(pauses, [100, 200, 100, 100]);
});

test("codes that say stop are obeyed, on the connection and on the way to another", async () => {
  for (const code of [1000, 4100, 4102, 4200, 4204]) {
    const { broker, parlor, told } = await keptRoom();
    await broker.cut(code, "why");
    await broker.time.pass(60_000);
    assert.deepEqual(told, [["closed", { code, reason: "why", resumable: false }]]);
    assert.equal(broker.connections, 1);

    const later = await keptRoom();
    later.broker.greeting = null;
    await later.broker.cut();
    await later.broker.time.pass(100);
    later.broker.write([Op.error, null, { code: "whatever", text: "", retryable: false }]);
    await later.broker.cut(code, "why");
    assert.equal(later.parlor.closed?.code, code);
    assert.equal(broker.time.pending + later.broker.time.pending, 0);
    assert.ok(parlor.closed);
  }
});

test("codes that allow it, and losses without one, are come back from", async () => {
  for (const code of [1001, 1005, 1006, 1011, 4000, 4001, 4002, 4003, 4050, 4999]) {
    const { broker, parlor } = await keptRoom();
    broker.resumed(2, 1);
    await broker.cut(code);
    await broker.time.pass(100);
    assert.deepEqual([broker.connections, parlor.closed], [2, null]);
  }
});

test("a broker that is shut down is sought again, and the next one says lost", async () => {
  const { broker, told } = await keptRoom();
  broker.write([Op.closed, 7, 9, 0, "shutting_down", null]);
  await broker.cut(4000, "shutting_down");
  broker.greeting = [Op.welcome, welcome({ session: "s-2", lost: "unknown", ...terms(9) })];
  await broker.time.pass(100);
  assert.deepEqual(told.map(([event]) => event), ["disconnected", "lost"]);
});

test("an attempt that gets no answer, or none that is one, is followed by the next", async () => {
  const { broker, parlor, told } = await keptRoom({ requestTimeout: 1_000, codec: "msgpack" });
  broker.greeting = null;
  await broker.cut();
  await broker.time.pass(1_100);
  assert.equal(broker.connections, 2);
  assert.deepEqual(broker.closedWith?.code, 4002, "never 1000, which would end the session");
  broker.greeting = [Op.done, 1];
  await broker.time.pass(200);
  broker.resumed(2, 1);
  await broker.time.pass(400);
  assert.deepEqual(told.map(([event]) => event), ["disconnected", "disconnected", "disconnected", "resumed"]);
  assert.equal(parlor.closed, null);
});

test("close while away ends it, and nobody connects any more", async () => {
  for (const deaf of [false, true]) {
    const { broker, parlor, room, told } = await keptRoom();
    await broker.cut();
    broker.deaf = deaf;
    // In the middle of an attempt, or before it.
    if (deaf) await broker.time.pass(150);
    const { connections } = broker;
    parlor.close();
    await broker.time.pass(60_000);
    assert.equal(broker.connections, connections);
    assert.deepEqual(told.at(-1), ["closed", { code: 1000, reason: "", resumable: false }]);
    assert.equal(room.closed?.code, "connection_closed");
    assert.equal(broker.time.pending, 0);
  }
});

test("close from within a handler of the session is the end of it", async () => {
  const { broker, parlor } = await keptRoom();
  parlor.lifecycle.on("disconnected", () => parlor.close());
  await broker.cut();
  await broker.time.pass(60_000);
  assert.equal(broker.connections, 1);
  assert.equal(broker.time.pending, 0);
  const other = await keptRoom();
  other.parlor.lifecycle.on("resumed", () => other.parlor.close());
  other.broker.resumed(2, 1);
  await other.broker.cut();
  await other.broker.time.pass(60_000);
  assert.equal(other.broker.closedWith?.code, 1000);
  assert.equal(other.broker.time.pending, 0);
});

for (const pingInterval of [0, 500, 2_000, 5_000, 60_000]) {
  test(`a connection on which nobody answers is noticed in time, pinging every ${pingInterval} ms`, async () => {
    const { broker, parlor } = await keptRoom({ pingInterval });
    await broker.time.pass(100_000);
    assert.equal(broker.connections, 1);
    broker.vanish();
    broker.resumed(2, 1);
    await broker.time.pass(9_000);
    assert.equal(broker.connections, 1, "a connection has its time to answer");
    await broker.time.pass(6_100);
    assert.equal(broker.connections, 2);
    assert.equal(parlor.closed, null);
  });
}

test("any frame is a sign of life, a timer that is late is no sign of death", async () => {
  const { broker } = await keptRoom({ pingInterval: 1_000 });
  broker.autoPong = false;
  for (let i = 0; i < 10; i++) {
    broker.write(publish(2, i, 5 + i));
    await settled();
    await broker.time.pass(9_000);
  }
  assert.equal(broker.connections, 1);
});

test("when the network is back the pause is cut short", async () => {
  for (const sign of ["online", "visible"] as const) {
    const network = fakeNetwork();
    const { broker, parlor } = await keptRoom({ network });
    broker.down = true;
    await broker.cut();
    await broker.time.pass(20_000);
    const { connections } = broker;
    broker.down = false;
    broker.resumed(2, 1);
    network.tell?.("offline");
    assert.equal(broker.connections, connections);
    network.tell?.(sign);
    await settled();
    assert.equal(broker.connections, connections + 1);
    await broker.time.pass(10_000);
    assert.equal(broker.connections, connections + 1, "and the pause is over");
    parlor.close();
    assert.equal(network.tell, undefined);
  }
});

test("an attempt that began on the old network is not waited for", async () => {
  const network = fakeNetwork();
  const { broker } = await keptRoom({ network });
  broker.deaf = true;
  await broker.cut();
  await broker.time.pass(100);
  network.tell?.("visible");
  await settled();
  assert.equal(broker.connections, 2, "looking at the page changes nothing about it");
  broker.deaf = false;
  broker.resumed(2, 1);
  network.tell?.("online");
  await settled();
  assert.equal(broker.connections, 3);
  assert.deepEqual(broker.acks, [1]);
});

test("signs of the network make a connection suspect: it is asked, and has not long to answer", async () => {
  for (const sign of ["online", "offline", "visible"] as const) {
    const network = fakeNetwork();
    const { broker } = await keptRoom({ network, pingInterval: 60_000 });
    const { pings } = broker;
    network.tell?.(sign);
    await settled();
    assert.equal(broker.pings, pings + 1);
    await broker.time.pass(4_000);
    assert.equal(broker.connections, 1);
    broker.deaf = true;
    network.tell?.(sign);
    await broker.time.pass(2_999);
    assert.equal(broker.connections, 1);
    await broker.time.pass(101);
    assert.equal(broker.connections, 2);
  }
});

test("a browser's signs, and none where there is no page", () => {
  platformNetwork.watch(() => assert.fail())();
  const page = new EventTarget() as EventTarget & { visibilityState: string };
  const scope = new EventTarget();
  const seen: string[] = [];
  const global = globalThis as Record<string, unknown>;
  global["addEventListener"] = scope.addEventListener.bind(scope);
  global["removeEventListener"] = scope.removeEventListener.bind(scope);
  global["document"] = page;
  try {
    const off = platformNetwork.watch((sign) => seen.push(sign));
    const all = () => {
      scope.dispatchEvent(new Event("online"));
      scope.dispatchEvent(new Event("offline"));
      for (const state of ["hidden", "visible"]) {
        page.visibilityState = state;
        page.dispatchEvent(new Event("visibilitychange"));
      }
    };
    all();
    off();
    all();
    assert.deepEqual(seen, ["online", "offline", "visible"]);
  } finally {
    for (const name of ["addEventListener", "removeEventListener", "document"]) delete global[name];
  }
});

test("a provider is asked for every connection, and a session with a fixed token ends with it", async () => {
  let asked = 0;
  const { broker, parlor } = await keptRoom({ token: async () => `t${++asked}` });
  assert.equal(hello(broker).token, "t1");
  broker.resumed(2, 1);
  await broker.cut(4004, "token_expired");
  await broker.time.pass(100);
  assert.deepEqual([hello(broker).token, parlor.closed], ["t2", null]);

  const fixed = await keptRoom({ token: "t" });
  await fixed.broker.cut(4004, "token_expired");
  await fixed.broker.time.pass(60_000);
  assert.equal(fixed.parlor.closed?.code, 4004);
});

test("a provider that fails: connecting fails with it, coming back tries again", async () => {
  const broker = new FakeBroker();
  const bug = new Error("no network");
  const connecting = broker.connect({ token: () => Promise.reject(bug) });
  await assert.rejects(connecting, { code: "token_failed", cause: bug });
  assert.deepEqual([broker.connections, broker.time.pending], [0, 0]);

  let fails = false;
  const token = () => {
    if (fails) throw bug;
    return "t";
  };
  const kept = await keptRoom({ token });
  fails = true;
  await kept.broker.cut();
  await kept.broker.time.pass(1_000);
  assert.equal(kept.broker.connections, 1);
  fails = false;
  kept.broker.resumed(2, 1);
  await kept.broker.time.pass(2_000);
  assert.equal(kept.broker.connections, 2);
  assert.equal(kept.parlor.closed, null);
});

test("a provider that is asked too slowly answers an attempt that is over", async () => {
  const answers: ((token: string) => void)[] = [];
  const token = () => new Promise<string>((resolve) => answers.push(resolve));
  const broker = new FakeBroker();
  broker.greeting = [Op.welcome, welcome(terms(1))];
  const connecting = broker.connect({ token, requestTimeout: 1_000 });
  await settled();
  answers[0]!("t1");
  const parlor = await connecting;
  await broker.cut();
  await broker.time.pass(1_500);
  broker.resumed(2, 0);
  answers[1]!("too late");
  answers[2]!("t3");
  await settled();
  assert.deepEqual([broker.connections, hello(broker).token, parlor.closed], [2, "t3", null]);
});

test("a token is renewed before it ends, and again, on the connection that there is", async () => {
  let asked = 0;
  const broker = new FakeBroker();
  const now = EPOCH + broker.time.now();
  broker.greeting = [Op.welcome, welcome({ ...terms(1), time: now, expires: now + 600_000 })];
  const parlor = await broker.connect({ token: () => `t${++asked}` });
  const errors: ParlorError[] = [];
  parlor.lifecycle.on("error", (error) => errors.push(error));
  await broker.time.pass(539_999);
  assert.deepEqual(broker.got, []);
  await broker.time.pass(1);
  const [, id, token] = await broker.next(Op.token);
  assert.equal(token, "t2");
  broker.write([Op.done, id]);
  await broker.time.pass(540_000);
  const [, second] = await broker.next(Op.token);
  broker.write([Op.error, second, { code: "token_invalid", text: "", retryable: false }]);
  await settled();
  assert.deepEqual(errors.map(({ code }) => code), ["token_invalid"]);
  parlor.close();
  assert.equal(broker.time.pending, 0);
});

test("a short token is renewed at half of its time; a fixed one, or while away, not at all", async () => {
  const broker = new FakeBroker();
  const now = EPOCH + broker.time.now();
  const map = { time: now, expires: now + 60_000 };
  broker.greeting = [Op.welcome, welcome({ ...terms(1), ...map })];
  await broker.connect({ token: () => "t" });
  await broker.time.pass(30_000);
  await broker.next(Op.token);
  broker.down = true;
  await broker.cut();
  await broker.time.pass(40_000);
  assert.deepEqual(broker.got, []);

  const fixed = new FakeBroker();
  fixed.greeting = broker.greeting;
  await fixed.connect({ token: "t" });
  await fixed.time.pass(100_000);
  assert.deepEqual(fixed.got, []);
});
