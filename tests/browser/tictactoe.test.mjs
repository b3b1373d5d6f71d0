// Tic-tac-trap as two people play it, and a third looks on.

import assert from "node:assert/strict";
import { PHONE } from "./pages.mjs";

export const example = "tictactoe";
export const cases = [
  ["two play to the end, and a third sees no secret", playToTheEnd],
  ["who reloads loses, and sits down again", reload],
  ["who leaves loses, and an old invitation opens a new table", leave],
];

async function playToTheEnd(t) {
  const { ann, bob, room } = await seat(t);
  const eve = await t.open(`/?name=Eve&room=${room}`);
  await seen(eve, () => window.game.table);
  await hide(ann, 8);
  await hide(bob, 4);
  await seen(ann, () => game.table.phase.is === "playing");
  assert.deepEqual(await traps(ann), [8, null]);
  assert.deepEqual(await traps(bob), [null, 4]);
  assert.deepEqual(await traps(eve), [null, null]);

  await press(bob, 0);
  await says(bob, "Not your turn: Ann is thinking.");
  await press(ann, 4);
  await says(ann, "Snap! A trap: your mark is lost.");
  await seen(eve, () => game.table.chairs.o.trap?.sprung);
  await move(bob, 0);
  await press(ann, 0);
  await says(ann, "Top left is taken.");
  await press(eve, 1);
  await says(eve, "You are watching: only the two players can move.");

  for (const [page, cell] of [[ann, 4], [bob, 1], [ann, 3], [bob, 2]]) await move(page, cell);
  await status(bob, "Three in a row: you win!");
  await status(ann, "Three in a row: Bob wins");
  await status(eve, "Three in a row: Bob wins");
  assert.deepEqual(await traps(eve), [8, 4], "all is told at the end");

  await ann.click("#rematch");
  await bob.click("#rematch");
  await seen(eve, () => game.table.round === 2 && game.table.phase.is === "hiding");
  assert.equal(await ann.locator(".mark").count() - (await ann.locator(".seat .mark").count()), 0);
}

async function reload(t) {
  const { ann, bob } = await seat(t);
  await hide(ann, 8);
  await hide(bob, 4);
  await seen(ann, () => game.table.phase.is === "playing");
  await bob.reload();
  await seen(bob, () => window.game.table?.phase.is === "hiding");
  const table = await bob.evaluate(() => game.table);
  assert.deepEqual([table.you, table.round, table.chairs.x.wins, table.chairs.o.wins], ["o", 2, 1, 0]);
}

async function leave(t) {
  const { ann, bob, room } = await seat(t);
  await hide(ann, 8);
  await hide(bob, 4);
  await seen(ann, () => game.table.phase.is === "playing");
  await t.close(ann);
  await status(bob, "You win: the other one left");
  const carl = await t.open("/?name=Carl&room=no-such-room");
  await seen(carl, () => window.game.table?.phase.is === "waiting");
  assert.notEqual(await carl.evaluate(() => game.room), room);
  assert.equal(new URL(carl.url()).searchParams.get("room"), await carl.evaluate(() => game.room));
}

/** Ann at a desk and Bob on a phone, at a table of their own. */
async function seat(t) {
  const ann = await t.open("/?name=Ann&room=new");
  await seen(ann, () => window.game.table);
  const room = await ann.evaluate(() => game.room);
  const bob = await t.open(`/?name=Bob&room=${room}`, PHONE);
  await seen(bob, () => window.game.table?.phase.is === "hiding");
  return { ann, bob, room };
}

async function hide(page, cell) {
  await press(page, cell);
  await seen(page, () => game.table.chairs[game.table.you].ready);
}

async function move(page, cell) {
  await seen(page, () => game.table.phase.turn === game.table.you);
  await press(page, cell);
  await seen(page, (cell) => game.table.board[cell] === game.table.you, cell);
}

const press = (page, cell) => page.locator(".cell").nth(cell).click();
const seen = (page, what, argument) => page.waitForFunction(what, argument);
const traps = (page) => page.evaluate(() => ["x", "o"].map((seat) => game.table.chairs[seat].trap?.cell ?? null));
const says = (page, text) => page.locator("#toast", { hasText: text }).waitFor();
const status = (page, text) => page.locator("#status", { hasText: text }).waitFor();
