export interface BackOff {
    /** The longest first pause, in milliseconds. */
    first: number;
    /** The longest pause of all, in milliseconds. */
    most: number;
}
/**
 * The pause before attempt `n`, from 0: anything up to a bound that doubles. All of it is chance, so that the clients
 * of a broker that was started anew do not all come at the same moment.
 */
export declare function pause({ first, most }: BackOff, n: number, random: () => number): number;
