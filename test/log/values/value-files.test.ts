import {
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type Assertions } from 'brittle';
import Corestore from 'corestore';
import type Hypercore from 'hypercore';
import CoreStorage from 'hypercore-storage';
import { openStorage } from '../../../src/drive/drive-logs.js';
import { reclaimSpace } from '../../../src/drive/store-space.js';
import { DamagedError } from '../../../src/errors.js';
import { removeBlocks } from '../../../src/log/remove-blocks.js';
import { asShoalError } from '../../../src/log/store-errors.js';
import { StoreSync } from '../../../src/log/store-sync.js';
import { openValues, sweepValues } from '../../../src/log/values/after-power-loss.js';
import { crc32InPlace } from '../../../src/log/values/checksum.js';
import { PageMap } from '../../../src/log/values/page-map.js';
import { valuesOf } from '../../../src/log/values/value-database.js';
import { VALUES, ValueFiles } from '../../../src/log/values/value-files.js';
import {
  decodePointer,
  encodePointer,
  type ValuePointer,
} from '../../../src/log/values/value-pointer.js';
import { connect } from '../../content/support/chunk-store.js';
import { randomBytes } from '../../support/random-bytes.js';
import { SeededRandom, seedOfRun } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const PEER_MS_MAX = 20_000;

interface Opened {
  store: Corestore;
  core: Hypercore;
}

async function openLog(t: Assertions, folder: string, key?: Buffer): Promise<Opened> {
  const store = new Corestore(openStorage(folder, false));
  t.teardown(() => store.close(), { force: true, order: 10 });
  await store.ready();
  await openValues(store.storage);
  const core = store.get(key === undefined ? { name: 'log' } : { key });
  await core.ready();
  return { store, core };
}

function filesOf(folder: string): string[] {
  return readdirSync(join(folder, VALUES)).sort();
}

function valueFile(folder: string, number = 1): string {
  return join(folder, VALUES, `${String(number).padStart(8, '0')}.values`);
}

/** What the database has in a block's place. */
async function stored({ store, core }: Opened, block: number): Promise<Buffer | null> {
  const storage = core.core?.state.storage;
  const keys = await import('hypercore-storage/lib/keys.js');
  const read = valuesOf(store.storage).database.read();
  const value = read.get(keys.core.block(storage?.core.dataPointer as number, block));
  read.tryFlush();
  const result = await value;
  read.destroy();
  return result;
}

async function pointerOf(opened: Opened, block: number): Promise<ValuePointer> {
  const pointer = decodePointer((await stored(opened, block)) ?? Buffer.alloc(0));
  if (pointer === null) throw new Error(`Block ${block} lies in the database`);
  return pointer;
}

test('values - large blocks lie in a file, small ones in the database, and all are read', async (t) => {
  const folder = temporaryFolder(t);
  const opened = await openLog(t, folder);
  const { core, store } = opened;
  const blocks = [100, 4095, 4096, 64 * KIB, 10, MIB].map((bytes, i) => randomBytes(bytes, i));
  await core.append(blocks);
  for (const [i, block] of blocks.entries()) t.ok((await core.get(i))?.equals(block), `block ${i}`);
  t.is((await stored(opened, 1))?.length, 4095);
  for (const i of [2, 3, 5]) t.is((await pointerOf(opened, i)).length, blocks[i]?.length);
  t.is(statSync(valueFile(folder)).size, 4096 + 64 * KIB + MIB);

  const snapshot = core.snapshot();
  t.ok((await snapshot.get(3))?.equals(blocks[3] as Buffer), 'through a snapshot');
  await snapshot.close();
  const session = core.session({ name: 'other' } as never);
  await session.ready();
  t.ok(
    (await session.get(3))?.equals(blocks[3] as Buffer),
    'through a session with storage of its own',
  );
  await session.close();

  await store.close();
  t.alike(filesOf(folder), ['00000001.values'], 'no mark is left');
  const again = await openLog(t, folder);
  for (const [i, block] of blocks.entries()) {
    t.ok((await again.core.get(i))?.equals(block), `block ${i} later`);
  }
  await again.core.append(randomBytes(4096, 9));
  t.alike(filesOf(folder), ['00000001.values', 'open.json'], 'it goes on in the same file');
});

test('values - a block that looks like a pointer is not taken for one', async (t) => {
  const folder = temporaryFolder(t);
  const opened = await openLog(t, folder);
  const first = randomBytes(8192, 1);
  await opened.core.append(first);
  const pointer = encodePointer(await pointerOf(opened, 0));
  await opened.core.append(pointer);
  t.ok((await opened.core.get(1))?.equals(pointer));
  t.ok(decodePointer((await stored(opened, 1)) as Buffer), 'it lies in a file, too');
});

test('values - pointers are decoded as they are encoded', (t) => {
  const pointer = {
    file: 2 ** 32 - 1,
    offset: 2 ** 40 + 1,
    length: 16 * MIB,
    checksum: 2 ** 32 - 2,
  };
  t.alike(decodePointer(encodePointer(pointer)), pointer);
  t.is(decodePointer(randomBytes(32, 1)), null);
  t.is(decodePointer(encodePointer(pointer).subarray(1)), null);
});

test('values - the checksum without the library is the same', (t) => {
  for (const bytes of [0, 1, 7, 4096, 65_537]) {
    const data = randomBytes(bytes, bytes);
    t.is(crc32InPlace(data), crc32(data), `${bytes} bytes`);
  }
});

test('values - a changed byte is an error, not another block', async (t) => {
  const folder = temporaryFolder(t);
  const opened = await openLog(t, folder);
  await opened.core.append([randomBytes(8192, 1), randomBytes(8192, 2), randomBytes(8192, 3)]);
  const { offset } = await pointerOf(opened, 1);
  const file = await open(valueFile(folder), 'r+');
  await file.write(Buffer.from([1, 2, 3]), 0, 3, offset + 100);
  await file.close();
  t.ok((await opened.core.get(0))?.equals(randomBytes(8192, 1)));
  const error = await opened.core.get(1).catch((reason: unknown) => reason);
  t.ok(asShoalError(error, 'read') instanceof DamagedError, String(error));
  truncateSync(valueFile(folder), offset + 8192);
  const gone = await opened.core.get(2).catch((reason: unknown) => reason);
  t.ok(asShoalError(gone, 'read') instanceof DamagedError, String(gone));
});

test('values - what is removed is given back once that is durable', async (t) => {
  const folder = temporaryFolder(t);
  const opened = await openLog(t, folder);
  const { core, store } = opened;
  for (let i = 0; i < 16; i++)
    await core.append([0, 1, 2, 3].map((j) => randomBytes(64 * KIB, 4 * i + j)));
  const sync = new StoreSync(folder, () => store.storage.db.flush(), valuesOf(store.storage).files);
  t.teardown(() => sync.close(), { force: true });
  await sync.sync();
  const usedBytes = (): number => statSync(valueFile(folder)).blocks * 512;
  t.ok(usedBytes() >= 4 * MIB);
  await removeBlocks(core, [
    [0, 10],
    [20, 64],
  ]);
  t.ok(usedBytes() >= 4 * MIB, 'a loss of power could undo it');
  await sync.sync();
  await valuesOf(store.storage).files.release([]);
  t.ok(usedBytes() <= 10 * 64 * KIB + 4 * 4096, `${usedBytes()} bytes are used`);
  for (let block = 10; block < 20; block++) {
    t.ok((await core.get(block))?.equals(randomBytes(64 * KIB, block)), `block ${block} stays`);
  }
  t.is(await core.get(0, { wait: false }), null);

  await removeBlocks(core, [[10, 20]]);
  await reclaimSpace(store, core, 0);
  t.is(usedBytes(), 0, 'and without a sync, when space is needed');
});

test('values - a range of blocks that is cut off is given back, too', async (t) => {
  const folder = temporaryFolder(t);
  const { core, store } = await openLog(t, folder);
  for (let i = 0; i < 8; i++) await core.append(randomBytes(64 * KIB, i));
  await core.truncate(2);
  await reclaimSpace(store, core, 0);
  t.ok(statSync(valueFile(folder)).blocks * 512 <= 2 * 64 * KIB + 4096);
  t.ok((await core.get(1))?.equals(randomBytes(64 * KIB, 1)));
});

test('values - a sweep finds what nothing points to, and takes nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const opened = await openLog(t, folder);
  const { core, store } = opened;
  const random = new SeededRandom(seedOfRun());
  const other = store.get({ name: 'other' });
  for (let i = 0; i < 20; i++) {
    await core.append(randomBytes(4096 + random.below(100_000), i));
    await other.append(randomBytes(4096 + random.below(100_000), 100 + i));
  }
  // As if the process had ended before their place was given back.
  await removeBlocks(core, [[0, 15]]);
  await removeBlocks(other, [[0, 20]]);
  valuesOf(store.storage).files.takeFreed();
  await sweepValues(store.storage);
  const left = [15, 16, 17, 18, 19].map((block) => core.get(block));
  for (const [i, block] of (await Promise.all(left)).entries()) {
    const { length } = block as Buffer;
    t.ok(block?.equals(randomBytes(length, 15 + i)), `block ${15 + i} stays`);
  }
  const { blocks } = statSync(valueFile(folder));
  t.ok(blocks * 512 <= 5 * (104 * KIB + 2 * 4096), `${blocks * 512} bytes are used`);
  await removeBlocks(core, [[15, 20]]);
  valuesOf(store.storage).files.takeFreed();
  await sweepValues(store.storage);
  t.is(statSync(valueFile(folder)).blocks, 0, 'the last file stays, without anything');
  await core.append(randomBytes(8192, 50));
  await sweepValues(store.storage);
  t.alike(filesOf(folder), ['00000002.values', 'open.json'], 'others go');
  t.ok((await core.get(20))?.equals(randomBytes(8192, 50)));
});

test('values - pages in use', (t) => {
  const map = new PageMap();
  map.add(4096 * 3 + 1, 1);
  map.add(4096 * 5 - 1, 2);
  map.add(4096 * 100_000, 4096);
  t.alike(
    [...map.free(4096 * 8 + 1)],
    [
      { offset: 0, length: 3 * 4096 },
      { offset: 6 * 4096, length: 3 * 4096 },
    ],
  );
  t.is([...map.free(4096 * 100_002)].length, 3);
});

/** A reader's store in which all blocks came from a peer, closed; some of it is as a loss of power leaves it. */
async function withReader(t: Assertions) {
  const origin = await openLog(t, temporaryFolder(t, 'origin'));
  const blocks = Array.from({ length: 40 }, (_, i) => randomBytes(32 * KIB, i));
  await origin.core.append(blocks);
  const folder = temporaryFolder(t, 'reader');
  const reader = await openLog(t, folder, origin.core.key as Buffer);
  const { cut } = connect(t, origin.store, reader.store);
  for (const i of blocks.keys()) await reader.core.get(i, { timeout: PEER_MS_MAX });
  cut();
  const lost = [0, 7, 8, 39];
  const places = await Promise.all(lost.map((block) => pointerOf(reader, block)));
  // With its mark, as a process leaves it that is killed.
  const mark = readFileSync(join(folder, VALUES, 'open.json'), 'utf8');
  await reader.store.close();
  const lose = async (bootId: string | null): Promise<void> => {
    const marked = JSON.parse(mark) as Record<string, unknown>;
    if (bootId !== null) marked.bootId = bootId;
    writeFileSync(join(folder, VALUES, 'open.json'), JSON.stringify(marked));
    const file = await open(valueFile(folder), 'r+');
    for (const { offset, length } of places)
      await file.write(Buffer.alloc(length), 0, length, offset);
    await file.close();
  };
  return { origin, folder, blocks, lost, lose };
}

test('values - blocks of a peer that a loss of power took are fetched again', async (t) => {
  const { origin, folder, blocks, lost, lose } = await withReader(t);
  await lose('another boot');
  const reader = await openLog(t, folder, origin.core.key as Buffer);
  const bits = reader.core.core?.bitfield;
  for (const i of blocks.keys()) t.is(bits?.get(i), !lost.includes(i), `block ${i}`);
  t.is(reader.core.contiguousLength, 0);
  for (const block of lost) t.is(await reader.core.get(block, { wait: false }), null);
  t.ok((await reader.core.get(9))?.equals(blocks[9] as Buffer));
  connect(t, origin.store, reader.store);
  for (const block of lost) {
    const got = await reader.core.get(block, { timeout: PEER_MS_MAX });
    t.ok(got?.equals(blocks[block] as Buffer), `block ${block} came again`);
  }
  await reader.store.close();
  const again = await openLog(t, folder, origin.core.key as Buffer);
  for (const [i, block] of blocks.entries()) {
    if (!(await again.core.get(i, { wait: false }))?.equals(block)) t.fail(`block ${i} is lost`);
  }
});

test('values - the end of a process loses nothing, so nothing is looked at', async (t) => {
  const { origin, folder, lost, lose } = await withReader(t);
  await lose(null);
  const reader = await openLog(t, folder, origin.core.key as Buffer);
  // It is not seen before it is read.
  t.ok(reader.core.core?.bitfield.get(lost[0] as number));
  await reader.core.append([]).catch(() => undefined);
  t.alike(filesOf(folder), ['00000001.values', 'open.json']);
});

test('values - an open mark that cannot be read is taken for a loss of power', async (t) => {
  const { origin, folder, lost, lose } = await withReader(t);
  await lose(null);
  writeFileSync(join(folder, VALUES, 'open.json'), '{"version":1,');
  const reader = await openLog(t, folder, origin.core.key as Buffer);
  t.absent(reader.core.core?.bitfield.get(lost[0] as number));
});

test('values - what is synced is not looked at any more once there is another file', async (t) => {
  const folder = temporaryFolder(t);
  const files = new ValueFiles(folder, 64 * KIB);
  t.teardown(() => files.close(), { force: true });
  const unsyncedFrom = (): number =>
    (
      JSON.parse(readFileSync(join(folder, VALUES, 'open.json'), 'utf8')) as {
        unsyncedFrom: number;
      }
    ).unsyncedFrom;
  const write = async (count: number, isDurable: boolean): Promise<ValuePointer[]> => {
    const values = Array.from({ length: count }, (_, i) => randomBytes(8 * KIB, i));
    const { pointers, settle } = await files.write(values, isDurable);
    settle();
    return pointers;
  };
  t.is((await write(8, false))[0]?.file, 1);
  // Before the next file is begun, which syncs this one in the background.
  t.is(unsyncedFrom(), 1);
  t.is((await write(8, false))[0]?.file, 2);
  await files.sync();
  t.is(unsyncedFrom(), 2);
  const unsettled = await files.write([randomBytes(8 * KIB, 1)], true);
  t.is(unsettled.pointers[0]?.file, 3);
  await write(8, true);
  await files.sync();
  t.is(unsyncedFrom(), 3, 'nor before something points to it');
  unsettled.settle();
  await files.sync();
  t.is(unsyncedFrom(), 4);
});

test('values - many files, few of them open', async (t) => {
  const folder = temporaryFolder(t);
  const files = new ValueFiles(folder, 4 * KIB);
  t.teardown(() => files.close(), { force: true });
  const count = 100;
  const pointers: ValuePointer[] = [];
  for (let i = 0; i < count; i++) {
    const {
      pointers: [pointer],
      settle,
    } = await files.write([randomBytes(4 * KIB, i)], false);
    settle();
    pointers.push(pointer as ValuePointer);
  }
  await files.sync();
  const here = `${join(folder, VALUES)}/`;
  const held = readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith(here));
  t.ok(held.length <= 32, `${held.length} are open`);
  const read = await Promise.all(pointers.map((pointer) => files.read(pointer)));
  for (const [i, value] of read.entries()) {
    if (!value.equals(randomBytes(4 * KIB, i))) t.fail(`value ${i}`);
  }
  await files.close();
  const opened = (): string[] =>
    readdirSync('/proc/self/fd').filter((fd) => linkOf(fd).startsWith(here));
  t.is(opened().length, 0);
  await t.exception(files.read(pointers[0] as ValuePointer), /closed/);
  const again = new ValueFiles(folder);
  await again.read(pointers[1] as ValuePointer);
  t.is(opened().length, 1);
  await again.close();
  t.is(opened().length, 0, 'also when it was only read');
});

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // Of reading the list itself.
    return '';
  }
}

test('values - a folder that cannot be written to is an error, and nothing is stored', async (t) => {
  const folder = temporaryFolder(t);
  const opened = await openLog(t, folder);
  await opened.core.append(Buffer.from('small'));
  // A file where the folder should be.
  writeFileSync(join(folder, VALUES), '');
  const error = await opened.core
    .append(randomBytes(8 * KIB, 1))
    .catch((reason: unknown) => reason);
  t.ok(error instanceof Error);
  t.is(opened.core.length, 1);
});

test('values - a store that may be a copy is opened again and again', async (t) => {
  const folder = temporaryFolder(t);
  for (let i = 0; i < 3; i++) {
    const store = new Corestore(openStorage(folder, true));
    await store.ready();
    await openValues(store.storage);
    const core = store.get({ name: 'log' });
    await core.append(randomBytes(8 * KIB, i));
    for (let j = 0; j <= i; j++) t.ok((await core.get(j))?.equals(randomBytes(8 * KIB, j)));
    await store.close();
  }
});

test('values - a damaged block of an older store can be removed', async (t) => {
  const folder = temporaryFolder(t);
  const old = new Corestore(new CoreStorage(folder));
  const block = randomBytes(64 * KIB, 1);
  await old.get({ name: 'log' }).append([block, randomBytes(64 * KIB, 2)]);
  await old.storage.db.flush();
  await old.close();
  const blob = readdirSync(join(folder, 'db')).find((name) => name.endsWith('.blob')) as string;
  const bytes = readFileSync(join(folder, 'db', blob));
  const at = bytes.indexOf(block.subarray(100, 132));
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(join(folder, 'db', blob), bytes);
  const { core } = await openLog(t, folder);
  await t.exception(core.get(0));
  t.is((await removeBlocks(core, [[0, 1]])).blocks, 1);
  t.is(await core.get(0, { wait: false }), null);
  t.ok((await core.get(1))?.equals(randomBytes(64 * KIB, 2)), 'what is in the database is read');
});

test('values - what could not be looked at after a loss of power is looked at by the next', async (t) => {
  const { origin, folder, lost, lose } = await withReader(t);
  await lose('another boot');
  const storage = openStorage(folder, false);
  await storage.ready();
  const { database } = valuesOf(storage);
  database.iterator = () => {
    throw new Error('the disk cannot be read');
  };
  await t.exception(openValues(storage), /cannot be read/);
  await storage.close();
  t.ok(filesOf(folder).includes('open.json'), 'the mark stays');
  const reader = await openLog(t, folder, origin.core.key as Buffer);
  t.absent(reader.core.core?.bitfield.get(lost[0] as number));
});

test('values - a value that could not be read for want of descriptors is not taken for sound', async (t) => {
  const { folder, lose } = await withReader(t);
  await lose('another boot');
  const storage = openStorage(folder, false);
  await storage.ready();
  const { files } = valuesOf(storage);
  files.read = () =>
    Promise.reject(Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }));
  await t.exception(openValues(storage), /EMFILE/);
  await storage.close();
  t.ok(filesOf(folder).includes('open.json'), 'the next one looks again');
});

test('values - what a write that failed took is given back, and nothing is written in vain', async (t) => {
  const folder = temporaryFolder(t);
  const files = new ValueFiles(folder);
  t.teardown(() => files.close().catch(() => undefined), { force: true });
  (await files.write([randomBytes(8 * KIB, 1)], true)).settle();
  const probe = await open(valueFile(folder));
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  const { datasync } = prototype;
  await probe.close();
  const used = () => statSync(valueFile(folder)).blocks * 512;
  const before = used();
  prototype.datasync = () => Promise.reject(new Error('ENOSPC: no space left, fdatasync'));
  try {
    await t.exception(files.write([randomBytes(512 * KIB, 2)], true), /ENOSPC/);
  } finally {
    prototype.datasync = datasync;
  }
  await files.release([]);
  t.is(used(), before);
  const { size } = statSync(valueFile(folder));
  await t.exception(files.write([randomBytes(512 * KIB, 3)], true), /ENOSPC/);
  t.is(statSync(valueFile(folder)).size, size, 'not again and again');
});

test('values - after a sync that failed none is believed, until the next boot', async (t) => {
  const folder = temporaryFolder(t);
  const files = new ValueFiles(folder);
  t.teardown(() => files.close().catch(() => undefined), { force: true });
  (await files.write([randomBytes(8 * KIB, 1)], false)).settle();
  const probe = await open(valueFile(folder));
  const { datasync } = Object.getPrototypeOf(probe) as FileHandle;
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  prototype.datasync = () => Promise.reject(new Error('EIO: i/o error, fdatasync'));
  try {
    await t.exception(files.sync(), /EIO/);
  } finally {
    prototype.datasync = datasync;
  }
  await t.exception(files.sync(), /EIO/);
  await t.exception(files.close(), /EIO/);
  const mark = (): Record<string, unknown> =>
    JSON.parse(readFileSync(join(folder, VALUES, 'open.json'), 'utf8')) as Record<string, unknown>;
  t.alike([mark().syncFailed, mark().unsyncedFrom], [true, 1]);
  const again = new ValueFiles(folder);
  (await again.write([randomBytes(8 * KIB, 1)], true)).settle();
  await again.sync();
  await again.close();
  t.alike([mark().syncFailed, mark().unsyncedFrom], [true, 1], 'nor by the next process');
});
