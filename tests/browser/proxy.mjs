// A network between a page and its server, which can be cut: loudly, as when a cable is pulled beside the machine, or silently, as
// when a router forgets a connection.

import { connect, createServer } from "node:net";

/** Starts one to the server at `url`: `{at(path), cut(), forget(), mend(), close()}`. */
export async function network(url) {
  const { hostname, port } = new URL(url);
  const pairs = new Set();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.resetAndDestroy();
    const far = connect(Number(port), hostname);
    const pair = [near, far];
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near]]) {
      one.on("data", (data) => !pair.muted && other.write(data));
      one.on("error", () => {});
      one.on("close", () => {
        pairs.delete(pair);
        if (!pair.muted) other.destroy();
      });
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const reset = () => pairs.forEach((pair) => pair.forEach((socket) => socket.resetAndDestroy()));
  return {
    at: (path) => new URL(path, `http://127.0.0.1:${server.address().port}`).href,
    /** Ends all connections, and lets no other one through. */
    cut() {
      isCut = true;
      reset();
    },
    /** Passes on nothing more of the connections that there are, in either direction, and tells nobody. */
    forget() {
      for (const pair of pairs) pair.muted = true;
    },
    /** Lets connections through again. */
    mend() {
      isCut = false;
    },
    close() {
      reset();
      server.close();
    },
  };
}
