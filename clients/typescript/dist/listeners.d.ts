/** Ends a subscription; calling it again does nothing. */
export type Unsubscribe = () => void;
/** Where the error of a handler goes. */
export type Report = (thrown: unknown) => void;
/**
 * The handlers of one event, in the order in which they came. One that throws harms no other: its
 * error is reported and the next is called. Changes made during a call hold from the next one on,
 * because every change makes a new array; changes are rare and calls are many.
 */
export declare class Listeners<A extends unknown[]> {
    private list;
    add(fn: (...args: A) => void): Unsubscribe;
    /** Whether anybody listens. */
    get any(): boolean;
    emit(report: Report, ...args: A): void;
}
