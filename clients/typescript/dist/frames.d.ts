/** The first element of a frame tells what it is; below 32 the client speaks, above it the broker. */
export declare const Op: {
    readonly hello: 1;
    readonly join: 2;
    readonly leave: 3;
    readonly send: 4;
    readonly request: 5;
    readonly subscribe: 6;
    readonly unsubscribe: 7;
    readonly ping: 8;
    readonly welcome: 33;
    readonly joined: 34;
    readonly types: 35;
    readonly publish: 36;
    readonly reply: 37;
    readonly refused: 38;
    readonly closed: 39;
    readonly error: 40;
    readonly done: 41;
    readonly pong: 42;
    readonly handled: 43;
};
/** A frame as it is on the wire: an array whose first element is its op. */
export type Frame = readonly [op: number, ...fields: unknown[]];
export type Role = "player" | "spectator";
/** An error as the broker writes it; fields that it may leave out are filled in. */
export interface WireError {
    code: string;
    text: string;
    retryable: boolean;
    params: Record<string, unknown>;
    room: number | undefined;
    no: number | undefined;
}
/** The place of an output in the room's history, the same for every member. */
export interface Place {
    seq: number;
    index: number;
}
export interface Welcome {
    op: typeof Op.welcome;
    session: string;
    account: string;
    server: string;
    time: number;
    maxFrame: number;
}
export interface Joined extends Place {
    op: typeof Op.joined;
    id: number;
    room: number;
    roomId: string;
    kind: string;
    player: number;
    role: Role;
    routes: number;
    types: string[];
    properties: Record<string, unknown>;
    view: unknown;
}
/** What belongs to one room and is therefore handed over in order. */
export type RoomFrame = {
    op: typeof Op.types;
    room: number;
    first: number;
    names: string[];
} | ({
    op: typeof Op.publish;
    room: number;
    type: number;
    payload: unknown;
} & Place) | ({
    op: typeof Op.reply;
    room: number;
    id: number;
    payload: unknown;
} & Place) | ({
    op: typeof Op.refused;
    room: number;
    no: number;
    id: number | null;
    error: WireError;
} & Place) | ({
    op: typeof Op.closed;
    room: number;
    code: string;
    result: unknown;
} & Place) | {
    op: typeof Op.handled;
    room: number;
    no: number;
    tick: number;
};
/** Everything that a broker of this version says. */
export type Incoming = Welcome | Joined | RoomFrame | {
    op: typeof Op.error;
    id: number | null;
    error: WireError;
} | {
    op: typeof Op.done;
    id: number;
} | {
    op: typeof Op.pong;
    time: number;
    serverTime: number;
};
