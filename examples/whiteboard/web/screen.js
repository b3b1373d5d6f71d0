// The paper: what is kept on one canvas, drawn when it changes; what moves on another, drawn anew each time.

import { draw } from "./strokes.js";

export class Screen {
  /** My stroke while I draw it. */
  mine = null;

  #paper;
  #camera;
  #shown;
  #ink;
  #top;
  #ratio = 1;
  #stale = { ink: false, top: false };
  #frame = null;

  /** `shown` is what there is to see: `strokes`, `live`, `cursors`, and `nameOf` and `hueOf` of a player. */
  constructor(paper, camera, shown) {
    [this.#paper, this.#camera, this.#shown] = [paper, camera, shown];
    this.#ink = canvas(paper);
    this.#top = canvas(paper);
    new ResizeObserver(() => this.#resize()).observe(paper);
  }

  /** Draws one more part over all others. */
  add(part) {
    if (this.#stale.ink) return;
    this.#camera.apply(this.#ink, this.#ratio);
    draw(this.#ink, part);
    this.refresh();
  }

  /** Everything has changed. */
  redraw() {
    this.#stale.ink = true;
    this.refresh();
  }

  /** Something that moves has. */
  refresh() {
    this.#stale.top = true;
    this.#frame ??= requestAnimationFrame(() => this.#paint());
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#paper;
    this.#ratio = Math.min(devicePixelRatio || 1, 2);
    for (const { canvas } of [this.#ink, this.#top]) {
      canvas.width = width * this.#ratio;
      canvas.height = height * this.#ratio;
    }
    this.#camera.resize(width, height);
    // A canvas forgets its picture with its size; waiting a frame would show that.
    this.#stale.ink = true;
    this.#paint();
  }

  #paint() {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    if (this.#stale.ink) {
      this.#begin(this.#ink);
      for (const part of this.#shown.strokes.sorted()) draw(this.#ink, part);
      this.#dots();
    }
    this.#begin(this.#top);
    for (const stroke of this.#shown.live.values()) draw(this.#top, stroke);
    if (this.mine !== null) draw(this.#top, this.mine);
    for (const [player, point] of this.#shown.cursors) this.#cursor(player, point);
    this.#stale = { ink: false, top: false };
  }

  #begin(context) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    this.#camera.apply(context, this.#ratio);
  }

  /** The paper's dots move with the board, so that moving is seen even on an empty one. */
  #dots() {
    const camera = this.#camera;
    const origin = camera.toScreen(0, 0);
    let gap = 50 * camera.scale;
    while (gap < 18) gap *= 2;
    while (gap > 72) gap /= 2;
    const { style } = this.#paper;
    style.backgroundSize = `${gap}px ${gap}px`;
    style.backgroundPosition = `${origin.x - gap / 2}px ${origin.y - gap / 2}px`;
  }

  #cursor(player, point) {
    const context = this.#top;
    const { x, y } = this.#camera.toScreen(point.x, point.y);
    context.setTransform(this.#ratio, 0, 0, this.#ratio, x * this.#ratio, y * this.#ratio);
    context.fillStyle = this.#shown.hueOf(player);
    context.strokeStyle = "#fff";
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(0, 0);
    context.lineTo(4, 16);
    context.lineTo(8, 9.5);
    context.lineTo(15, 8);
    context.closePath();
    context.fill();
    context.stroke();
    const name = this.#shown.nameOf(player);
    context.font = "600 12px system-ui, sans-serif";
    const width = context.measureText(name).width + 12;
    context.beginPath();
    context.roundRect(12, 15, width, 19, 6);
    context.fill();
    context.fillStyle = "#10131f";
    context.fillText(name, 18, 29);
  }
}

function canvas(paper) {
  const made = document.createElement("canvas");
  paper.append(made);
  return made.getContext("2d");
}
