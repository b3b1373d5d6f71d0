import { ParlorError } from "./errors.js";
import { type Place, type Role } from "./frames.js";
import { type Unsubscribe } from "./listeners.js";
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
export declare class Room<Messages extends object = AnyMessages, View = any> {
    private readonly port;
    private sent;
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
    private shown;
    private types;
    private readonly inbox;
    private readonly byType;
    private readonly all;
    private readonly viewListeners;
    private readonly closedListeners;
    private readonly refusedListeners;
    private readonly handledListeners;
    private ended;
    /**
     * What the game showed at last: on joining, or when messages were missed (see `onView`). Everything later arrives as
     * messages.
     */
    get view(): View;
    /** What the lobby shows of the room, as of the view. */
    get properties(): Record<string, unknown>;
    /** How the membership ended, or null while it lasts. */
    get closed(): RoomClosed | null;
    /** Calls `handler` for every message of one type. Several handlers are called in the order in which they came. */
    on<T extends keyof Messages & string>(type: T, handler: (payload: Messages[T], meta: Meta) => void): Unsubscribe;
    /** Calls `handler` for every message of any type, after the handlers of its type. */
    onAny(handler: (type: keyof Messages & string, payload: unknown, meta: Meta) => void): Unsubscribe;
    /**
     * Calls `handler` with a view that replaces all that is known of the room, because messages were missed: after a long
     * time away, or when this client read too slowly. It comes in order with the messages.
     */
    onView(handler: (view: View, meta: ViewMeta) => void): Unsubscribe;
    onClosed(handler: (closed: RoomClosed) => void): Unsubscribe;
    /** Refused sends, by `error.no`. Without a handler here they are errors of the session's lifecycle. */
    onRefused(handler: (error: ParlorError) => void): Unsubscribe;
    /** Only in rooms whose policy asks for it. */
    onHandled(handler: (handled: Handled) => void): Unsubscribe;
    /**
     * Sends a message and returns its number: the count of sends and requests in this room, from 1. While there is no
     * connection it waits for the next one. Throws a `ParlorError` when it can be neither written nor kept; it is not
     * counted then.
     */
    send(type: string, payload?: unknown): number;
    /** Sends a message and waits for its reply. Rejects with the `ParlorError` that came instead. */
    request<T = any>(type: string, payload?: unknown, options?: {
        timeout?: number;
    }): Promise<T>;
    /** Asks for a topic that the room lets clients choose. */
    subscribe(topic: string): Promise<void>;
    unsubscribe(topic: string): Promise<void>;
    /** Leaves. Resolves when the room has ended for this client, whatever ended it; never rejects. */
    leave(): Promise<RoomClosed>;
    private write;
    private handle;
    private publish;
    private viewed;
    private refused;
    private end;
    private bad;
}
