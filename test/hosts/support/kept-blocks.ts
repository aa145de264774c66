/** What is in the store of a host that does not run. */
import Corestore from 'corestore';
import type { CoreContext } from 'hypercore';
import { openStorage } from '../../../src/drive/drive-logs.js';
import { Home } from '../../../src/drive/home.js';
import { bookStore, hostPaths } from '../../../src/drive/host-files.js';
import { HostBook } from '../../../src/hosts/host-book.js';
import type { HostedLogKeys } from '../../../src/hosts/wire/admission-messages.js';

const LOGS = ['content', 'parity'] as const;

export interface KeptBlocks {
  /** "content 5", "parity 2" and so on. */
  shards: string[];
  /** Of the logs, as this host knows them. */
  lengths: Record<(typeof LOGS)[number], number>;
}

/** The shards of the only drive that a host keeps. `folder`: the host's. */
export async function keptBlocks(folder: string): Promise<KeptBlocks> {
  const paths = hostPaths(new Home(folder), folder);
  const book = await HostBook.open(bookStore(paths), null);
  const [drive] = book?.drives ?? [];
  if (drive === undefined) throw new Error(`The host in ${folder} keeps no drive`);
  return await storedBlocks(folder, drive.keys);
}

/** The shards of a drive that are in the store of a host, whatever it remembers. */
export async function storedBlocks(
  folder: string,
  keys: Pick<HostedLogKeys, (typeof LOGS)[number]>,
): Promise<KeptBlocks> {
  const paths = hostPaths(new Home(folder), folder);
  const store = new Corestore(openStorage(paths.store, false));
  try {
    const kept: KeptBlocks = { shards: [], lengths: { content: 0, parity: 0 } };
    for (const name of LOGS) {
      const core = store.get({ key: keys[name], writable: false });
      await core.ready();
      kept.lengths[name] = core.length;
      const { bitfield } = core.core as CoreContext;
      for (let block = 0; block < core.length; block++) {
        if (bitfield.get(block)) kept.shards.push(`${name} ${block}`);
      }
    }
    return kept;
  } finally {
    await store.close();
  }
}
