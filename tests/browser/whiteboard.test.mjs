// The whiteboard: what one draws, the others see, at once or when they come.

import assert from "node:assert/strict";
import { PHONE } from "./pages.mjs";
import { says, seen } from "./waits.mjs";

export const example = "whiteboard";
export const cases = [
  ["a stroke is seen by all, by those who come later too, and undone for all", drawAndUndo],
  ["a long stroke is split, and clear removes everything", splitAndClear],
  ["what is drawn during a cut arrives, and a reload draws the board anew", away],
  ["on a phone one finger draws, and two zoom", fingers],
];

async function drawAndUndo(t) {
  const ann = await enter(t, "Ann");
  const bob = await enter(t, "Bob");
  await drag(ann, wave);
  await has(bob, 1);
  await has(ann, 1);
  const [hers, his] = [await strokes(ann), await strokes(bob)];
  assert.deepEqual(hers, his);
  assert.ok(hers[0].points.length > 5, "it is a curve");
  assert.ok(await inked(bob), "it is painted");

  await bob.mouse.move(300, 300);
  await seen(ann, () => board.cursors.length === 1);
  const cleo = await enter(t, "Cleo");
  await has(cleo, 1);
  assert.deepEqual(await strokes(cleo), hers);
  assert.deepEqual(await cleo.evaluate(() => board.members), ["Ann", "Bob", "Cleo"]);
  assert.ok(await bob.locator("#undo").isDisabled(), "it is not his to undo");

  await drag(bob, (s) => [500 + 200 * s, 400]);
  await has(cleo, 2);
  await ann.click("#undo");
  for (const page of [ann, bob, cleo]) await has(page, 1);
  assert.equal((await strokes(cleo))[0].key.split("/")[0], String(await bob.evaluate(() => board.me)));
  await t.leave(bob);
  await seen(cleo, () => board.members.length === 2);
  await wipe(ann);
}

async function splitAndClear(t) {
  const ann = await enter(t, "Ann");
  const bob = await enter(t, "Bob");
  // Faster than a hand: the page gets all of it at once.
  await ann.evaluate(() => {
    const paper = document.getElementById("paper");
    paper.setPointerCapture = () => {};
    const event = (type, x, y) => paper.dispatchEvent(new PointerEvent(type, { clientX: x, clientY: y, button: 0 }));
    event("pointerdown", 640, 350);
    for (let i = 0; i < 4000; i++) event("pointermove", 640 + (i / 15) * Math.cos(i / 3), 350 + (i / 15) * Math.sin(i / 3));
    event("pointerup", 640, 350);
  });
  await has(bob, 3);
  const parts = await strokes(bob);
  assert.deepEqual(parts[1].points[0], parts[0].points.at(-1), "parts touch");
  for (let i = 0; i < 150; i++) await ann.mouse.click(300 + 4 * i, 200);
  await has(bob, 153);
  await wipe(bob);
  await has(ann, 0);
  assert.ok(await ann.locator("#undo").isDisabled());
}

async function away(t) {
  const net = await t.network();
  const ann = await enter(t, "Ann", {}, net);
  const bob = await enter(t, "Bob");
  await drag(ann, wave);
  await has(bob, 1);
  t.expectCuts();
  net.cut();
  await says(ann, "lost", /^Connection lost/);
  await drag(ann, (s) => [500, 200 + 200 * s]);
  await has(ann, 2);
  await drag(bob, (s) => [700, 200 + 200 * s]);
  await has(bob, 2);
  net.mend();
  await says(ann, "back", /^Back: \d+ messages? caught up$/);
  for (const page of [ann, bob]) await has(page, 3);
  assert.deepEqual(await strokes(ann), await strokes(bob));

  const [me, before] = [await ann.evaluate(() => board.me), await strokes(ann)];
  await ann.reload();
  await says(ann, "back", /^Back: fresh view$/);
  assert.equal(await ann.evaluate(() => board.me), me);
  assert.deepEqual(await strokes(ann), before);
  await inked(ann);
  // A new stroke takes no other's place, and what was drawn before can still be taken back.
  await drag(ann, (s) => [300, 200 + 200 * s]);
  await has(bob, 4);
  for (const left of [3, 2, 1]) {
    await ann.click("#undo");
    await has(bob, left);
  }
  assert.ok(await ann.locator("#undo").isDisabled(), "the last one is not hers");
  await wipe(ann);
}

async function fingers(t) {
  const ann = await enter(t, "Ann");
  const bob = await enter(t, "Bob", PHONE);
  const touch = await bob.context().newCDPSession(bob);
  const say = (type, ...points) =>
    touch.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  await say("touchStart", [100, 300]);
  for (let i = 1; i <= 10; i++) await say("touchMove", [100 + 15 * i, 300 + 9 * i]);
  await say("touchEnd");
  await has(ann, 1);

  const before = await bob.evaluate(() => board.camera.scale);
  await say("touchStart", [150, 400]);
  await say("touchStart", [150, 400], [250, 400]);
  for (let i = 1; i <= 10; i++) await say("touchMove", [150 - 5 * i, 400], [250 + 5 * i, 400]);
  await say("touchEnd");
  assert.ok((await bob.evaluate(() => board.camera.scale)) > 1.5 * before);
  // Had the first finger drawn, it would have come before this.
  await bob.locator(".swatch").nth(2).tap();
  await say("touchStart", [200, 500]);
  await say("touchEnd");
  await has(ann, 2);
  assert.equal((await strokes(ann))[1].colour, 2);
  await wipe(bob);
}

async function enter(t, name, options, net) {
  const path = `/?name=${name}`;
  const page = await t.open(net?.at(path) ?? path, options);
  await seen(page, () => window.board.me);
  return page;
}

const wave = (s) => [400 + 400 * s, 350 + 80 * Math.sin(9 * s)];

async function drag(page, path) {
  await page.mouse.move(...path(0));
  await page.mouse.down();
  for (let i = 1; i <= 30; i++) await page.mouse.move(...path(i / 30));
  await page.mouse.up();
}

async function wipe(page) {
  await page.click("#clear");
  await page.click("#clear");
  await has(page, 0);
}

const has = (page, count) => seen(page, (count) => board.strokes.length === count, count);
const strokes = (page) =>
  page.evaluate(() => board.strokes.map(({ key, colour, width, points }) => ({ key, colour, width, points })));

/** Whether anything is painted on the lower canvas. */
const inked = (page) =>
  page.waitForFunction(() => {
    const ink = document.querySelector("#paper canvas");
    return ink.getContext("2d").getImageData(0, 0, ink.width, ink.height).data.some((value) => value > 0);
  });
