// How the connection fares, in #link: that it is lost and when the next attempt is made, and what the page knows once it is back.
// Nothing has to be done for coming back itself; the library does that.

const SHOWN_MS = 4000;
const REPLACED = 4100;

/** Whether there is a connection: without one, what is worth nothing later need not be said. */
export const link = { up: true };

/**
 * Follows a session from now on. `over(text, way)` is called when this page cannot go on: why, and what loading it again
 * would do.
 */
export function showLink(parlor, room, over) {
  const { lifecycle } = parlor;
  lifecycle.on("disconnected", ({ retryIn }) => {
    set(false);
    countDown(performance.now() + retryIn);
  });
  let since = -Infinity;
  lifecycle.on("resumed", ({ rooms }) => {
    set(true);
    const here = rooms.find((one) => one.room === room);
    since = performance.now();
    say(null);
    if (here?.outcome === "recovered") say("back", `Back: ${messages(here.frames)} caught up`);
  });
  // Also without a cut: when this page was too slow for what it was sent.
  lifecycle.on("resync", () => {
    say("back", performance.now() - since < SHOWN_MS ? "Back: fresh view" : "Too slow for all of it: fresh view");
  });
  lifecycle.on("lost", () => {
    set(true);
    say(null);
  });
  lifecycle.on("closed", ({ code, resumable }) => {
    set(false);
    say(null);
    if (!resumable) remember(null);
    if (code === REPLACED) over("The game goes on in another tab.", "Play here as somebody new");
    else over(resumable ? "There was no connection for too long." : "The connection was closed.", "Try again");
  });
  room.onClosed(({ code }) => {
    if (code === "lost" || code === "expired") over("You were away for too long: your seat was given up.", "Join again");
  });
}

// --- from page to page -----------------------------------------------------------------------------------------------

/** Where the session is kept while the page is loaded again: of this tab alone. Undefined where pages may keep nothing. */
export const storage = (() => {
  try {
    return sessionStorage;
  } catch {
    return undefined;
  }
})();

/**
 * The room that an earlier page of this tab was in, if `fits` says that it is the one to be in now; others are left.
 * Tells what has become of it.
 */
export async function earlier(parlor, fits) {
  const all = parlor.rooms;
  const room = all.find(fits);
  await Promise.all(all.filter((one) => one !== room).map((one) => one.leave()));
  if (room) say("back", "Back: fresh view");
  else if (all.length === 0 && storage?.getItem("seat")) say("gone", "Your seat was given up: you are new here");
  return room;
}

/** Remembers that there is a seat to come back to, so that its loss can be told; any other end is no loss. */
export function seated(room) {
  remember(room.id);
  room.onClosed(({ code }) => code !== "connection_closed" && remember(null));
}

function remember(seat) {
  try {
    if (seat === null) storage?.removeItem("seat");
    else storage?.setItem("seat", seat);
  } catch {
    // A storage that is full: then the loss of the seat is not told.
  }
}

// --- the line --------------------------------------------------------------------------------------------------------

let timer;

function countDown(until) {
  clearTimeout(timer);
  const left = until - performance.now();
  say("lost", left > 0 ? `Connection lost – trying again in ${(left / 1000).toFixed(1)} s` : "Connection lost – trying again…");
  if (left > 0) timer = setTimeout(() => countDown(until), Math.min(100, left));
}

/** One line of one sort: `lost` stays, others go away by themselves. Without a sort, nothing. */
function say(sort, text) {
  const line = document.getElementById("link");
  clearTimeout(timer);
  line.hidden = sort === null;
  line.dataset.sort = sort;
  line.textContent = text;
  if (sort !== "lost") timer = setTimeout(() => (line.hidden = true), SHOWN_MS);
}

function set(up) {
  link.up = up;
  document.body.classList.toggle("adrift", !up);
}

function messages(count) {
  return count === 1 ? "1 message" : `${count} messages`;
}
