import assert from "node:assert/strict";
import { test } from "node:test";
import { type Frame, Op } from "../src/index.js";
import { FakeBroker, joined, publish, terms, view, welcome } from "./fake-broker.js";
import { settled } from "./fake-time.js";

class FakeStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string) => this.items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.items.set(key, value);
  removeItem = (key: string) => void this.items.delete(key);
}

const asked = (broker: FakeBroker) => (broker.hello?.[1] as { resume?: object }).resume;

/** A broker that has a session for whoever says token-1, with the rooms 7 and 8. */
function remembering(): FakeBroker {
  const broker = new FakeBroker();
  broker.resumed(2, 30, [
    { room: 7, no: 12, outcome: "view" },
    { room: 9, no: 2, outcome: "lost", reason: "expired" },
    { room: 8, no: 0, outcome: "view" },
  ]);
  return broker;
}

test("a page that was loaded again finds its rooms, with views, counts and messages", async () => {
  const broker = remembering();
  let connected = false;
  const connecting = broker.connect({ resume: "token-1" }).finally(() => (connected = true));
  await settled();
  assert.deepEqual(asked(broker), { token: "token-1" });
  assert.deepEqual(broker.acks, [0], "at once, so that the old token is void");
  broker.write(view({ player: 3, invite: "7KQ2" }, 12), [Op.reply, 7, 42, 0, 30, "to the page before"]);
  await broker.time.pass(1_000);
  assert.equal(connected, false, "not before all rooms are there");
  broker.write(publish(2, "held", 42), view({ room: 8 }), publish(2, "too", 42, 0, 8));
  const parlor = await connecting;
  assert.deepEqual(parlor.rooms.map(({ number }) => number), [7, 8]);
  const [room, other] = parlor.rooms;
  assert.deepEqual([room!.player, room!.view, room!.invite], [3, { players: 9 }, "7KQ2"]);
  const seen: unknown[] = [];
  room!.on("moved", (payload) => seen.push(payload));
  other!.on("moved", (payload) => seen.push(payload));
  await settled();
  assert.deepEqual(seen, [], "held for the handlers, as after a join");
  await broker.time.pass(0);
  assert.deepEqual(seen, ["held", "too"]);
  assert.equal(room!.send("move"), 13, "numbers go on where the page before stopped");
  const request = room!.request("buy");
  await broker.next(Op.send);
  const [, , , id] = await broker.next(Op.request);
  assert.ok((id as number) > 30, "an id of the page before may still be answered");
  broker.write([Op.reply, 7, 50, 0, id, "bought"]);
  assert.equal(await request, "bought");
  assert.equal(parlor.resumeToken, "token-2");
});

test("counts go on from there: a cut after coming back is a cut as any", async () => {
  const broker = remembering();
  const connecting = broker.connect({ resume: "token-1" });
  await settled();
  broker.write(view(), view({ room: 8 }));
  const parlor = await connecting;
  parlor.rooms[0]!.send("move", 1);
  parlor.rooms[0]!.send("move", 2);
  await settled();
  broker.got.length = 0;
  await broker.cut();
  broker.resumed(3, 31);
  await broker.time.pass(100);
  assert.deepEqual(asked(broker), { token: "token-2", received: 2 });
  assert.deepEqual(broker.got.map((frame) => frame[3]), [2]);
});

test("a room that ends before its view is no room", async () => {
  const broker = remembering();
  const connecting = broker.connect({ resume: "token-1" });
  await settled();
  broker.write(view(), [Op.closed, 8, 9, 0, "closed", null]);
  const parlor = await connecting;
  assert.deepEqual(parlor.rooms.map(({ number }) => number), [7]);
});

test("a session in no room is there at once; a lost one is a new one", async () => {
  const broker = new FakeBroker();
  broker.resumed(2, 5);
  assert.deepEqual((await broker.connect({ resume: "token-1" })).rooms, []);
  const other = new FakeBroker();
  other.greeting = [Op.welcome, welcome({ lost: "expired", ...terms(1) })];
  const parlor = await other.connect({ resume: "long-ago" });
  assert.deepEqual([parlor.rooms, parlor.resumeToken], [[], "token-1"]);
  const joining = parlor.joinOrCreate("arena");
  const frame: Frame = await other.next(Op.join);
  assert.equal(frame[1], 1);
  other.write(joined(1));
  await joining;
});

test("views that do not come in time are not waited for, and the session is left as it was", async () => {
  const broker = remembering();
  const storage = new FakeStorage();
  const rejected = assert.rejects(broker.connect({ resume: "token-1", storage, requestTimeout: 3_000 }), { code: "timeout" });
  await settled();
  broker.write(view());
  await broker.time.pass(3_000);
  await rejected;
  await settled();
  assert.equal(broker.closedWith?.code, 4002, "1000 would end it");
  assert.deepEqual([...storage.items.values()], ["token-2"]);
  assert.equal(broker.time.pending, 0);
});

test("a connection that is lost while the views are awaited is replaced as any", async () => {
  const broker = remembering();
  const connecting = broker.connect({ resume: "token-1" });
  await settled();
  broker.write(view());
  await settled();
  broker.resumed(3, 30, [
    { room: 7, no: 12, outcome: "recovered", frames: 0 },
    { room: 8, no: 0, outcome: "recovered", frames: 1 },
  ]);
  await broker.cut();
  await broker.time.pass(100);
  assert.deepEqual(asked(broker), { token: "token-2", received: 1 });
  broker.write(view({ room: 8 }));
  assert.equal((await connecting).rooms.length, 2);
});

test("a storage keeps the newest token of an address, and finds it again", async () => {
  const storage = new FakeStorage();
  const broker = new FakeBroker();
  broker.greeting = [Op.welcome, welcome(terms(1))];
  await broker.connect({ storage });
  assert.deepEqual(asked(broker), {});
  assert.deepEqual([...storage.items], [["parlor:ws://fake/ws", "token-1"]]);
  await settled();
  broker.resumed(2, 0);
  const parlor = await broker.connect({ storage });
  assert.deepEqual(asked(broker), { token: "token-1" });
  assert.equal(storage.getItem("parlor:ws://fake/ws"), "token-2");
  parlor.close();
  assert.equal(storage.items.size, 0, "an end for good is remembered as one");
});

test("what is replaced elsewhere is forgotten, what the network took is not", async () => {
  for (const [code, kept] of [[4100, 0], [1006, 1]] as const) {
    const storage = new FakeStorage();
    const broker = new FakeBroker();
    broker.greeting = [Op.welcome, welcome(terms(1))];
    await broker.connect({ storage });
    broker.down = true;
    await broker.cut(code);
    await broker.time.pass(60_000);
    assert.equal(storage.items.size, kept);
  }
});

test("a storage that may not be used is done without", async () => {
  const refuse = () => {
    throw new Error("forbidden");
  };
  const broker = new FakeBroker();
  broker.greeting = [Op.welcome, welcome(terms(1))];
  const parlor = await broker.connect({ storage: { getItem: refuse, setItem: refuse, removeItem: refuse } });
  assert.equal(parlor.resumeToken, "token-1");
});

test("invites and tickets are ways into a room", async () => {
  const broker = new FakeBroker();
  const parlor = await broker.connect();
  const joining = parlor.joinByInvite("7KQ2-XM4P", { team: 1 });
  assert.deepEqual(await broker.next(Op.join), [Op.join, 1, { mode: "invite", invite: "7KQ2-XM4P" }, { team: 1 }]);
  broker.write(joined(1, { invite: "7KQ2-XM4P" }));
  assert.equal((await joining).invite, "7KQ2-XM4P");
  const second = parlor.join("dGlja2V0", undefined, { role: "spectator" });
  assert.deepEqual(await broker.next(Op.join), [Op.join, 2, { mode: "ticket", ticket: "dGlja2V0", role: "spectator" }, null]);
  broker.write(joined(2, { room: 8 }));
  assert.equal((await second).invite, undefined);
});
