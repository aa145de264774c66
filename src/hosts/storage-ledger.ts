/**
 * What people who give space keep for each other, by the id of their hosts: bytes of the drives that are kept here for the
 * owner of a host, and bytes that this host keeps of the drives of the home that this host is run in.
 */
import { limits } from '../limits.js';

/** Bytes in both directions. */
export interface StorageBalance {
  /** Kept here of drives whose owner runs the host. */
  keptForBytes: number;
  /** Kept there of the drives of this home, as that host has confirmed. */
  keptByBytes: number;
}

/** A drive that is kept here. */
export interface KeptDrive {
  /** Of its owner; null when he has shown none. */
  ownerHost: Buffer | null;
  storedBytes: number;
}

export interface StorageLedgerOptions {
  /** How many times what it keeps for this home a host may have kept here; null: whatever it wants. */
  ratio: number | null;
  /** Bytes of the drives of this home on other hosts, by their ids in hex. */
  keptByHosts: () => Promise<ReadonlyMap<string, number>>;
  keptDrives: () => Iterable<KeptDrive>;
}

export class StorageLedger {
  readonly #options: StorageLedgerOptions;
  #keptBy: ReadonlyMap<string, number> = new Map();

  constructor(options: StorageLedgerOptions) {
    this.#options = options;
  }

  /** Looks at what others keep now. Throws what reading that throws. */
  async look(): Promise<void> {
    this.#keptBy = await this.#options.keptByHosts();
  }

  /** By ids in hex: all of whom anything is known. */
  balances(): Map<string, StorageBalance> {
    const balances = new Map<string, StorageBalance>();
    for (const [id, keptByBytes] of this.#keptBy) {
      balances.set(id, { keptForBytes: 0, keptByBytes });
    }
    for (const { ownerHost, storedBytes } of this.#options.keptDrives()) {
      if (ownerHost === null) continue;
      const id = ownerHost.toString('hex');
      const balance = balances.get(id) ?? { keptForBytes: 0, keptByBytes: 0 };
      balances.set(id, { ...balance, keptForBytes: balance.keptForBytes + storedBytes });
    }
    return balances;
  }

  /**
   * Whether more may be kept of a drive. With a ratio, who shows no host of his own has a small credit for each drive, and
   * who does has the same credit on top of what his host keeps for this home.
   */
  mayKeepMore({ ownerHost, storedBytes }: KeptDrive): boolean {
    const { ratio } = this.#options;
    if (ratio === null) return true;
    if (ownerHost === null) return storedBytes < limits.host_credit_bytes;
    const balance = this.balances().get(ownerHost.toString('hex'));
    const { keptForBytes, keptByBytes } = balance ?? { keptForBytes: 0, keptByBytes: 0 };
    return keptForBytes < limits.host_credit_bytes + ratio * keptByBytes;
  }
}
