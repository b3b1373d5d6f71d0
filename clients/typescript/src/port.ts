// The seam between a room and its session, so that neither holds more of the other than it needs.

import type { Answer } from "./calls.js";
import type { ParlorError } from "./errors.js";
import type { Frame } from "./frames.js";
import type { Room, RoomClosed } from "./room.js";

/** All that a room needs of its session. */
export interface RoomPort {
  write(frame: Frame): void;
  call<T>(answer: Answer, owner: object, timeout: number | undefined, write: (id: number) => void): Promise<T>;
  settle(id: number, payload: unknown): void;
  fail(id: number, error: ParlorError): void;
  abandon(owner: object, closed: RoomClosed): void;
  resync(room: Room<any>): void;
  error(error: ParlorError): void;
  threw(thrown: unknown): void;
}
