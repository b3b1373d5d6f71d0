import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { type Codec, connect, decode, encode, Op, type Parlor, type WebSocketLike, webSocketTransport } from "../src/index.js";
import { joined, publish } from "./fake-broker.js";

/** A real socket on which everything that the broker has to say comes in one turn. */
async function serve(codec: Codec, use: (parlor: Parlor, server: WebSocketServer) => Promise<void>): Promise<void> {
  const server = new WebSocketServer({ port: 0, handleProtocols: (offered) => [...offered][0] ?? false });
  server.on("connection", (socket) => {
    assert.equal(socket.protocol, `parlor.v1.${codec}`);
    socket.on("message", (data: Buffer, isBinary) => {
      const frame = decode(isBinary ? new Uint8Array(data) : data.toString());
      const write = (answer: Parameters<typeof encode>[0]) => socket.send(encode(answer, codec));
      const welcome = { session: "s", account: "a", server: "ws/1", time: Date.now(), max_frame: 65_536 };
      if (frame[0] === Op.hello) write([Op.welcome, welcome]);
      if (frame[0] === Op.ping) write([Op.pong, frame[1], Date.now()]);
      if (frame[0] === Op.send) socket.close(4201, "frame_too_large");
      if (frame[0] === Op.join) {
        write(joined(frame[1] as number));
        for (let i = 0; i < 100; i++) write(publish(2, i, 5 + i));
      }
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    await use(await connect(`ws://127.0.0.1:${port}`, { codec, WebSocket }), server);
  } finally {
    for (const client of server.clients) client.terminate();
    server.close();
  }
}

for (const codec of ["msgpack", "json"] satisfies Codec[]) {
  test(`${codec} over a WebSocket: nothing is lost in the turn of joining, and a close is told`, async () => {
    await serve(codec, async (parlor) => {
      const room = await parlor.joinOrCreate("arena");
      const seen: unknown[] = [];
      const all = new Promise<void>((resolve) => {
        room.on("moved", (payload) => {
          if (seen.push(payload) === 100) resolve();
        });
      });
      await all;
      assert.deepEqual(seen, [...Array(100).keys()]);
      const closed = new Promise((resolve) => parlor.lifecycle.on("closed", resolve));
      const request = assert.rejects(room.request("buy"), { code: "outcome_unknown", close_code: 4201 });
      room.send("move");
      assert.deepEqual(await closed, { code: 4201, reason: "frame_too_large", resumable: false });
      await request;
    });
  });
}

test("close ends the WebSocket, and nothing keeps the process", async () => {
  await serve("msgpack", async (parlor, server) => {
    const [socket] = server.clients;
    const ended = new Promise((resolve) => socket!.once("close", resolve));
    parlor.close();
    assert.equal(await ended, 1000);
  });
});

/** A WebSocket whose events the test makes. */
class ScriptedSocket implements WebSocketLike {
  static last: ScriptedSocket;
  readyState = 0;
  binaryType = "blob";
  onopen: WebSocketLike["onopen"] = null;
  onmessage: WebSocketLike["onmessage"] = null;
  onclose: WebSocketLike["onclose"] = null;
  onerror: WebSocketLike["onerror"] = null;
  sent: unknown[] = [];

  constructor(
    readonly url: string,
    readonly protocols: string,
  ) {
    ScriptedSocket.last = this;
  }

  send(data: unknown): void {
    this.sent.push(data);
  }

  close(): void {}
}

test("the events of a WebSocket, as a transport tells them", () => {
  const told: unknown[] = [];
  const transport = webSocketTransport(ScriptedSocket)("ws://x/ws", "parlor.v1.json", {
    onOpen: () => told.push("open"),
    onMessage: (data) => told.push(data),
    onClose: (code, reason) => told.push([code, reason]),
  });
  const socket = ScriptedSocket.last;
  assert.deepEqual([socket.url, socket.protocols, socket.binaryType], ["ws://x/ws", "parlor.v1.json", "arraybuffer"]);
  assert.throws(() => transport.send("too early"));
  socket.readyState = 1;
  socket.onopen?.({});
  transport.send("text");
  socket.onmessage?.({ data: "text" });
  socket.onmessage?.({ data: new Uint8Array([1, 2]).buffer });
  // Closing: a browser would take it and drop it.
  socket.readyState = 2;
  assert.throws(() => transport.send("too late"));
  socket.onerror?.({ message: "reset" });
  socket.onclose?.({});
  assert.deepEqual(socket.sent, ["text"]);
  assert.deepEqual(told, ["open", "text", new Uint8Array([1, 2]), [1006, "reset"]]);
});
