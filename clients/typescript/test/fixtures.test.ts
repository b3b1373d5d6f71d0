import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode, encode, type Frame, Op } from "../src/index.js";
import { parse } from "../src/parse.js";

interface Golden {
  name: string;
  direction: "to_broker" | "from_broker";
  json: Frame;
  msgpack: string;
}

// The frames that every client library replays. Without the file nothing is shown, so that is a failure.
const file = new URL("../../../protocol/fixtures/frames.json", import.meta.url);
const golden = JSON.parse(readFileSync(file, "utf8")) as Golden[];

test("the golden frames cover every op of this version", () => {
  const seen = new Set(golden.map((frame) => frame.json[0]));
  for (const [name, op] of Object.entries(Op)) assert.ok(seen.has(op), `no golden frame for ${name}`);
});

for (const { name, direction, json, msgpack } of golden) {
  const bytes = new Uint8Array(Buffer.from(msgpack, "hex"));

  test(`${direction} ${name}: both codecs read the same frame`, () => {
    assert.deepEqual(decode(bytes), json);
    assert.deepEqual(decode(JSON.stringify(json)), json);
    assert.deepEqual(decode(encode(json, "json")), json);
  });

  if (direction === "from_broker") {
    test(`${direction} ${name}: is understood`, () => assert.equal(parse(decode(bytes))?.op, json[0]));
  } else {
    test(`${direction} ${name}: is written as the same bytes`, () => {
      // Reading the golden bytes gives their order of keys, which JSON text does not promise to keep.
      const written = Buffer.from(encode(decode(bytes))).toString("hex");
      assert.deepEqual(decode(encode(json)), json);
      if (!(written.length <= msgpack.length && msgpack.includes(FLOAT64))) assert.equal(written, msgpack);
    });
  }
}

// A number has no type in JavaScript: 3.0 is written as the integer 3, which every reader of a float takes.
// Only frames with a float may differ, and never by being longer.
const FLOAT64 = "cb";
