// Keyboard, mouse and touch become one direction of at most length one. Knows nothing of the room: it calls what it is given.

/** As often as the server's ticks; more would change nothing. */
const EVERY_MS = 50;
const REACH = 52;
const KEYS = {
  KeyW: [0, -1], ArrowUp: [0, -1], KeyS: [0, 1], ArrowDown: [0, 1],
  KeyA: [-1, 0], ArrowLeft: [-1, 0], KeyD: [1, 0], ArrowRight: [1, 0],
};

export function input(arena, { steer, dash }) {
  const pressed = new Set();
  const stick = joystick(document.getElementById("stick"));
  const canvas = document.getElementById("scene");
  let mouse = null;

  addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.code === "Space") {
      event.preventDefault();
      if (!event.repeat) dash();
    } else if (KEYS[event.code]) {
      event.preventDefault();
      pressed.add(event.code);
    }
  });
  addEventListener("keyup", (event) => pressed.delete(event.code));
  // Keys released elsewhere are never heard of.
  addEventListener("blur", () => pressed.clear());

  const dashButton = document.getElementById("dash");
  dashButton.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    dash();
  });

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (event.pointerType === "mouse") mouse = event;
    else stick.begin(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") stick.move(event);
    else if (mouse) mouse = event;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerType === "mouse") mouse = null;
      else stick.end(event);
    });
  }

  const wish = () => {
    const keys = [...pressed].map((key) => KEYS[key]).reduce(([x, y], [dx, dy]) => [x + dx, y + dy], [0, 0]);
    if (keys[0] || keys[1]) return unit(...keys);
    if (stick.way) return stick.way;
    // The own disc is in the middle of the picture, or where the camera says.
    if (mouse && arena.onScreen) return unit(mouse.clientX - arena.onScreen.x, mouse.clientY - arena.onScreen.y, 24);
    return { x: 0, y: 0 };
  };
  setInterval(() => {
    const { x, y } = wish();
    const said = arena.steer;
    const stops = x === 0 && y === 0 && (said.x !== 0 || said.y !== 0);
    if (stops || Math.hypot(x - said.x, y - said.y) > 0.06) steer(x, y);
  }, EVERY_MS);
}

/** A joystick that appears under the first finger. */
function joystick(element) {
  let finger = null;
  const stick = {
    way: null,
    begin(event) {
      if (finger) return;
      finger = { id: event.pointerId, x: event.clientX, y: event.clientY };
      Object.assign(element.style, { left: `${finger.x}px`, top: `${finger.y}px` });
      element.hidden = false;
      stick.move(event);
    },
    move(event) {
      if (finger?.id !== event.pointerId) return;
      stick.way = unit(event.clientX - finger.x, event.clientY - finger.y, REACH);
      element.firstElementChild.style.translate = `${stick.way.x * REACH}px ${stick.way.y * REACH}px`;
    },
    end(event) {
      if (finger?.id !== event.pointerId) return;
      finger = stick.way = null;
      element.hidden = true;
    },
  };
  return stick;
}

/** Full length from `full` on, in proportion below. */
function unit(x, y, full = 0) {
  const length = Math.hypot(x, y);
  const by = Math.max(length, full);
  return by === 0 ? { x: 0, y: 0 } : { x: x / by, y: y / by };
}
