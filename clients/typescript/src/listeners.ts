// The one place where code of the application is called, and where its errors are caught.

/** Ends a subscription; calling it again does nothing. */
export type Unsubscribe = () => void;

/** Where the error of a handler goes. */
export type Report = (thrown: unknown) => void;

/**
 * The handlers of one event, in the order in which they came. One that throws harms no other: its
 * error is reported and the next is called. Changes made during a call hold from the next one on,
 * because every change makes a new array; changes are rare and calls are many.
 */
export class Listeners<A extends unknown[]> {
  private list: readonly { fn: (...args: A) => void }[] = [];

  add(fn: (...args: A) => void): Unsubscribe {
    // Its own object, so that a function added twice is removed once at a time.
    const entry = { fn };
    this.list = [...this.list, entry];
    return () => {
      this.list = this.list.filter((other) => other !== entry);
    };
  }

  /** Whether anybody listens. */
  get any(): boolean {
    return this.list.length > 0;
  }

  emit(report: Report, ...args: A): void {
    for (const { fn } of this.list) {
      try {
        fn(...args);
      } catch (thrown) {
        report(thrown);
      }
    }
  }
}
