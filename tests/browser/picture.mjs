// The pictures in the documentation: made anew when they are missing or `PARLOR_PICTURE=1` asks for them.

import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const MOST_BYTES = 400 * 1024;

const file = (name) => join(import.meta.dirname, "../../docs", name);
const isWanted = (name) => !existsSync(file(name)) || process.env.PARLOR_PICTURE === "1";

/** The arena, with somebody in the middle of it. */
export async function picture(t) {
  if (!isWanted("arena.png")) return;
  const page = await t.open("/?name=Ada");
  // Those who are not in the picture themselves need no large one.
  const small = { viewport: { width: 240, height: 160 } };
  const others = ["Ben", "Mia", "Zoe", "Tom"].map((name) => t.open(`/?name=${name}`, small));
  const all = [page, ...(await Promise.all(others))];
  for (const one of all) await one.waitForFunction(() => window.arena?.me > 0);
  const ada = await page.evaluate(() => arena.me);
  for (const one of all) await one.evaluate(roam, ada);
  await page.waitForFunction(crowded, null, { timeout: 60_000, polling: 200 });
  await page.evaluate(() => {
    for (const id of ["hint", "toast"]) document.getElementById(id).style.display = "none";
    arena.room.request("dash").catch(() => {});
  });
  await page.waitForFunction(() => {
    const age = performance.now() - arena.players.get(arena.me).dashed;
    return age > 60 && age < 400;
  });
  await take(page, "arena.png");
}

/** Two pages beside each other: one has lost its connection, and the other sees that. */
export async function awayPicture(t) {
  if (!isWanted("away.png")) return;
  const net = await t.network();
  t.expectCuts();
  const page = await t.open("/", { viewport: { width: 1284, height: 400 } });
  await page.setContent(`<style>body { margin: 0; display: flex; gap: 4px } iframe { width: 640px; height: 400px; border: 0 }</style>
    <iframe name="ada" src="${net.at("/?name=Ada")}"></iframe><iframe name="ben" src="${new URL("/?name=Ben", t.url)}"></iframe>`);
  const [ada, ben] = ["ada", "ben"].map((name) => page.frame({ name }));
  for (const one of [ada, ben]) await one.waitForFunction(() => window.arena?.me > 0);
  const hers = await ada.evaluate(() => arena.me);
  const middle = { x: 1300, y: 850 };
  await Promise.all([approach(ada, middle), approach(ben, { ...middle, x: middle.x - 130 })]);
  net.cut();
  await ben.waitForFunction((id) => arena.players.get(id).away, hers);
  await ben.waitForFunction(() => document.getElementById("hint").hidden && document.getElementById("toast").hidden);
  await ada.locator("#link", { hasText: /in [1-9]/ }).waitFor();
  await take(page, "away.png");
}

/** Steers until it is there. */
async function approach(frame, { x, y }) {
  await frame.waitForFunction(
    ({ x, y }) => {
      const me = arena.players.get(arena.me);
      const far = Math.hypot(x - me.x, y - me.y);
      const by = far < 20 ? 0 : 1 / Math.max(far, 100);
      arena.room.send("steer", { x: (x - me.x) * by, y: (y - me.y) * by });
      return by === 0;
    },
    { x, y },
    { timeout: 60_000, polling: 50 },
  );
}

async function take(page, name) {
  mkdirSync(dirname(file(name)), { recursive: true });
  await page.screenshot({ path: file(name) });
  const { size } = statSync(file(name));
  if (size > MOST_BYTES) throw new Error(`the picture has ${size} bytes, more than ${MOST_BYTES}`);
}

/** Whether there is something to see: in the page. */
function crowded() {
  const me = arena.players.get(arena.me);
  const near = ({ drawX, drawY }) => Math.abs(drawX - me.drawX) < 420 && Math.abs(drawY - me.drawY) < 220;
  return arena.winner === null && me.score >= 6 && [...arena.players.values()].filter(near).length >= 5;
}

/** Plays: steers to an orb that is near, and not far from the hero, or for the hero from the middle. In the page. */
function roam(hero) {
  setInterval(() => {
    const me = arena.players.get(arena.me);
    const home = arena.me === hero ? { x: arena.size.x / 2, y: arena.size.y / 2 } : arena.players.get(hero);
    const cost = (orb) => Math.hypot(orb.x - me.x, orb.y - me.y) + 0.7 * Math.hypot(orb.x - home.x, orb.y - home.y);
    const { x, y } = arena.orbs.reduce((best, orb) => (cost(orb) < cost(best) ? orb : best));
    const far = Math.hypot(x - me.x, y - me.y);
    arena.steer = { x: (x - me.x) / far, y: (y - me.y) / far };
    arena.room.send("steer", arena.steer);
  }, 100);
}
