// The way in.

import { ParlorError } from "./errors.js";
import { Parlor } from "./parlor.js";
import { Session } from "./session.js";
import { type ConnectOptions, settle, socketUrl } from "./settings.js";

/**
 * Connects to a broker and resolves when it has welcomed this client. Rejects with a `ParlorError`:
 * the broker's own (`auth_unavailable`, …), `timeout`, or `not_connected` with the `close_code`.
 */
export function connect(url: string, options: ConnectOptions = {}): Promise<Parlor> {
  return new Promise((resolve, reject) => {
    try {
      const session: Session = new Session(socketUrl(url), settle(options), () => resolve(new Parlor(session)), reject);
    } catch (cause) {
      // A bad address, or no WebSocket: said in the same way as all other failures.
      const text = cause instanceof Error ? cause.message : String(cause);
      reject(new ParlorError("not_connected", text, { cause }));
    }
  });
}
