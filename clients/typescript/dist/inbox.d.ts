/**
 * Hands items over one at a time and in order, or holds them while it is shut. A delivery that
 * causes another item does not nest: the item waits its turn.
 */
export declare class Inbox<T> {
    private readonly deliver;
    private readonly held;
    private shut;
    private delivering;
    constructor(deliver: (item: T) => void);
    push(item: T): void;
    /** Delivers what was held, and from now on everything at once. */
    open(): void;
    private drain;
}
