// Strokes: how they travel, how they are kept in order, how they are drawn. Knows neither the network nor the page.
//
// A part of a stroke on the wire is {at, c, w, p}: when it began (the broker's clock, which orders what lies over what), the
// number of its colour, its width, and its points as whole numbers: the first as it is, each other as the way from the last.

export const COLOURS = ["#1d2140", "#e5484d", "#f08c00", "#2f9e44", "#1971c2", "#7048e8", "#d6336c", "#868e96"];
export const WIDTHS = [4, 10, 24];

/** Points of one part: even with the longest encoding of each number a part stays below the broker's 16 KiB for a frame. */
export const MAX_POINTS = 1400;
/** How far a board reaches from its middle. */
const EDGE = 30_000;

export function clamp(value) {
  return Math.max(-EDGE, Math.min(EDGE, Math.round(value)));
}

export function pack({ at, colour, width, points }) {
  const p = [];
  let [x, y] = [0, 0];
  for (const point of points) {
    p.push(point.x - x, point.y - y);
    ({ x, y } = point);
  }
  return { at, c: colour, w: width, p };
}

/** Null for what no page of ours has sent: a relay passes on anything. */
export function unpack(value) {
  const { at, c, w, p } = value ?? {};
  const fits = Number.isFinite(at) && COLOURS[c] !== undefined && WIDTHS.includes(w) && Array.isArray(p);
  if (!fits || p.length < 2 || p.length > 2 * MAX_POINTS || !p.every(Number.isInteger)) return null;
  const points = [];
  let [x, y] = [0, 0];
  for (let i = 0; i + 1 < p.length; i += 2) {
    x = clamp(x + p[i]);
    y = clamp(y + p[i + 1]);
    points.push({ x, y });
  }
  return { at, colour: c, width: w, points, bytes: bytesOf(value) };
}

/** About what a part takes in the broker's memory, and in what a newcomer is sent. */
export function bytesOf({ p }) {
  const size = (n) => (n >= -32 && n < 128 ? 1 : n >= -128 && n < 256 ? 2 : n >= -32768 && n < 65536 ? 3 : 5);
  return p.reduce((sum, n) => sum + size(n), 48);
}

/** Leaves out points that lie nearly on the line between others (Ramer, Douglas and Peucker). */
export function simplify(points, tolerance) {
  if (points.length < 3) return points;
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  const open = [[0, points.length - 1]];
  while (open.length > 0) {
    const [from, to] = open.pop();
    let [farthest, distance] = [0, tolerance];
    for (let i = from + 1; i < to; i++) {
      const d = distanceToLine(points[i], points[from], points[to]);
      if (d > distance) [farthest, distance] = [i, d];
    }
    if (farthest === 0) continue;
    keep[farthest] = 1;
    open.push([from, farthest], [farthest, to]);
  }
  return points.filter((_, i) => keep[i]);
}

function distanceToLine(point, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((point.x - a.x) * dx + (point.y - a.y) * dy) / length;
  const t = Math.max(0, Math.min(1, along));
  return Math.hypot(point.x - a.x - t * dx, point.y - a.y - t * dy);
}

/** What lies on the board, by key, in the order in which it was begun: the same order on every page. */
export class Strokes {
  #byKey = new Map();
  #sorted = null;
  bytes = 0;

  get size() {
    return this.#byKey.size;
  }

  has(key) {
    return this.#byKey.has(key);
  }

  keys() {
    return [...this.#byKey.keys()];
  }

  /** Whether everything must be drawn anew: the part lies below another one, or replaces one. */
  put(key, part) {
    const known = this.remove(key);
    const last = this.sorted().at(-1);
    this.#byKey.set(key, { ...part, key });
    this.bytes += part.bytes;
    this.#sorted = null;
    return known || (last !== undefined && order(last, { ...part, key }) > 0);
  }

  remove(key) {
    const part = this.#byKey.get(key);
    if (part === undefined) return false;
    this.#byKey.delete(key);
    this.bytes -= part.bytes;
    this.#sorted = null;
    return true;
  }

  sorted() {
    return (this.#sorted ??= [...this.#byKey.values()].sort(order));
  }
}

function order(a, b) {
  return a.at - b.at || (a.key < b.key ? -1 : 1);
}

/** Draws a line through the points, rounded at the corners. The context is in board units. */
export function draw(context, { colour, width, points }) {
  const [first] = points;
  context.strokeStyle = context.fillStyle = COLOURS[colour];
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  if (points.length === 1) {
    context.arc(first.x, first.y, width / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.moveTo(first.x, first.y);
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b] = [points[i], points[i + 1]];
    context.quadraticCurveTo(a.x, a.y, (a.x + b.x) / 2, (a.y + b.y) / 2);
  }
  const last = points.at(-1);
  context.lineTo(last.x, last.y);
  context.stroke();
}
