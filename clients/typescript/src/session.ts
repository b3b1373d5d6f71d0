// What outlives a connection: rooms, calls, and how far both sides have come.

import { type Answer, Calls } from "./calls.js";
import { ServerClock } from "./clock.js";
import { Credentials } from "./credentials.js";
import { closeDetails, closeKind, fromWire, ParlorError, unknownOutcome } from "./errors.js";
import {
  type Frame,
  type Incoming,
  type Joined,
  Op,
  type Resumed,
  type RoomFrame,
  type Welcome,
  type WireError,
} from "./frames.js";
import { type ClosedInfo, Lifecycle } from "./lifecycle.js";
import { Line } from "./line.js";
import { pack } from "./message.js";
import type { RoomPort } from "./port.js";
import { type Message, Positions } from "./positions.js";
import type { RoomClosed } from "./room.js";
import { Rooms } from "./rooms.js";
import { SavedToken } from "./saved.js";
import type { Settings } from "./settings.js";

const NORMAL = 1000;
const TOKEN_EXPIRED = 4004;

/** How often at least a session that can come back asks whether its connection is still there, in milliseconds. */
const LIVENESS = 5_000;

/**
 * The logical client: says hello on every connection, gives every frame to whom it belongs, and keeps what the broker
 * may not have had. Rooms and calls belong to it and not to a connection.
 */
export class Session {
  readonly lifecycle = new Lifecycle();
  readonly clock = new ServerClock();
  readonly rooms: Rooms;
  welcome: Welcome | null = null;
  closed: ClosedInfo | null = null;

  private readonly line: Line;
  private readonly calls: Calls;
  private readonly credentials: Credentials;
  private readonly saved: SavedToken;
  // Only in a session that outlives its connections.
  private positions: Positions | null = null;
  private isReady = false;
  private stopWaiting = () => {};

  /** Connects; exactly one of `ready` and `failed` is called, once. */
  constructor(
    url: string,
    private readonly settings: Settings,
    private readonly ready: () => void,
    private readonly failed: (error: ParlorError) => void,
  ) {
    this.calls = new Calls(settings.time);
    this.rooms = new Rooms(this.makePort(), settings.time);
    this.credentials = new Credentials(settings.token, settings.time);
    this.saved = new SavedToken(settings.storage, url);
    this.line = new Line(url, settings, this.credentials, {
      hello: (token) => pack(this.hello(token), settings.codec, Infinity),
      onHeard: (counted) => this.heard(counted),
      onFrame: (frame) => this.dispatch(frame),
      onBadFrame: (error) => this.badFrame(error),
      onBeat: () => this.beat(),
      returns: (code) => this.returns(code),
      onDown: (info) => {
        this.credentials.stop();
        this.lifecycle.emit("disconnected", info);
      },
      onEnd: (code, reason, error) => this.end(code, reason, error),
    });
    this.line.open();
  }

  /** Writes a frame, or keeps it for when there is a connection again. Throws when it can do neither. */
  write(frame: Frame): void {
    if (this.closed !== null) throw new ParlorError("not_connected", "the session has ended");
    const message = this.pack(frame);
    if (this.positions === null) return this.line.send(message);
    // A room can always be left, and a token be renewed: their number has its own bounds.
    const must = frame[0] === Op.leave || frame[0] === Op.token;
    if (!must && this.positions.full(message)) {
      const text = `${this.positions.unacknowledged} messages wait for the broker's acknowledgement`;
      throw new ParlorError("buffer_full", text, { retryable: true });
    }
    this.positions.keep(message);
    this.flush();
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
    this.line.close(NORMAL);
    this.end(NORMAL, "", undefined);
  }

  private hello(token: string | undefined): Frame {
    const hello: Record<string, unknown> = { ...this.settings.hello };
    if (token !== undefined) hello["token"] = token;
    if (this.settings.resume !== false) hello["resume"] = this.whence();
    return [Op.hello, hello];
  }

  /** The session to come back to: this one, or that of an earlier page, or none. */
  private whence(): Record<string, unknown> {
    const token = this.welcome?.resume?.token;
    if (token !== undefined) return { token, received: this.positions?.received ?? 0 };
    const { resume } = this.settings;
    const earlier = this.welcome !== null ? undefined : typeof resume === "string" ? resume : this.saved.read();
    return earlier === undefined ? {} : { token: earlier };
  }

  private dispatch(frame: Incoming): void {
    switch (frame.op) {
      case Op.welcome:
        return this.welcomed(frame);
      case Op.resumed:
        return this.resumed(frame);
      case Op.error:
        return this.errored(frame.id, frame.error);
    }
    // Before the broker has answered hello there is nothing that any other frame could be about.
    if (!this.line.live) return this.bad("a frame before the welcome");
    switch (frame.op) {
      case Op.joined:
        return this.joined(frame);
      case Op.done:
        return this.calls.settle(frame.id, Op.done, undefined);
      case Op.pong:
        return this.ponged(frame.time, frame.serverTime);
      case Op.acked:
        if (this.positions?.release(frame.received) !== true) this.bad("an ack of what was not sent");
        return;
      default:
        return this.roomFrame(frame);
    }
  }

  private welcomed(welcome: Welcome): void {
    if (this.line.live) return this.bad("a second welcome");
    const again = this.welcome !== null;
    this.positions = welcome.resume === undefined ? null : new Positions(this.settings.buffer, due(welcome));
    this.greeted(welcome);
    if (again) this.forget(welcome.lost ?? "unknown");
    else this.begin();
    this.line.beat(this.period());
  }

  private resumed({ welcome, received, rooms }: Resumed): void {
    const wrong = this.line.live || welcome.resume === undefined || this.settings.resume === false;
    if (wrong) return this.bad("a resumed that was not asked for");
    const cold = this.positions === null;
    if (this.positions === null) {
      this.positions = new Positions(this.settings.buffer, due(welcome), received);
      // The ids of the page before this one may still be answered. Each went with a message, so they end here.
      this.calls.startAfter(received);
    } else if (!this.positions.resume(received, due(welcome))) {
      // Nothing can be promised any more, so there is nothing to come back to either.
      this.positions = null;
      return this.line.fail(new ParlorError("bad_frame", "positions that cannot be"));
    }
    this.greeted(welcome);
    // First what the broker has not had, and nothing before it; then the proof that the new token has come.
    this.flush();
    this.acknowledge();
    if (cold) this.await(rooms);
    else this.lifecycle.emit("resumed", { rooms: this.rooms.resumed(rooms) });
    this.line.beat(this.period());
  }

  private greeted(welcome: Welcome): void {
    this.welcome = welcome;
    this.line.greeted();
    this.saved.write(welcome.resume?.token);
    this.clock.greeted(this.line.helloAt, this.now(), welcome.time);
    if (welcome.expires !== undefined) {
      this.credentials.expires(welcome.expires - this.clock.serverNow(this.now()), () => this.renew());
    }
  }

  /** A page that was loaded again: its rooms are made of their views, and it begins with all of them. */
  private await(rooms: Resumed["rooms"]): void {
    const { time, requestTimeout } = this.settings;
    this.rooms.expect(rooms);
    this.stopWaiting = time.after(requestTimeout, () => {
      this.line.close();
      this.end(NORMAL, "", new ParlorError("timeout", `no views within ${requestTimeout} ms`));
    });
    if (this.rooms.complete) this.begin();
  }

  private begin(): void {
    this.isReady = true;
    this.stopWaiting();
    this.ready();
    if (this.rooms.list().length > 0) this.rooms.begin();
  }

  /** This is a new session: nothing of the old one is said again in it. */
  private forget(reason: string): void {
    const text = `the session was lost before the answer: ${reason}`;
    this.calls.abandon(null, new ParlorError("outcome_unknown", text, { params: { lost: reason } }));
    this.rooms.end("lost");
    if (this.isReady) this.lifecycle.emit("lost", { reason });
    else this.begin();
  }

  private heard(counted: number | null): void {
    if (counted === null || !this.line.live || this.positions === null) return;
    if (this.positions.count(counted)) this.acknowledge();
  }

  private acknowledge(): void {
    this.quietly(() => {
      this.line.send(this.pack([Op.ack, this.positions?.received]));
      this.positions?.acknowledged();
    });
  }

  private flush(): void {
    const { positions } = this;
    if (positions === null) return;
    // A connection that takes nothing is found out by its pings; until then the order must stay.
    this.quietly(() => {
      for (let message = positions.next(); message !== undefined; message = positions.next()) {
        this.line.send(message);
        positions.wrote();
      }
    });
  }

  private beat(): void {
    if (this.positions?.owes === true) this.acknowledge();
    this.line.send(this.pack([Op.ping, this.now()]));
  }

  private period(): number {
    const wanted = this.settings.pingInterval;
    return this.positions === null ? wanted : Math.min(wanted > 0 ? wanted : LIVENESS, LIVENESS);
  }

  private renew(): void {
    const failed = (error: ParlorError) => this.lifecycle.error(error);
    this.credentials.ask((token) => {
      // Without a connection the next hello brings one.
      if (!this.line.live) return;
      this.call(Op.done, null, undefined, (id) => this.write([Op.token, id, token])).catch(failed);
    }, failed);
  }

  // One bad frame is left out; but who begins with one is not a broker.
  private badFrame(error: ParlorError): void {
    if (this.line.live) this.lifecycle.error(error);
    else this.line.fail(error);
  }

  private bad(text: string): void {
    this.badFrame(new ParlorError("bad_frame", text));
  }

  private errored(id: number | null, wire: WireError): void {
    if (!this.line.live) {
      // The first hello is answered by its error; later ones by the close code that follows it.
      if (this.welcome === null) this.line.fail(fromWire(wire));
      return;
    }
    if (id !== null) return this.calls.fail(id, fromWire(wire));
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
    this.calls.settle(frame.id, Op.joined, this.rooms.joined(frame));
  }

  private roomFrame(frame: RoomFrame): void {
    this.rooms.accept(frame);
    if (!this.isReady && this.rooms.complete) this.begin();
  }

  private ponged(sent: number, serverTime: number): void {
    const sample = this.clock.ponged(sent, this.now(), serverTime);
    this.lifecycle.emit("ping", { rtt: this.clock.rtt, sample });
  }

  private returns(code: number): boolean {
    const kind = closeKind(code);
    if (this.positions === null || (kind !== "resumable" && kind !== "network")) return false;
    return code !== TOKEN_EXPIRED || this.credentials.renewable;
  }

  private end(code: number, reason: string, error: ParlorError | undefined): void {
    const kind = closeKind(code);
    const info = { code, reason, resumable: kind === "resumable" || kind === "network" };
    this.closed = info;
    this.stopWaiting();
    this.credentials.stop();
    // A network that is gone for long may yet come back, and the user load the page again.
    if (this.isReady && !info.resumable) this.saved.write(undefined);
    if (!this.isReady) {
      const text = reason || `closed with ${code}`;
      return this.failed(error ?? new ParlorError("not_connected", text, closeDetails(code, reason)));
    }
    this.calls.abandon(null, unknownOutcome("the connection was closed", info));
    this.rooms.end("connection_closed");
    this.lifecycle.emit("closed", info);
  }

  private makePort(): RoomPort {
    return {
      write: (frame) => this.write(frame),
      call: (answer, owner, timeout, write) => this.call(answer, owner, timeout, write),
      settle: (id, payload) => this.calls.settle(id, Op.reply, payload),
      fail: (id, error) => this.calls.fail(id, error),
      abandon: (room, closed) => this.calls.abandon(room, roomOutcome(closed, this.closed)),
      resync: (room) => this.lifecycle.emit("resync", { room }),
      error: (error) => this.lifecycle.error(error),
      threw: (thrown) => this.lifecycle.threw(thrown),
    };
  }

  private pack(frame: Frame): Message {
    return pack(frame, this.settings.codec, this.welcome?.maxFrame ?? Infinity);
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

function due(welcome: Welcome): { frames: number; bytes: number } {
  return { frames: welcome.resume?.ackFrames ?? Infinity, bytes: welcome.resume?.ackBytes ?? Infinity };
}

function roomOutcome(room: RoomClosed, connection: ClosedInfo | null): ParlorError {
  if (connection !== null && room.code === "connection_closed") {
    return unknownOutcome("the connection was closed", connection);
  }
  return new ParlorError("outcome_unknown", `the room ended before its answer: ${room.code}`, {
    params: { room_closed: room.code },
  });
}
