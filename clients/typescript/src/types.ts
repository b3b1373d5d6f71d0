// Message types have numbers on the wire and names everywhere else; they meet here.

/** A room's message types by number and by name. */
export class TypeTable {
  private readonly names: string[];
  private readonly numbers: ReadonlyMap<string, number>;

  /** The first `routes` names may be sent by number. */
  constructor(names: readonly string[], routes: number) {
    this.names = [...names];
    this.numbers = new Map(names.slice(0, routes).map((name, number) => [name, number]));
  }

  /** What stands for a type in a frame to the broker: its number if it has one, else its name. */
  route(name: string): number | string {
    return this.numbers.get(name) ?? name;
  }

  name(number: number): string | undefined {
    return this.names[number];
  }

  /** Adds names from number `first` on. False if there would be a gap: then nothing was added. */
  extend(first: number, names: readonly string[]): boolean {
    if (first > this.names.length) return false;
    names.forEach((name, i) => {
      this.names[first + i] = name;
    });
    return true;
  }
}
