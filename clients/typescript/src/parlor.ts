// The face of a session. Only words for the application; all work is done in session.ts.

import { type Frame, Op, type Role } from "./frames.js";
import type { ClosedInfo, Lifecycle } from "./lifecycle.js";
import type { AnyMessages, Room } from "./room.js";
import type { Session } from "./session.js";

export interface JoinSettings {
  /** Default `player`. */
  role?: Role;
}

export interface CreateSettings extends JoinSettings {
  /** Hidden from lists and from `joinOrCreate`: to be joined by its id. */
  private?: boolean;
}

/** A session with a broker: the way into rooms. Made by `connect`. */
export class Parlor {
  /** @internal */
  constructor(private readonly inner: Session) {}

  /** What happens outside of rooms: `disconnected`, `resumed`, `resync`, `lost`, `closed`, `error`, `ping`. */
  get lifecycle(): Lifecycle {
    return this.inner.lifecycle;
  }

  /** The session's name. */
  get session(): string {
    return this.inner.welcome?.session ?? "";
  }

  /** The user, as the broker knows it. */
  get account(): string {
    return this.inner.welcome?.account ?? "";
  }

  /** The broker and its version. */
  get server(): string {
    return this.inner.welcome?.server ?? "";
  }

  /**
   * What it takes to come back to this session after the page was loaded again (see the option `resume`). Another one
   * with every connection; undefined in a session that ends with its connection.
   */
  get resumeToken(): string | undefined {
    return this.inner.welcome?.resume?.token;
  }

  /** The rooms that this session is in. After coming back from an earlier page they are there from the beginning. */
  get rooms(): Room<any>[] {
    return this.inner.rooms.list();
  }

  /** How the session ended, or null while it lasts, with a connection or without one. */
  get closed(): ClosedInfo | null {
    return this.inner.closed;
  }

  /** The smoothed round trip in milliseconds. */
  get rtt(): number {
    return this.inner.clock.rtt;
  }

  /** The broker's clock now, in milliseconds since 1970, as well as it is known. */
  serverNow(): number {
    return this.inner.clock.serverNow(this.inner.now());
  }

  /** Joins a room of this kind that has a free seat, or opens one. The options are for the game's handlers. */
  joinOrCreate<M extends object = AnyMessages, V = any>(
    kind: string,
    options?: unknown,
    settings: JoinSettings = {},
  ): Promise<Room<M, V>> {
    return this.enter({ mode: "find_or_create", kind }, options, settings);
  }

  /** Opens a new room and joins it. */
  create<M extends object = AnyMessages, V = any>(
    kind: string,
    options?: unknown,
    settings: CreateSettings = {},
  ): Promise<Room<M, V>> {
    return this.enter({ mode: "create", kind }, options, settings);
  }

  /** Joins the room that has this id. */
  joinById<M extends object = AnyMessages, V = any>(
    id: string,
    options?: unknown,
    settings: JoinSettings = {},
  ): Promise<Room<M, V>> {
    return this.enter({ mode: "id", room: id }, options, settings);
  }

  /** Joins the room that has this invite code. */
  joinByInvite<M extends object = AnyMessages, V = any>(
    code: string,
    options?: unknown,
    settings: JoinSettings = {},
  ): Promise<Room<M, V>> {
    return this.enter({ mode: "invite", invite: code }, options, settings);
  }

  /** Joins the room that the ticket is for: the game's backend got it from the lobby. It can be used once. */
  join<M extends object = AnyMessages, V = any>(
    ticket: string,
    options?: unknown,
    settings: JoinSettings = {},
  ): Promise<Room<M, V>> {
    return this.enter({ mode: "ticket", ticket }, options, settings);
  }

  /** Ends the session for good. Rooms end with `connection_closed`, calls that wait with `outcome_unknown`. */
  close(): void {
    this.inner.close();
  }

  private enter<M extends object, V>(
    target: Record<string, unknown>,
    options: unknown,
    settings: CreateSettings,
  ): Promise<Room<M, V>> {
    const how = { ...target };
    if (settings.role !== undefined) how["role"] = settings.role;
    if (settings.private !== undefined) how["private"] = settings.private;
    return this.inner.call(Op.joined, null, undefined, (id) => {
      const frame: Frame = [Op.join, id, how, options === undefined ? null : options];
      this.inner.write(frame);
    });
  }
}
