// The page's own logic: joins a room, keeps what the server says, and shows who is here. Drawing is in draw.js, steering in
// input.js. Nothing here decides anything about the game: the server does.

import { connect } from "/parlor.js";
import { draw } from "/draw.js";
import { input } from "/input.js";

/** Discs are drawn this much behind the newest frame, so that there is nearly always a later place to move to. */
const BEHIND_MS = 100;
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
    arena.parlor = await connect(`${location.protocol}//${location.host}`, { name });
    arena.parlor.lifecycle.on("ping", showPing);
    arena.parlor.lifecycle.on("closed", () => gone("connection_closed"));
    arena.parlor.lifecycle.on("error", (error) => toast(error.text));
    const room = await join(arena.parlor);
    enter(room);
  } catch (error) {
    console.warn(error);
    gone(error.code, error.text);
  }
}

function join(parlor) {
  const options = { map: query.get("map") ?? "dust" };
  const how = { role: query.has("watch") ? "spectator" : "player" };
  const id = query.get("room");
  return id ? parlor.joinById(id, options, how) : parlor.joinOrCreate("arena", options, how);
}

/** Registers everything before the first wait, so that nothing is missed. */
function enter(room) {
  const { view } = room;
  arena.room = room;
  arena.me = room.role === "player" ? room.player : 0;
  arena.size = { x: view.width, y: view.height };
  arena.map = view.map;
  arena.winner = view.winner;
  arena.orbs = view.orbs.map((orb) => ({ ...orb.at, worth: orb.worth, since: 0 }));
  for (const disc of view.discs) add(disc);
  listen(room);
  showRoom(room, view.goal);
  draw(arena, byId("scene"));
  if (arena.me) input(arena, { steer, dash });
  showPing({ rtt: arena.parlor.rtt });
  showHere();
}

// --- what the server says --------------------------------------------------------------------------------------------

function listen(room) {
  // What happens is shown when the discs are drawn where it happened.
  const soon = () => performance.now() + BEHIND_MS;
  const say = (type, more) => arena.effects.push({ type, since: soon(), ...more });
  room.on("frame", moved);
  room.on("joined", ({ disc }) => add(disc));
  room.on("left", ({ id, lost }) => {
    const player = arena.players.get(id);
    arena.players.delete(id);
    if (player) toast(lost ? `${player.name} lost the connection` : `${player.name} left`);
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
    if (player) player.dashed = soon();
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

function add({ id, name, at, score, radius, wins }) {
  const hue = HUES[id % HUES.length];
  arena.players.set(id, { id, name, score, radius, wins, hue, ...at, track: [], dashed: -1e9 });
  showHere();
}

/** A frame: places in tenths. Kept as a short track to draw between. */
function moved({ now, discs }) {
  const offset = now - performance.now();
  // A late frame says that it was late, not that the clock changed: followed slowly.
  const gain = arena.offset === null ? 1 : offset > arena.offset ? 0.3 : 0.02;
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
  arena.steer = { x, y };
  if (!arena.room.closed) arena.room.send("steer", { x, y });
}

async function dash() {
  if (arena.room.closed) return;
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
  showWinner();
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
  chip.lastElementChild.textContent = `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)} ms`;
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
  line.className = player.id === arena.me ? "me" : "";
  line.dataset.player = player.id;
  const part = (tag, kind, text) => {
    const element = line.appendChild(document.createElement(tag));
    element.className = kind;
    element.textContent = text;
    return element;
  };
  part("i", "dot", "").style.setProperty("--dot", `hsl(${player.hue} 85% 64%)`);
  part("span", "name", player.name);
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
  connection_closed: "Disconnected – reload to rejoin.",
  shutting_down: "The server is shutting down – reload to rejoin.",
  closed: "This room was closed.",
  room_closed: "This room was closed.",
  room_failed: "Something broke in this room. Sorry!",
  unknown_room: "There is no such room any more.",
  room_full: "This room is full.",
};

/** The end, told once: the first reason is the real one. */
function gone(code, text) {
  const notice = byId("notice");
  byId("ping").classList.add("lost");
  byId("ping").lastElementChild.textContent = "offline";
  if (!notice.hidden) return;
  notice.hidden = false;
  notice.querySelector("p").textContent = ENDS[code] ?? text ?? code;
  const elsewhere = ["unknown_room", "room_full", "closed", "room_closed"].includes(code);
  notice.querySelector("button").textContent = elsewhere ? "Play in another room" : "Reload";
  notice.querySelector("button").onclick = () => (elsewhere ? location.assign("/") : location.reload());
}
