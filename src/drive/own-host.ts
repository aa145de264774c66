/** The storage host of this home, which its drives name as what their owner gives, and what others keep of these drives. */
import type { KeyPair } from 'hypercore';
import { StoreError } from '../errors.js';
import { HostBook } from '../hosts/host-book.js';
import { OwnerBook } from '../hosts/owner-book.js';
import { readVersionedJson } from './atomic-file.js';
import type { Home } from './home.js';
import { bookStore, hostPaths } from './host-files.js';

/** Of the file in which a drive notes what its hosts have said. */
export const HOSTS_FORMAT_VERSION = 1;

/** The identity of the host that is run in this home; null when there is none. Throws StoreError for a damaged one. */
export async function ownHostKeys(home: Home): Promise<KeyPair | null> {
  // The host may run: what it has changed meanwhile is not to be undone.
  const book = await HostBook.read(bookStore(hostPaths(home, null)));
  return book === null || book.isLeaving ? null : book.keyPair;
}

/**
 * Bytes that hosts keep of the drives of this home, by the hosts' ids in hex, as they told the drives' mounts last. A
 * drive whose file is damaged counts for nothing, and is logged.
 */
export async function keptByHosts(
  home: Home,
  log: (line: string) => void,
): Promise<Map<string, number>> {
  const kept = new Map<string, number>();
  for (const name of await home.list()) {
    let stored: Record<string, unknown> | null;
    try {
      stored = await readVersionedJson(home.paths(name).hosts, HOSTS_FORMAT_VERSION);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      log(`Cannot tell what hosts keep of '${name}': ${error.message}`);
      continue;
    }
    for (const [id, bytes] of new OwnerBook(stored).storedBytes) {
      kept.set(id, (kept.get(id) ?? 0) + bytes);
    }
  }
  return kept;
}
