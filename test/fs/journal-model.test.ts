/** Random changes of files, each synced: what the next mount would make of the journal, against plain buffers. */
import test from 'brittle';
import { continuationOf } from '../../src/drive/replay-journal.js';
import { DamagedError } from '../../src/errors.js';
import type { Journal } from '../../src/fs/journal-writer.js';
import { replayWrites } from '../../src/fs/replay-writes.js';
import { decodeSyncEntry, type SyncEntry } from '../../src/fs/sync-entry.js';
import { limits } from '../../src/limits.js';
import { decodeInode } from '../../src/tree/inode-record.js';
import { inodeKey, segmentKey } from '../../src/tree/keys.js';
import { type ChunkLocation, decodeSegment } from '../../src/tree/segment-record.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { changeFile, FileModel, writeOptions } from './support/file-model.js';
import {
  caller,
  create,
  HASH_KEY,
  type OpenedFileSystem,
  openFileSystem,
} from './support/open-file-system.js';

const FILES = 3;
const STEPS = 400;
const SEGMENT = limits.segment_bytes;
/** So little that several syncs lie between two commits. */
const WRITE_LENGTHS = [1, 100, 700, 4096, 4096, 9000, 60_000];
/** Of blocks that the next mount would append; the log itself stays far below. */
const FIRST_BLOCK = 1_000_000;

class MemoryJournal implements Journal {
  isReady = true;
  room = limits.sync_journal_bytes;
  entries: SyncEntry[] = [];
  /** Entries with data that was written, and with files of which older data does not count. */
  written = 0;
  forgotten = 0;

  async append(bytes: Buffer): Promise<void> {
    const entry = decodeSyncEntry(bytes);
    this.entries.push(entry);
    if (entry.writes.length > 0) this.written++;
    if (entry.forgotten.length > 0) this.forgotten++;
  }

  restart(): void {
    this.entries = [];
  }
}

/** What is in a file after a crash now, and its size. */
async function afterCrash(
  { tree, content }: OpenedFileSystem,
  entries: readonly SyncEntry[],
  ino: number,
): Promise<Buffer> {
  const first = entries[0];
  const { newest, puts, writes } =
    first === undefined
      ? { newest: null, puts: [], writes: [] }
      : continuationOf(entries, first.base);
  const replayed = await replayWrites({
    changes: newest?.changes ?? [],
    writes,
    stored: (key) => tree.get(key),
    writer: 0,
    firstBlock: FIRST_BLOCK,
    hashKey: HASH_KEY,
  });
  const record = async (key: Buffer): Promise<Buffer | null> => {
    const change = replayed.changes.find((one) => one.key.equals(key));
    return change === undefined ? await tree.get(key) : change.value;
  };
  const read = async (chunk: ChunkLocation, skip: number, length: number): Promise<Buffer> => {
    const { block, offset } = chunk;
    const put = [...puts, ...replayed.puts].find(
      (one) => one.block === block && one.offset <= offset && offset < one.offset + one.data.length,
    );
    if (put === undefined || put.data.length < offset - put.offset + chunk.length) {
      if (block >= FIRST_BLOCK) throw new Error(`No chunk was put at ${offset} of block ${block}`);
      return Buffer.from(await content.read(chunk, skip, length));
    }
    const start = offset - put.offset + skip;
    return put.data.subarray(start, start + length);
  };
  const value = await record(inodeKey(ino));
  if (value === null) throw new Error(`Inode ${ino} is not there`);
  const { size, inline } = decodeInode(ino, value);
  if (inline !== null) return inline;
  const bytes = Buffer.alloc(size);
  for (let index = 0; index * SEGMENT < size; index++) {
    const segment = await record(segmentKey(ino, index));
    if (segment === null) continue;
    for (const { start, length, chunk, skip } of decodeSegment(ino, index, segment)) {
      if (chunk !== null) (await read(chunk, skip, length)).copy(bytes, index * SEGMENT + start);
    }
  }
  return bytes;
}

test('journal: after every sync it has what the files have', { timeout: 120_000 }, async (t) => {
  const seed = seedOfRun();
  t.comment(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const journal = new MemoryJournal();
  const opened = await openFileSystem(temporaryFolder(t, 'journal-model'), { journal });
  const { fileSystem } = opened;
  const files: { ino: number; model: FileModel }[] = [];
  for (let i = 0; i < FILES; i++) {
    const { ino, handle } = await create(fileSystem, `file-${i}`);
    await fileSystem.release(ino, handle);
    files.push({ ino, model: new FileModel() });
  }
  await fileSystem.syncfs();
  const history: string[] = [];
  let differences = 0;
  for (let i = 0; i < STEPS && differences === 0; i++) {
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const { ino, model } = random.pick(files);
      const what = await changeFile(random, fileSystem, ino, model, WRITE_LENGTHS);
      history.push(`${ino}: ${what}`);
    }
    if (random.below(40) === 0) await fileSystem.commit();
    await fileSystem.syncfs();
    for (const { ino, model } of files) {
      const { entries } = journal;
      const bytes = await afterCrash(opened, entries, ino);
      // A commit in between, which is due now and then, has taken their place.
      if (journal.entries !== entries || bytes.equals(model.bytes)) continue;
      differences++;
      t.comment(history.slice(-12).join('; '));
      let at = 0;
      while (at < bytes.length && bytes[at] === model.bytes[at]) at++;
      t.comment(`${ino}: ${bytes.length} and ${model.bytes.length} bytes, different at ${at}`);
    }
  }
  t.is(differences, 0, `seed ${seed}: no difference in ${history.length} changes`);
  t.ok(journal.written > STEPS / 4, `${journal.written} entries with written data`);
  t.ok(journal.forgotten > 0, `${journal.forgotten} in which older data does not count any more`);
  await opened.close();
});

test('journal: what was copied from copies in many pieces is there after a crash, too', async (t) => {
  const journal = new MemoryJournal();
  const opened = await openFileSystem(temporaryFolder(t, 'journal-copies'), { journal });
  const { fileSystem } = opened;
  const pieces: { ino: number; handle: number; bytes: Buffer }[] = [];
  for (let i = 0; i < 6; i++) {
    pieces.push({ ...(await create(fileSystem, `copy-${i}`)), bytes: Buffer.alloc(0) });
  }
  await fileSystem.syncfs();
  const [source, ...copies] = pieces as [(typeof pieces)[0], ...typeof pieces];
  const written = Buffer.alloc(2 * limits.segment_extents_max);
  for (let at = 0; at < written.length; at += 2) {
    written[at] = 1 + (at % 255);
    const data = written.subarray(at, at + 1);
    await fileSystem.write(source.ino, source.handle, at, data, writeOptions, caller);
  }
  source.bytes = written.subarray(0, -1);
  let before = source;
  for (const copy of copies) {
    let end = 0;
    for (const from of [source, before]) {
      await fileSystem.copyFileRange(
        from.ino,
        from.handle,
        0,
        copy.ino,
        copy.handle,
        end,
        from.bytes.length,
        caller,
      );
      copy.bytes = Buffer.concat([copy.bytes, from.bytes]);
      end += from.bytes.length;
    }
    before = copy;
  }
  await fileSystem.syncfs();
  for (const { ino, bytes } of pieces) {
    t.alike(await afterCrash(opened, journal.entries, ino), bytes, `${bytes.length} bytes`);
  }
  await opened.close();
});

test('journal: an entry with a record that would be too long is damaged', async (t) => {
  const data = Buffer.of(1);
  const replayed = replayWrites({
    changes: [{ key: inodeKey(5), value: data }],
    writes: Array.from({ length: 20_000 }, (_, i) => ({ ino: 5, offset: 2 * i, data })),
    stored: () => Promise.resolve(null),
    writer: 0,
    firstBlock: FIRST_BLOCK,
    hashKey: HASH_KEY,
  });
  await t.exception(replayed, DamagedError);
});
