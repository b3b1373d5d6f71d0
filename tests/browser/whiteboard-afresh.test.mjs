// Who misses more strokes than the broker keeps gets the whole board, and loses none of those drawn meanwhile.

import assert from "node:assert/strict";
import { join } from "node:path";
import { says, seen } from "./waits.mjs";

export const example = "whiteboard";
export const args = ["--config", join(import.meta.dirname, "small-outbox.toml")];
export const cases = [
  ["the board is drawn from a fresh view, with what was drawn without a connection", afresh],
  ["more strokes than the library keeps are said to be lost", tooMuch],
];

async function afresh(t) {
  const { ann, bob, net } = await meet(t);
  await dots(ann, 1);
  await has(bob, 1);
  net.cut();
  await says(ann, "lost", /^Connection lost/);
  await dots(ann, 2);
  await dots(bob, 80);
  await has(bob, 81);
  net.mend();
  await says(ann, "back", /^Back: fresh view$/);
  for (const page of [ann, bob]) await has(page, 83);
  const keys = () => board.strokes.map(({ key }) => key);
  assert.deepEqual(await ann.evaluate(keys), await bob.evaluate(keys));
  await ann.click("#undo");
  await has(bob, 82);
}

async function tooMuch(t) {
  const { ann, bob, net } = await meet(t);
  const before = await ann.evaluate(() => board.strokes.length);
  net.cut();
  await says(ann, "lost", /^Connection lost/);
  await dots(ann, 600);
  await ann.locator("#toast", { hasText: "Too much waits for the connection: a stroke was lost." }).waitFor();
  const kept = await ann.evaluate(() => board.strokes.length);
  // Some of what may wait has been said before the cut was noticed.
  assert.ok(kept - before > 500 && kept - before <= 512, `${kept - before} strokes are kept`);
  net.mend();
  await says(ann, "back", /^Back: /);
  await has(bob, kept);
  await has(ann, kept);
}

/** Ann behind a network of her own, and Bob. */
async function meet(t) {
  const net = await t.network();
  const [ann, bob] = await Promise.all([t.open(net.at("/?name=Ann")), t.open("/?name=Bob")]);
  for (const page of [ann, bob]) await seen(page, () => window.board.me);
  t.expectCuts();
  return { ann, bob, net };
}

/** Faster than a hand. */
function dots(page, count) {
  return page.evaluate((count) => {
    const paper = document.getElementById("paper");
    paper.setPointerCapture = () => {};
    for (let i = 0; i < count; i += 1) {
      const where = { clientX: 100 + ((7 * i) % 900), clientY: 150 + i / 2, button: 0 };
      for (const type of ["pointerdown", "pointerup"]) paper.dispatchEvent(new PointerEvent(type, where));
    }
  }, count);
}

const has = (page, count) => seen(page, (count) => board.strokes.length === count, count);
