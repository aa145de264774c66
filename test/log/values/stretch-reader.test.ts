/** Reading ahead for who reads values in a row, past the kernel's cache. */
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type Assertions } from 'brittle';
import { limits } from '../../../src/limits.js';
import { OpenValueFiles } from '../../../src/log/values/open-value-files.js';
import { StretchReader, type UseDirect } from '../../../src/log/values/stretch-reader.js';
import { VALUES, ValueFiles } from '../../../src/log/values/value-files.js';
import { randomBytes } from '../../support/random-bytes.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const KIB = 1 << 10;
const MIB = 1 << 20;
const VALUE = 60_000;
const RESTED_MS_MAX = 30_000;

/** Goes on when it is told to. */
class Clock {
  ms = 0;
}

interface Counted {
  reader: StretchReader;
  /** Of the file: where each read began. */
  begins: number[];
  content: Buffer;
}

/** A file of so many bytes, the same with each number, which is read by the page cache's way: only who reads is of interest here. */
async function counted(t: Assertions, bytes: number, clock?: Clock): Promise<Counted> {
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
  const reader = new StretchReader(useDirect, clock && (() => clock.ms));
  t.teardown(() => reader.close());
  return { reader, begins, content };
}

/** Empty when it is closed by now. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
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
  t.ok(ahead > bytes - MIB - 2 * VALUE, `${ahead} of ${bytes} bytes`);
  t.ok(file.begins.length <= 6, `${file.begins.length} reads`);
  t.ok(file.begins.every((start) => start % 4096 === 0));
});

test('stretches - gaps up to the next page are none; other places are', async (t) => {
  const file = await counted(t, 6 * MIB);
  const batch = 3 * VALUE;
  const stride = Math.ceil(batch / 4096) * 4096;
  let found = 0;
  for (let start = 0; start + batch < 4 * MIB; start += stride) {
    for (let offset = start; offset < start + batch; offset += VALUE) {
      const value = await readAt(file, offset);
      if (value?.equals(file.content.subarray(offset, offset + VALUE))) found++;
    }
  }
  t.ok(found > 40, `${found}`);
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
    for (let i = 0; i < 24; i++) reads.push(readAt(file, i * VALUE, VALUE, n));
  }
  t.is(file.reader.heldBytes, limits.stretches_read_max * limits.stretch_read_bytes);
  const values = await Promise.all(reads);
  t.ok(values.some((value) => value === null) && values.some((value) => value !== null));
  for (let waitedMs = 0; file.reader.heldBytes > 0 && waitedMs < RESTED_MS_MAX; waitedMs += 100) {
    await sleep(100);
  }
  t.is(file.reader.heldBytes, 0);
});

test('stretches - what one is about to copy is given to no other', async (t) => {
  const clock = new Clock();
  const file = await counted(t, 4 * MIB, clock);
  const places = new Array<number>(limits.stretches_read_max + 1).fill(0);
  const next = async (n: number): Promise<boolean> => {
    const offset = places[n] as number;
    places[n] = offset + VALUE;
    const value = await readAt(file, offset, VALUE, n);
    return value?.equals(file.content.subarray(offset, offset + VALUE)) ?? false;
  };
  const until = async (n: number, end: number): Promise<void> => {
    while ((places[n] as number) < end) await next(n);
  };
  await until(1, 26 * VALUE);
  for (let n = 2; n <= limits.stretches_read_max; n++) await until(n, 20 * VALUE);
  t.is(file.begins.length, limits.stretches_read_max, 'each has one');
  clock.ms += 2 * limits.stretch_kept_ms;
  for (let n = 2; n <= limits.stretches_read_max; n++) await next(n);
  // With this value the next stretch is due, and this one was used longest ago.
  t.ok(await next(1));
  t.is(file.begins.length, limits.stretches_read_max);
});

test('stretches - what was read ahead for slow readers stays until they come', async (t) => {
  const clock = new Clock();
  const file = await counted(t, 4 * MIB, clock);
  // Not all of them can have the next one, too.
  const readers = limits.stretches_read_max - 2;
  let found = 0;
  for (let offset = 0; offset + VALUE < 4 * MIB; offset += VALUE) {
    for (let n = 1; n <= readers; n++) {
      if ((await readAt(file, offset, VALUE, n)) !== null) found += VALUE;
    }
    clock.ms += limits.stretch_kept_ms / 2;
    // The disk answers meanwhile.
    await sleep(2);
  }
  const read = file.begins.length * limits.stretch_read_bytes;
  t.ok(found > 0.75 * read, `${found} of ${read} bytes are of use`);
});

test('stretches - a fast reader gets all of it', async (t) => {
  const bytes = 24 * MIB;
  const file = await counted(t, bytes);
  let found = 0;
  for (let offset = 0; offset + VALUE < bytes; offset += VALUE) {
    if ((await readAt(file, offset)) !== null) found += VALUE;
  }
  t.ok(found > bytes - MIB - 3 * VALUE, `${found} of ${bytes} bytes`);
});

test('stretches - a value that would take all of them is read by itself', async (t) => {
  const file = await counted(t, 12 * MIB);
  const length = 3 * MIB;
  for (let offset = 0; offset < 12 * MIB; offset += length) {
    t.is(await readAt(file, offset, length), null);
  }
  t.is(file.begins.length, 0);
});

test('stretches - a slow disk takes no more memory than a quick one', async (t) => {
  const answers: (() => void)[] = [];
  const reader = new StretchReader(async () => {
    await new Promise<void>((resolve) => answers.push(resolve));
    return await Promise.reject(new Error('late'));
  });
  t.teardown(() => reader.close());
  const value = Buffer.alloc(VALUE);
  const ask = (file: number): void => {
    for (let i = 0; i < 24; i++) {
      void reader.fill({ file, offset: i * VALUE, length: VALUE }, [value]);
    }
  };
  for (let n = 0; n < limits.stretches_read_max; n++) ask(n);
  t.is(answers.length, limits.stretches_read_max);
  await sleep(limits.stretch_rest_ms * 2.2);
  for (let n = 0; n < limits.stretches_read_max; n++) ask(100 + n);
  t.is(answers.length, limits.stretches_read_max, 'no other read was begun');
  for (const answer of answers) answer();
});

test('values - a file that is opened when all were closed is closed by who did', async (t) => {
  const folder = temporaryFolder(t);
  const files = new OpenValueFiles(folder, () => undefined);
  files.begin(1);
  await files.use(1, (handle) => handle.write('value'));
  await files.close();
  const text = await files.use(1, async (handle) => (await handle.readFile()).toString());
  t.is(text, 'value');
  const open = readdirSync('/proc/self/fd').map((fd) => linkOf(`/proc/self/fd/${fd}`));
  t.alike(
    open.filter((path) => path.startsWith(folder)),
    [],
  );
});

test('stretches - a file system without such reads is asked once', async (t) => {
  let asked = 0;
  const reader = new StretchReader(() => {
    asked++;
    return Promise.reject(Object.assign(new Error('EINVAL'), { code: 'EINVAL' }));
  });
  t.teardown(() => reader.close());
  const value = Buffer.alloc(VALUE);
  for (let i = 0; i < 30; i++) {
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
