import { ParlorError } from "./errors.js";
import { type Place, type Role } from "./frames.js";
import { type Unsubscribe } from "./listeners.js";
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
export declare class Room<Messages extends object = AnyMessages, View = any> {
    private readonly port;
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
    private readonly types;
    private readonly inbox;
    private readonly byType;
    private readonly all;
    private readonly closedListeners;
    private readonly refusedListeners;
    private readonly handledListeners;
    private sent;
    private ended;
    /** How the membership ended, or null while it lasts. */
    get closed(): RoomClosed | null;
    /** Calls `handler` for every message of one type. Several handlers are called in the order in which they came. */
    on<T extends keyof Messages & string>(type: T, handler: (payload: Messages[T], meta: Place) => void): Unsubscribe;
    /** Calls `handler` for every message of any type, after the handlers of its type. */
    onAny(handler: (type: keyof Messages & string, payload: unknown, meta: Place) => void): Unsubscribe;
    onClosed(handler: (closed: RoomClosed) => void): Unsubscribe;
    /** Refused sends, by `error.no`. Without a handler here they are errors of the session's lifecycle. */
    onRefused(handler: (error: ParlorError) => void): Unsubscribe;
    /** Only in rooms whose policy asks for it. */
    onHandled(handler: (handled: Handled) => void): Unsubscribe;
    /**
     * Sends a message and returns its number: the count of sends and requests in this room, from 1.
     * Throws a `ParlorError` when it cannot be written; it is not counted then.
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
    private refused;
    private end;
    private bad;
}
