/** The five logs of a drive that is kept for somebody, as they are stored: nothing here can decrypt. */
import type Corestore from 'corestore';
import type Hypercore from 'hypercore';
import type { CoreContext } from 'hypercore';
import hypercoreCrypto from 'hypercore-crypto';
import { DamagedError } from '../errors.js';
import { limits } from '../limits.js';
import { removeBlocks } from '../log/remove-blocks.js';
import { asShoalError } from '../log/store-errors.js';
import type { HostedLogKeys } from './wire/admission-messages.js';
import { HOSTED_LOGS, type HostedLog } from './wire/hosts-messages.js';

export class HostedLogs {
  /** Called for each block that was found damaged, and is gone now. */
  onDamaged: (log: HostedLog, block: number) => void = () => undefined;
  readonly #cores: Readonly<Record<HostedLog, Hypercore>>;

  private constructor(cores: Readonly<Record<HostedLog, Hypercore>>) {
    this.#cores = cores;
  }

  /** Opens sessions, which are replicated from then on. Throws what the store throws. */
  static async open(store: Corestore, keys: HostedLogKeys): Promise<HostedLogs> {
    const open = (key: Buffer): Hypercore => store.get({ key, writable: false });
    const logs = new HostedLogs({
      tree: open(keys.tree),
      content: open(keys.content),
      plan: open(keys.plan),
      stripe: open(keys.stripe),
      parity: open(keys.parity),
    });
    await Promise.all(logs.all.map((core) => core.ready()));
    return logs;
  }

  get all(): Hypercore[] {
    return HOSTED_LOGS.map((name) => this.#cores[name]);
  }

  get lengths(): { plan: number; tree: number } {
    const { plan, tree } = this.byName;
    return { plan: plan.length, tree: tree.length };
  }

  /** Changes when any log is begun anew from somewhere. */
  get forks(): string {
    return this.all.map(({ fork }) => fork).join();
  }

  get byName(): Readonly<Record<HostedLog, Hypercore>> {
    return this.#cores;
  }

  get(name: HostedLog): Hypercore {
    return this.#cores[name];
  }

  /**
   * A block as it is stored; null when it is not here. One that is damaged, by its checksum on the disk or by its hash, is
   * taken away, so that it is fetched again, and counts as not here. Throws StoreError.
   */
  async readBlock(name: HostedLog, block: number): Promise<Buffer | null> {
    const core = this.#cores[name];
    const { bitfield } = core.core as CoreContext;
    if (block >= core.length || !bitfield.get(block)) return null;
    const leafHash = await leafHashOf(core, block);
    let stored: Buffer | null = null;
    try {
      stored = await core.get(block, { raw: true, wait: false });
    } catch (error) {
      // Anything else may be over soon: it says nothing of the block.
      const known = asShoalError(error, `read block ${block} of the ${name} log`);
      if (!(known instanceof DamagedError)) throw known;
    }
    const isSound =
      stored !== null && (leafHash === null || leafHash.equals(hypercoreCrypto.data(stored)));
    if (isSound || core.closing !== null) return stored;
    // Or it was taken away as surplus meanwhile.
    if (!bitfield.get(block)) return null;
    await removeBlocks(core, [[block, block + 1]], () => undefined);
    this.onDamaged(name, block);
    return null;
  }

  /** Takes everything out of the store. Throws StoreError. */
  async removeAll(): Promise<void> {
    for (const core of this.all) {
      if (core.length > 0) await removeBlocks(core, [[0, core.length]], () => undefined);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((core) => core.close()));
  }
}

/** What the signed log says of a block; null when that is not here. */
export async function leafHashOf(core: Hypercore, block: number): Promise<Buffer | null> {
  const read = (core.core as CoreContext).state.storage.read();
  const node = read.getTreeNode(2 * block);
  read.tryFlush();
  return (await node)?.hash ?? null;
}

/** Bytes of a block of a log, on the average. */
export function averageBlockBytes(core: Hypercore): number {
  return core.length === 0 ? limits.block_bytes_max : Math.ceil(core.byteLength / core.length);
}
