import { type Frame, type Incoming } from "./frames.js";
/**
 * Reads a frame from the broker into its named form, or gives null for an op that this version does
 * not know, because the protocol is only ever extended. Throws `TypeError` on a malformed frame: past
 * this point every field has its type and nobody checks again.
 */
export declare function parse(frame: Frame): Incoming | null;
