import { type Role } from "./frames.js";
import type { ClosedInfo, Lifecycle } from "./lifecycle.js";
import type { AnyMessages, Room } from "./room.js";
export interface JoinSettings {
    /** Default `player`. */
    role?: Role;
}
export interface CreateSettings extends JoinSettings {
    /** Hidden from lists and from `joinOrCreate`: to be joined by its id. */
    private?: boolean;
}
/** A session with a broker: the way into rooms. Made by `connect`. */
export declare class Parlor {
    private readonly inner;
    /** What happens outside of rooms: `disconnected`, `resumed`, `resync`, `lost`, `closed`, `error`, `ping`. */
    get lifecycle(): Lifecycle;
    /** The session's name. */
    get session(): string;
    /** The user, as the broker knows it. */
    get account(): string;
    /** The broker and its version. */
    get server(): string;
    /**
     * What it takes to come back to this session after the page was loaded again (see the option `resume`). Another one
     * with every connection; undefined in a session that ends with its connection.
     */
    get resumeToken(): string | undefined;
    /** The rooms that this session is in. After coming back from an earlier page they are there from the beginning. */
    get rooms(): Room<any>[];
    /** How the session ended, or null while it lasts, with a connection or without one. */
    get closed(): ClosedInfo | null;
    /** The smoothed round trip in milliseconds. */
    get rtt(): number;
    /** The broker's clock now, in milliseconds since 1970, as well as it is known. */
    serverNow(): number;
    /** Joins a room of this kind that has a free seat, or opens one. The options are for the game's handlers. */
    joinOrCreate<M extends object = AnyMessages, V = any>(kind: string, options?: unknown, settings?: JoinSettings): Promise<Room<M, V>>;
    /** Opens a new room and joins it. */
    create<M extends object = AnyMessages, V = any>(kind: string, options?: unknown, settings?: CreateSettings): Promise<Room<M, V>>;
    /** Joins the room that has this id. */
    joinById<M extends object = AnyMessages, V = any>(id: string, options?: unknown, settings?: JoinSettings): Promise<Room<M, V>>;
    /** Joins the room that has this invite code. */
    joinByInvite<M extends object = AnyMessages, V = any>(code: string, options?: unknown, settings?: JoinSettings): Promise<Room<M, V>>;
    /** Joins the room that the ticket is for: the game's backend got it from the lobby. It can be used once. */
    join<M extends object = AnyMessages, V = any>(ticket: string, options?: unknown, settings?: JoinSettings): Promise<Room<M, V>>;
    /** Ends the session for good. Rooms end with `connection_closed`, calls that wait with `outcome_unknown`. */
    close(): void;
    private enter;
}
