import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import { NoSpaceError, StoreError } from '../../src/errors.js';
import { StoreSync } from '../../src/log/store-sync.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Watches what is synced: FileHandle is not exported, so its prototype is found through a handle. */
async function spyOnSync(t: Assertions, folder: string) {
  const handle = await open(folder, 'r');
  const prototype = Object.getPrototypeOf(handle) as {
    datasync: () => Promise<void>;
    sync: () => Promise<void>;
  };
  await handle.close();
  const { datasync, sync } = prototype;
  const spy = { datasyncs: 0, syncs: 0, running: 0, fail: null as Error | null };
  prototype.datasync = async function datasyncSpied(this: unknown) {
    spy.datasyncs++;
    spy.running++;
    try {
      await datasync.call(this);
    } finally {
      spy.running--;
    }
    if (spy.fail !== null) throw spy.fail;
  };
  prototype.sync = function syncSpied(this: unknown) {
    spy.syncs++;
    return sync.call(this);
  };
  t.teardown(() => Object.assign(prototype, { datasync, sync }), { force: true });
  return spy;
}

function storeWithFiles(t: Assertions, ...names: string[]): { folder: string; db: string } {
  const folder = temporaryFolder(t, 'store-sync');
  const db = join(folder, 'db');
  mkdirSync(db);
  for (const name of names) writeFileSync(join(db, name), 'x');
  return { folder, db };
}

test('store sync: syncs the live files of a real store', async (t) => {
  const folder = temporaryFolder(t, 'store-sync');
  const store = new Corestore(folder);
  t.teardown(() => store.close(), { force: true });
  const core = store.get({ name: 'a' });
  await core.append(Buffer.from('x'));
  const spy = await spyOnSync(t, folder);
  const sync = new StoreSync(folder);
  await sync.sync();
  t.is(spy.datasyncs, readdirSync(join(folder, 'db')).filter((n) => n.endsWith('.log')).length);
  t.ok(spy.datasyncs > 0);
  t.is(spy.syncs, 1, 'and the folder, which has a file it did not know');
  await sync.sync();
  t.is(spy.syncs, 1, 'which is not done again');
  await sync.close();
  await sync.close();
});

test('store sync: a new file and its folder are synced, a deleted one is let go', async (t) => {
  const { folder, db } = storeWithFiles(t, '000001.log', '000002.sst');
  const spy = await spyOnSync(t, folder);
  const sync = new StoreSync(folder);
  t.teardown(() => sync.close(), { force: true });
  await sync.sync();
  t.is(spy.datasyncs, 1);
  writeFileSync(join(db, '000003.log'), 'x');
  await sync.sync();
  t.is(spy.datasyncs, 3);
  t.is(spy.syncs, 2);
  rmSync(join(db, '000001.log'));
  await sync.sync();
  spy.datasyncs = 0;
  await sync.sync();
  t.is(spy.datasyncs, 1);
});

test('store sync: callers during a run share the next', async (t) => {
  const { folder } = storeWithFiles(t, '000001.log');
  const spy = await spyOnSync(t, folder);
  const sync = new StoreSync(folder);
  t.teardown(() => sync.close(), { force: true });
  const first = sync.sync();
  const others = Array.from({ length: 50 }, () => sync.sync());
  t.not(first, others[0]);
  await Promise.all([first, ...others]);
  t.is(spy.datasyncs, 2, 'one run for the first and one for all others');
});

test('store sync: a failed sync stays failed until the file is gone', async (t) => {
  const { folder, db } = storeWithFiles(t, '000001.log');
  const spy = await spyOnSync(t, folder);
  const sync = new StoreSync(folder);
  t.teardown(() => sync.close(), { force: true });
  spy.fail = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
  await t.exception(sync.sync(), /Cannot sync the store to disk: EIO/);
  spy.fail = null;
  // The kernel reports a lost write once; the next fdatasync of the same file succeeds and means nothing.
  await t.exception(sync.sync(), /Cannot sync the store to disk: EIO/);
  rmSync(join(db, '000001.log'));
  await sync.sync();
});

test('store sync: after a failure the store is asked to flush, and it goes on', async (t) => {
  const { folder, db } = storeWithFiles(t, '000001.log');
  const spy = await spyOnSync(t, folder);
  let flushes = 0;
  const sync = new StoreSync(folder, async () => {
    flushes++;
    rmSync(join(db, '000001.log'));
    writeFileSync(join(db, '000004.log'), 'x');
  });
  t.teardown(() => sync.close(), { force: true });
  spy.fail = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  try {
    await sync.sync();
    t.fail('synced');
  } catch (error) {
    t.ok(error instanceof NoSpaceError);
  }
  t.is(flushes, 0);
  spy.fail = null;
  await sync.sync();
  t.is(flushes, 1);
});

test('store sync: a flush of a real store drops the file whose sync failed', async (t) => {
  const folder = temporaryFolder(t, 'store-sync');
  const store = new Corestore(folder);
  t.teardown(() => store.close(), { force: true });
  const core = store.get({ name: 'a' });
  await core.append(Buffer.alloc(100_000));
  const sync = new StoreSync(folder, () => store.storage.db.flush());
  t.teardown(() => sync.close(), { force: true });
  const spy = await spyOnSync(t, folder);
  spy.fail = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  await t.exception(sync.sync(), /Cannot sync the store to disk/);
  spy.fail = null;
  await sync.sync();
  t.is((await core.get(0))?.length, 100_000);
});

test('store sync: a store that is not there, and a closed one', async (t) => {
  const sync = new StoreSync(join(temporaryFolder(t), 'nothing'));
  try {
    await sync.sync();
    t.fail('synced');
  } catch (error) {
    t.ok(error instanceof StoreError);
  }
  const { folder } = storeWithFiles(t, '000001.log');
  const closed = new StoreSync(folder);
  const last = closed.sync();
  await closed.close();
  await last;
  await t.exception(closed.sync(), /the store is closed/);
});
