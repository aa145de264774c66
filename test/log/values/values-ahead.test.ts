/** Blocks that are on the disk before the log is told of them. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type Assertions } from 'brittle';
import { limits } from '../../../src/limits.js';
import { checksumOf, crc32InPlace, setChecksum } from '../../../src/log/values/checksum.js';
import { writeAhead } from '../../../src/log/values/value-database.js';
import { VALUES, ValueFiles, type WrittenValues } from '../../../src/log/values/value-files.js';
import { ValuesAhead } from '../../../src/log/values/values-ahead.js';
import { openStore } from '../../support/open-store.js';
import { randomBytes } from '../../support/random-bytes.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const KIB = 1 << 10;
const BLOCKS = 8;
/** A multiple of 4,096, so that a file's size tells how often they were written. */
const BLOCK_BYTES = 64 * KIB;
const BYTES = BLOCKS * BLOCK_BYTES;

function blocksOf(seed: number): Buffer[] {
  return Array.from({ length: BLOCKS }, (_, i) => randomBytes(BLOCK_BYTES, 100 * seed + i));
}

async function openLog(t: Assertions) {
  const folder = temporaryFolder(t, 'values-ahead');
  const store = openStore(folder);
  t.teardown(() => store.close(), { force: true });
  const core = store.get({ name: 'log' });
  await core.ready();
  const file = () => statSync(join(folder, VALUES, '00000001.values'));
  const fileBytes = () => file().size;
  const diskBytes = () => file().blocks * 512;
  return { storage: store.storage, core, fileBytes, diskBytes };
}

test('values ahead - what was written is not written again', async (t) => {
  const { storage, core, fileBytes, diskBytes } = await openLog(t);
  const [first, second] = [blocksOf(1), blocksOf(2)];
  const ahead = [writeAhead(storage, first), writeAhead(storage, second)];
  for (const values of ahead) await values?.settled();
  t.is(fileBytes(), 2 * BYTES, 'both are there before the log has any');
  t.is(core.length, 0);
  await core.append(first);
  await core.append(second);
  t.is(fileBytes(), 2 * BYTES);
  for (const [i, block] of [...first, ...second].entries()) {
    t.ok((await core.get(i))?.equals(block), `block ${i}`);
  }
  for (const values of ahead) await values?.discard();
  t.is(diskBytes(), 2 * BYTES, 'what the log has stays');
});

test('values ahead - what the log is not told of is given back, once', async (t) => {
  const { storage, core, fileBytes, diskBytes } = await openLog(t);
  const blocks = blocksOf(3);
  const ahead = writeAhead(storage, blocks);
  // The same bytes, but other values.
  await core.append(blocks.map((block) => Buffer.from(block)));
  t.is(fileBytes(), 2 * BYTES);
  await Promise.all([ahead?.discard(), ahead?.discard()]);
  t.is(diskBytes(), BYTES);
  for (const [i, block] of blocks.entries()) t.ok((await core.get(i))?.equals(block), `block ${i}`);
  const rest = blocks.slice(1);
  const others = writeAhead(storage, blocks);
  await core.append(rest);
  await others?.discard();
  t.is(diskBytes(), BYTES + rest.length * BLOCK_BYTES, 'a part of a batch is none');
  t.ok((await core.get(BLOCKS))?.equals(rest[0] as Buffer));
});

test('values ahead - one that fails is written in its turn', async (t) => {
  const { core, diskBytes } = await openLog(t);
  const broken = {
    write: (): Promise<WrittenValues> => Promise.reject(new Error('the disk is full')),
  } as unknown as ValueFiles;
  const blocks = blocksOf(4);
  const ahead = new ValuesAhead(broken, blocks);
  await core.append(blocks);
  for (const [i, block] of blocks.entries()) t.ok((await core.get(i))?.equals(block), `block ${i}`);
  await ahead.settled();
  await ahead.discard();
  t.is(diskBytes(), BYTES);
});

test('values ahead - a file to which all that was written points, or never will, is let go', async (t) => {
  const folder = temporaryFolder(t, 'values-ahead');
  const files = new ValueFiles(folder, BYTES);
  t.teardown(() => files.close(), { force: true });
  const unsyncedFrom = async (): Promise<unknown> => {
    await files.sync();
    const mark = JSON.parse(readFileSync(join(folder, VALUES, 'open.json'), 'utf8')) as object;
    return (mark as { unsyncedFrom: unknown }).unsyncedFrom;
  };
  const [first, second, third] = [blocksOf(6), blocksOf(7), blocksOf(8)];
  const dropped = new ValuesAhead(files, first);
  await dropped.settled();
  const taken = new ValuesAhead(files, second);
  await taken.settled();
  const last = new ValuesAhead(files, third);
  await last.settled();
  t.is(await unsyncedFrom(), 1, 'each has a file');
  await dropped.discard();
  t.is(await unsyncedFrom(), 2);
  const written = await ValuesAhead.take(second);
  t.is(await unsyncedFrom(), 2);
  written?.settle();
  t.is(await unsyncedFrom(), 3);
  await last.discard();
});

test('values ahead - little is not', async (t) => {
  const { storage } = await openLog(t);
  t.is(writeAhead(storage, []), null);
  t.is(writeAhead(storage, [randomBytes(limits.direct_write_bytes_min - 1, 1)]), null);
  const small = Array.from({ length: 100 }, (_, i) => randomBytes(limits.value_bytes_min - 1, i));
  t.is(writeAhead(storage, small), null, 'nor what the database keeps itself');
});

test('values ahead - a checksum that was set is the one that counts', async (t) => {
  const value = randomBytes(100 * KIB, 5);
  t.is(checksumOf(value), crc32InPlace(value));
  setChecksum(value, 7);
  t.is(checksumOf(value), 7);
  t.is(checksumOf(Buffer.from(value)), crc32InPlace(value), 'of that value only');
});
