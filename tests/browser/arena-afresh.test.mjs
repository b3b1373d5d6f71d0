// Who misses more of the arena than the broker keeps is shown all of it anew.

import assert from "node:assert/strict";
import { join } from "node:path";
import { plays, says, seen } from "./waits.mjs";

export const example = "arena";
export const args = ["--bots", "3", "--config", join(import.meta.dirname, "small-outbox.toml")];
export const cases = [["the world is drawn from a fresh view", afresh]];

async function afresh(t) {
  const net = await t.network();
  const [ann, bob] = await Promise.all([t.open(net.at("/?name=Ann")), t.open("/?name=Bob")]);
  for (const page of [ann, bob]) await plays(page);
  await seen(ann, () => arena.players.size === 5);
  const [me, his] = [await ann.evaluate(() => arena.me), await bob.evaluate(() => arena.me)];
  t.expectCuts();
  net.cut();
  await says(ann, "lost", /^Connection lost/);
  await seen(bob, (me) => arena.players.get(me).away, me);
  await bob.evaluate(() => {
    let frames = 0;
    arena.room.on("frame", () => (window.enough = ++frames > 80));
  });
  await seen(bob, () => window.enough);
  // What happens meanwhile is in no message that she will get.
  await t.leave(bob);
  net.mend();
  await says(ann, "back", /^Back: fresh view$/);
  assert.equal(await ann.evaluate(() => arena.me), me);
  assert.equal(await ann.evaluate((his) => arena.players.has(his), his), false);
  await plays(ann);
  assert.deepEqual(await ann.evaluate(() => [arena.players.size, arena.orbs.length]), [4, 100]);
}
