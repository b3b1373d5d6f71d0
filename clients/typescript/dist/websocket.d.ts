import type { TransportFactory } from "./transport.js";
/** As much of a WebSocket as is used here: the browser's, and that of the package `ws`. */
export interface WebSocketLike {
    readonly readyState: number;
    binaryType: string;
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send(data: any): void;
    close(code?: number, reason?: string): void;
}
export type WebSocketConstructor = new (url: string, protocols: string) => WebSocketLike;
/** Frames over WebSocket, one in each message. */
export declare function webSocketTransport(constructor?: WebSocketConstructor | undefined): TransportFactory;
