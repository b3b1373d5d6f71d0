// The picture of the arena in the documentation: made anew when it is missing or `PARLOR_PICTURE=1` asks for it.

import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const FILE = join(import.meta.dirname, "../../docs/arena.png");
const MOST_BYTES = 400 * 1024;

export async function picture(t) {
  if (existsSync(FILE) && process.env.PARLOR_PICTURE !== "1") return;
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
  mkdirSync(dirname(FILE), { recursive: true });
  await page.screenshot({ path: FILE });
  const { size } = statSync(FILE);
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
