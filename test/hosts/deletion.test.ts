/** What a host deletes: all of it, whatever comes in between. */
import { readFileSync, statfsSync } from 'node:fs';
import path from 'node:path';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import z32 from 'z32';
import { diskUsage } from '../../src/drive/disk-usage.js';
import { Home } from '../../src/drive/home.js';
import { bookStore, hostPaths, makeHostFolder } from '../../src/drive/host-files.js';
import { NoSpaceError } from '../../src/errors.js';
import { Accounts } from '../../src/hosts/accounts.js';
import { HostBook } from '../../src/hosts/host-book.js';
import { formatInvite } from '../../src/hosts/invite.js';
import { StorageHost } from '../../src/hosts/storage-host.js';
import { parseBootstrap } from '../../src/swarm/address.js';
import { BootstrapNode } from '../support/drive-mount.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { HostProcess, until } from './support/host-process.js';
import { storedBlocks } from './support/kept-blocks.js';
import { LittleOwner } from './support/little-owner.js';

const TIME = { timeout: 180_000 } as const;

test(
  'deletion - a drive denied while the host does not run is deleted when it does',
  TIME,
  async (t) => {
    const { address: bootstrap } = await BootstrapNode.forTest(t);
    const host = await HostProcess.forTest(t, { bootstrap });
    const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 0 });
    await owner.append(40);
    await owner.add(host.invite);
    await owner.untilComplete(host.invite);
    await host.kill();
    t.is((await storedBlocks(host.folder, owner.keys)).shards.length, 40);
    await host.shoal('deny', z32.encode(owner.keys.plan));
    const removing = (): unknown[] =>
      JSON.parse(readFileSync(path.join(host.folder, 'host.json'), 'utf8')).removing;
    t.is(removing().length, 1);
    await host.start();
    await until('nothing is left to delete', () => removing().length === 0);
    await host.kill();
    t.alike((await storedBlocks(host.folder, owner.keys)).shards, []);
  },
);

interface LittleHost {
  book: HostBook;
  host: StorageHost;
  /** Lines of its log. */
  lines: string[];
  stop: () => Promise<void>;
}

/** In this process; `disk`: whether it can give space back. */
async function startHost(
  t: Assertions,
  folder: string,
  bootstrap: string,
  disk: { isFull: boolean },
): Promise<LittleHost> {
  const paths = hostPaths(new Home(folder), folder);
  await makeHostFolder(paths);
  const store = new Corestore(paths.store);
  await store.ready();
  const book = (await HostBook.open(bookStore(paths), 2 ** 29)) as HostBook;
  const lines: string[] = [];
  const host = await StorageHost.start({
    book,
    store,
    space: {
      usedBytes: () => diskUsage(paths.store),
      diskFreeBytes: async () => {
        const { bavail, bsize } = statfsSync(paths.store);
        return bavail * bsize;
      },
      reserveBytes: 0,
      reclaim: async (_core: Hypercore) => {
        if (disk.isFull) throw new NoSpaceError('The disk is full');
      },
      sync: () => store.storage.db.flush(),
    },
    bootstrap: parseBootstrap(bootstrap),
    accounts: new Accounts(null, null),
    reciprocalRatio: null,
    keptByHosts: async () => new Map(),
    onLeft: () => undefined,
    onEvidence: () => undefined,
    log: (line) => lines.push(line),
  });
  const stop = async (): Promise<void> => {
    await host.close();
    await store.close();
  };
  t.teardown(stop, { force: true });
  return { book, host, lines, stop };
}

test('deletion - one that failed, or was ended, is made up for', TIME, async (t) => {
  const { address: bootstrap } = await BootstrapNode.forTest(t);
  const owner = await LittleOwner.forTest(t, { bootstrap, data: 1, parity: 0 });
  const folder = temporaryFolder(t, 'host');
  const disk = { isFull: false };
  const first = await startHost(t, folder, bootstrap, disk);
  await owner.append(40);
  const invite = formatInvite(await first.book.invite(true));
  await owner.add(invite);
  await owner.untilComplete(invite);
  disk.isFull = true;
  await t.exception(first.host.deny(owner.keys.plan), NoSpaceError);
  const isDeleted = ({ book }: LittleHost): boolean => book.removing.length === 0;
  t.absent(isDeleted(first), 'it has yet to be done');
  t.alike(first.book.drives, []);
  // What would come now would be deleted with the rest.
  await first.book.allow(owner.keys.plan);
  const { reason } = await owner.ask(invite);
  t.ok(reason.includes('has yet to delete what it had of this drive'), reason);
  await until('it was tried again', () => first.lines.some((line) => /Cannot delete/.test(line)));
  disk.isFull = false;
  await until('it is deleted', () => isDeleted(first));
  t.ok((await owner.ask(invite)).accepted, 'and may come back');
  await owner.untilComplete(invite);

  disk.isFull = true;
  await t.exception(first.host.deny(owner.keys.plan), NoSpaceError);
  await first.stop();
  t.absent(isDeleted(first));
  disk.isFull = false;
  const second = await startHost(t, folder, bootstrap, disk);
  await until('the next process has deleted it', () => isDeleted(second));
  await second.stop();
  t.alike((await storedBlocks(folder, owner.keys)).shards, []);
});
