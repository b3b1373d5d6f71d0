// The rooms that a session is in, by their numbers.

import { type Membership, Op, type RoomFrame, type RoomOutcome } from "./frames.js";
import type { RoomResumed } from "./lifecycle.js";
import type { RoomPort } from "./port.js";
import { Room } from "./room.js";
import type { Time } from "./time.js";

/** Gives every frame to its room, and makes rooms: of a join, or of what the broker remembers of an earlier page. */
export class Rooms {
  private readonly members = new Map<number, Room>();
  // Rooms of the page before this one, until their views come: how many messages it has sent to each.
  private readonly expected = new Map<number, number>();

  constructor(
    private readonly port: RoomPort,
    private readonly time: Time,
  ) {}

  get(number: number): Room | undefined {
    return this.members.get(number);
  }

  /** All of them, in the order in which they were joined. */
  list(): Room[] {
    return [...this.members.values()];
  }

  joined(membership: Membership): Room {
    const room = this.make(membership, 0);
    this.begin([room]);
    return room;
  }

  /** Lets frames through, from the next macrotask on: until then the application may register handlers. */
  begin(rooms: Room[] = this.list()): void {
    this.time.after(0, () => rooms.forEach((room) => room.begin()));
  }

  /** Waits for the views from which the rooms of an earlier page are made. */
  expect(outcomes: RoomOutcome[]): void {
    for (const { room, no, outcome } of outcomes) {
      if (outcome === "view") this.expected.set(room, no);
    }
  }

  /** Whether no view is waited for any more. */
  get complete(): boolean {
    return this.expected.size === 0;
  }

  /** A frame of a room; one of a room that is not known is nobody's. */
  accept(frame: RoomFrame): void {
    const sent = this.expected.get(frame.room);
    if (sent !== undefined && (frame.op === Op.view || frame.op === Op.closed)) {
      this.expected.delete(frame.room);
      if (frame.op === Op.view) this.make(frame, sent);
      return;
    }
    const room = this.members.get(frame.room);
    // The number is free for another room as soon as this one's last frame is here, even while it is held.
    if (frame.op === Op.closed) this.members.delete(frame.room);
    room?.accept(frame);
  }

  /** Ends them all, through their own order: a reply that is held arrived, and is not unknown. */
  end(code: string): void {
    this.expected.clear();
    for (const { number } of this.list()) {
      this.accept({ op: Op.closed, room: number, seq: 0, index: 0, code, result: null });
    }
  }

  /** What the application is told of how its rooms came through a cut. */
  resumed(outcomes: RoomOutcome[]): RoomResumed[] {
    return outcomes.flatMap(({ room: number, outcome, frames, reason }) => {
      const room = this.members.get(number);
      return room === undefined ? [] : [{ room, outcome, frames, reason }];
    });
  }

  private make(membership: Membership, sent: number): Room {
    const room = new Room(this.port, membership, sent);
    this.members.set(membership.room, room);
    return room;
  }
}
