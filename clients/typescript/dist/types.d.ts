/** A room's message types by number and by name. */
export declare class TypeTable {
    private readonly names;
    private readonly numbers;
    /** The first `routes` names may be sent by number. */
    constructor(names: readonly string[], routes: number);
    /** What stands for a type in a frame to the broker: its number if it has one, else its name. */
    route(name: string): number | string;
    name(number: number): string | undefined;
    /** Adds names from number `first` on. False if there would be a gap: then nothing was added. */
    extend(first: number, names: readonly string[]): boolean;
}
