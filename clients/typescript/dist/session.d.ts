import { type Answer } from "./calls.js";
import { ServerClock } from "./clock.js";
import { ParlorError } from "./errors.js";
import { type Frame, type Welcome } from "./frames.js";
import { type ClosedInfo, Lifecycle } from "./lifecycle.js";
import type { Settings } from "./settings.js";
/**
 * The logical client: says hello, gives every frame to whom it belongs, and ends everything when the
 * connection ends. Rooms and calls belong to it and not to the connection.
 */
export declare class Session {
    private readonly settings;
    private readonly ready;
    private readonly failed;
    readonly lifecycle: Lifecycle;
    readonly clock: ServerClock;
    welcome: Welcome | null;
    closed: ClosedInfo | null;
    private readonly link;
    private readonly calls;
    private readonly rooms;
    private readonly port;
    private stopTimer;
    private helloSent;
    /** Connects; exactly one of `ready` and `failed` is called, once. */
    constructor(url: string, settings: Settings, ready: () => void, failed: (error: ParlorError) => void);
    write(frame: Frame): void;
    call<T>(answer: Answer, owner: object | null, timeout: number | undefined, write: (id: number) => void): Promise<T>;
    now(): number;
    /** Ends the session from this side. */
    close(): void;
    private hello;
    private dispatch;
    private welcomed;
    private badFrame;
    private errored;
    private joined;
    private roomFrame;
    private ponged;
    private ping;
    private lost;
    /** There will be no session. */
    private refuse;
    private end;
    private makePort;
    private quietly;
}
