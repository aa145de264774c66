/** When fsync is content with an entry of the journal, and when it commits. */

import type { Assertions } from 'brittle';
import test from 'brittle';
import { StoreError } from '../../src/errors.js';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import type { Journal } from '../../src/fs/journal-writer.js';
import { decodeSyncEntry, type SyncEntry } from '../../src/fs/sync-entry.js';
import { limits } from '../../src/limits.js';
import { commitKey, inoOfKey, RecordKind, segmentOfKey } from '../../src/tree/keys.js';
import { decodeSegment } from '../../src/tree/segment-record.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { caller, create, openFileSystem } from './support/open-file-system.js';

const O_RDWR = 2;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

/** Keeps entries in memory. */
class MemoryJournal implements Journal {
  isReady = true;
  room = limits.sync_journal_bytes;
  entries: SyncEntry[] = [];
  restarts = 0;
  fails = false;

  async append(entry: Buffer): Promise<void> {
    if (this.fails) throw new StoreError('the disk is gone');
    this.entries.push(decodeSyncEntry(entry));
  }

  restart(): void {
    this.entries = [];
    this.restarts++;
  }
}

async function open(t: Assertions) {
  const journal = new MemoryJournal();
  const opened = await openFileSystem(temporaryFolder(t, 'journal'), { journal });
  return { journal, ...opened };
}

const versionOf = (fileSystem: DriveFileSystem): number => fileSystem.figures().version;

test('journal: a small change is noted, again with all that is not committed, until a commit', async (t) => {
  const { fileSystem, journal, close } = await open(t);
  const { ino, handle } = await create(fileSystem, 'file');
  await fileSystem.syncfs();
  t.is(journal.entries.length, 0, 'there is nothing to continue before the first commit');
  const version = versionOf(fileSystem);

  const written = randomBytes(5000, 1);
  await fileSystem.write(ino, handle, 0, written, options, caller);
  await fileSystem.syncfs();
  t.is(versionOf(fileSystem), version, 'no commit');
  t.is(journal.entries.length, 1);
  t.alike(journal.entries[0]?.writes, [{ ino, offset: 0, data: written }]);
  await fileSystem.syncfs();
  t.is(journal.entries.length, 1, 'nothing new, no entry');

  await create(fileSystem, 'other');
  await Promise.all([fileSystem.syncfs(), fileSystem.syncfs(), fileSystem.syncfs()]);
  t.is(journal.entries.length, 2, 'those who come together share one');
  const [first, second] = journal.entries as [SyncEntry, SyncEntry];
  t.alike([first.sequence, second.sequence], [0, 1]);
  t.alike(second.base, first.base);
  t.alike([second.puts, second.writes], [[], []], 'data is noted once');
  const keys = ({ changes }: SyncEntry) => changes.map(({ key }) => key.toString('hex'));
  t.ok(
    keys(first).every((key) => keys(second).includes(key)),
    'a record as often as it is not committed',
  );
  t.ok(second.changes.some(({ key }) => key.equals(commitKey)));

  const { restarts } = journal;
  await fileSystem.commit();
  t.is(journal.restarts, restarts + 1, 'a commit begins it anew');
  await create(fileSystem, 'third');
  await fileSystem.syncfs();
  t.is(journal.entries[0]?.base.version, version + 1);
  t.is(journal.entries[0]?.sequence, 0);
  await close();
});

test('journal: what was noted before does not count where chunks took its place', async (t) => {
  const { fileSystem, journal, close } = await open(t);
  const known = randomBytes(3 << 20, 4);
  const other = await create(fileSystem, 'other');
  await fileSystem.write(other.ino, other.handle, 0, known, options, caller);
  const { ino, handle } = await create(fileSystem, 'file');
  await fileSystem.commit();
  const version = versionOf(fileSystem);
  await fileSystem.write(ino, handle, 0, randomBytes(4096, 5), options, caller);
  await fileSystem.syncfs();
  // So much is sealed at once, and found in the other file.
  await fileSystem.write(ino, handle, 0, known, options, caller);
  await fileSystem.syncfs();
  t.is(versionOf(fileSystem), version, 'no commit');
  const [first, second] = journal.entries as [SyncEntry, SyncEntry];
  t.alike([first.writes.length, first.forgotten], [1, []]);
  t.alike([second.puts, second.forgotten], [[], [ino]]);
  t.ok(second.writes.every(({ offset }) => offset > 4096));
  await close();
});

test('journal: what was written several times is noted once', async (t) => {
  const { fileSystem, journal, close } = await open(t);
  const { ino, handle } = await create(fileSystem, 'file');
  await fileSystem.syncfs();
  const places = [0, 20_000];
  const write = async (seed: number) => {
    for (const at of places)
      await fileSystem.write(ino, handle, at, randomBytes(10_000, seed + at), options, caller);
  };
  await write(1);
  await fileSystem.syncfs();
  for (const seed of [2, 3, 4]) await write(seed);
  await fileSystem.syncfs();
  t.alike(
    journal.entries[1]?.writes,
    places.map((offset) => ({ ino, offset, data: randomBytes(10_000, 4 + offset) })),
  );
  await close();
});

test('journal: much is committed', async (t) => {
  const { fileSystem, journal, close } = await open(t);
  const { ino, handle } = await create(fileSystem, 'file');
  await fileSystem.syncfs();
  let version = versionOf(fileSystem);
  const commits = async (what: string): Promise<void> => {
    await fileSystem.syncfs();
    t.is(versionOf(fileSystem), ++version, what);
    t.is(journal.entries.length, 0);
  };
  const large = randomBytes(limits.sync_journal_data_bytes_max + 4096, 2);
  await fileSystem.write(ino, handle, 0, large, options, caller);
  await commits('many bytes');
  for (let i = 0; i <= limits.sync_journal_records_max; i++) await create(fileSystem, `n${i}`);
  await commits('many inodes');
  journal.room = 100;
  await create(fileSystem, 'more');
  await commits('what has no room');
  journal.room = limits.sync_journal_bytes;
  journal.isReady = false;
  await create(fileSystem, 'again');
  await commits('what cannot be written now');
  journal.isReady = true;
  await create(fileSystem, 'last');
  await fileSystem.syncfs();
  t.is(journal.entries.length, 1, 'and then little is noted again');
  await close();
});

test('journal: one that cannot be written makes fsync commit', async (t) => {
  const { fileSystem, journal, lines, close } = await open(t);
  await create(fileSystem, 'file');
  await fileSystem.syncfs();
  const version = versionOf(fileSystem);
  journal.fails = true;
  await create(fileSystem, 'other');
  await fileSystem.syncfs();
  t.is(versionOf(fileSystem), version + 1);
  t.ok(lines.some((line) => line.includes('journal cannot be written')));
  await close();
});

test('journal: what fails to be committed is not noted behind an older commit', async (t) => {
  const journal = new MemoryJournal();
  let fails = false;
  const sync = () => (fails ? Promise.reject(new StoreError('cannot sync')) : Promise.resolve());
  const { fileSystem, close } = await openFileSystem(temporaryFolder(t, 'journal'), {
    journal,
    sync,
  });
  const { ino, handle } = await create(fileSystem, 'file');
  await fileSystem.syncfs();
  fails = true;
  await create(fileSystem, 'other');
  await t.exception(fileSystem.commit(), /cannot sync/);
  await fileSystem.write(ino, handle, 0, Buffer.from('new'), options, caller);
  await t.exception(async () => fileSystem.syncfs(), /cannot sync/);
  t.is(journal.entries.length, 0);
  fails = false;
  await fileSystem.syncfs();
  await create(fileSystem, 'fourth');
  await fileSystem.syncfs();
  t.is(journal.entries.length, 1);
  await close();
});

/** A next mount makes the blocks that the log lacks of what was noted: whole ones, and all that a record refers to. */
function expectWhole(t: Assertions, journal: MemoryJournal, logBlocks: number): void {
  const ends = new Map<number, number>();
  for (const { block, offset, data } of journal.entries.flatMap(({ puts }) => puts)) {
    if (block < logBlocks) continue;
    t.is(offset, ends.get(block) ?? 1, `block ${block}`);
    ends.set(block, offset + data.length);
  }
  for (const { key, value } of journal.entries.at(-1)?.changes ?? []) {
    if (key[0] !== RecordKind.segment || value === null) continue;
    for (const { chunk } of decodeSegment(inoOfKey(key), segmentOfKey(key), value)) {
      if (chunk === null || chunk.block < logBlocks) continue;
      t.ok((ends.get(chunk.block) ?? 0) >= chunk.offset + chunk.length, `chunk in ${chunk.block}`);
    }
  }
}

test('journal: with a file that is noted goes what shares a block with it, of files that have no name', async (t) => {
  const { fileSystem, journal, contentCore, close } = await open(t);
  const nameless = await create(fileSystem, 'temporary');
  await fileSystem.unlink(1, 'temporary', caller);
  await fileSystem.commit();
  const { version } = fileSystem.figures();
  await fileSystem.write(nameless.ino, nameless.handle, 0, randomBytes(5000, 1), options, caller);
  await fileSystem.commit();
  t.is(versionOf(fileSystem), version, 'there was nothing to commit');
  const { ino, handle } = await create(fileSystem, 'file');
  await fileSystem.write(ino, handle, 0, randomBytes(5000, 2), options, caller);
  await fileSystem.syncfs();
  t.is(journal.entries.length, 1);
  expectWhole(t, journal, contentCore.length);
  await close();
});

test('journal: what a file got before it had a name is noted with the name', async (t) => {
  const { fileSystem, journal, contentCore, close } = await open(t);
  await create(fileSystem, 'other');
  await fileSystem.commit();
  const made = await fileSystem.tmpfile(1, 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  const { handle } = made.open;
  await fileSystem.write(ino, handle, 0, randomBytes(5000, 3), options, caller);
  const { version } = fileSystem.figures();
  await fileSystem.commit();
  t.is(versionOf(fileSystem), version, 'there was nothing to commit');
  await fileSystem.link(ino, 1, 'named', caller);
  await fileSystem.syncfs();
  t.is(journal.entries.length, 1);
  expectWhole(t, journal, contentCore.length);
  await close();
});
