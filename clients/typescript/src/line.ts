// A connection, and another one when it is lost. Knows when to connect and when to give up, not what is said.

import { pause } from "./backoff.js";
import type { Credentials } from "./credentials.js";
import { ParlorError } from "./errors.js";
import type { Incoming } from "./frames.js";
import { Heartbeat } from "./heartbeat.js";
import type { DisconnectedInfo } from "./lifecycle.js";
import { Link } from "./link.js";
import type { NetworkSign } from "./network.js";
import type { Message } from "./positions.js";
import type { Settings } from "./settings.js";

/** What a line asks and tells its session. */
export interface LineEvents {
  /** What a new connection begins with. */
  hello(token: string | undefined): Message;
  onHeard(counted: number | null): void;
  onFrame(frame: Incoming): void;
  onBadFrame(error: ParlorError): void;
  /** It is time for a ping. Throws when it cannot be written. */
  onBeat(): void;
  /** Whether there is anything to come back for after a connection that ended with this code. */
  returns(code: number): boolean;
  onDown(info: DisconnectedInfo): void;
  /** There will be no other connection. The error says why, where the code does not. */
  onEnd(code: number, reason: string, error: ParlorError | undefined): void;
}

// What the platform says of a connection that ended without a close frame.
const ABNORMAL = 1006;

/**
 * Closes a connection that is given up. Never 1000, which the broker takes for the end of the session: should it still
 * hear this, the session must wait for the next connection.
 */
const GIVEN_UP = 4002;

/** One connection at a time. It counts once the broker has answered hello: then its user calls `greeted`. */
export class Line {
  /** When hello was written. */
  helloAt = 0;
  private state: "opening" | "live" | "waiting" | "ended" = "opening";
  private link: Link | undefined;
  private heartbeat: Heartbeat | undefined;
  private attempt = 0;
  private failures = 0;
  private liveSince = 0;
  private away = false;
  private last = { code: ABNORMAL, reason: "" };
  private stopTimer = () => {};
  private stopGivingUp = () => {};
  private readonly unwatch: () => void;

  constructor(
    private readonly url: string,
    private readonly settings: Settings,
    private readonly credentials: Credentials,
    private readonly events: LineEvents,
  ) {
    this.unwatch = settings.network.watch((sign) => this.signed(sign));
  }

  /** Whether the broker has answered hello on the connection that there is. */
  get live(): boolean {
    return this.state === "live";
  }

  /** Makes an attempt to connect. */
  open(): void {
    const attempt = ++this.attempt;
    const { time, requestTimeout } = this.settings;
    const current = () => attempt === this.attempt && this.state === "opening";
    this.state = "opening";
    this.stopTimer();
    this.stopTimer = time.after(requestTimeout, () => {
      this.fail(new ParlorError("timeout", `no welcome within ${requestTimeout} ms`));
    });
    this.credentials.ask(
      (token) => {
        if (current()) this.dial(token);
      },
      (error) => {
        if (current()) this.fail(error);
      },
    );
  }

  /** The broker has answered hello: what is written from now on goes to it. */
  greeted(): void {
    this.state = "live";
    this.away = false;
    this.liveSince = this.settings.time.now();
    this.stopTimer();
    this.stopGivingUp();
  }

  /** Begins to ping. */
  beat(period: number): void {
    // What was written at last may have found out that nobody is there.
    if (!this.live) return;
    const unheard = () => this.fail(new ParlorError("timeout", "nothing was heard from the broker"));
    this.heartbeat = new Heartbeat(this.settings.time, period, () => this.ping(), unheard);
    this.heartbeat.start();
  }

  /** Writes a message, or throws `not_connected`. */
  send(message: Message): void {
    if (!this.live || this.link === undefined) throw new ParlorError("not_connected", "there is no connection");
    this.link.send(message);
  }

  /** Lets go of this connection; whether there will be another one is asked as for any that is lost. */
  fail(error: ParlorError): void {
    this.down(ABNORMAL, error.text, error);
  }

  /** Ends it from this side; no event follows. */
  close(code = GIVEN_UP): void {
    this.cut(code);
    this.state = "ended";
    this.stopGivingUp();
    this.unwatch();
  }

  private dial(token: string | undefined): void {
    const { settings, events } = this;
    try {
      this.link = new Link(settings.transport, this.url, settings.codec, {
        onOpen: () => this.hello(token),
        onHeard: (counted) => {
          this.heartbeat?.heard();
          events.onHeard(counted);
        },
        onFrame: (frame) => events.onFrame(frame),
        onBadFrame: (error) => events.onBadFrame(error),
        onClose: (code, reason) => this.down(code, reason),
      });
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      this.fail(new ParlorError("not_connected", text, { cause }));
    }
  }

  private hello(token: string | undefined): void {
    this.helloAt = this.settings.time.now();
    try {
      this.link?.send(this.events.hello(token));
    } catch (thrown) {
      this.fail(thrown as ParlorError);
    }
  }

  private ping(): void {
    try {
      this.events.onBeat();
    } catch (thrown) {
      this.fail(thrown as ParlorError);
    }
  }

  private down(code: number, reason: string, error?: ParlorError): void {
    if (this.state === "ended") return;
    // A connection that broke at once says nothing good about the next one.
    if (this.live && this.settings.time.now() - this.liveSince >= this.settings.backOff.most) this.failures = 0;
    this.cut(GIVEN_UP);
    if (!this.events.returns(code)) {
      this.close();
      return this.events.onEnd(code, reason, error);
    }
    this.last = { code, reason };
    this.state = "waiting";
    if (!this.away) {
      this.away = true;
      this.stopGivingUp = this.settings.time.after(this.settings.reconnectFor, () => this.giveUp());
    }
    const retryIn = pause(this.settings.backOff, this.failures++, this.settings.random);
    this.stopTimer = this.settings.time.after(retryIn, () => this.open());
    this.events.onDown({ code, reason, retryIn });
  }

  private giveUp(): void {
    this.close();
    this.events.onEnd(this.last.code, this.last.reason, undefined);
  }

  // The network is there again, or somebody looks at the page again: no reason to wait any longer.
  private signed(sign: NetworkSign): void {
    if (this.live) return this.heartbeat?.probe();
    if (!this.away || sign === "offline") return;
    // An attempt that began on another network is not worth waiting for.
    if (this.state === "opening" && sign === "visible") return;
    this.cut(GIVEN_UP);
    this.failures = 0;
    this.open();
  }

  private cut(code: number): void {
    this.stopTimer();
    this.heartbeat?.stop();
    this.heartbeat = undefined;
    this.link?.close(code, "");
    this.link = undefined;
  }
}
