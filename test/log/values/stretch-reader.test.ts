/** Reading ahead for who reads values in a row, past the kernel's cache. */
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { limits } from '../../../src/limits.js';
import { StretchReader, type UseDirect } from '../../../src/log/values/stretch-reader.js';
import { VALUES, ValueFiles } from '../../../src/log/values/value-files.js';
import { randomBytes } from '../../support/random-bytes.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const VALUE = 60_000;
const RESTED_MS_MAX = 30_000;

interface Counted {
  reader: StretchReader;
  /** Of the file: where each read began. */
  begins: number[];
  content: Buffer;
}

/** A file of so many bytes, the same with each number, which is read by the page cache's way: only who reads is of interest here. */
async function counted(t: Assertions, bytes: number): Promise<Counted> {
  const file = join(temporaryFolder(t), 'file');
  const content = randomBytes(bytes, 1);
  writeFileSync(file, content);
  const handle = await open(file);
  t.teardown(() => handle.close());
  const begins: number[] = [];
  const useDirect: UseDirect = async (_, work) => {
    const read = handle.read.bind(handle) as typeof handle.read;
    const spy = (memory: Buffer, to: number, length: number, start: number) => {
      begins.push(start);
      return read(memory, to, length, start);
    };
    return await work(Object.assign(Object.create(handle) as typeof handle, { read: spy }));
  };
  const reader = new StretchReader(useDirect);
  t.teardown(() => reader.close());
  return { reader, begins, content };
}

/** Null when it is to be read by itself. */
async function readAt(
  { reader }: Counted,
  offset: number,
  length = VALUE,
  file = 1,
): Promise<Buffer | null> {
  const first = Buffer.alloc(Math.floor(length / 3));
  const second = Buffer.alloc(length - first.length);
  const filled = await reader.fill({ file, offset, length }, [first, second]);
  return filled === true ? Buffer.concat([first, second]) : null;
}

test('stretches - who reads in a row gets what was read ahead, every byte of it', async (t) => {
  const bytes = 5 * MIB + 12_345;
  const file = await counted(t, bytes);
  let ahead = 0;
  for (let offset = 0; offset < bytes; offset += VALUE) {
    const length = Math.min(VALUE, bytes - offset);
    const value = await readAt(file, offset, length);
    if (value === null) continue;
    ahead += length;
    if (!value.equals(file.content.subarray(offset, offset + length))) t.fail(`at ${offset}`);
  }
  t.ok(ahead > bytes - 8 * VALUE, `${ahead} of ${bytes} bytes`);
  t.ok(file.begins.length <= 6, `${file.begins.length} reads`);
  t.ok(file.begins.every((start) => start % 4096 === 0));
});

test('stretches - gaps up to the next page are none; other places are', async (t) => {
  const file = await counted(t, 4 * MIB);
  const batch = 3 * VALUE;
  const stride = Math.ceil(batch / 4096) * 4096;
  let found = 0;
  for (let start = 0; start + batch < 2 * MIB; start += stride) {
    for (let offset = start; offset < start + batch; offset += VALUE) {
      const value = await readAt(file, offset);
      if (value?.equals(file.content.subarray(offset, offset + VALUE))) found++;
    }
  }
  t.ok(found > 20, `${found}`);
  const before = file.begins.length;
  for (let i = 0; i < 40; i++) t.is(await readAt(file, ((i * 7) % 40) * 70_000, VALUE, 2), null);
  t.is(file.begins.length, before, 'nothing is read in vain');
});

test('stretches - what is read for the second time is left to the kernel', async (t) => {
  const file = await counted(t, 3 * MIB);
  const pass = async (): Promise<number> => {
    let found = 0;
    for (let offset = 0; offset + VALUE < 3 * MIB; offset += VALUE) {
      if ((await readAt(file, offset)) !== null) found++;
    }
    return found;
  };
  t.ok((await pass()) > 30);
  file.reader.close();
  const before = file.begins.length;
  // At its beginning nothing was read ahead the first time.
  t.ok((await pass()) <= MIB / VALUE);
  t.ok(file.begins.length <= before + 1, `${file.begins.length - before} reads`);
});

test('stretches - memory has a limit, and is given back', async (t) => {
  const file = await counted(t, 2 * MIB);
  const readers = 2 * limits.stretches_read_max;
  const reads: Promise<unknown>[] = [];
  for (let n = 0; n < readers; n++) {
    for (let i = 0; i < 16; i++) reads.push(readAt(file, i * VALUE, VALUE, n));
  }
  const values = await Promise.all(reads);
  t.is(file.reader.heldBytes, limits.stretches_read_max * limits.stretch_read_bytes);
  t.ok(values.some((value) => value === null) && values.some((value) => value !== null));
  for (let waitedMs = 0; file.reader.heldBytes > 0 && waitedMs < RESTED_MS_MAX; waitedMs += 100) {
    await sleep(100);
  }
  t.is(file.reader.heldBytes, 0);
});

test('stretches - a file system without such reads is asked once', async (t) => {
  let asked = 0;
  const reader = new StretchReader(() => {
    asked++;
    return Promise.reject(Object.assign(new Error('EINVAL'), { code: 'EINVAL' }));
  });
  t.teardown(() => reader.close());
  const value = Buffer.alloc(VALUE);
  for (let i = 0; i < 20; i++) {
    const range = { file: 1, offset: i * VALUE, length: VALUE };
    t.not(await reader.fill(range, [value]), true);
  }
  t.is(asked, 1);
});

test('values - read in a row they are what was written, and a damaged one is told, and no other', async (t) => {
  const folder = temporaryFolder(t);
  const files = new ValueFiles(folder);
  t.teardown(() => files.close(), { force: true });
  const values = Array.from({ length: 60 }, (_, i) => randomBytes(60 * KIB + i, i));
  const { pointers, settle } = await files.write(values, true);
  settle();
  const damaged = 40;
  const handle = await open(join(folder, VALUES, '00000001.values'), 'r+');
  await handle.write(Buffer.from('x'), 0, 1, (pointers[damaged]?.offset ?? 0) + 1000);
  await handle.close();
  for (const [i, pointer] of pointers.entries()) {
    if (i === damaged) await t.exception(files.read(pointer), /Corruption/);
    else if (!(await files.read(pointer)).equals(values[i] as Buffer)) t.fail(`value ${i}`);
  }
});
