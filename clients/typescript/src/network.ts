// What the platform knows about the network. The seam for it, and a browser's side of it.

/** `online`, `offline`: what the platform thinks of the network. `visible`: the page is looked at again. */
export type NetworkSign = "online" | "offline" | "visible";

/** Who tells of the network. Without such a one, a client goes by its pings and its back-off alone. */
export interface Network {
  /** Calls `told` for every sign until the returned function is called. */
  watch(told: (sign: NetworkSign) => void): () => void;
}

interface Target {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** The network as a browser sees it; where there is no page, such as in Node, it says nothing. */
export const platformNetwork: Network = {
  watch(told) {
    const scope = globalThis as unknown as Partial<Target> & { document?: Target & { visibilityState: string } };
    const offs: (() => void)[] = [];
    const listen = (target: Partial<Target> | undefined, type: string, listener: () => void) => {
      if (typeof target?.addEventListener !== "function") return;
      target.addEventListener(type, listener);
      offs.push(() => target.removeEventListener?.(type, listener));
    };
    listen(scope, "online", () => told("online"));
    listen(scope, "offline", () => told("offline"));
    listen(scope.document, "visibilitychange", () => {
      if (scope.document?.visibilityState === "visible") told("visible");
    });
    return () => offs.forEach((off) => off());
  },
};
