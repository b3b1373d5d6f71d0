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
    /** What happens outside of rooms: `closed`, `error`, `ping`. */
    get lifecycle(): Lifecycle;
    /** The session's name. */
    get session(): string;
    /** The user, as the broker knows it. */
    get account(): string;
    /** The broker and its version. */
    get server(): string;
    /** How the connection ended, or null while it lasts. */
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
    /** Ends the session. Rooms end with `connection_closed`, calls that wait with `outcome_unknown`. */
    close(): void;
    private join;
}
