// Where a page keeps the token with which it comes back after it was loaded again.

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
export class SavedToken {
  private readonly key: string;

  constructor(
    private readonly storage: TokenStorage | undefined,
    url: string,
  ) {
    this.key = `parlor:${url}`;
  }

  read(): string | undefined {
    return this.quietly(() => this.storage?.getItem(this.key)) ?? undefined;
  }

  write(token: string | undefined): void {
    this.quietly(() => {
      if (token === undefined) this.storage?.removeItem(this.key);
      else this.storage?.setItem(this.key, token);
    });
  }

  private quietly<T>(use: () => T): T | undefined {
    try {
      return use();
    } catch {
      return undefined;
    }
  }
}
