// What small game pages need beside their game: a guest's name, the way into a room, the ping, short notices.

import { connect, ParlorError } from "/parlor.js";
import { earlier, link, seated, showLink, storage } from "/link.js";

export { link };

const ADJECTIVES = ["Brave", "Calm", "Clever", "Happy", "Lucky", "Quick", "Quiet", "Sly", "Swift", "Witty"];
const ANIMALS = ["Badger", "Crane", "Falcon", "Fox", "Hare", "Heron", "Lynx", "Otter", "Raven", "Wolf"];

/** The name in the address (?name=), else the one that this browser got the first time. */
export function guestName() {
  const asked = new URL(location.href).searchParams.get("name");
  if (asked) return asked.slice(0, 24);
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  try {
    localStorage.name ??= `${pick(ADJECTIVES)} ${pick(ANIMALS)}`;
    return localStorage.name;
  } catch {
    // Without storage everybody is new each time.
    return `${pick(ADJECTIVES)} ${pick(ANIMALS)}`;
  }
}

/**
 * Connects and enters the room of the address (?room=ID), or any other if there is none. The address becomes the invitation.
 * A room that is full is watched, if it lets itself be watched. Who was there before the page was loaded again still is.
 */
export async function enter(kind) {
  const parlor = await connect(location.origin, { name: guestName(), storage });
  const id = new URL(location.href).searchParams.get("room");
  const room = (await earlier(parlor, (room) => !id || room.id === id)) ?? (await join(parlor, kind, id));
  seated(room);
  const url = new URL(location.href);
  url.searchParams.set("room", room.id);
  history.replaceState(null, "", url);
  showPing(parlor);
  showLink(parlor, room, fatal);
  showEnd(room);
  return { parlor, room };
}

async function join(parlor, kind, id) {
  if (!id) return parlor.joinOrCreate(kind);
  try {
    return await parlor.joinById(id);
  } catch (error) {
    if (!(error instanceof ParlorError)) throw error;
    if (error.code === "room_full") return parlor.joinById(id, undefined, { role: "spectator" });
    // Rooms end when nobody is in them; an old invitation is still good for a new one.
    if (error.code !== "unknown_room" && error.code !== "room_closed") throw error;
    toast("That room has ended. This is a new one.");
    return parlor.create(kind);
  }
}

/** Keeps the chip #ping up to date. */
function showPing(parlor) {
  const chip = document.getElementById("ping");
  const show = ({ rtt }) => {
    chip.lastElementChild.textContent = `${Math.round(rtt)} ms`;
    chip.classList.toggle("slow", rtt > 150);
    chip.classList.remove("lost");
  };
  show(parlor);
  parlor.lifecycle.on("ping", show);
  for (const event of ["disconnected", "closed"]) {
    parlor.lifecycle.on(event, () => {
      chip.classList.add("lost");
      chip.lastElementChild.textContent = "offline";
    });
  }
}

const ENDS = { shutting_down: "The server was stopped.", left: "You have left." };

/** Says that the room is over, unless that is for showLink to tell. */
function showEnd(room) {
  room.onClosed(({ code }) => {
    if (!["connection_closed", "lost", "expired"].includes(code)) fatal(ENDS[code] ?? "This room has ended.");
  });
}

/** Bad news in #notice, with a way back in. The first is the real reason. */
export function fatal(text, way = "Come back in") {
  const notice = document.getElementById("notice");
  if (!notice.hidden) return;
  const again = document.createElement("button");
  again.textContent = way;
  again.onclick = () => location.reload();
  notice.replaceChildren(paragraph(text), again);
  notice.hidden = false;
}

let hiding;

/** A line at the bottom that goes away by itself. */
export function toast(text) {
  const line = document.getElementById("toast");
  line.textContent = text;
  line.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (line.hidden = true), 3000);
}

/** Makes a button hand out the address of this room: by the phone's share sheet, else by the clipboard. */
export function inviteBy(button) {
  button.onclick = async () => {
    const url = new URL(location.href);
    url.searchParams.delete("name");
    try {
      if (navigator.share && matchMedia("(pointer: coarse)").matches) await navigator.share({ url: url.href });
      else {
        await navigator.clipboard.writeText(url.href);
        toast("The link is copied: send it to a friend.");
      }
    } catch (error) {
      // Closing the share sheet is no failure; a page without the right to copy shows the link instead.
      if (error.name !== "AbortError") toast(url.href);
    }
  };
}

/** A chip with a coloured dot and a name. */
export function chip(name, colour, isMe) {
  const item = document.createElement("li");
  item.className = isMe ? "chip me" : "chip";
  const dot = document.createElement("i");
  dot.className = "dot";
  dot.style.setProperty("--dot", colour);
  const label = document.createElement("span");
  label.className = "name";
  label.textContent = isMe ? `${name} (you)` : name;
  item.append(dot, label);
  return item;
}

function paragraph(text) {
  const line = document.createElement("p");
  line.textContent = text;
  return line;
}
