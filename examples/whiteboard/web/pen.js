// From fingers, pens and mice to lines on the board, and which piece of the board is seen. Knows nothing of the network.
//
// One finger draws, two move and zoom. A mouse draws with its main button, moves with the others, and zooms with its wheel.

import { clamp } from "./strokes.js";

/** Board units of which the shorter side of a screen shows this many at first: phones and desks see the same middle. */
const SHOWN = 1000;
const ZOOM = { min: 0.05, max: 8 };

/** Which piece of the board is on the screen. */
export class Camera {
  scale = 1;
  x = 0;
  y = 0;
  width = 1;
  height = 1;
  #placed = false;

  /** The window has this size now; the middle of the picture stays. */
  resize(width, height) {
    Object.assign(this, { width, height });
    if (!this.#placed && width > 0) this.home();
  }

  home() {
    this.scale = Math.min(this.width, this.height) / SHOWN;
    [this.x, this.y] = [0, 0];
    this.#placed = true;
  }

  /** Shows all of these points. */
  fit(points) {
    if (points.length === 0) return this.home();
    const xs = points.map((point) => point.x);
    const ys = points.map((point) => point.y);
    const range = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
    const [[left, right], [top, bottom]] = [range(xs), range(ys)];
    const margin = 120;
    const scale = Math.min(this.width / (right - left + margin), this.height / (bottom - top + 2 * margin));
    this.scale = Math.max(ZOOM.min, Math.min(1, scale));
    [this.x, this.y] = [(left + right) / 2, (top + bottom) / 2];
  }

  toBoard(x, y) {
    return { x: (x - this.width / 2) / this.scale + this.x, y: (y - this.height / 2) / this.scale + this.y };
  }

  toScreen(x, y) {
    return { x: (x - this.x) * this.scale + this.width / 2, y: (y - this.y) * this.scale + this.height / 2 };
  }

  /** Puts a context into board units. */
  apply(context, ratio) {
    const s = this.scale * ratio;
    const [dx, dy] = [(this.width / 2) * ratio - this.x * s, (this.height / 2) * ratio - this.y * s];
    context.setTransform(s, 0, 0, s, dx, dy);
  }

  /** Moves so that the piece of board that was at `from` is at `to`, `factor` times as large. */
  drag(from, to, factor) {
    const held = this.toBoard(from.x, from.y);
    this.scale = Math.max(ZOOM.min, Math.min(ZOOM.max, this.scale * factor));
    const now = this.toBoard(to.x, to.y);
    this.x = clamp(this.x + held.x - now.x);
    this.y = clamp(this.y + held.y - now.y);
  }
}

/**
 * Listens on an element. `on` is told of `begin(point)`, `extend(points)`, `end(point | null)`, `cancel()` and `hover(point | null)` in
 * board units, and of `moved()` when the camera has.
 */
export function listen(element, camera, on) {
  const pointers = new Map();
  let drawing = null;
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const toBoard = (event) => {
    const { x, y } = place(event);
    const point = camera.toBoard(x, y);
    return { x: clamp(point.x), y: clamp(point.y) };
  };

  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size > 1) {
      // The first of two fingers has drawn a little already.
      if (drawing !== null) on.cancel();
      drawing = null;
    } else if (event.button === 0) {
      drawing = event.pointerId;
      on.begin(toBoard(event));
    }
  });

  element.addEventListener("pointermove", (event) => {
    if (event.pointerId === drawing) {
      const all = event.getCoalescedEvents?.() ?? [];
      on.extend((all.length > 0 ? all : [event]).map(toBoard));
    } else if (pointers.has(event.pointerId)) {
      pull(pointers, event.pointerId, place(event), camera);
      on.moved();
    } else if (event.pointerType !== "touch") {
      on.hover(toBoard(event));
    }
  });

  for (const type of ["pointerup", "pointercancel"]) {
    element.addEventListener(type, (event) => {
      pointers.delete(event.pointerId);
      if (event.pointerId !== drawing) return;
      drawing = null;
      if (type === "pointerup") on.end(event.pointerType === "touch" ? null : toBoard(event));
      else on.cancel();
    });
  }
  element.addEventListener("pointerleave", () => on.hover(null));
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      camera.drag(place(event), place(event), Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)));
      on.moved();
    },
    { passive: false },
  );
}

/** One of the held pointers has moved: one alone moves the picture, two hold it like a sheet of paper. */
function pull(pointers, id, to, camera) {
  const from = pointers.get(id);
  pointers.set(id, to);
  const other = [...pointers].find(([key]) => key !== id)?.[1];
  if (other === undefined) return camera.drag(from, to, 1);
  const middle = (a) => ({ x: (a.x + other.x) / 2, y: (a.y + other.y) / 2 });
  const span = (a) => Math.max(20, Math.hypot(a.x - other.x, a.y - other.y));
  camera.drag(middle(from), middle(to), span(to) / span(from));
}
