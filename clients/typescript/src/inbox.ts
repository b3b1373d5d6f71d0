// Order and patience for what comes in. Knows nothing of what it hands over.

/**
 * Hands items over one at a time and in order, or holds them while it is shut. A delivery that
 * causes another item does not nest: the item waits its turn.
 */
export class Inbox<T> {
  private readonly held: T[] = [];
  private shut = true;
  private delivering = false;

  constructor(private readonly deliver: (item: T) => void) {}

  push(item: T): void {
    this.held.push(item);
    this.drain();
  }

  /** Delivers what was held, and from now on everything at once. */
  open(): void {
    this.shut = false;
    this.drain();
  }

  private drain(): void {
    if (this.shut || this.delivering) return;
    this.delivering = true;
    try {
      for (let item = this.held.shift(); item !== undefined; item = this.held.shift()) this.deliver(item);
    } finally {
      this.delivering = false;
    }
  }
}
