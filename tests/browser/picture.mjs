// The picture of the arena in the documentation: made anew when it is missing or `PARLOR_PICTURE=1` asks for it.

import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const FILE = join(import.meta.dirname, "../../docs/arena.png");
const MOST_BYTES = 400 * 1024;

export async function picture(t) {
  const wanted = process.env.PARLOR_PICTURE === "1" || !existsSync(FILE);
  const others = ["Ben", "Mia", "Zoe", "Tom"];
  if (!wanted) return;
  const page = await t.open("/?name=Ada");
  const crowd = await Promise.all(others.map((name) => t.open(`/?name=${name}`)));
  for (const one of [page, ...crowd]) await one.waitForFunction(() => window.arena?.me > 0);
  // All run to the middle, where the bots are too, and collect on the way.
  for (const one of [page, ...crowd]) await one.evaluate(roam);
  await page.waitForFunction(() => {
    const near = ({ drawX, drawY }) => {
      const me = arena.players.get(arena.me);
      return Math.abs(drawX - me.drawX) < 420 && Math.abs(drawY - me.drawY) < 210;
    };
    const all = [...arena.players.values()];
    const mine = arena.players.get(arena.me);
    const middle = Math.abs(mine.drawX - arena.size.x / 2) < 500 && Math.abs(mine.drawY - arena.size.y / 2) < 380;
    return arena.winner === null && mine.score >= 10 && middle && all.filter(near).length >= 6;
  }, null, { timeout: 60_000 });
  await page.evaluate(() => {
    for (const id of ["hint", "toast"]) document.getElementById(id).style.display = "none";
    arena.room.request("dash").catch(() => {});
  });
  await page.waitForFunction(() => performance.now() - arena.players.get(arena.me).dashed < 400);
  mkdirSync(dirname(FILE), { recursive: true });
  await page.screenshot({ path: FILE });
  const { size } = statSync(FILE);
  if (size > MOST_BYTES) throw new Error(`the picture has ${size} bytes, more than ${MOST_BYTES}`);
}

/** Steers to the nearest orb that is not far from the middle. */
function roam() {
  setInterval(() => {
    const me = arena.players.get(arena.me);
    const middle = { x: arena.size.x / 2, y: arena.size.y / 2 };
    const cost = (orb) => Math.hypot(orb.x - me.x, orb.y - me.y) + Math.hypot(orb.x - middle.x, orb.y - middle.y);
    const { x, y } = arena.orbs.reduce((best, orb) => (cost(orb) < cost(best) ? orb : best));
    const far = Math.hypot(x - me.x, y - me.y);
    arena.steer = { x: (x - me.x) / far, y: (y - me.y) / far };
    arena.room.send("steer", arena.steer);
  }, 100);
}
