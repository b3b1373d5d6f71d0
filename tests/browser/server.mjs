// Starts an example as a user would, on a free port, and reads where it listens from its first line.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "../..");
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** The example's program: that in `PARLOR_BIN_DIR`, if it is there, or a fresh release build. */
async function program(example) {
  const built = process.env.PARLOR_BIN_DIR && join(process.env.PARLOR_BIN_DIR, example);
  if (built && existsSync(built)) return built;
  await done(spawn("cargo", ["build", "--release", "-p", example], { cwd: root, stdio: ["ignore", "ignore", "inherit"] }));
  return resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "release", example);
}

/** Starts an example: `{url, stop()}`. */
export async function serve(example, args) {
  const child = spawn(await program(example), ["--port", "0", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  const line = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${example} ended with ${code} before it listened`)));
  });
  const url = line.match(/http:\/\/\S+/)?.[0];
  if (!url) throw new Error(`${example} did not say where it listens: ${line}`);
  // Later lines are nobody's business, but a full pipe would stop it.
  child.stdout.resume();
  let stopped = null;
  return { url, stop: () => (stopped ??= stop(child)) };
}

async function stop(child) {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await ended;
  running.delete(child);
}

function done(child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`the build ended with ${code}`))));
  });
}
