/** What hosts give to each other: bytes of blocks in both directions, by the host's identity, over all drives. */
import { limits } from '../limits.js';

/** Blocks in bytes, since the account was opened. */
export interface Account {
  /** Sent to the host. */
  givenBytes: number;
  /** Received from it. */
  takenBytes: number;
}

const ID = /^[0-9a-f]{64}$/;

export class Accounts {
  /** By id in hex, the one that moved longest ago first. */
  readonly #accounts = new Map<string, Account>();
  readonly #ratio: number | null;

  /**
   * @param ratio A host that got more than so many times what it gave is served no blocks for audits and repairs, until
   * it gives more; null: everybody is served.
   */
  constructor(ratio: number | null, saved: unknown) {
    this.#ratio = ratio;
    if (!Array.isArray(saved)) return;
    for (const entry of saved.slice(0, limits.host_accounts_max)) {
      const { id, givenBytes, takenBytes } = (entry ?? {}) as Record<string, unknown>;
      if (typeof id !== 'string' || !ID.test(id) || !isBytes(givenBytes) || !isBytes(takenBytes)) {
        continue;
      }
      this.#accounts.set(id, { givenBytes, takenBytes });
    }
  }

  /** Notes blocks that went to a host, or came from it. */
  move(id: Buffer, givenBytes: number, takenBytes: number): void {
    const name = id.toString('hex');
    const account = this.#accounts.get(name) ?? { givenBytes: 0, takenBytes: 0 };
    account.givenBytes += givenBytes;
    account.takenBytes += takenBytes;
    this.#accounts.delete(name);
    if (this.#accounts.size >= limits.host_accounts_max) {
      const [oldest] = this.#accounts.keys();
      if (oldest !== undefined) this.#accounts.delete(oldest);
    }
    this.#accounts.set(name, account);
  }

  of(id: Buffer): Account {
    const account = this.#accounts.get(id.toString('hex'));
    return account === undefined ? { givenBytes: 0, takenBytes: 0 } : { ...account };
  }

  /** Whether a host has given enough for what it gets. */
  isFair(id: Buffer): boolean {
    if (this.#ratio === null) return true;
    const { givenBytes, takenBytes } = this.of(id);
    return givenBytes <= limits.host_credit_bytes + this.#ratio * takenBytes;
  }

  /** Whether a host has given so much that it may want something in return. */
  hasTakenMuch(id: Buffer): boolean {
    return this.of(id).takenBytes > limits.host_credit_bytes;
  }

  /** For the next start. */
  encode(): ({ id: string } & Account)[] {
    return [...this.#accounts].map(([id, account]) => ({ id, ...account }));
  }
}

function isBytes(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
