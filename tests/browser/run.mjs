// Plays the example games in a real browser: `node tests/browser/run.mjs [word …]` runs the modules `*.test.mjs` beside this
// file, or those whose names contain one of the words. Such a module exports
//
//   example  the Cargo package to start, and `args`, its flags beside the port (optional)
//   cases    [[name, async (t) => { … }], …], run in order against one server; see arena.test.mjs
//
// where `t` has `url`, `open(path, options)` for a page in a context of its own, `close(page)` and `leave(page)`, `network()` for a
// network that can be cut, and `stop()` for the server. A case fails by throwing; a page that writes an error to its console
// fails its case too, unless it is one of those that the browser itself writes about a cut (`expectCuts()`).

import { readdirSync } from "node:fs";
import { browse } from "./pages.mjs";
import { build, serve } from "./server.mjs";

const words = process.argv.slice(2);
const wanted = (file) => file.endsWith(".test.mjs") && (words.length === 0 || words.some((word) => file.includes(word)));
const files = readdirSync(import.meta.dirname).filter(wanted).sort();
const count = { passed: 0, failed: 0 };
// A browser or a server that hangs must not hang whoever waits for the result. Building may take its time.
const PATIENCE_MS = 480_000;

try {
  if (files.length === 0) throw new Error(`no test is called ${words.join(" or ")}`);
  const modules = await Promise.all(files.map((file) => import(`./${file}`)));
  await build(modules.map((module) => module.example));
  setTimeout(() => end(new Error("the browser tests took too long")), PATIENCE_MS).unref();
  const browser = await browse();
  for (const [n, module] of modules.entries()) await play(browser, files[n].replace(".test.mjs", ""), module);
  await browser.close();
  end();
} catch (error) {
  end(error);
}

function end(error) {
  if (error) {
    count.failed += 1;
    console.log(error.stack);
  }
  console.log(`${count.passed} passed, ${count.failed} failed`);
  process.exit(count.failed === 0 ? 0 : 1);
}

async function play(browser, title, { example, args = [], cases }) {
  const server = await serve(example, args);
  for (const [name, run] of cases) {
    const t = browser.test(server);
    const began = performance.now();
    let failure = null;
    try {
      await run(t);
      t.check();
    } catch (error) {
      failure = error;
    }
    await t.end();
    const took = `${Math.round(performance.now() - began)} ms`;
    count[failure ? "failed" : "passed"] += 1;
    console.log(`${failure ? "FAILED" : "ok    "} ${title}: ${name} (${took})`);
    if (failure) console.log(failure.stack.replace(/^/gm, "       "));
  }
  await server.stop();
}
