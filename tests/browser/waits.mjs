// What the pages are waited for, where several tests wait for it.

export const seen = (page, what, argument) => page.waitForFunction(what, argument);

/** The arena's page is in a room and hears of it. */
export const plays = (page) => seen(page, () => window.arena?.players.get(arena.me)?.track.length > 0);

/** The page says that of its connection: `lost`, `back` or `gone`. */
export const says = (page, sort, text) => page.locator(`#link[data-sort=${sort}]`, { hasText: text }).waitFor();
