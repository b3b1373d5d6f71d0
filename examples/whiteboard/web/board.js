// The page of the whiteboard: what the pages say to each other, and the tools.
//
// `set` keeps the parts of finished strokes, under "player/stroke/part"; `draw` shows a stroke while it is drawn, and `cursor`
// a pointer that only moves. The last two are not kept, and are said at most 20 times a second.

import { bytesOf, clamp, COLOURS, MAX_POINTS, pack, simplify, Strokes, unpack, WIDTHS } from "./strokes.js";
import { Camera, listen } from "./pen.js";
import { Screen } from "./screen.js";
import { chip, enter, fatal, inviteBy, link, toast } from "/page.js";

const SAY_EVERY_MS = 50;
/** A newcomer is sent the whole board in one frame, and the broker lets no more than 256 KiB wait for a connection. */
const BOARD_BYTES = 200 << 10;
/** Messages of one member that the broker lets wait are 256; clearing a board must leave some for the pen. */
const CLEAR_AT_ONCE = 100;

const at = (id) => document.getElementById(id);
const strokes = new Strokes();
const camera = new Camera();
const members = new Map();
/** What others do right now, by player: their stroke, and where their pointer is. */
const live = new Map();
const cursors = new Map();
const screen = new Screen(at("paper"), camera, { strokes, live, cursors, nameOf, hueOf });

const tool = { colour: 0, width: WIDTHS[1] };
/** My finished strokes, as lists of keys: what undo takes back. */
const mine = [];
/** Parts by message number that the room has not told of yet: it may refuse them, and a view may be older than they are. */
const sent = new Map();
/** What I took back: the room may still be about to tell of it. */
const undone = new Set();
let parlor, room, current = null, strokeNo = 0;

/** Where tests look. */
window.board = {
  get room() { return room?.id; },
  get me() { return room?.player; },
  get strokes() { return strokes.sorted(); },
  get cursors() { return [...cursors.keys()]; },
  get live() { return [...live.keys()]; },
  get parlor() { return parlor; },
  get members() { return [...members.values()]; },
  camera,
};

start().catch((error) => fatal(error.text || error.message));

async function start() {
  buildTools();
  ({ parlor, room } = await enter("whiteboard"));
  room.on("set", ({ key, value }) => kept(key, value));
  room.on("draw", ({ from, data }) => from !== room.player && drawn(from, data));
  room.on("cursor", ({ from, data }) => from !== room.player && pointed(from, data));
  room.on("joined", ({ player, name }) => members.set(player, name) && showMembers());
  room.on("left", ({ player }) => gone(player));
  room.onRefused(refused);
  room.onView(show);
  show(room.view, { handled: 0 });
  remember();
  listen(at("paper"), camera, { begin, extend, end, cancel, hover, moved: () => screen.redraw() });
}

/** The whole board, at first and whenever too much was missed. What I have drawn since the view lies on it. */
function show({ members: here, values }, { handled }) {
  screen.redraw();
  members.clear();
  live.clear();
  cursors.clear();
  for (const [player, name] of Object.entries(here)) members.set(Number(player), name);
  for (const key of strokes.keys()) strokes.remove(key);
  for (const [key, value] of Object.entries(values)) lay(key, value);
  for (const [no, { key, part }] of sent) {
    if (no <= handled) sent.delete(no);
    else if (!undone.has(key)) strokes.put(key, part);
  }
  showMembers();
  showTools();
}

/** After the page was loaded again: my strokes are still mine to take back, and new ones are numbered after them. */
function remember() {
  const byNumber = new Map();
  for (const { key } of strokes.sorted()) {
    const [player, n] = key.split("/").map(Number);
    if (player === room.player) byNumber.set(n, [...(byNumber.get(n) ?? []), key]);
  }
  const numbers = [...byNumber.keys()].sort((a, b) => a - b);
  mine.push(...numbers.map((n) => byNumber.get(n)));
  strokeNo = numbers.at(-1) ?? 0;
  showTools();
}

// What the others do.

function kept(key, value) {
  lay(key, value);
  showTools();
}

function lay(key, value) {
  for (const [no, part] of sent) if (part.key === key) sent.delete(no);
  if (value === null) {
    if (strokes.remove(key)) screen.redraw();
    return;
  }
  const part = unpack(value);
  if (part === null || undone.has(key)) return;
  const known = strokes.has(key);
  const anew = strokes.put(key, part);
  // My own stroke is on the paper already.
  if (!known) anew ? screen.redraw() : screen.add(part);
  const [player, stroke] = key.split("/").map(Number);
  const theirs = live.get(player);
  if (theirs?.n === stroke) theirs.points = part.points.slice(-1);
}

function drawn(player, data) {
  const part = unpack({ ...data, at: 0 });
  if (part === null) return;
  const known = live.get(player);
  if (known !== undefined && known.n === data.n) known.points.push(...part.points);
  else live.set(player, { ...part, n: data.n });
  const stroke = live.get(player);
  // Its beginning is kept as a part by then, or somebody does not play by the rules.
  if (stroke.points.length > 2 * MAX_POINTS) stroke.points.splice(0, MAX_POINTS);
  cursors.set(player, stroke.points.at(-1));
  screen.refresh();
}

function pointed(player, data) {
  live.delete(player);
  if (Number.isFinite(data?.x) && Number.isFinite(data?.y)) cursors.set(player, { x: clamp(data.x), y: clamp(data.y) });
  else cursors.delete(player);
  screen.refresh();
}

function gone(player) {
  members.delete(player);
  live.delete(player);
  cursors.delete(player);
  showMembers();
  screen.refresh();
}

// What I do.

function begin(point) {
  if (strokes.bytes > BOARD_BYTES) return toast("The board is full. Clear it, or take something back.");
  strokeNo += 1;
  current = { n: strokeNo, at: Math.round(parlor.serverNow()), ...tool, points: [point], keys: [], untold: 0 };
  screen.mine = current;
  screen.refresh();
}

function extend(points) {
  if (current === null) return;
  for (const point of points) {
    const last = current.points.at(-1);
    if (last.x === point.x && last.y === point.y) continue;
    current.points.push(point);
    if (current.points.length >= MAX_POINTS) keepPart();
  }
  say.soon();
  screen.refresh();
}

/** `rest` is where the pointer is now: a mouse stays, a finger is gone. */
function end(rest) {
  if (current === null) return;
  keepPart();
  mine.push(current.keys);
  current = screen.mine = null;
  hover(rest);
  showTools();
}

/** Two fingers mean to move the board: what the first has drawn by then was not meant. */
function cancel() {
  if (current === null) return;
  const { keys } = current;
  current = screen.mine = null;
  takeBack(keys);
  hover(null);
  screen.refresh();
}

/** Has the room keep what is drawn so far, and goes on from its last point. */
function keepPart() {
  const points = simplify(current.points, 0.35 / camera.scale);
  const value = pack({ ...current, points });
  const key = `${room.player}/${current.n}/${current.keys.length}`;
  // The local copy makes undo work before the room has answered.
  const part = { ...current, points, bytes: bytesOf(value) };
  strokes.put(key, part);
  screen.add(current);
  current.points = current.points.slice(-1);
  current.untold = 0;
  if (write(() => sent.set(room.send("set", { key, value }), { key, part }))) return current.keys.push(key);
  strokes.remove(key);
  screen.redraw();
  toast("Too much waits for the connection: a stroke was lost.");
}

function undo() {
  const keys = mine.pop();
  if (keys !== undefined) takeBack(keys);
}

function takeBack(keys) {
  for (const key of keys) {
    undone.add(key);
    strokes.remove(key);
    write(() => room.send("set", { key, value: null }));
  }
  screen.redraw();
  showTools();
}

async function clear() {
  // What the others have drawn by the time that this arrives is not meant.
  if (!link.up) return toast("There is no connection: wait a moment.");
  mine.length = 0;
  const keys = strokes.keys();
  try {
    for (let i = 0; i < keys.length; i += CLEAR_AT_ONCE) {
      const some = keys.slice(i, i + CLEAR_AT_ONCE);
      await Promise.all(some.map((key) => room.request("set", { key, value: null })));
    }
  } catch (error) {
    toast(error.text);
  }
}

let pointer = null;

function hover(point) {
  pointer = point;
  if (current === null) say.soon();
}

/** At most one of these is on its way every 50 ms: the newest, with everything since the last. */
const say = {
  timer: null,
  last: 0,
  soon() {
    if (this.timer !== null) return;
    const wait = Math.max(0, this.last + SAY_EVERY_MS - performance.now());
    this.timer = setTimeout(() => this.now(), wait);
  },
  now() {
    this.timer = null;
    this.last = performance.now();
    // Where a pen was is worth nothing later; finished strokes wait for the connection.
    if (!link.up) return;
    if (current === null) return write(() => room.send("cursor", pointer));
    const points = current.points.slice(current.untold);
    if (points.length === 0) return;
    const { p, c, w } = pack({ ...current, points });
    current.untold = current.points.length;
    write(() => room.send("draw", { n: current.n, c, w, p }));
  },
};

/** Whether it was written, or waits to be: not when there is too much, or the room has ended. */
function write(send) {
  try {
    send();
    return true;
  } catch {
    return false;
  }
}

function refused(error) {
  const key = sent.get(error.no)?.key;
  if (key === undefined) return;
  sent.delete(error.no);
  if (strokes.remove(key)) screen.redraw();
  toast(error.code === "bad_payload" ? "The board is full." : "That was too fast: a stroke was lost.");
}

// The page.

function nameOf(player) {
  return members.get(player) ?? "";
}

/** Far apart for neighbours in number. */
function hueOf(player) {
  return `hsl(${(player * 137) % 360} 75% 62%)`;
}

function showMembers() {
  const all = [...members].sort(([a], [b]) => a - b);
  at("here").replaceChildren(...all.map(([player, name]) => chip(name, hueOf(player), player === room.player)));
}

function buildTools() {
  COLOURS.forEach((colour, i) => at("colours").append(choice(`Colour ${i + 1}`, "swatch", () => (tool.colour = i))));
  WIDTHS.forEach((width, i) =>
    at("widths").append(choice(`Width ${width}`, "width", () => (tool.width = width), `${[5, 10, 18][i]}px`)),
  );
  [...at("colours").children].forEach((button, i) => button.style.setProperty("--ink", COLOURS[i]));
  at("undo").onclick = undo;
  at("fit").onclick = () => {
    camera.fit(strokes.sorted().flatMap((stroke) => stroke.points));
    screen.redraw();
  };
  addEventListener("keydown", (event) => {
    if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
  });
  inviteBy(at("invite"));
  askTwice(at("clear"), clear);
  showTools();
}

function choice(label, className, pick, size) {
  const button = document.createElement("button");
  button.className = className;
  button.ariaLabel = label;
  if (size) button.style.setProperty("--size", size);
  button.onclick = () => {
    pick();
    showTools();
  };
  return button;
}

/** What cannot be taken back wants a second press. */
function askTwice(button, act) {
  const label = button.textContent;
  let timer = null;
  const calm = () => {
    clearTimeout(timer);
    timer = null;
    button.textContent = label;
  };
  button.onclick = () => {
    if (timer === null) {
      button.textContent = "Sure?";
      timer = setTimeout(calm, 2500);
      return;
    }
    calm();
    act();
  };
}

function showTools() {
  [...at("colours").children].forEach((button, i) => (button.ariaPressed = String(i === tool.colour)));
  [...at("widths").children].forEach((button, i) => (button.ariaPressed = String(WIDTHS[i] === tool.width)));
  at("widths").style.setProperty("--ink", COLOURS[tool.colour]);
  while (mine.length > 0 && !mine.at(-1).some((key) => strokes.has(key))) mine.pop();
  at("undo").disabled = mine.length === 0;
  at("hint").hidden = strokes.size > 0;
}
