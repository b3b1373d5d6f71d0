// A real Chromium, with nothing of a user's in it, and pages that are watched for errors.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

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
  return {
    url,
    stop,
    async open(path = "/", options = {}) {
      const context = await browser.newContext({ ...DESKTOP, ...options });
      contexts.push(context);
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      page.on("pageerror", (error) => errors.push(`${path}: ${error.stack}`));
      page.on("console", (message) => message.type() === "error" && errors.push(`${path}: ${message.text()}`));
      await page.goto(new URL(path, url).href);
      return page;
    },
    /** Closes the page as a user closes a tab. */
    close: (page) => page.context().close(),
    /** No page may have written an error. */
    check() {
      if (errors.length > 0) throw new Error(`errors on the pages:\n${errors.join("\n")}`);
    },
    end: () => Promise.all(contexts.map((context) => context.close())),
  };
}
