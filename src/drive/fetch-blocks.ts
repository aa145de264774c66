/** Replaces damaged blocks of a log in the local store by those of peers. */
import { setTimeout as sleep } from 'node:timers/promises';
import type Hypercore from 'hypercore';
import { limits } from '../limits.js';
import { removeBlock } from '../log/hash-tree.js';
import { readStoredBlock } from '../log/stored-block.js';

const LOOK_MS = 50;

export interface FetchOptions {
  /** Called for each block that is sound now. */
  onFetched: () => void;
  signal?: AbortSignal | undefined;
}

/**
 * Fetches blocks again. A block is given up only when a peer that is connected says it has it: what comes is checked
 * against the log's signed tree. Ends when all are here, or when for some seconds none came. Returns those that were
 * fetched.
 */
export async function fetchBlocks(
  core: Hypercore,
  blocks: Iterable<number>,
  { onFetched, signal }: FetchOptions,
): Promise<number[]> {
  const wanted = new Set(blocks);
  const fetched: number[] = [];
  let lastMs = performance.now();
  const work = async (): Promise<void> => {
    for (;;) {
      signal?.throwIfAborted();
      if (wanted.size === 0 || performance.now() - lastMs > limits.check_stall_ms) return;
      const block = nextAtPeer(core, wanted);
      if (block === null) {
        await sleep(LOOK_MS);
        continue;
      }
      wanted.delete(block);
      if (!(await fetchBlock(core, block))) continue;
      lastMs = performance.now();
      fetched.push(block);
      onFetched();
    }
  };
  await Promise.all(Array.from({ length: limits.check_reads_max }, work));
  return fetched;
}

function nextAtPeer(core: Hypercore, wanted: ReadonlySet<number>): number | null {
  const peers = (core.replicator?.peers ?? []).filter((peer) => peer.remoteFork === core.fork);
  if (peers.length === 0) return null;
  for (const block of wanted) {
    for (const peer of peers) {
      if (block < peer.remoteContiguousLength || peer.remoteBitfield.get(block)) return block;
    }
  }
  return null;
}

async function fetchBlock(core: Hypercore, block: number): Promise<boolean> {
  // Else the damaged one would be read, and nobody asked.
  await removeBlock(core, block);
  try {
    await core.get(block, { raw: true, timeout: limits.check_stall_ms });
  } catch {
    // It stays in the report, as missing.
    return false;
  }
  return (await readStoredBlock(core, block, true)).state === 'sound';
}
