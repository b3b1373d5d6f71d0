// The page of tic-tac-toe with traps. The room sends a whole `table` after every change, so there is one picture to draw and
// nothing to keep in step; `placed` only says what to make a fuss about.

import { chip, enter, fatal, inviteBy, link, toast } from "/page.js";

const LINES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];
const THINK_MS = 30_000;

const SHAPES = {
  x: `<path d="M5 5 19 19M19 5 5 19"/>`,
  o: `<circle cx="12" cy="12" r="7.5"/>`,
  trap: `<circle cx="12" cy="12" r="10.5"/><path d="M12.0 3.0L13.9 6.7L17.8 5.1L16.8 9.2L20.9 10.4L17.5 13.0L19.8 16.5L15.6 16.3L15.1 20.5L12.0 17.6L8.9 20.5L8.4 16.3L4.2 16.5L6.5 13.0L3.1 10.4L7.2 9.2L6.2 5.1L10.1 6.7Z"/><circle cx="12" cy="12" r="1.6" fill="currentColor"/>`,
};

/** What the game's refusals mean to a player; the parameters say more. */
const REFUSALS = {
  "app.not_your_turn": () => `Not your turn: ${nameOf(foe())} is thinking.`,
  "app.taken": ({ cell }) => `${place(cell)} is taken.`,
  "app.not_started": () => "The round has not started yet.",
  "app.already_hidden": () => "Your trap is hidden already.",
  "app.over": () => "This round is over.",
  "app.not_over": () => "The round is still going on.",
  spectator: () => "You are watching: only the two players can move.",
};

const at = (id) => document.getElementById(id);
let parlor, room, table;

/** Where tests look. */
window.game = {
  get table() { return table; },
  get room() { return room?.id; },
  get me() { return room?.player; },
  get parlor() { return parlor; },
};

start().catch((error) => fatal(error.text || error.message));

async function start() {
  buildBoard();
  ({ parlor, room } = await enter("tictactoe"));
  room.on("table", show);
  room.on("placed", announce);
  room.onView(show);
  inviteBy(at("invite"));
  inviteBy(at("ask"));
  at("rematch").onclick = () => ask("rematch");
  at("leave").onclick = leave;
  show(room.view);
  setInterval(showClock, 100);
}

/** A request whose refusal is shown. Nothing is drawn before the room has agreed. */
async function ask(type, payload) {
  // The table may be another one by the time that this arrives.
  if (!link.up) return toast("There is no connection: wait a moment.");
  try {
    await room.request(type, payload);
  } catch (error) {
    toast(REFUSALS[error.code]?.(error.params) ?? error.text);
  }
}

/** A seat is kept for whoever is only away; this gives it up. */
function leave() {
  parlor.close();
  location.assign("/");
}

function tap(cell) {
  if (!room) return;
  ask(table.phase.is === "hiding" ? "hide" : "place", { cell });
}

function announce({ seat, cell, sprung }) {
  if (!sprung) return;
  at("board").children[cell].classList.add("snap");
  if (seat === table.you) toast("Snap! A trap: your mark is lost.");
  else if (table.you) toast(`Snap! ${nameOf(seat)} stepped on your trap.`);
  else toast(`Snap! ${nameOf(seat)} lost a mark to a trap.`);
}

function show(next) {
  table = next;
  showSeats();
  showBoard();
  showClock();
  at("status").textContent = status();
  const over = table.phase.is === "over";
  const alone = Object.keys(table.chairs).length < 2;
  at("rematch").hidden = !(over && table.you && !alone);
  at("rematch").disabled = !!mine()?.again;
  at("rematch").textContent = mine()?.again ? `Waiting for ${nameOf(foe())}…` : "Rematch";
  at("ask").hidden = !(alone && table.you);
  const watching = Object.entries(table.watching);
  at("watching").replaceChildren(
    ...watching.map(([id, name]) => chip(`${name} watches`, "var(--muted)", Number(id) === room.player)),
  );
}

function status() {
  const { phase, you } = table;
  switch (phase.is) {
    case "waiting":
      return "Waiting for somebody to play with";
    case "hiding":
      if (!you) return "Both are hiding a trap";
      return mine().trap ? `Hidden. ${nameOf(foe())} is still choosing…` : "Hide your trap: pick a cell";
    case "playing":
      if (phase.turn === you) return "Your turn";
      return table.chairs[phase.turn].away ? `${nameOf(phase.turn)} lost the connection…` : `${nameOf(phase.turn)} is thinking…`;
    default:
      return outcome(phase);
  }
}

function outcome({ winner, why }) {
  if (!winner) return "A draw: the board is full";
  const won = winner === table.you;
  const name = nameOf(winner);
  switch (why) {
    case "clock":
      return won ? "You win: time is up" : table.you ? "You lose: time is up" : `${name} wins on time`;
    case "left":
      return won ? "You win: the other one left" : `${name} wins: the other one left`;
    default:
      return won ? "Three in a row: you win!" : `Three in a row: ${name} wins`;
  }
}

function showSeats() {
  for (const seat of ["x", "o"]) {
    const chair = table.chairs[seat];
    const card = at(`seat-${seat}`);
    const turn = table.phase.is === "playing" ? table.phase.turn === seat : table.phase.winner === seat;
    card.classList.toggle("turn", turn);
    card.classList.toggle("empty", !chair);
    card.classList.toggle("away", !!chair?.away);
    const name = element("span", "name", chair ? chair.name : "free seat");
    const wins = element("span", "wins", chair ? String(chair.wins) : "");
    card.replaceChildren(shape(seat, seat), name, wins, element("small", "", note(seat, chair)));
  }
}

function note(seat, chair) {
  if (!chair) return "";
  const you = seat === table.you ? "you" : "";
  const away = chair.away ? "away" : "";
  const ready = table.phase.is === "hiding" ? (chair.ready ? "trap is set" : "hiding a trap…") : "";
  const again = table.phase.is === "over" && chair.again ? "wants a rematch" : "";
  return [you, away, ready, again].filter(Boolean).join(" · ");
}

function buildBoard() {
  for (let cell = 0; cell < 9; cell++) {
    const button = element("button", "cell");
    button.onclick = () => tap(cell);
    button.onanimationend = () => button.classList.remove("snap");
    at("board").append(button);
  }
}

function showBoard() {
  const { phase, board, you } = table;
  const won = phase.is === "over" && phase.why === "line" ? wonCells(phase.winner) : [];
  at("board").classList.toggle("mine", phase.turn === you || (phase.is === "hiding" && !mine()?.trap));
  board.forEach((mark, cell) => {
    const button = at("board").children[cell];
    button.classList.toggle("taken", mark !== null);
    button.classList.toggle("won", won.includes(cell));
    const key = JSON.stringify([mark, trapsAt(cell), won.includes(cell)]);
    // Drawing a cell anew would play its animation again.
    if (button.dataset.shown === key) return;
    button.dataset.shown = key;
    button.ariaLabel = `${place(cell)}: ${mark ?? "free"}`;
    button.replaceChildren(...(mark ? [shape(mark, `mark ${mark}`)] : []), ...trapsAt(cell).map((t) => trap(t, mark)));
  });
}

/** The traps under this cell, as far as this member may know. */
function trapsAt(cell) {
  return Object.entries(table.chairs)
    .filter(([, chair]) => chair.trap?.cell === cell)
    .map(([seat, chair]) => ({ seat, sprung: chair.trap.sprung }));
}

function trap({ seat, sprung }, mark) {
  return shape("trap", ["trap", seat, mark ? "" : "open", sprung ? "sprung" : ""].join(" "));
}

function wonCells(seat) {
  return LINES.filter((line) => line.every((cell) => table.board[cell] === seat)).flat();
}

function showClock() {
  const left = table?.ends_at_ms ? Math.max(0, table.ends_at_ms - parlor.serverNow()) : null;
  const clock = at("clock");
  // Keeps its place, so that nothing jumps.
  clock.hidden = false;
  clock.style.visibility = left === null ? "hidden" : "visible";
  if (left === null) return;
  clock.style.setProperty("--left", `${(100 * Math.min(left, THINK_MS)) / THINK_MS}%`);
  clock.classList.toggle("late", left < 10_000);
  clock.lastElementChild.textContent = `${Math.ceil(left / 1000)} s`;
}

function mine() {
  return table.chairs[table.you];
}

function foe() {
  return table.you === "x" ? "o" : "x";
}

function nameOf(seat) {
  return table.chairs[seat]?.name ?? "the other one";
}

function place(cell) {
  const row = ["top", "middle", "bottom"][Math.floor(cell / 3)];
  const column = ["left", "centre", "right"][cell % 3];
  const words = cell === 4 ? "the centre" : `${row} ${column}`;
  return words[0].toUpperCase() + words.slice(1);
}

function shape(name, classes) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", classes);
  svg.setAttribute("fill", "none");
  svg.setAttribute("stroke", "currentColor");
  svg.setAttribute("stroke-width", name === "trap" ? "1.6" : "3");
  svg.setAttribute("stroke-linecap", "round");
  svg.innerHTML = SHAPES[name];
  return svg;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
