import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { type Codec, connect, type ConnectOptions, type Parlor, ParlorError, type Room } from "../src/index.js";

/*
 * Against a running broker, which is named by PARLOR_TEST_URL and has a room kind "echo": its route
 * "say" {text} broadcasts "said" {from, text}, "add" {a, b} replies the sum, and "deny" is refused.
 */
const url = process.env["PARLOR_TEST_URL"] ?? "";
const skip = url === "" ? "PARLOR_TEST_URL does not name a running broker" : false;

interface Echo {
  said: { from: number; text: string };
}

for (const codec of ["msgpack", "json"] satisfies Codec[]) {
  describe(`a real broker, ${codec}`, () => {
    let parlor: Parlor;
    const open: Parlor[] = [];

    const join = async (options: ConnectOptions = {}) => {
      const own = await connect(url, { codec, WebSocket, name: "Ann", ...options });
      open.push(own);
      return own;
    };

    // Each by itself, so that the summary counts what was not shown.
    const it = (name: string, run: () => Promise<void>) => test(name, { skip }, run);

    before(async () => {
      if (!skip) parlor = await join();
    });

    after(() => {
      for (const one of open) one.close();
    });

    it("welcomes, and tells its clock", async () => {
      assert.notEqual(parlor.session, "");
      assert.notEqual(parlor.account, "");
      assert.match(parlor.server, /parlor/);
      await new Promise((resolve) => parlor.lifecycle.on("ping", resolve));
      assert.ok(parlor.rtt >= 0 && parlor.rtt < 5_000);
      assert.ok(Math.abs(parlor.serverNow() - Date.now()) < 60_000);
    });

    it("joinOrCreate finds the room that is there", async () => {
      const room = await parlor.joinOrCreate<Echo>("echo");
      assert.equal(room.kind, "echo");
      assert.equal(room.role, "player");
      const other = await (await join()).joinById<Echo>(room.id);
      assert.equal(other.id, room.id);
      assert.equal(other.number, room.number);
      assert.notEqual(other.player, room.player);
      await other.leave();
      assert.deepEqual((await room.leave()).code, "left");
    });

    it("every member hears the same, in the same order", async () => {
      const room = await parlor.create<Echo>("echo");
      const other = await (await join()).joinById<Echo>(room.id);
      const [mine, theirs] = [heard(room, 4), heard(other, 4)];
      assert.equal(room.send("say", { text: "one" }), 1);
      assert.equal(room.send("say", { text: "zwei ü 🎲" }), 2);
      assert.equal(other.send("say", { text: "three" }), 1);
      assert.equal(room.send("say", { text: "four" }), 3);
      assert.deepEqual(await mine, await theirs);
      const own = (await mine).filter(([from]) => from === room.player);
      assert.deepEqual(own.map(([, text]) => text), ["one", "zwei ü 🎲", "four"]);
      await room.leave();
    });

    it("both codecs meet in one room", async () => {
      const room = await parlor.create<Echo>("echo");
      const another = codec === "json" ? "msgpack" : "json";
      const other = await (await join({ codec: another })).joinById<Echo>(room.id);
      const [mine, theirs] = [heard(room, 2), heard(other, 2)];
      other.send("say", { text: "hello" });
      await other.request("add", { a: 1, b: 1 });
      room.send("say", { text: "you" });
      assert.deepEqual(await mine, [
        [other.player, "hello"],
        [room.player, "you"],
      ]);
      assert.deepEqual(await theirs, await mine);
      await room.leave();
    });

    it("a request is replied to", async () => {
      const room = await parlor.create<Echo>("echo");
      const sums = await Promise.all([1, 2, 3].map((n) => room.request<number>("add", { a: n, b: 40 })));
      assert.deepEqual(sums, [41, 42, 43]);
      await room.leave();
    });

    it("a refusal has its code and parameters, for a request and for a send", async () => {
      const room = await parlor.create<Echo>("echo");
      await assert.rejects(room.request("deny"), { code: "app.denied", params: { why: "test" } });
      const refused = new Promise<ParlorError>((resolve) => room.onRefused(resolve));
      const no = room.send("deny");
      assert.equal(no, 2);
      const error = await refused;
      assert.equal(error.code, "app.denied");
      assert.equal(error.no, no);
      assert.deepEqual(error.params, { why: "test" });
      await room.leave();
    });

    it("what the broker does not know is refused with a code", async () => {
      await assert.rejects(parlor.joinOrCreate("no-such-kind"), { code: "unknown_kind" });
      await assert.rejects(parlor.joinById("no-such-room"), { code: "unknown_room" });
      const room = await parlor.create<Echo>("echo");
      await assert.rejects(room.request("no-such-type"), { code: "unknown_type" });
      await assert.rejects(room.request("add", { a: "text" }), { code: "bad_payload" });
      await room.leave();
    });
  });
}

test("a port where nobody listens", async () => {
  const connecting = connect("ws://127.0.0.1:1", { WebSocket });
  await assert.rejects(connecting, (error: ParlorError) => error.code === "not_connected" && /ECONNREFUSED/.test(error.text));
});

/** The first messages that a room hears. */
function heard(room: Room<Echo>, count: number): Promise<[number, string][]> {
  const list: [number, string][] = [];
  return new Promise((resolve) => {
    const off = room.on("said", ({ from, text }) => {
      list.push([from, text]);
      if (list.length < count) return;
      off();
      resolve(list);
    });
  });
}
