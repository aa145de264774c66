/** Opening a drive whose tree is damaged in a place that is needed for it: peers may have what is. */
import type Hypercore from 'hypercore';
import type { NodeAddress } from 'hyperdht';
import { DamagedError, ShoalError } from '../errors.js';
import { limits } from '../limits.js';
import { readStoredBlock } from '../log/stored-block.js';
import { CheckSession } from './check-session.js';
import { fetchBlocks } from './fetch-blocks.js';
import type { Home } from './home.js';
import { hasPeer } from './repair-blocks.js';

export interface DamagedDriveOptions {
  home: Home;
  name: string;
  /** Ask no peers. */
  offline: boolean;
  bootstrap?: NodeAddress[] | undefined;
  /** How long to look for peers. */
  deadlineMs: number;
  log: (line: string) => void;
  /** One line for the person who opens the drive. */
  onNotice: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Opens a drive. When damage keeps it from being opened, fetches the damaged blocks of the tree from peers and tries once
 * more. Throws what `open` throws; a DamagedError says what to do.
 */
export async function openDespiteDamage<T>(
  options: DamagedDriveOptions,
  open: () => Promise<T>,
): Promise<T> {
  const { name, offline } = options;
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    if (offline || !(await fetchDamagedTree(options))) throw withAdvice(error, name);
  }
  try {
    return await open();
  } catch (error) {
    throw error instanceof DamagedError ? withAdvice(error, name) : error;
  }
}

/** Returns whether anything came. The drive must not be open. */
async function fetchDamagedTree(options: DamagedDriveOptions): Promise<boolean> {
  const { home, name, bootstrap, deadlineMs, log, onNotice, signal } = options;
  let fetched = 0;
  try {
    const session = await CheckSession.open(home, name);
    try {
      const { tree } = session.logs;
      const damaged = await damagedBlocks(tree, signal);
      if (damaged.length === 0) return false;
      onNotice(
        `The tree of '${name}' is damaged; asking peers for ${damaged.length} blocks of it again`,
      );
      if (await hasPeer(session, { offline: false, bootstrap, deadlineMs, log, signal })) {
        fetched = (await fetchBlocks(tree, damaged, { onFetched: () => undefined, signal })).length;
      }
    } finally {
      await session.close();
    }
  } catch (error) {
    // What keeps the drive from being opened is told to who opens it.
    if (!(error instanceof ShoalError)) throw error;
    log(`Cannot fetch damaged parts of the tree: ${error.message}`);
  }
  if (fetched > 0) {
    onNotice(
      `Fetched ${fetched} damaged blocks of the tree again; 'shoal check ${name}' tells whether anything else is damaged`,
    );
  }
  return fetched > 0;
}

/** Those that are here and cannot be read. */
async function damagedBlocks(tree: Hypercore, signal: AbortSignal | undefined): Promise<number[]> {
  const damaged: number[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < tree.length && damaged.length < limits.check_blocks_fetched_max) {
      signal?.throwIfAborted();
      const block = next++;
      const { state } = await readStoredBlock(tree, block, false);
      if (state === 'damaged') damaged.push(block);
    }
  };
  await Promise.all(Array.from({ length: limits.check_reads_max }, work));
  return damaged;
}

/** Says what to do about damage that keeps a drive from being opened. */
export function withAdvice(error: DamagedError, name: string): DamagedError {
  // Those with a semicolon say what to do already.
  if (error.message.includes('; ')) return error;
  return new DamagedError(
    `${error.message}; 'shoal check ${name} --repair' fetches what is damaged from a peer that has it, and says what is lost`,
    { cause: error },
  );
}
