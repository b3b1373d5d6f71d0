// Starts an example as a user would, on a free port, and reads where it listens from its first line.

import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "../..");
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** Builds the examples, unless `PARLOR_BIN_DIR` says where they are already. */
export async function build(examples) {
  if (process.env.PARLOR_BIN_DIR) return;
  const packages = [...new Set(examples)].flatMap((example) => ["-p", example]);
  const cargo = spawn("cargo", ["build", ...packages], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  await new Promise((built, reject) => {
    cargo.once("error", reject);
    cargo.once("exit", (code) => (code === 0 ? built() : reject(new Error(`the build ended with ${code}`))));
  });
}

function program(example) {
  const built = resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "debug");
  return join(process.env.PARLOR_BIN_DIR ?? built, example);
}

/** Starts an example: `{url, stop()}`. */
export async function serve(example, args) {
  const child = spawn(program(example), ["--port", "0", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  const line = await new Promise((first, reject) => {
    createInterface({ input: child.stdout }).once("line", first);
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
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((gone) => child.once("exit", gone));
  child.kill("SIGTERM");
  await ended;
  running.delete(child);
}
