// Builds dist/: the bundle for pages without a build step, and the types. The same sources give the
// same bytes: no dates, no absolute paths, no source maps.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const root = fileURLToPath(new URL("..", import.meta.url));

export async function buildInto(outDir) {
  rmSync(outDir, { recursive: true, force: true });
  const { version, license } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));
  await build({
    absWorkingDir: root,
    entryPoints: ["src/index.ts"],
    outfile: `${outDir}/parlor.js`,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    // The licence of the MessagePack library asks for its notice in every copy.
    banner: {
      js:
        `/*! parlor-client ${version} | ${license}\n` +
        ` *  with @msgpack/msgpack | ${notice()} */`,
    },
  });
  execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, "-p", "tsconfig.build.json", "--outDir", outDir], {
    cwd: root,
    stdio: "inherit",
  });
  prune(outDir);
}

// The compiler writes types for every source file; only those that the public ones name are of use.
function prune(outDir) {
  const used = new Set(["parlor.js"]);
  const visit = (name) => {
    if (used.has(name)) return;
    used.add(name);
    const text = readFileSync(`${outDir}/${name}`, "utf8");
    for (const [, next] of text.matchAll(/ from "\.\/(.+)\.js"/g)) visit(`${next}.d.ts`);
  };
  visit("index.d.ts");
  for (const name of readdirSync(outDir)) {
    if (!used.has(name)) rmSync(`${outDir}/${name}`);
  }
}

function notice() {
  const text = readFileSync(`${root}/node_modules/@msgpack/msgpack/LICENSE`, "utf8");
  return `ISC | ${text.trim().replace(/\s*\n\s*/g, "\n *  ")}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildInto(`${root}/dist`);
