// A room as its client sees it. Talks to the rest through its port only, and never sees the connection.

import { fromWire, ParlorError } from "./errors.js";
import { type Frame, type Joined, Op, type Place, type Role, type RoomFrame, type WireError } from "./frames.js";
import { Inbox } from "./inbox.js";
import { Listeners, type Unsubscribe } from "./listeners.js";
import type { RoomPort } from "./port.js";
import { TypeTable } from "./types.js";

/** Message types and their payloads, where nothing is declared. */
export type AnyMessages = Record<string, any>;

/** How a membership ended: the broker's code and what came with it, or `connection_closed`. */
export interface RoomClosed {
  code: string;
  result: unknown;
}

/** Up to which of this client's messages the publishes so far reflect the room. */
export interface Handled {
  no: number;
  tick: number;
}

/**
 * A room that this client is in. `Messages` maps the types that the room sends to their payloads.
 *
 * Nothing arrives before its handlers can be there: everything of the room is held, in order, until
 * the macrotask after the one in which the join was answered. Handlers that are registered without
 * waiting for a timer, the network or a file therefore miss nothing.
 */
export class Room<Messages extends object = AnyMessages, View = any> {
  /** The room's id, to share and to join by. */
  readonly id: string;
  /** The broker's number for the room. */
  readonly number: number;
  readonly kind: string;
  /** This client's player number. */
  readonly player: number;
  readonly role: Role;
  /** What the game showed on joining, as of `joinedAt`: everything later arrives as messages. */
  readonly view: View;
  readonly joinedAt: Place;
  readonly properties: Record<string, unknown>;

  private readonly types: TypeTable;
  private readonly inbox = new Inbox<RoomFrame>((frame) => this.handle(frame));
  private readonly byType = new Map<string, Listeners<[any, Place]>>();
  private readonly all = new Listeners<[string, unknown, Place]>();
  private readonly closedListeners = new Listeners<[RoomClosed]>();
  private readonly refusedListeners = new Listeners<[ParlorError]>();
  private readonly handledListeners = new Listeners<[Handled]>();
  private sent = 0;
  private ended: RoomClosed | null = null;

  /** @internal */
  constructor(
    private readonly port: RoomPort,
    joined: Joined,
  ) {
    this.id = joined.roomId;
    this.number = joined.room;
    this.kind = joined.kind;
    this.player = joined.player;
    this.role = joined.role;
    this.view = joined.view as View;
    this.joinedAt = { seq: joined.seq, index: joined.index };
    this.properties = joined.properties;
    this.types = new TypeTable(joined.types, joined.routes);
  }

  /** How the membership ended, or null while it lasts. */
  get closed(): RoomClosed | null {
    return this.ended;
  }

  /** Calls `handler` for every message of one type. Several handlers are called in the order in which they came. */
  on<T extends keyof Messages & string>(type: T, handler: (payload: Messages[T], meta: Place) => void): Unsubscribe {
    let listeners = this.byType.get(type);
    if (listeners === undefined) this.byType.set(type, (listeners = new Listeners()));
    return listeners.add(handler);
  }

  /** Calls `handler` for every message of any type, after the handlers of its type. */
  onAny(handler: (type: keyof Messages & string, payload: unknown, meta: Place) => void): Unsubscribe {
    return this.all.add(handler as (type: string, payload: unknown, meta: Place) => void);
  }

  onClosed(handler: (closed: RoomClosed) => void): Unsubscribe {
    return this.closedListeners.add(handler);
  }

  /** Refused sends, by `error.no`. Without a handler here they are errors of the session's lifecycle. */
  onRefused(handler: (error: ParlorError) => void): Unsubscribe {
    return this.refusedListeners.add(handler);
  }

  /** Only in rooms whose policy asks for it. */
  onHandled(handler: (handled: Handled) => void): Unsubscribe {
    return this.handledListeners.add(handler);
  }

  /**
   * Sends a message and returns its number: the count of sends and requests in this room, from 1.
   * Throws a `ParlorError` when it cannot be written; it is not counted then.
   */
  send(type: string, payload?: unknown): number {
    this.write([Op.send, this.number, this.types.route(type), orNil(payload)]);
    return ++this.sent;
  }

  /** Sends a message and waits for its reply. Rejects with the `ParlorError` that came instead. */
  request<T = any>(type: string, payload?: unknown, options: { timeout?: number } = {}): Promise<T> {
    return this.port.call<T>(Op.reply, this, options.timeout, (id) => {
      this.write([Op.request, this.number, this.types.route(type), id, orNil(payload)]);
      this.sent += 1;
    });
  }

  /** Asks for a topic that the room lets clients choose. */
  subscribe(topic: string): Promise<void> {
    return this.port.call<void>(Op.done, this, undefined, (id) => this.write([Op.subscribe, id, this.number, topic]));
  }

  unsubscribe(topic: string): Promise<void> {
    return this.port.call<void>(Op.done, this, undefined, (id) => this.write([Op.unsubscribe, id, this.number, topic]));
  }

  /** Leaves. Resolves when the room has ended for this client, whatever ended it; never rejects. */
  leave(): Promise<RoomClosed> {
    if (this.ended !== null) return Promise.resolve(this.ended);
    return new Promise((resolve) => {
      const off = this.onClosed((closed) => {
        off();
        resolve(closed);
      });
      try {
        this.write([Op.leave, this.number]);
      } catch (thrown) {
        // Without a connection the end is on its way already.
        if (!(thrown instanceof ParlorError && thrown.code === "not_connected")) throw thrown;
      }
    });
  }

  /** @internal Takes a frame of this room. */
  accept(frame: RoomFrame): void {
    this.inbox.push(frame);
  }

  /** @internal The application had its chance to register handlers. */
  begin(): void {
    this.inbox.open();
  }

  private write(frame: Frame): void {
    if (this.ended !== null) throw new ParlorError("room_closed", `the room has ended: ${this.ended.code}`);
    this.port.write(frame);
  }

  private handle(frame: RoomFrame): void {
    if (this.ended !== null) return;
    switch (frame.op) {
      case Op.types:
        if (!this.types.extend(frame.first, frame.names)) this.bad("type names that leave a gap");
        break;
      case Op.publish:
        this.publish(frame.type, frame.payload, { seq: frame.seq, index: frame.index });
        break;
      case Op.reply:
        this.port.settle(frame.id, frame.payload);
        break;
      case Op.refused:
        this.refused(frame.id, frame.error, frame.no);
        break;
      case Op.handled:
        this.handledListeners.emit(this.port.threw, { no: frame.no, tick: frame.tick });
        break;
      case Op.closed:
        this.end({ code: frame.code, result: frame.result });
        break;
    }
  }

  private publish(number: number, payload: unknown, meta: Place): void {
    const type = this.types.name(number);
    if (type === undefined) return this.bad(`type number ${number} has no name`);
    this.byType.get(type)?.emit(this.port.threw, payload, meta);
    this.all.emit(this.port.threw, type, payload, meta);
  }

  private refused(id: number | null, wire: WireError, no: number): void {
    const error = fromWire(wire, no);
    if (id !== null) this.port.fail(id, error);
    else if (this.refusedListeners.any) this.refusedListeners.emit(this.port.threw, error);
    else this.port.error(error);
  }

  private end(closed: RoomClosed): void {
    this.ended = closed;
    this.port.abandon(this, closed);
    this.closedListeners.emit(this.port.threw, closed);
  }

  private bad(text: string): void {
    this.port.error(new ParlorError("bad_frame", text, { params: { room: this.number } }));
  }
}

// On the wire there is no "undefined": nothing to say is nil.
function orNil(payload: unknown): unknown {
  return payload === undefined ? null : payload;
}
