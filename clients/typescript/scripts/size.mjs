// Prints what a page downloads, and fails when it grows past its budget.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { root } from "./build.mjs";

const BUDGET = 16 * 1024;

const code = readFileSync(`${root}/dist/parlor.js`);
const gzipped = gzipSync(code, { level: 9 }).length;
console.log(`dist/parlor.js: ${code.length} bytes, ${gzipped} gzipped (budget ${BUDGET})`);
if (gzipped > BUDGET) process.exitCode = 1;
