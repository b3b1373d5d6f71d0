// A room as its client sees it. Talks to the rest through its port only, and never sees the connection.

import { fromWire, ParlorError } from "./errors.js";
import {
  type Frame,
  type Membership,
  Op,
  type Place,
  type Role,
  type RoomFrame,
  type View as ViewFrame,
  type WireError,
} from "./frames.js";
import { Inbox } from "./inbox.js";
import { Listeners, type Unsubscribe } from "./listeners.js";
import type { RoomPort } from "./port.js";
import { TypeTable } from "./types.js";

/** Message types and their payloads, where nothing is declared. */
export type AnyMessages = Record<string, any>;

/** Where a message has its place in the room's history; `key` if it is the latest value under that key. */
export interface Meta extends Place {
  key?: string;
}

/** The place as of which a view is, and the last of this client's messages that it reflects. */
export interface ViewMeta extends Place {
  handled: number;
}

/**
 * How a membership ended: the broker's code and what came with it, or `connection_closed` (the session has ended), or
 * `lost` (it could not be taken up again).
 */
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
  /** The place as of which the first view was. */
  readonly joinedAt: Place;
  /** The code with which others may join, in rooms that are joined this way. */
  readonly invite: string | undefined;

  private shown: Membership;
  private types: TypeTable;
  private readonly inbox = new Inbox<RoomFrame>((frame) => this.handle(frame));
  private readonly byType = new Map<string, Listeners<[any, Meta]>>();
  private readonly all = new Listeners<[string, unknown, Meta]>();
  private readonly viewListeners = new Listeners<[View, ViewMeta]>();
  private readonly closedListeners = new Listeners<[RoomClosed]>();
  private readonly refusedListeners = new Listeners<[ParlorError]>();
  private readonly handledListeners = new Listeners<[Handled]>();
  private ended: RoomClosed | null = null;

  /** @internal */
  constructor(
    private readonly port: RoomPort,
    joined: Membership,
    private sent = 0,
  ) {
    this.shown = joined;
    this.id = joined.roomId;
    this.number = joined.room;
    this.kind = joined.kind;
    this.player = joined.player;
    this.role = joined.role;
    this.invite = joined.invite;
    this.joinedAt = { seq: joined.seq, index: joined.index };
    this.types = new TypeTable(joined.types, joined.routes);
  }

  /**
   * What the game showed at last: on joining, or when messages were missed (see `onView`). Everything later arrives as
   * messages.
   */
  get view(): View {
    return this.shown.view as View;
  }

  /** What the lobby shows of the room, as of the view. */
  get properties(): Record<string, unknown> {
    return this.shown.properties;
  }

  /** How the membership ended, or null while it lasts. */
  get closed(): RoomClosed | null {
    return this.ended;
  }

  /** Calls `handler` for every message of one type. Several handlers are called in the order in which they came. */
  on<T extends keyof Messages & string>(type: T, handler: (payload: Messages[T], meta: Meta) => void): Unsubscribe {
    let listeners = this.byType.get(type);
    if (listeners === undefined) this.byType.set(type, (listeners = new Listeners()));
    return listeners.add(handler);
  }

  /** Calls `handler` for every message of any type, after the handlers of its type. */
  onAny(handler: (type: keyof Messages & string, payload: unknown, meta: Meta) => void): Unsubscribe {
    return this.all.add(handler as (type: string, payload: unknown, meta: Meta) => void);
  }

  /**
   * Calls `handler` with a view that replaces all that is known of the room, because messages were missed: after a long
   * time away, or when this client read too slowly. It comes in order with the messages.
   */
  onView(handler: (view: View, meta: ViewMeta) => void): Unsubscribe {
    return this.viewListeners.add(handler);
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
   * Sends a message and returns its number: the count of sends and requests in this room, from 1. While there is no
   * connection it waits for the next one. Throws a `ParlorError` when it can be neither written nor kept; it is not
   * counted then.
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
      case Op.latest:
        this.publish(frame.type, frame.payload, { seq: frame.seq, index: frame.index, key: frame.key });
        break;
      case Op.view:
        this.viewed(frame);
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

  private publish(number: number, payload: unknown, meta: Meta): void {
    const type = this.types.name(number);
    if (type === undefined) return this.bad(`type number ${number} has no name`);
    this.byType.get(type)?.emit(this.port.threw, payload, meta);
    this.all.emit(this.port.threw, type, payload, meta);
  }

  private viewed(frame: ViewFrame): void {
    this.shown = frame;
    this.types = new TypeTable(frame.types, frame.routes);
    this.port.resync(this);
    const meta = { seq: frame.seq, index: frame.index, handled: frame.handled };
    this.viewListeners.emit(this.port.threw, this.view, meta);
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
