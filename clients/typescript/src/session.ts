// What outlives a connection: it will be here that another connection is taken up.

import { type Answer, Calls } from "./calls.js";
import { ServerClock } from "./clock.js";
import { closeKind, fromWire, ParlorError } from "./errors.js";
import { type Frame, type Incoming, type Joined, Op, type RoomFrame, type Welcome, type WireError } from "./frames.js";
import { type ClosedInfo, Lifecycle } from "./lifecycle.js";
import { Link } from "./link.js";
import type { RoomPort } from "./port.js";
import { Room, type RoomClosed } from "./room.js";
import type { Settings } from "./settings.js";

/**
 * The logical client: says hello, gives every frame to whom it belongs, and ends everything when the
 * connection ends. Rooms and calls belong to it and not to the connection.
 */
export class Session {
  readonly lifecycle = new Lifecycle();
  readonly clock = new ServerClock();
  welcome: Welcome | null = null;
  closed: ClosedInfo | null = null;

  private readonly link: Link;
  private readonly calls: Calls;
  private readonly rooms = new Map<number, Room<any>>();
  private readonly port: RoomPort;
  private stopTimer: () => void;
  private helloSent = 0;

  /** Connects; exactly one of `ready` and `failed` is called, once. */
  constructor(
    url: string,
    private readonly settings: Settings,
    private readonly ready: () => void,
    private readonly failed: (error: ParlorError) => void,
  ) {
    this.calls = new Calls(settings.time);
    this.port = this.makePort();
    this.stopTimer = settings.time.after(settings.requestTimeout, () => {
      this.refuse(new ParlorError("timeout", `no welcome within ${settings.requestTimeout} ms`));
    });
    this.link = new Link(settings.transport, url, settings.codec, {
      onOpen: () => this.hello(),
      onFrame: (frame) => this.dispatch(frame),
      onBadFrame: (error) => this.badFrame(error),
      onClose: (code, reason) => this.lost(code, reason),
    });
  }

  write(frame: Frame): void {
    this.link.write(frame);
  }

  call<T>(answer: Answer, owner: object | null, timeout: number | undefined, write: (id: number) => void): Promise<T> {
    return this.calls.start<T>(answer, owner, timeout ?? this.settings.requestTimeout, write);
  }

  now(): number {
    return this.settings.time.now();
  }

  /** Ends the session from this side. */
  close(): void {
    if (this.closed !== null) return;
    this.link.close(1000, "");
    this.end({ code: 1000, reason: "", resumable: false });
  }

  private hello(): void {
    this.helloSent = this.now();
    try {
      this.write([Op.hello, this.settings.hello]);
    } catch (thrown) {
      this.refuse(thrown as ParlorError);
    }
  }

  private dispatch(frame: Incoming): void {
    if (frame.op === Op.welcome) return this.welcomed(frame);
    if (frame.op === Op.error) return this.errored(frame.id, frame.error);
    // Before the welcome there is nothing that any other frame could be about.
    if (this.welcome === null) return this.badFrame(new ParlorError("bad_frame", "a frame before the welcome"));
    switch (frame.op) {
      case Op.joined:
        return this.joined(frame);
      case Op.done:
        return this.calls.settle(frame.id, Op.done, undefined);
      case Op.pong:
        return this.ponged(frame.time, frame.serverTime);
      default:
        return this.roomFrame(frame);
    }
  }

  private welcomed(welcome: Welcome): void {
    if (this.welcome !== null) return this.badFrame(new ParlorError("bad_frame", "a second welcome"));
    this.stopTimer();
    this.welcome = welcome;
    this.link.maxFrame = welcome.maxFrame;
    this.clock.greeted(this.helloSent, this.now(), welcome.time);
    this.ready();
    if (this.settings.pingInterval > 0) this.ping();
  }

  // One bad frame is left out; but who begins with one is not a broker.
  private badFrame(error: ParlorError): void {
    if (this.welcome === null) this.refuse(error);
    else this.lifecycle.error(error);
  }

  private errored(id: number | null, wire: WireError): void {
    if (id !== null) return this.calls.fail(id, fromWire(wire));
    if (this.welcome === null) return this.refuse(fromWire(wire));
    const room = wire.room === undefined ? undefined : this.rooms.get(wire.room);
    if (room === undefined || wire.no === undefined) return this.lifecycle.error(fromWire(wire));
    // A send that never reached the room: to the application the same as one that its handler refused.
    room.accept({ op: Op.refused, room: room.number, seq: 0, index: 0, no: wire.no, id: null, error: wire });
  }

  private joined(frame: Joined): void {
    if (!this.calls.expects(frame.id, Op.joined)) {
      // The caller gave up. Without a word the seat would stay taken for as long as the session lasts.
      this.quietly(() => this.write([Op.leave, frame.room]));
      return;
    }
    const room = new Room<any>(this.port, frame);
    this.rooms.set(frame.room, room);
    this.calls.settle(frame.id, Op.joined, room);
    this.settings.time.after(0, () => room.begin());
  }

  private roomFrame(frame: RoomFrame): void {
    const room = this.rooms.get(frame.room);
    // The number is free for another room as soon as this one's last frame is here, even while it is held.
    if (frame.op === Op.closed) this.rooms.delete(frame.room);
    room?.accept(frame);
  }

  private ponged(sent: number, serverTime: number): void {
    const sample = this.clock.ponged(sent, this.now(), serverTime);
    this.lifecycle.emit("ping", { rtt: this.clock.rtt, sample });
  }

  private ping(): void {
    this.quietly(() => this.write([Op.ping, this.now()]));
    if (this.closed === null) this.stopTimer = this.settings.time.after(this.settings.pingInterval, () => this.ping());
  }

  private lost(code: number, reason: string): void {
    if (this.welcome === null) {
      this.refuse(new ParlorError("not_connected", reason || `closed with ${code}`, closeDetails(code, reason)));
      return;
    }
    const kind = closeKind(code);
    this.end({ code, reason, resumable: kind === "resumable" || kind === "network" });
  }

  /** There will be no session. */
  private refuse(error: ParlorError): void {
    if (this.closed !== null) return;
    this.closed = { code: error.close_code ?? 1000, reason: error.text, resumable: false };
    this.stopTimer();
    this.link.close(1000, "");
    this.failed(error);
  }

  private end(info: ClosedInfo): void {
    this.closed = info;
    this.stopTimer();
    this.calls.abandon(null, unknownOutcome("the connection was closed", info));
    // Through the rooms' own order: a reply that is held arrived, and is not unknown.
    for (const { number } of this.rooms.values()) {
      this.roomFrame({ op: Op.closed, room: number, seq: 0, index: 0, code: "connection_closed", result: null });
    }
    this.lifecycle.emit("closed", info);
  }

  private makePort(): RoomPort {
    return {
      write: (frame) => this.write(frame),
      call: (answer, owner, timeout, write) => this.call(answer, owner, timeout, write),
      settle: (id, payload) => this.calls.settle(id, Op.reply, payload),
      fail: (id, error) => this.calls.fail(id, error),
      abandon: (room, closed) => this.calls.abandon(room, roomOutcome(closed, this.closed)),
      error: (error) => this.lifecycle.error(error),
      threw: (thrown) => this.lifecycle.threw(thrown),
    };
  }

  // For what need not be sent if there is no connection: its end is reported anyway.
  private quietly(write: () => void): void {
    try {
      write();
    } catch (thrown) {
      if (!(thrown instanceof ParlorError)) throw thrown;
    }
  }
}

function roomOutcome(room: RoomClosed, connection: ClosedInfo | null): ParlorError {
  if (connection !== null && room.code === "connection_closed") {
    return unknownOutcome("the connection was closed", connection);
  }
  return new ParlorError("outcome_unknown", `the room ended before its answer: ${room.code}`, {
    params: { room_closed: room.code },
  });
}

function unknownOutcome(what: string, { code, reason }: ClosedInfo): ParlorError {
  return new ParlorError("outcome_unknown", `${what} before the answer`, closeDetails(code, reason));
}

function closeDetails(code: number, reason: string): { close_code: number; params: Record<string, unknown> } {
  return { close_code: code, params: { close_code: code, reason } };
}
