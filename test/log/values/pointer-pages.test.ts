/** Where blocks lie, as it is kept in memory, is never what it was before a write. */
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import { openStorage } from '../../../src/drive/drive-logs.js';
import { limits } from '../../../src/limits.js';
import { removeBlocks } from '../../../src/log/remove-blocks.js';
import { openValues } from '../../../src/log/values/after-power-loss.js';
import { PointerPages } from '../../../src/log/values/pointer-pages.js';
import { blockKey, blockOfKey, dataOfKey, isBlockKey } from '../../../src/log/values/record-key.js';
import { type RawDatabase, valuesOf } from '../../../src/log/values/value-database.js';
import { encodePointer, type ValuePointer } from '../../../src/log/values/value-pointer.js';
import { randomBytes } from '../../support/random-bytes.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const KIB = 1 << 10;

interface Opened {
  store: Corestore;
  core: Hypercore;
  /** Known now. */
  peek: (block: number) => ValuePointer | null;
  /** Once it is known; null when there is none. */
  pointer: (block: number) => Promise<ValuePointer | null>;
}

async function openLog(t: Assertions): Promise<Opened> {
  const store = new Corestore(openStorage(temporaryFolder(t, 'pointers'), false));
  t.teardown(() => store.close(), { force: true, order: 10 });
  await store.ready();
  await openValues(store.storage);
  const core = store.get({ name: 'log' });
  await core.ready();
  const data = core.core?.state.storage.core.dataPointer as number;
  const { pointers } = valuesOf(store.storage);
  const peek = (block: number) => pointers.peek(data, block);
  const pointer = async (block: number) => {
    for (let i = 0; i < 50; i++) {
      const known = peek(block);
      if (known !== null) return known;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return null;
  };
  return { store, core, peek, pointer };
}

/** A database in which every block has a pointer. */
const read: RawDatabase['read'] = () => ({
  get: async () => encodePointer({ file: 1, offset: 0, length: 5000, checksum: 1 }),
  flush: async () => undefined,
  tryFlush: () => undefined,
  destroy: () => undefined,
});

test('pointers - the key of a block is as the library makes it', async (t) => {
  const keys = await import('hypercore-storage/lib/keys.js');
  for (const data of [0, 7, 0xfb, 0xfc, 300, 0xffff, 0x1_0000]) {
    for (const block of [0, 0xfb, 0xfc, 0xfd, 0xffff, 0x1_0000, 2 ** 32 - 1, 2 ** 32, 2 ** 40]) {
      const key = blockKey(data, block);
      t.alike(key, Buffer.from(keys.core.block(data, block)));
      t.ok(isBlockKey(key));
      t.alike([dataOfKey(key), blockOfKey(key)], [data, block]);
    }
  }
});

test('pointers - neighbours are known with a block, and small blocks have none', async (t) => {
  const { core, peek, pointer } = await openLog(t);
  const blocks = Array.from({ length: 100 }, (_, i) => randomBytes((i === 3 ? 1 : 5) * KIB, i));
  await core.append(blocks);
  t.is(peek(0), null, 'nothing is known yet');
  t.is((await pointer(0))?.length, 5 * KIB);
  for (let block = 1; block < 64; block++) {
    t.is(peek(block)?.length ?? null, block === 3 ? null : 5 * KIB);
  }
  t.is(peek(64), null, 'of the next page nothing is');
});

test('pointers - what is removed, cut off or written anew is not where it was', async (t) => {
  const { core, peek, pointer } = await openLog(t);
  await core.append([0, 1, 2, 3].map((seed) => randomBytes(5 * KIB, seed)));
  const first = await pointer(2);
  await core.append(randomBytes(6 * KIB, 4));
  t.is(peek(2), null, 'a block behind it was written');
  t.alike(await pointer(2), first);
  t.is((await pointer(4))?.length, 6 * KIB);
  await removeBlocks(core, [[1, 2]]);
  t.is(peek(1), null);
  t.ok((await pointer(2)) !== null && peek(1) === null);
  await core.truncate(2);
  t.is(peek(2), null);
  await core.append(randomBytes(7 * KIB, 5));
  t.is((await pointer(2))?.length, 7 * KIB);
  t.is(peek(3), null);
});

test('pointers - what was read from the database while it changed is not believed', async (t) => {
  const old = encodePointer({ file: 1, offset: 0, length: 5000, checksum: 1 });
  let goOn: () => void = () => undefined;
  let reads = 0;
  const iterator: RawDatabase['iterator'] = async function* () {
    reads++;
    yield { key: blockKey(9, 0), value: old };
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
  };
  const pointers = new PointerPages({ iterator, read });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  t.is(pointers.peek(9, 0), null);
  await turn();
  t.is(reads, 1);
  pointers.forget(blockKey(9, 0));
  goOn();
  await turn();
  t.is(pointers.peek(9, 0), null);
  await turn();
  t.is(reads, 2, 'it is read again');
  goOn();
  await turn();
  t.is(pointers.peek(9, 0)?.length, 5000);
  pointers.forgetAll();
  t.is(pointers.peek(9, 0), null);
});

test('pointers - who can wait is told once the page is there, unless it changed meanwhile', async (t) => {
  const waiting: (() => void)[] = [];
  const iterator: RawDatabase['iterator'] = async function* () {
    await new Promise<void>((resolve) => void waiting.push(resolve));
    yield {
      key: blockKey(9, 1),
      value: encodePointer({ file: 1, offset: 0, length: 5000, checksum: 1 }),
    };
  };
  const pointers = new PointerPages({ iterator, read });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const [found, none] = [pointers.find(9, 1), pointers.find(9, 2)];
  await turn();
  t.is(waiting.length, 1, 'both are on one page');
  t.is(pointers.peek(9, 1), null, 'who cannot wait');
  waiting.shift()?.();
  t.is((await found)?.length, 5000);
  t.is(await none, null);
  t.is((await pointers.find(9, 1))?.length, 5000);
  pointers.forgetAll();
  const old = pointers.find(9, 1);
  await turn();
  pointers.forget(blockKey(9, 1));
  waiting.shift()?.();
  t.is(await old, null);
});

test('pointers - few pages are read at once, and many kept', async (t) => {
  const waiting: (() => void)[] = [];
  const iterator: RawDatabase['iterator'] = async function* ({ gte }) {
    await new Promise<void>((resolve) => void waiting.push(resolve));
    const pointer = encodePointer({ file: 1, offset: 0, length: 5000, checksum: 1 });
    yield { key: gte as Buffer, value: pointer };
  };
  const pointers = new PointerPages({ iterator, read });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  for (let page = 0; page < 100; page++) pointers.peek(1, page * 64);
  await turn();
  t.is(waiting.length, limits.pointer_pages_loading_max);
  for (let page = 0; page < limits.pointer_pages_max + 10; page++) {
    pointers.peek(1, page * 64);
    await turn();
    for (const resolve of waiting.splice(0)) resolve();
    await turn();
  }
  t.is(pointers.peek(1, 0), null, 'the oldest page is gone');
  t.is(pointers.peek(1, (limits.pointer_pages_max + 9) * 64)?.length, 5000);
});

test('pointers - where blocks lie in the database itself, its values are left alone', async (t) => {
  let reads = 0;
  const iterator: RawDatabase['iterator'] = async function* () {
    reads++;
    yield { key: blockKey(1, 0), value: randomBytes(5000, 1) };
  };
  const old: RawDatabase['read'] = () => ({ ...read(), get: async () => randomBytes(5000, 1) });
  const pointers = new PointerPages({ iterator, read: old });
  for (let i = 0; i < 5; i++) {
    t.is(pointers.peek(1, 0), null);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.is(reads, 0);
});

test('pointers - a page that cannot be read is asked for again', async (t) => {
  let reads = 0;
  const iterator: RawDatabase['iterator'] = async function* ({ gte }) {
    if (reads++ === 0) throw new Error('no');
    const pointer = encodePointer({ file: 1, offset: 0, length: 5000, checksum: 1 });
    yield { key: gte as Buffer, value: pointer };
  };
  const pointers = new PointerPages({ iterator, read });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  t.is(pointers.peek(1, 0), null);
  await turn();
  t.is(pointers.peek(1, 0), null);
  await turn();
  t.is(pointers.peek(1, 0)?.length, 5000);
});
