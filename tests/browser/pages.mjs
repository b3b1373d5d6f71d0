// A real Chromium, with nothing of a user's in it, and pages that are watched for errors.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { network } from "./proxy.mjs";

/** For everything that is waited for; the machine may be busy. */
const PATIENCE_MS = 15_000;
const DESKTOP = { viewport: { width: 1280, height: 720 } };
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

/** Starts the browser: `{test(server), close()}`. */
export async function browse() {
  const profile = mkdtempSync(join(tmpdir(), "parlor-browser-"));
  process.on("exit", () => rmSync(profile, { recursive: true, force: true, maxRetries: 3 }));
  const quiet = ["quic", "background-networking", "component-update", "sync"].map((what) => `--disable-${what}`);
  // A context of its own holds the cookies and the storage of the browser's start; tests make theirs.
  const main = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.PARLOR_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--no-first-run", ...quiet],
  });
  return { test: (server) => test(main.browser(), server), close: () => main.close() };
}

/** What one case has: pages of the server, and the errors that they wrote. */
function test(browser, { url, stop }) {
  const contexts = [];
  const errors = [];
  const networks = [];
  let isExpected = () => false;
  return {
    url,
    stop,
    /** A network of its own to the server: pages of `network.at(path)` use it. */
    async network() {
      const made = await network(url);
      networks.push(made);
      return made;
    },
    /** The browser itself writes an error whenever it cannot connect. */
    expectCuts() {
      isExpected = (text) => /^WebSocket connection to .* failed|net::ERR_/.test(text);
    },
    async open(path = "/", options = {}) {
      const context = await browser.newContext({ ...DESKTOP, ...options });
      contexts.push(context);
      context.setDefaultTimeout(PATIENCE_MS);
      context.on("page", (page) => {
        page.on("pageerror", (error) => errors.push(`${path}: ${error.stack}`));
        page.on("console", (message) => {
          if (message.type() === "error" && !isExpected(message.text())) errors.push(`${path}: ${message.text()}`);
        });
      });
      const page = await context.newPage();
      await page.goto(new URL(path, url).href);
      return page;
    },
    /** Closes the page as a user closes a tab. The seat is kept for a while. */
    close: (page) => page.context().close(),
    /** Ends the page's session first, so that its seat is free at once. */
    leave,
    /** No page may have written an error. */
    check() {
      if (errors.length > 0) throw new Error(`errors on the pages:\n${errors.join("\n")}`);
    },
    /** The next case finds none of this one's players. */
    async end() {
      const pages = contexts.flatMap((context) => context.pages());
      await Promise.all(pages.map(leave));
      await Promise.all(contexts.map((context) => context.close()));
      networks.forEach((network) => network.close());
    },
  };
}

async function leave(page) {
  const end = () => (window.arena ?? window.game ?? window.board)?.parlor?.close();
  // A page that shows no game, or that is gone by now, has nothing to end.
  await page.evaluate(end).catch(() => {});
  await page.context().close();
}
