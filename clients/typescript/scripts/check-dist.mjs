// Fails when the committed dist/ is not what the sources give.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildInto, root } from "./build.mjs";

const fresh = mkdtempSync(join(tmpdir(), "parlor-dist-"));
try {
  await buildInto(fresh);
  const wrong = differences(fresh, join(root, "dist"));
  if (wrong.length > 0) {
    console.error(`dist is not what the sources give (run npm run build): ${wrong.join(", ")}`);
    process.exitCode = 1;
  } else {
    console.log("dist is what the sources give");
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

function differences(a, b) {
  const names = new Set([...files(a), ...files(b)]);
  return [...names].filter((name) => content(a, name) !== content(b, name)).sort();
}

function files(dir) {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function content(dir, name) {
  try {
    return readFileSync(join(dir, name), "latin1");
  } catch {
    return null;
  }
}
