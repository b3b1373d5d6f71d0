import { Parlor } from "./parlor.js";
import { type ConnectOptions } from "./settings.js";
/**
 * Connects to a broker and resolves when it has welcomed this client. Rejects with a `ParlorError`:
 * the broker's own (`auth_unavailable`, …), `timeout`, or `not_connected` with the `close_code`.
 */
export declare function connect(url: string, options?: ConnectOptions): Promise<Parlor>;
