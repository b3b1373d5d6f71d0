// Tic-tac-trap as two people play it, and a third looks on.

import assert from "node:assert/strict";
import { PHONE } from "./pages.mjs";
import { says as saysOfLink, seen } from "./waits.mjs";

export const example = "tictactoe";
export const cases = [
  ["two play to the end, and a third sees no secret", playToTheEnd],
  ["the game goes on over a cut and a reload", away],
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

async function away(t) {
  const net = await t.network();
  const { ann, bob, room } = await seat(t, net);
  await hide(ann, 8);
  await hide(bob, 4);
  await move(ann, 0);
  t.expectCuts();
  net.cut();
  await saysOfLink(bob, "lost", /^Connection lost/);
  await ann.locator("#seat-o.away", { hasText: "away" }).waitFor();
  await status(ann, "Bob lost the connection…");
  await press(bob, 1);
  await says(bob, "There is no connection: wait a moment.");
  net.mend();
  await saysOfLink(bob, "back", /^Back: \d+ messages? caught up$/);
  await ann.locator("#seat-o:not(.away)").waitFor();
  await move(bob, 1);

  await ann.reload();
  await saysOfLink(ann, "back", /^Back: fresh view$/);
  assert.deepEqual(await traps(ann), [8, null], "the own trap is still known");
  const table = await ann.evaluate(() => game.table);
  assert.deepEqual([table.you, table.round, table.board.slice(0, 3)], ["x", 1, ["x", "o", null]]);
  assert.equal(await ann.evaluate(() => game.room), room);
  for (const [page, cell] of [[ann, 3], [bob, 2], [ann, 6]]) await move(page, cell);
  await status(bob, "Three in a row: Ann wins");
}

async function leave(t) {
  const { ann, bob, room } = await seat(t);
  await hide(ann, 8);
  await hide(bob, 4);
  await seen(ann, () => game.table.phase.is === "playing");
  await ann.click("#leave");
  await status(bob, "You win: the other one left");
  const carl = await t.open("/?name=Carl&room=no-such-room");
  await seen(carl, () => window.game.table?.phase.is === "waiting");
  assert.notEqual(await carl.evaluate(() => game.room), room);
  assert.equal(new URL(carl.url()).searchParams.get("room"), await carl.evaluate(() => game.room));
}

/** Ann at a desk and Bob on a phone, at a table of their own. */
async function seat(t, net) {
  const ann = await t.open("/?name=Ann&room=new");
  await seen(ann, () => window.game.table);
  const room = await ann.evaluate(() => game.room);
  const path = `/?name=Bob&room=${room}`;
  const bob = await t.open(net?.at(path) ?? path, PHONE);
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
const traps = (page) => page.evaluate(() => ["x", "o"].map((seat) => game.table.chairs[seat].trap?.cell ?? null));
const says = (page, text) => page.locator("#toast", { hasText: text }).waitFor();
const status = (page, text) => page.locator("#status", { hasText: text }).waitFor();
