import assert from "node:assert/strict";
import { test } from "node:test";
// By the package's own name: through its `exports`, as an application gets it.
import * as built from "parlor-client";
import * as source from "../src/index.js";
import { FakeBroker, joined, publish } from "./fake-broker.js";
import { settled } from "./fake-time.js";

test("the built file exports what the sources export", () => {
  assert.deepEqual(Object.keys(built).sort(), Object.keys(source).sort());
});

test("the built file speaks with a broker", async () => {
  const broker = new FakeBroker();
  const parlor = await built.connect("ws://fake", { transport: broker.transport, time: broker.time });
  const joining = parlor.joinOrCreate("arena");
  await broker.next(built.Op.join);
  broker.write(joined(1), publish(2, { x: 1.5 }));
  const room = await joining;
  const seen: unknown[] = [];
  room.on("moved", (payload) => seen.push(payload));
  await broker.time.pass(0);
  await settled();
  assert.deepEqual(seen, [{ x: 1.5 }]);
});

test("the version is that of the package", async () => {
  const { createRequire } = await import("node:module");
  const { version } = createRequire(import.meta.url)("../package.json") as { version: string };
  assert.equal(source.VERSION, version);
});
