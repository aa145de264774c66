/** Commits while the disk has no room for data that is waiting. */
import test, { type Assertions } from 'brittle';
import { NoSpaceError } from '../../src/errors.js';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import type { Journal } from '../../src/fs/journal-writer.js';
import { decodeSyncEntry, type SyncEntry } from '../../src/fs/sync-entry.js';
import { limits } from '../../src/limits.js';
import { SpaceGuard } from '../../src/log/space-guard.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import {
  caller,
  contentOf,
  create,
  type OpenFile,
  openFileSystem,
} from './support/open-file-system.js';

const ROOT = 1;
const O_RDWR = 2;
const MIB = 1 << 20;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

/** A file system whose log takes no data while `disk.isFull`. */
async function open(t: Assertions, journal?: Journal) {
  const disk = { isFull: false };
  const spaceGuard = new SpaceGuard({
    directory: '/small',
    reserveBytes: 0,
    measure: () => ({ availableBytes: disk.isFull ? 0 : 16 * MIB, totalBytes: 1000 * MIB }),
  });
  const folder = temporaryFolder(t, 'disk-full');
  const opened = await openFileSystem(folder, { spaceGuard, ...(journal && { journal }) });
  return { disk, folder, ...opened };
}

async function writeNew(
  fileSystem: DriveFileSystem,
  name: string,
  data: Buffer,
): Promise<OpenFile> {
  const file = await create(fileSystem, name);
  await fileSystem.write(file.ino, file.handle, 0, data, options, caller);
  return file;
}

function release(fileSystem: DriveFileSystem, { ino, handle }: OpenFile): void {
  fileSystem.release(ino, handle);
  fileSystem.forget(ino, 1);
}

/** As a program does that removes a file, and the kernel then. */
async function remove(fileSystem: DriveFileSystem, name: string, file: OpenFile): Promise<void> {
  await fileSystem.unlink(ROOT, name, caller);
  release(fileSystem, file);
}

test('disk full: data that is waiting holds nothing up once its file is deleted', async (t) => {
  const { disk, folder, fileSystem, content, close } = await open(t);
  release(fileSystem, await writeNew(fileSystem, 'before', randomBytes(MIB, 1)));
  await fileSystem.commit();

  disk.isFull = true;
  const large = randomBytes(3 * MIB, 2);
  const largeFile = await writeNew(fileSystem, 'large', large);
  // It shares a block with chunks of the other.
  const small = randomBytes(5000, 3);
  const smallFile = await writeNew(fileSystem, 'small', small);
  await t.exception(fileSystem.commit(), NoSpaceError);
  t.ok((await contentOf(fileSystem, largeFile)).equals(large), 'it can be read meanwhile');
  await fileSystem.unlink(ROOT, 'before', caller);
  await t.exception(fileSystem.commit(), NoSpaceError, 'what has a name is to be stored');
  await remove(fileSystem, 'large', largeFile);
  await t.exception(fileSystem.commit(), NoSpaceError, 'both of them');
  t.ok((await contentOf(fileSystem, smallFile)).equals(small));
  t.ok(content.pendingBytes < 200_000, `${content.pendingBytes} bytes wait`);
  await remove(fileSystem, 'small', smallFile);
  const { blocks } = content.statistics();
  await fileSystem.commit();
  t.is(content.pendingBytes, 0);
  t.is(content.statistics().blocks, blocks, 'blocks keep their numbers');

  disk.isFull = false;
  const again = Buffer.concat([large, small]);
  release(fileSystem, await writeNew(fileSystem, 'again', again));
  await fileSystem.commit();
  await close();
  const reopened = await openFileSystem(folder);
  const found = await reopened.fileSystem.lookup(ROOT, 'again', caller);
  const ino = found.attributes?.ino ?? 0;
  const { handle } = await reopened.fileSystem.open(ino, O_RDWR, caller);
  t.ok(
    (await contentOf(reopened.fileSystem, { ino, handle })).equals(again),
    'the same data is stored, not found in what was dropped',
  );
  t.is((await reopened.fileSystem.lookup(ROOT, 'before', caller)).attributes, null);
  await reopened.close();
});

test('disk full: data of a deleted file stays while it is open', async (t) => {
  const { disk, fileSystem, close } = await open(t);
  disk.isFull = true;
  const data = randomBytes(2 * MIB, 4);
  const file = await writeNew(fileSystem, 'file', data);
  await t.exception(fileSystem.commit(), NoSpaceError);
  await fileSystem.unlink(ROOT, 'file', caller);
  await t.exception(fileSystem.commit(), NoSpaceError);
  t.ok((await contentOf(fileSystem, file)).equals(data));
  release(fileSystem, file);
  await fileSystem.commit();
  await close();
});

function openJournal(entries: SyncEntry[]): Journal {
  return {
    isReady: true,
    room: limits.sync_journal_bytes,
    append: async (entry) => {
      entries.push(decodeSyncEntry(entry));
    },
    restart: () => undefined,
  };
}

test('disk full: chunks in the journal are stored as they were, also when they are deleted', async (t) => {
  const entries: SyncEntry[] = [];
  const { disk, fileSystem, content, close } = await open(t, openJournal(entries));
  await fileSystem.mkdir(ROOT, 'directory', 0o755, caller);
  await fileSystem.commit();
  const data = randomBytes(200_000, 5);
  disk.isFull = true;
  // What has no name is sealed, though it is not committed.
  const made = await fileSystem.tmpfile(ROOT, 0o100644, O_RDWR, caller);
  const file = { ino: made.entry.attributes.ino, handle: made.open.handle };
  await fileSystem.write(file.ino, file.handle, 0, data, options, caller);
  await fileSystem.syncfs();
  await fileSystem.link(file.ino, ROOT, 'file', caller);
  await fileSystem.syncfs();
  const puts = entries.at(-1)?.puts ?? [];
  t.ok(puts.length > 0, 'fsync was content with the journal');
  t.ok(content.pendingBytes > 0, 'the log does not have it');
  const other = await writeNew(fileSystem, 'other', randomBytes(MIB, 6));
  await t.exception(fileSystem.commit(), NoSpaceError);
  await remove(fileSystem, 'other', other);
  await remove(fileSystem, 'file', file);
  // A next mount that finds the journal takes what the log has for what was noted.
  await fileSystem.commit();
  for (const { block, offset, data: noted } of puts) {
    const place = { writer: 0, block, offset, length: noted.length, hash: Buffer.alloc(16) };
    const stored = await content.read(place, 0, noted.length);
    t.ok(stored.equals(noted), `block ${block}`);
  }
  await close();
});

test('disk full: what was synced takes of the reserve, unless much else is dirty', async (t) => {
  const entries: SyncEntry[] = [];
  const { disk, fileSystem, close } = await open(t, openJournal(entries));
  await fileSystem.mkdir(ROOT, 'directory', 0o755, caller);
  await fileSystem.commit();
  const { version } = fileSystem.figures();
  const data = randomBytes(200_000, 7);
  const file = await writeNew(fileSystem, 'file', data);
  await fileSystem.syncfs();
  t.is(entries.at(-1)?.writes.length, 1, 'fsync was content with the journal');
  t.is(fileSystem.figures().version, version);
  disk.isFull = true;
  const other = await writeNew(fileSystem, 'other', randomBytes(3 * MIB, 8));
  await t.exception(fileSystem.commit(), NoSpaceError);
  await remove(fileSystem, 'other', other);
  await fileSystem.commit();
  t.is(fileSystem.figures().version, version + 1, 'it is committed all the same');
  t.ok((await contentOf(fileSystem, file)).equals(data));
  await close();
});
