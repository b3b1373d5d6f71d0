// Paints the arena, sixty times a second, from what arena.js knows. Changes nothing of the game.

import { glow, disc, label, floor } from "/paint.js";

/** How much of the arena is in view, whatever the screen: its area in the arena's units. */
const VIEW_AREA = 1140 * 700;
const EFFECT_MS = 650;

export function draw(arena, canvas) {
  const context = canvas.getContext("2d", { alpha: false });
  const view = { x: arena.size.x / 2, y: arena.size.y / 2, scale: 1, width: 0, height: 0 };
  let last = performance.now();

  const resize = () => {
    const ratio = Math.min(devicePixelRatio, 2);
    [view.width, view.height] = [canvas.clientWidth, canvas.clientHeight];
    [canvas.width, canvas.height] = [view.width * ratio, view.height * ratio];
    view.ratio = ratio;
    view.scale = Math.sqrt((view.width * view.height) / VIEW_AREA);
  };
  addEventListener("resize", resize);
  resize();

  const picture = (now) => {
    const dt = Math.min(now - last, 100);
    last = now;
    const time = arena.renderTime();
    for (const player of arena.players.values()) place(player, time, dt);
    follow(arena, view, dt);
    paint(context, arena, view, now);
    requestAnimationFrame(picture);
  };
  requestAnimationFrame(picture);
}

/** Where a disc is drawn: between the two frames around the time, or at the last one when the next is late. */
function place(player, time, dt) {
  const { track } = player;
  const before = { x: player.drawX, y: player.drawY };
  let next = track.findIndex((point) => point.at > time);
  if (next < 0) next = track.length;
  const [a, b] = [track[next - 1] ?? track[0] ?? player, track[next] ?? track.at(-1) ?? player];
  const part = b.at > a.at ? (time - a.at) / (b.at - a.at) : 1;
  player.drawX = a.x + (b.x - a.x) * part;
  player.drawY = a.y + (b.y - a.y) * part;
  // Sizes change at once on the server; here they grow.
  player.drawRadius = ease(player.drawRadius ?? player.radius, player.radius, dt, 110);
  look(player, player.drawX - (before.x ?? player.drawX), player.drawY - (before.y ?? player.drawY), dt);
}

/** Eyes look where the disc moves, and remember it. */
function look(player, dx, dy, dt) {
  const length = Math.hypot(dx, dy);
  player.lookX ??= 0;
  player.lookY ??= 1;
  if (length < 0.05) return;
  player.lookX = ease(player.lookX, dx / length, dt, 70);
  player.lookY = ease(player.lookY, dy / length, dt, 70);
}

/** The camera stays with the own disc, or with the leader for who watches. */
function follow(arena, view, dt) {
  const leader = () => [...arena.players.values()].sort((a, b) => b.score - a.score || a.id - b.id)[0];
  const hero = arena.players.get(arena.me) ?? leader();
  if (!hero) return;
  const half = { x: view.width / view.scale / 2, y: view.height / view.scale / 2 };
  const x = within(hero.drawX, half.x, arena.size.x);
  const y = within(hero.drawY, half.y, arena.size.y);
  const jump = Math.hypot(x - view.x, y - view.y) > 900;
  view.x = jump ? x : ease(view.x, x, dt, 90);
  view.y = jump ? y : ease(view.y, y, dt, 90);
  arena.onScreen = {
    x: (hero.drawX - view.x) * view.scale + view.width / 2,
    y: (hero.drawY - view.y) * view.scale + view.height / 2,
  };
}

/** Shows little of what lies outside, without losing the hero. */
function within(value, half, size) {
  const margin = 90;
  if (size + 2 * margin <= half * 2) return size / 2;
  return Math.min(Math.max(value, half - margin), size - half + margin);
}

function paint(context, arena, view, now) {
  const { ratio, scale, width, height } = view;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = "#080a15";
  context.fillRect(0, 0, width, height);
  context.setTransform(scale * ratio, 0, 0, scale * ratio, 0, 0);
  context.translate(width / scale / 2 - view.x, height / scale / 2 - view.y);
  floor(context, arena, view);
  orbs(context, arena, view, now);
  const players = [...arena.players.values()].sort((a, b) => a.radius - b.radius || a.id - b.id);
  for (const player of players) trail(context, player, now, arena.renderTime());
  for (const player of players) disc(context, player, { me: player.id === arena.me, wins: player.id === arena.winner, now });
  for (const player of players) label(context, player, player.id === arena.me, scale);
  steering(context, arena);
  effects(context, arena, now);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  map(context, arena, view);
}

function orbs(context, arena, view, now) {
  const reach = { x: view.width / view.scale / 2 + 40, y: view.height / view.scale / 2 + 40 };
  for (const [n, newest] of arena.orbs.entries()) {
    const orb = now < newest.since && newest.before ? newest.before : newest;
    if (Math.abs(orb.x - view.x) > reach.x || Math.abs(orb.y - view.y) > reach.y) continue;
    const born = Math.min(1, Math.max(0, now - orb.since) / 350);
    const breath = 1 + Math.sin(now / 420 + n * 1.7) * 0.12;
    const gold = orb.worth > 1;
    const hue = gold ? 45 : [172, 196, 265, 322][n % 4];
    glow(context, orb.x, orb.y, (gold ? 34 : 22) * breath * born, hue);
  }
}

/** A dash leaves shadows. */
function trail(context, player, now, time) {
  const age = now - player.dashed;
  if (age < 0 || age > 550) return;
  const shadows = player.track.filter((point) => point.at < time).slice(-8);
  for (const [n, point] of shadows.entries()) {
    const part = (n + 1) / shadows.length;
    context.globalAlpha = 0.3 * part * (1 - age / 550);
    context.fillStyle = `hsl(${player.hue} 90% 66%)`;
    context.beginPath();
    context.arc(point.x, point.y, player.drawRadius * (0.55 + 0.45 * part), 0, Math.PI * 2);
    context.fill();
  }
  context.globalAlpha = 1;
}

/** Shows at once which way one steers, although the disc follows only when the server has moved it. */
function steering(context, arena) {
  const me = arena.players.get(arena.me);
  const { x, y } = arena.steer;
  if (!me || (x === 0 && y === 0)) return;
  const length = Math.hypot(x, y);
  const [dx, dy] = [x / length, y / length];
  const from = me.drawRadius + 13;
  const tip = from + 9 + 7 * length;
  context.fillStyle = "rgb(255 255 255 / 75%)";
  context.beginPath();
  context.moveTo(me.drawX + dx * tip, me.drawY + dy * tip);
  context.lineTo(me.drawX + dx * from - dy * 8, me.drawY + dy * from + dx * 8);
  context.lineTo(me.drawX + dx * (from + 3), me.drawY + dy * (from + 3));
  context.lineTo(me.drawX + dx * from + dy * 8, me.drawY + dy * from - dx * 8);
  context.fill();
}

function effects(context, arena, now) {
  arena.effects = arena.effects.filter((effect) => now - effect.since < EFFECT_MS);
  for (const effect of arena.effects) {
    const part = (now - effect.since) / EFFECT_MS;
    if (part < 0) continue;
    if (effect.type === "eaten") burst(context, effect, part, effect.by === arena.me);
    else shock(context, arena.players.get(effect.whom), part);
  }
  context.globalAlpha = 1;
}

function burst(context, { x, y, worth }, part, mine) {
  context.globalAlpha = (1 - part) * 0.9;
  const hue = worth > 1 ? 45 : 190;
  context.fillStyle = `hsl(${hue} 95% 75%)`;
  for (let n = 0; n < 8; n += 1) {
    const [angle, far] = [(n / 8) * Math.PI * 2 + worth, 8 + 36 * Math.sqrt(part)];
    context.beginPath();
    context.arc(x + Math.cos(angle) * far, y + Math.sin(angle) * far, 3.2 * (1 - part) + 0.4, 0, Math.PI * 2);
    context.fill();
  }
  if (!mine) return;
  context.font = "700 20px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(`+${worth}`, x, y - 24 - part * 30);
}

function shock(context, victim, part) {
  if (!victim) return;
  context.globalAlpha = 1 - part;
  context.lineWidth = 6 * (1 - part) + 1;
  context.strokeStyle = "#ffd7de";
  context.beginPath();
  context.arc(victim.drawX, victim.drawY, victim.drawRadius + 70 * Math.sqrt(part), 0, Math.PI * 2);
  context.stroke();
}

/** The whole arena, small, in a corner. */
function map(context, arena, { width, height }) {
  const narrow = width < 640;
  const wide = narrow ? 84 : 150;
  const unit = wide / arena.size.x;
  const high = arena.size.y * unit;
  const [left, top] = [14, narrow ? 62 : height - high - 16];
  context.fillStyle = "rgb(14 17 33 / 66%)";
  context.strokeStyle = "rgb(255 255 255 / 16%)";
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(left, top, wide, high, 7);
  context.fill();
  context.stroke();
  for (const player of arena.players.values()) {
    const me = player.id === arena.me;
    context.fillStyle = me ? "#fff" : `hsl(${player.hue} 85% 64%)`;
    context.beginPath();
    context.arc(left + player.drawX * unit, top + player.drawY * unit, me ? 3.4 : 2.3, 0, Math.PI * 2);
    context.fill();
  }
}

function ease(from, to, dt, time) {
  return from + (to - from) * (1 - Math.exp(-dt / time));
}
