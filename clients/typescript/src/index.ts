// Everything that applications may use. What is not exported here may change at any time.

export { type Codec, decode, encode, subprotocol } from "./codec.js";
export { connect } from "./connect.js";
export { type ClientCode, closeKind, type CloseKind, type ErrorDetails, ParlorError } from "./errors.js";
export { type Frame, Op, type Place, type Role } from "./frames.js";
export type {
  ClosedInfo,
  DisconnectedInfo,
  Lifecycle,
  LifecycleEvents,
  PingInfo,
  ResumedInfo,
  RoomResumed,
} from "./lifecycle.js";
export type { Unsubscribe } from "./listeners.js";
export { type Accept, memoryTransport } from "./memory.js";
export type { Network, NetworkSign } from "./network.js";
export type { CreateSettings, JoinSettings, Parlor } from "./parlor.js";
export type { AnyMessages, Handled, Meta, Room, RoomClosed, ViewMeta } from "./room.js";
export type { TokenStorage } from "./saved.js";
export { type ConnectOptions, VERSION } from "./settings.js";
export type { Time } from "./time.js";
export type { Transport, TransportEvents, TransportFactory } from "./transport.js";
export { type WebSocketConstructor, type WebSocketLike, webSocketTransport } from "./websocket.js";
