/** `online`, `offline`: what the platform thinks of the network. `visible`: the page is looked at again. */
export type NetworkSign = "online" | "offline" | "visible";
/** Who tells of the network. Without such a one, a client goes by its pings and its back-off alone. */
export interface Network {
    /** Calls `told` for every sign until the returned function is called. */
    watch(told: (sign: NetworkSign) => void): () => void;
}
/** The network as a browser sees it; where there is no page, such as in Node, it says nothing. */
export declare const platformNetwork: Network;
