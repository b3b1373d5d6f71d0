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
    readonly ack: 9;
    readonly token: 10;
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
    readonly acked: 44;
    readonly resumed: 48;
    readonly view: 49;
    readonly latest: 50;
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
    expires: number | undefined;
    resume: ResumeTerms | undefined;
    lost: string | undefined;
}
/** What it takes to come back: the token for it, and how often the client acknowledges. */
export interface ResumeTerms {
    token: string;
    ackFrames: number;
    ackBytes: number;
}
/** How a room came through a cut. A later version may know more outcomes. */
export interface RoomOutcome {
    room: number;
    no: number;
    outcome: string;
    frames: number | undefined;
    reason: string | undefined;
}
export interface Resumed {
    op: typeof Op.resumed;
    welcome: Welcome;
    received: number;
    rooms: RoomOutcome[];
}
/** A membership as it is at one place of the room's history. */
export interface Membership extends Place {
    room: number;
    roomId: string;
    kind: string;
    player: number;
    role: Role;
    routes: number;
    types: string[];
    properties: Record<string, unknown>;
    invite: string | undefined;
    view: unknown;
}
export type Joined = Membership & {
    op: typeof Op.joined;
    id: number;
};
export type View = Membership & {
    op: typeof Op.view;
    handled: number;
};
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
    op: typeof Op.latest;
    room: number;
    type: number;
    key: string;
    payload: unknown;
} & Place) | View | ({
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
export type Incoming = Welcome | Resumed | Joined | RoomFrame | {
    op: typeof Op.error;
    id: number | null;
    error: WireError;
} | {
    op: typeof Op.done;
    id: number;
} | {
    op: typeof Op.acked;
    received: number;
} | {
    op: typeof Op.pong;
    time: number;
    serverTime: number;
};
