// The page's own logic: joins a room, keeps what the server says, and shows who is here. Drawing is in draw.js, steering in
// input.js. Nothing here decides anything about the game: the server does.

import { connect } from "/parlor.js";
import { draw } from "/draw.js";
import { input } from "/input.js";
import { earlier, link, seated, showLink, storage } from "/link.js";

/** Discs are drawn this much behind the newest frame, so that there is nearly always a later place to move to. */
const BEHIND_MS = 100;
/** Messages older than this come from before the connection was back: they count, and are not worth a firework. */
const OLD_MS = 500;
/** Lines in the list of who is here. */
const SHOWN = innerWidth < 640 ? 5 : 12;

/** Told apart at a glance, as long as there are no more players than these. */
const HUES = [212, 330, 150, 28, 268, 185, 2, 95, 300, 52, 238, 168];

const query = new URLSearchParams(location.search);
const byId = (id) => document.getElementById(id);

/** Everything known; also what tests look at. */
const arena = {
  me: 0,
  room: null,
  parlor: null,
  players: new Map(),
  orbs: [],
  size: { x: 0, y: 0 },
  map: "dust",
  winner: null,
  steer: { x: 0, y: 0 },
  effects: [],
  /** Server time minus the page's, by the frame that was fastest on its way. */
  offset: null,
  /** Whether what was missed is still coming in. */
  late: false,
  renderTime: () => performance.now() + (arena.offset ?? 0) - BEHIND_MS,
};
window.arena = arena;

// --- joining ---------------------------------------------------------------------------------------------------------

const name = query.get("name") ?? (query.has("watch") ? "" : localStorage.getItem("arena-name"));
if (name !== null) start(name);
else ask();

function ask() {
  const form = byId("enter");
  const more = new URLSearchParams(query);
  more.set("watch", "");
  byId("watch").href = `?${more}`;
  form.hidden = false;
  form.elements.name.focus();
  form.onsubmit = (event) => {
    event.preventDefault();
    form.hidden = true;
    localStorage.setItem("arena-name", form.elements.name.value.trim());
    start(form.elements.name.value.trim());
  };
}

async function start(name) {
  try {
    const parlor = await connect(`${location.protocol}//${location.host}`, { name, storage });
    arena.parlor = parlor;
    parlor.lifecycle.on("ping", showPing);
    parlor.lifecycle.on("disconnected", offline);
    parlor.lifecycle.on("error", (error) => toast(error.text));
    enter((await earlier(parlor, wanted)) ?? (await join(parlor)));
  } catch (error) {
    console.warn(error);
    gone(error.code, error.text);
  }
}

/** Whether the address asks for this room, in which the page was before it was loaded again. */
function wanted({ id, role, view }) {
  const [room, map] = [query.get("room"), query.get("map")];
  return (!room || room === id) && (!map || room || map === view.map) && query.has("watch") === (role === "spectator");
}

function join(parlor) {
  const options = { map: query.get("map") ?? "dust" };
  const how = { role: query.has("watch") ? "spectator" : "player" };
  const id = query.get("room");
  return id ? parlor.joinById(id, options, how) : parlor.joinOrCreate("arena", options, how);
}

/** Registers everything before the first wait, so that nothing is missed. */
function enter(room) {
  arena.room = room;
  arena.me = room.role === "player" ? room.player : 0;
  listen(room);
  seated(room);
  showLink(arena.parlor, room, over);
  show(room.view);
  showRoom(room, room.view.goal);
  draw(arena, byId("scene"));
  if (arena.me) input(arena, { steer, dash });
  showPing({ rtt: arena.parlor.rtt });
}

/** The whole world, at first and whenever too much was missed: nothing of what was known before holds. */
function show(view) {
  arena.size = { x: view.width, y: view.height };
  arena.map = view.map;
  arena.winner = view.winner;
  arena.effects = [];
  arena.orbs = view.orbs.map((orb) => ({ ...orb.at, worth: orb.worth, since: 0 }));
  arena.players.clear();
  for (const disc of view.discs) add(disc);
  showWinner();
  showHere();
}

// --- what the server says --------------------------------------------------------------------------------------------

function listen(room) {
  // What happens is shown when the discs are drawn where it happened.
  const soon = () => performance.now() + BEHIND_MS;
  const say = (type, more) => arena.late || arena.effects.push({ type, since: soon(), ...more });
  room.onView(show);
  arena.parlor.lifecycle.on("resumed", again);
  room.on("frame", moved);
  room.on("joined", ({ disc }) => add(disc));
  room.on("left", ({ id, lost }) => {
    const player = arena.players.get(id);
    arena.players.delete(id);
    if (player) toast(lost ? `${player.name} did not come back` : `${player.name} left`);
    showHere();
  });
  room.on("away", ({ id, away }) => {
    const player = arena.players.get(id);
    if (!player) return;
    player.away = away;
    if (id !== arena.me) toast(`${player.name} ${away ? "lost the connection" : "is back"}`);
    showHere();
  });
  room.on("eaten", ({ by, orb, next }) => {
    const { x, y, worth, since } = arena.orbs[orb];
    say("eaten", { x, y, worth, by });
    arena.orbs[orb] = { ...next.at, worth: next.worth, since: soon(), before: { x, y, worth, since } };
  });
  room.on("scored", ({ id, score, radius }) => {
    const player = arena.players.get(id);
    if (player) Object.assign(player, { score, radius });
    showHere();
  });
  room.on("dashed", ({ id }) => {
    const player = arena.players.get(id);
    if (player && !arena.late) player.dashed = soon();
  });
  room.on("robbed", ({ by, whom }) => {
    say("robbed", { by, whom });
    if (whom === arena.me) toast(`${arena.players.get(by)?.name} took some of your points`);
  });
  room.on("won", ({ id, wins }) => {
    const player = arena.players.get(id);
    if (player) player.wins = wins;
    arena.winner = id;
    showHere();
    showWinner();
  });
  room.on("next_round", () => {
    arena.winner = null;
    showWinner();
  });
  room.onRefused((error) => toast(error.text));
  room.onClosed(({ code }) => gone(code));
}

function add({ id, name, at, score, radius, wins, away }) {
  const hue = HUES[id % HUES.length];
  arena.players.set(id, { id, name, score, radius, wins, away, hue, ...at, track: [], dashed: -1e9 });
  showHere();
}

/** A frame: places in tenths. Kept as a short track to draw between. */
function moved({ now, discs }) {
  arena.late = arena.offset !== null && arena.parlor.serverNow() - now > OLD_MS;
  const offset = now - performance.now();
  // A late frame says that it was late, not that the clock changed: followed slowly, and not at all after a cut.
  const gain = arena.offset === null ? 1 : arena.late ? 0 : offset > arena.offset ? 0.3 : 0.02;
  arena.offset = (arena.offset ?? 0) + (offset - (arena.offset ?? 0)) * gain;
  for (const [id, x, y] of discs) {
    const player = arena.players.get(id);
    if (!player) continue;
    player.x = x / 10;
    player.y = y / 10;
    player.track.push({ at: now, x: player.x, y: player.y });
    if (player.track.length > 20) player.track.shift();
  }
}

// --- what the player says --------------------------------------------------------------------------------------------

function steer(x, y) {
  // Only the newest counts: without a connection it waits here, and not in a queue behind all those before it.
  if (!link.up || tell("steer", { x, y })) arena.steer = { x, y };
}

/** The disc has been standing still meanwhile; it goes on as its player steers by now. */
function again() {
  if (arena.me) tell("steer", arena.steer);
}

/** Whether it is said. When too much waits for a connection that takes nothing, it is not, and is tried anew. */
function tell(type, payload) {
  try {
    arena.room.send(type, payload);
    return true;
  } catch (error) {
    if (error.code !== "buffer_full" && error.code !== "room_closed") throw error;
    return false;
  }
}

async function dash() {
  if (arena.room.closed) return;
  // Too late is no use either.
  if (!link.up) return toast("No connection: no dash");
  try {
    const { ready_in_ms } = await arena.room.request("dash");
    cooling(ready_in_ms, ready_in_ms);
  } catch (error) {
    if (error.code === "app.cooling") cooling(error.params.ready_in_ms, 2500);
    else if (error.code === "app.no_direction") toast("Steer first, then dash");
    else if (!arena.room.closed) toast(error.text);
  }
}

let cool = 0;
function cooling(left, all) {
  const button = byId("dash");
  const until = performance.now() + left;
  cancelAnimationFrame(cool);
  const step = () => {
    const ready = Math.min(1, 1 - (until - performance.now()) / all);
    button.style.setProperty("--ready", ready.toFixed(3));
    button.classList.toggle("cooling", ready < 1);
    if (ready < 1) cool = requestAnimationFrame(step);
  };
  step();
}

// --- around the canvas -----------------------------------------------------------------------------------------------

function showRoom(room, goal) {
  byId("room").hidden = false;
  byId("room").querySelector("b").textContent = room.id;
  byId("goal").textContent = `first to ${goal}`;
  byId("here").hidden = false;
  byId("dash").hidden = !arena.me;
  byId("hint").hidden = false;
  const touch = matchMedia("(pointer: coarse)").matches;
  const keys = touch ? "Put a thumb on the arena to steer" : "WASD, arrows or mouse to steer · Space to dash";
  byId("hint").textContent = arena.me ? keys : "You are watching";
  if (arena.me) setTimeout(() => (byId("hint").hidden = true), 9000);
  byId("share").hidden = false;
  byId("share").onclick = () => share(`${location.origin}/?room=${encodeURIComponent(room.id)}`);
}

async function share(link) {
  try {
    await navigator.clipboard.writeText(link);
    toast("Link copied: whoever opens it comes to this room");
  } catch {
    // Only secure pages may write there.
    prompt("Whoever opens this link comes to this room:", link);
  }
}

function showPing({ rtt }) {
  const chip = byId("ping");
  chip.classList.toggle("slow", rtt > 120);
  chip.classList.remove("lost");
  chip.lastElementChild.textContent = `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)} ms`;
}

function offline() {
  byId("ping").classList.add("lost");
  byId("ping").lastElementChild.textContent = "offline";
}

let due = false;
/** At most once per picture, however much happens. */
function showHere() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    const all = [...arena.players.values()].sort((a, b) => b.score - a.score || a.id - b.id);
    const shown = all.slice(0, SHOWN);
    const mine = arena.players.get(arena.me);
    if (mine && !shown.includes(mine)) shown.splice(-1, 1, mine);
    byId("count").textContent = `${all.length} here`;
    byId("here").querySelector("ol").replaceChildren(...shown.map(row));
    byId("more").hidden = shown.length === all.length;
    byId("more").textContent = `and ${all.length - shown.length} more`;
  });
}

function row(player) {
  const line = document.createElement("li");
  line.classList.toggle("me", player.id === arena.me);
  line.classList.toggle("away", player.away);
  line.dataset.player = player.id;
  const part = (tag, kind, text) => {
    const element = line.appendChild(document.createElement(tag));
    element.className = kind;
    element.textContent = text;
    return element;
  };
  part("i", "dot", "").style.setProperty("--dot", `hsl(${player.hue} 85% 64%)`);
  part("span", "name", player.name);
  if (player.away) part("small", "muted", "away");
  if (player.wins) part("span", "wins", `★${player.wins > 1 ? player.wins : ""}`).title = "rounds won";
  part("span", "score", player.score);
  return line;
}

function showWinner() {
  const winner = arena.players.get(arena.winner);
  const text = arena.winner === arena.me ? "You win this round!" : `${winner?.name ?? "Somebody"} wins this round!`;
  byId("banner").hidden = arena.winner === null;
  byId("banner").textContent = text;
}

let fading = 0;
function toast(text) {
  byId("toast").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => (byId("toast").hidden = true), 2600);
}

const ENDS = {
  not_connected: "There is no connection to the server.",
  shutting_down: "The server is shutting down – reload to rejoin.",
  closed: "This room was closed.",
  room_closed: "This room was closed.",
  room_failed: "Something broke in this room. Sorry!",
  unknown_room: "There is no such room any more.",
  room_full: "This room is full.",
};
/** What link.js tells. */
const TOLD = ["connection_closed", "lost", "expired"];

/** Why there is no room, or none any more. */
function gone(code, text) {
  if (TOLD.includes(code)) return;
  const elsewhere = ["unknown_room", "room_full", "closed", "room_closed"].includes(code);
  if (elsewhere) over(ENDS[code], "Play in another room", () => location.assign("/"));
  else over(ENDS[code] ?? text ?? code, "Reload");
}

/** The end, told once: the first reason is the real one. */
function over(text, way, how = () => location.reload()) {
  const notice = byId("notice");
  offline();
  if (!notice.hidden) return;
  notice.hidden = false;
  notice.querySelector("p").textContent = text;
  notice.querySelector("button").textContent = way;
  notice.querySelector("button").onclick = how;
}
