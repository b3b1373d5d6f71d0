// The arena's players lose their connections and load their pages again: they stay who they are, and are told what happened.

import assert from "node:assert/strict";
import { awayPicture } from "./picture.mjs";
import { plays, says, seen } from "./waits.mjs";

export const example = "arena";
// Nobody else is here who could rob somebody who is away.
export const args = ["--bots", "0"];
export const cases = [
  ["a cut connection comes back, with player and score", cut],
  ["a browser without a network comes back as well", offline],
  ["a connection that has become silent is noticed", silent],
  ["a page that is loaded again goes on as the same player", reload],
  ["a second tab takes over, and the first says so", duplicate],
  ["a seat that is given up is told", givenUp],
  ["a picture", awayPicture],
];

async function cut(t) {
  const { ann, bob, id, net } = await meet(t);
  await collects(ann);
  const before = await known(ann, id);
  t.expectCuts();
  net.cut();
  await says(ann, "lost", /^Connection lost – trying again/);
  await seen(bob, (id) => arena.players.get(id).away, id);
  await bob.waitForSelector(`#here [data-player="${id}"].away`);
  await ann.evaluate(() => {
    window.views = 0;
    window.sent = [];
    arena.room.onView(() => (views += 1));
    const send = arena.room.send.bind(arena.room);
    arena.room.send = (...what) => sent.push(what) && send(...what);
  });
  // She steers all the same: only her last wish is said, when she is back.
  for (const key of ["KeyA", "KeyD"]) {
    await ann.keyboard.down(key);
    await seen(ann, (x) => arena.steer.x === x, key === "KeyA" ? -1 : 1);
    if (key === "KeyA") await ann.keyboard.up(key);
  }
  await ann.keyboard.press("Space");
  await ann.locator("#toast", { hasText: "No connection: no dash" }).waitFor();
  assert.deepEqual(await ann.evaluate(() => sent), []);
  net.mend();
  await says(ann, "back", /^Back: \d+ messages? caught up$/);
  await seen(bob, (id) => !arena.players.get(id).away, id);
  assert.deepEqual(await ann.evaluate(() => [sent[0], views]), [["steer", { x: 1, y: 0 }], 0]);
  await ann.keyboard.up("KeyD");
  const after = await known(ann, id);
  assert.equal(after.name, before.name);
  assert.equal(await ann.evaluate(() => arena.me), id);
  assert.ok(after.score >= before.score && after.score > 0, `${before.score} points became ${after.score}`);
  await seen(bob, ({ id, score }) => arena.players.get(id).score >= score, { id, score: after.score });
  await moves(ann, bob, id);
}

async function offline(t) {
  const { ann, bob, id } = await meet(t);
  t.expectCuts();
  await ann.context().setOffline(true);
  await says(ann, "lost", /^Connection lost/);
  assert.equal(await ann.textContent("#ping"), "offline");
  await ann.context().setOffline(false);
  await says(ann, "back", /^Back: \d+ messages caught up$/);
  await moves(ann, bob, id);
  await seen(ann, () => /ms$/.test(document.querySelector("#ping").textContent));
}

async function silent(t) {
  const { ann, bob, id, net } = await meet(t);
  await ann.evaluate(() => {
    const began = performance.now();
    arena.parlor.lifecycle.on("disconnected", () => (window.noticed ??= performance.now() - began));
  });
  net.forget();
  await ann.waitForFunction(() => window.noticed, null, { timeout: 20_000 });
  await says(ann, "back", /^Back: \d+ messages caught up$/);
  const noticed = await ann.evaluate(() => window.noticed);
  assert.ok(noticed < 15_000, `noticed after ${Math.round(noticed)} ms`);
  await moves(ann, bob, id);
}

async function reload(t) {
  const { ann, bob, id } = await meet(t);
  await collects(ann);
  const before = await known(ann, id);
  await ann.reload();
  await says(ann, "back", /^Back: fresh view$/);
  await plays(ann);
  assert.equal(await ann.evaluate(() => arena.me), id);
  const after = await known(ann, id);
  assert.equal(after.name, before.name);
  assert.ok(after.score >= before.score && after.score > 0, `${before.score} points became ${after.score}`);
  assert.equal(await ann.evaluate(() => arena.room.id), await bob.evaluate(() => arena.room.id));
  await moves(ann, bob, id);
}

async function duplicate(t) {
  const { ann, bob, id } = await meet(t);
  // A window that a page opens gets a copy of its storage, as a duplicated tab does.
  const [second] = await Promise.all([ann.waitForEvent("popup"), ann.evaluate(() => void window.open(location.href))]);
  await plays(second);
  assert.equal(await second.evaluate(() => arena.me), id);
  await ann.waitForSelector("#notice:not([hidden])");
  assert.equal(await ann.textContent("#notice p"), "The game goes on in another tab.");
  await moves(second, bob, id);
  await ann.click("#notice button");
  await plays(ann);
  assert.notEqual(await ann.evaluate(() => arena.me), id, "the first is somebody new");
  assert.equal(await second.evaluate(() => arena.parlor.closed), null, "and the second goes on");
}

async function givenUp(t) {
  const { ann, id } = await meet(t);
  await ann.evaluate(() => arena.parlor.close());
  await ann.waitForSelector("#notice:not([hidden])");
  // The storage of a page whose session has ended meanwhile.
  await ann.evaluate(() => {
    sessionStorage.setItem("seat", "elsewhere");
    sessionStorage.setItem(`parlor:ws://${location.host}/ws`, "AAAAAAAAAAE");
  });
  await ann.reload();
  await says(ann, "gone", /^Your seat was given up/);
  await plays(ann);
  assert.notEqual(await ann.evaluate(() => arena.me), id);
}

/** Ann behind a network of her own, and Bob who sees her. */
async function meet(t) {
  const net = await t.network();
  const [ann, bob] = await Promise.all([t.open(net.at("/?name=Ann")), t.open("/?name=Bob")]);
  await Promise.all([plays(ann), plays(bob)]);
  const id = await ann.evaluate(() => arena.me);
  await seen(bob, (id) => arena.players.has(id), id);
  return { ann, bob, id, net };
}

const known = (page, id) => page.evaluate((id) => (({ name, score }) => ({ name, score }))(arena.players.get(id)), id);

/** Steers to the nearest orb until there are points, and stops. */
async function collects(page) {
  await seen(page, () => {
    const me = arena.players.get(arena.me);
    const far = (orb) => Math.hypot(orb.x - me.x, orb.y - me.y);
    const orb = arena.orbs.reduce((best, orb) => (far(orb) < far(best) ? orb : best));
    const ready = me.score > 0;
    arena.room.send("steer", ready ? { x: 0, y: 0 } : { x: (orb.x - me.x) / far(orb), y: (orb.y - me.y) / far(orb) });
    return ready;
  });
}

/** The page's player can be steered, and the other sees it. */
async function moves(page, other, id) {
  const from = await other.evaluate((id) => arena.players.get(id).x, id);
  const way = await page.evaluate(() => (arena.players.get(arena.me).x < arena.size.x / 2 ? 1 : -1));
  const key = way > 0 ? "KeyD" : "KeyA";
  await page.keyboard.down(key);
  await seen(other, ({ id, from, way }) => (arena.players.get(id).x - from) * way > 50, { id, from, way });
  await page.keyboard.up(key);
  await seen(page, () => arena.steer.x === 0);
}
