/** As much of `sessionStorage` as is used here. */
export interface TokenStorage {
    getItem(key: string): string | null;
    setItem(key: string, value: string): void;
    removeItem(key: string): void;
}
/**
 * The newest resume token of one address. A storage may be full or forbidden; the game goes on without it then, and
 * only a page that is loaded again will notice.
 */
export declare class SavedToken {
    private readonly storage;
    private readonly key;
    constructor(storage: TokenStorage | undefined, url: string);
    read(): string | undefined;
    write(token: string | undefined): void;
    private quietly;
}
