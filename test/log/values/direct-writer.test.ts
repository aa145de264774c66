/** What is written past the kernel's cache is what everybody reads. */
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import { limits } from '../../../src/limits.js';
import { aligned, alignedMemory } from '../../../src/log/direct-io.js';
import { DirectWriter, type UseFile } from '../../../src/log/values/direct-writer.js';
import { OpenValueFiles } from '../../../src/log/values/open-value-files.js';
import { ValueFiles } from '../../../src/log/values/value-files.js';
import type { ValuePointer } from '../../../src/log/values/value-pointer.js';
import { randomBytes } from '../../support/random-bytes.js';
import { SeededRandom, seedOfRun } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const PAGE = 4096;

function newFile(t: Assertions): { path: string; use: UseFile } {
  const path = join(temporaryFolder(t, 'direct'), 'file');
  closeSync(openSync(path, 'w'));
  const use: UseFile = async (work) => {
    const handle = await open(path, constants.O_WRONLY | constants.O_DIRECT);
    try {
      return await work(handle);
    } finally {
      await handle.close();
    }
  };
  return { path, use };
}

test('direct writes - values of any length, one behind the other', async (t) => {
  const { path, use } = newFile(t);
  const writer = new DirectWriter();
  const random = new SeededRandom(seedOfRun());
  const memory = limits.direct_write_memory_bytes;
  let at = 0;
  for (const lengths of [
    [1],
    [PAGE],
    [5, PAGE - 5],
    [memory],
    [memory - 1, 3],
    [2 * memory + 77],
  ]) {
    const values = lengths.map((length) => random.bytes(length));
    const isWritten = await writer.write(use, values, at);
    if (!isWritten) {
      t.absent(writer.isUsable, 'the file system has no such writes');
      return;
    }
    const all = Buffer.concat(values);
    const file = readFileSync(path);
    t.ok(file.subarray(at, at + all.length).equals(all));
    t.is(file.length, at + aligned(all.length));
    t.ok(file.subarray(at + all.length).every((byte) => byte === 0));
    at = file.length;
  }
  writer.close();
});

test('direct writes - at once, each in its turn', async (t) => {
  const { path, use } = newFile(t);
  const writer = new DirectWriter();
  const values = [1, 2, 3].map((seed) => randomBytes(3 * PAGE, seed));
  const written = values.map((value, i) => writer.write(use, [value], 3 * PAGE * i));
  const results = await Promise.all(written);
  if (!writer.isUsable) return t.pass('the file system has no such writes');
  t.alike(results, [true, true, true]);
  t.ok(readFileSync(path).equals(Buffer.concat(values)));
});

test('direct writes - where there are none, none is tried again', async (t) => {
  const writer = new DirectWriter();
  let tries = 0;
  const use: UseFile = async () => {
    tries++;
    throw Object.assign(new Error('no'), { code: 'EINVAL' });
  };
  t.absent(await writer.write(use, [Buffer.alloc(10)], 0));
  t.absent(await writer.write(use, [Buffer.alloc(10)], 0));
  t.is(tries, 1);
  t.absent(writer.isUsable);
});

test('direct writes - a full disk is told, and the next write is tried', async (t) => {
  const writer = new DirectWriter();
  const full: UseFile = async () => {
    throw Object.assign(new Error('full'), { code: 'ENOSPC' });
  };
  await t.exception(writer.write(full, [Buffer.alloc(10)], 0), /full/);
  t.ok(writer.isUsable);
  const { path, use } = newFile(t);
  writeFileSync(path, '');
  if (await writer.write(use, [Buffer.from('later')], 0)) {
    t.is(readFileSync(path).toString('utf8', 0, 5), 'later');
  }
});

test('direct writes - one that is cut short is not taken for done', async (t) => {
  const writer = new DirectWriter();
  const use: UseFile = async (work) =>
    await work({ write: async () => ({ bytesWritten: 100 }) } as unknown as FileHandle);
  t.absent(await writer.write(use, [Buffer.alloc(PAGE)], 0));
  t.ok(writer.isUsable);
});

/** Of open(2), on processors of Intel and ARM. */
const O_DIRECT = [0o40000, 0o200000];

async function isDirect(fd: number): Promise<boolean> {
  const flags = /^flags:\s*(\d+)/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  const bits = Number.parseInt(flags as string, 8);
  return O_DIRECT.some((bit) => (bits & bit) !== 0);
}

test('direct access: who reads values himself gets what the kernel’s cache has from there', async (t) => {
  for (const isDurable of [true, false]) {
    const files = new ValueFiles(temporaryFolder(t, 'lent'));
    t.teardown(() => files.close());
    const isLentDirect = (pointer: ValuePointer) => files.lend(pointer, isDirect);
    const value = randomBytes(300_000, 1);
    const [much] = (await files.write([value], isDurable)).pointers as [ValuePointer];
    const memory = alignedMemory(304 << 10);
    await files.lend(much, async (fd) => {
      const bytes = readSync(fd, memory, 0, memory.length, 0);
      t.ok(bytes >= value.length && memory.subarray(0, value.length).equals(value));
    });
    t.ok(await isLentDirect(much), 'much is written past the cache');
    const [little] = (await files.write([randomBytes(70_000, 2)], isDurable)).pointers;
    t.is(await isLentDirect(little as ValuePointer), isDurable, 'a little is not, unless synced');
    t.ok((await files.read(much)).equals(value), 'and is read in the common way');
  }
});

test('direct access: a file that could not be opened so once is tried again', async (t) => {
  const files = new OpenValueFiles(temporaryFolder(t, 'direct'), () => undefined);
  t.teardown(() => files.close());
  files.begin(1);
  await files.use(1, async (handle) => handle.write(Buffer.alloc(PAGE)));
  const place = files.pathOf(1);
  renameSync(place, `${place}.away`);
  await t.exception(() => files.useDirect(1, async () => undefined), /ENOENT/);
  renameSync(`${place}.away`, place);
  t.is(await files.useDirect(1, async (handle) => (await handle.stat()).size), PAGE);
});
