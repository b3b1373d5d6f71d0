// The arena: two people and some bots in one room, on a desk and on a phone.

import { PHONE } from "./pages.mjs";
import { picture } from "./picture.mjs";

export const example = "arena";
export const args = ["--bots", "4"];

export const cases = [
  ["two people and the bots meet in one room, and see who is here", meet],
  ["what one moves the other sees, and a mouse steers too", moves],
  ["a dash is seen by the other; the next has to cool, and says so", dashes],
  ["who closes the page is away for the others, and who leaves is gone", leaves],
  ["a name is asked for, and the link of a room leads into it", invites],
  ["who only watches sees all and is not in the game", watches],
  ["a room that is not there is told", nowhere],
  ["a phone: all fits, a thumb steers and dashes", phone],
  ["another map is another room", elsewhere],
  ["a picture", picture],
  ["a lost server is told", lost],
];

/** Opens the game and waits until it plays. */
async function play(t, path, options) {
  const page = await t.open(path, options);
  await page.waitForFunction(() => window.arena?.players.get(arena.me)?.track.length > 0);
  return page;
}

const two = (t) => Promise.all([play(t, "/?name=Ann"), play(t, "/?name=Bob")]);
const me = (page) => page.evaluate(() => arena.me);
const room = (page) => page.evaluate(() => arena.room.id);
const sees = (page, id) => page.waitForFunction((id) => arena.players.has(id), id);
const place = (page, id) => page.evaluate((id) => (({ x, y }) => ({ x, y }))(arena.players.get(id)), id);

/** Waits until `page` has seen the player move so far to the right (to the left, if negative). */
function seesMove(page, id, from, by) {
  const moved = ({ id, from, by }) => (arena.players.get(id).x - from.x) * Math.sign(by) > Math.abs(by);
  return page.waitForFunction(moved, { id, from, by });
}

/** Where there is room to go: 1 for right, -1 for left. */
const free = (page) => page.evaluate(() => (arena.players.get(arena.me).x < arena.size.x / 2 ? 1 : -1));

function same(found, wanted, what) {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}

async function meet(t) {
  const [ann, bob] = await two(t);
  same(await room(bob), await room(ann), "bob's room");
  for (const page of [ann, bob]) {
    await page.waitForFunction(() => {
      const here = [...document.querySelectorAll("#here .name")].map((name) => name.textContent);
      return here.includes("Ann") && here.includes("Bob") && here.length === 6;
    });
    await page.waitForFunction(() => /^\d+(\.\d)? ms$/.test(document.querySelector("#ping").textContent));
    same(await page.locator("#here .me .name").count(), 1, "lines that are me");
  }
}

async function moves(t) {
  const [ann, bob] = await two(t);
  const id = await me(ann);
  await sees(bob, id);
  const way = await free(ann);
  const from = await place(bob, id);
  const key = way > 0 ? "KeyD" : "ArrowLeft";
  await ann.keyboard.down(key);
  await seesMove(bob, id, from, 120 * way);
  await seesMove(ann, id, from, 120 * way);
  await ann.keyboard.up(key);
  await ann.waitForFunction(() => arena.steer.x === 0 && arena.steer.y === 0);
  const then = await place(bob, id);
  const { x, y } = await ann.evaluate(() => arena.onScreen);
  await ann.mouse.move(x - 150 * way, y);
  await ann.mouse.down();
  await seesMove(bob, id, then, -60 * way);
  await ann.mouse.up();
}

async function dashes(t) {
  const [ann, bob] = await two(t);
  const id = await me(ann);
  await sees(bob, id);
  await ann.keyboard.down((await free(ann)) > 0 ? "ArrowRight" : "KeyA");
  await ann.waitForFunction(() => arena.steer.x !== 0);
  await ann.keyboard.press("Space");
  await bob.waitForFunction((id) => arena.players.get(id).dashed > 0, id);
  await ann.waitForSelector("#dash.cooling");
  const refused = await ann.evaluate(() => arena.room.request("dash").then(() => null, ({ code, params }) => ({ code, params })));
  same(refused?.code, "app.cooling", "the refusal");
  if (!(refused.params.ready_in_ms > 0)) throw new Error(`the refusal's parameters: ${JSON.stringify(refused.params)}`);
  await ann.waitForSelector("#dash:not(.cooling)");
}

async function leaves(t) {
  const [ann, bob] = await two(t);
  const id = await me(ann);
  await sees(bob, id);
  await t.leave(ann);
  await bob.waitForFunction((id) => !arena.players.has(id), id);
  await bob.waitForFunction((id) => !document.querySelector(`#here [data-player="${id}"]`), id);
  const cleo = await play(t, "/?name=Cleo");
  const away = await me(cleo);
  await sees(bob, away);
  await t.close(cleo);
  await bob.waitForSelector(`#here [data-player="${away}"].away`);
}

async function invites(t) {
  const ann = await play(t, "/?name=Ann");
  const bob = await t.open(`/?room=${await room(ann)}`);
  await bob.fill("#enter input", "Bob");
  await bob.click("#enter button");
  await bob.waitForFunction(() => window.arena.me > 0);
  same(await room(bob), await room(ann), "the room that the link leads to");
  await ann.waitForFunction(() => [...arena.players.values()].some((player) => player.name === "Bob"));
}

async function watches(t) {
  const ann = await play(t, "/?name=Ann");
  const eve = await t.open("/?watch");
  await eve.waitForFunction(() => window.arena.players.size > 0);
  await sees(eve, await me(ann));
  same(await room(eve), await room(ann), "the watched room");
  same(await me(eve), 0, "the spectator's disc");
  await eve.waitForFunction(() => document.querySelector("#count").textContent === `${arena.players.size} here`);
  same(await eve.isVisible("#dash"), false, "whether a spectator can dash");
}

async function nowhere(t) {
  const page = await t.open("/?name=Ann&room=nowhere");
  await page.waitForSelector("#notice:not([hidden])");
  same(await page.textContent("#notice p"), "There is no such room any more.", "the notice");
  await page.click("#notice button");
  await page.waitForSelector("#enter:not([hidden])");
}

async function phone(t) {
  const page = await play(t, "/?name=Ann", PHONE);
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  same(wide[0], wide[1], "the page's width");
  const canvas = await page.locator("#scene").boundingBox();
  same(`${canvas.width}x${canvas.height}`, "390x844", "the canvas");
  for (const what of ["#dash", "#share", "#ping", "#here"]) {
    const box = await page.locator(what).boundingBox();
    const inside = box && box.x >= 0 && box.y >= 0 && box.x + box.width <= 390 && box.y + box.height <= 844;
    if (!inside) throw new Error(`${what} is not on the screen: ${JSON.stringify(box)}`);
  }
  const [id, way] = [await me(page), await free(page)];
  const from = await place(page, id);
  const touch = await fingers(page);
  const thumb = { x: 150 + 60 * way, y: 600, id: 0 };
  await touch("touchStart", { ...thumb, x: 150 });
  await touch("touchMove", thumb);
  await page.waitForSelector("#stick:not([hidden])");
  await seesMove(page, id, from, 100 * way);
  // The other thumb, while the first one steers on.
  const dash = await page.locator("#dash").boundingBox();
  await touch("touchStart", thumb, { x: dash.x + 40, y: dash.y + 40, id: 1 });
  await page.waitForSelector("#dash.cooling");
  await touch("touchMove", thumb);
  same(await page.isVisible("#stick"), true, "whether the first thumb still steers");
  await touch("touchEnd");
  await page.waitForFunction(() => arena.steer.x === 0 && document.querySelector("#stick").hidden);
}

/** Fingers that go down, move and are lifted, given those that are down then; Playwright itself only taps. */
async function fingers(page) {
  const session = await page.context().newCDPSession(page);
  return (type, ...touchPoints) => session.send("Input.dispatchTouchEvent", { type, touchPoints });
}

async function elsewhere(t) {
  const [dust, ice] = await Promise.all([play(t, "/?name=Ann"), play(t, "/?name=Bob&map=ice")]);
  same(await ice.evaluate(() => arena.map), "ice", "the map");
  same(await ice.evaluate(() => arena.players.size), 1, "players on the ice");
  if ((await room(dust)) === (await room(ice))) throw new Error("both maps are one room");
}

async function lost(t) {
  const page = await play(t, "/?name=Ann");
  t.expectCuts();
  await t.stop();
  await page.waitForSelector("#notice:not([hidden])");
  const text = await page.textContent("#notice p");
  if (!text.includes("reload to rejoin")) throw new Error(`the notice says: ${text}`);
  same(await page.textContent("#ping"), "offline", "the ping");
}
