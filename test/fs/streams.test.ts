/** Files that are streamed in while commits happen: copies have the same chunks, wherever a commit cut them. */
import { createCipheriv } from 'node:crypto';
import test from 'brittle';
import { limits } from '../../src/limits.js';
import type { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import { RecordKind } from '../../src/tree/keys.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import {
  caller,
  contentOf,
  create,
  type OpenedFileSystem,
  type OpenFile,
  openFileSystem,
} from './support/open-file-system.js';

const O_RDWR = 2;
const PAGE = 4096;
/** And the size stays. */
const PUNCH_HOLE = 3;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

/** The same each time, and so are the places where it is cut. */
function noise(bytes: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 5), Buffer.alloc(16, 6));
  return cipher.update(Buffer.alloc(bytes));
}

/** Writes a file in pieces, and commits at these places; with the page again that was not full, as the kernel does. */
async function stream(
  drive: OpenedFileSystem,
  { ino, handle }: OpenFile,
  content: Buffer,
  commitsAt: readonly number[],
): Promise<void> {
  const { fileSystem } = drive;
  const stops = [...commitsAt, content.length];
  let at = 0;
  for (const stop of stops) {
    while (at < stop) {
      const end = Math.min(stop, at + 100_000);
      await fileSystem.write(ino, handle, at, content.subarray(at, end), options, caller);
      at = end;
    }
    await fileSystem.commit();
    if (at < content.length) at -= at % PAGE;
  }
}

test('streams - commits in the middle of one do not change its chunks', async (t) => {
  const folder = temporaryFolder(t, 'streams');
  const drive = await openFileSystem(folder);
  const content = noise(12_000_000);
  const whole = await create(drive.fileSystem, 'whole');
  await stream(drive, whole, content, []);
  const before = drive.content.statistics();
  const { version } = drive.fileSystem.figures();
  const cut = await create(drive.fileSystem, 'cut');
  const commitsAt = [1_500_000, 3_333_333, 6_000_000, 9_700_001];
  await stream(drive, cut, content, commitsAt);
  const after = drive.content.statistics();
  t.ok(after.storedBytes > before.storedBytes, 'the end that each commit has is stored');
  // Those that come by the clock may follow so soon on another that a chunk stays as it is.
  const byClock = drive.fileSystem.figures().version - version - commitsAt.length - 1;
  const found = after.deduplicatedBytes - before.deduplicatedBytes;
  const missed = content.length - found;
  t.ok(missed <= byClock * 600_000, `${missed} bytes in other chunks, ${byClock} more commits`);
  const copied = await create(drive.fileSystem, 'copied');
  const beforeCopy = drive.content.statistics().storedBytes;
  await stream(drive, copied, content, []);
  t.is(drive.content.statistics().storedBytes, beforeCopy, 'both have the same chunks');
  for (const file of [whole, cut, copied]) {
    t.ok((await contentOf(drive.fileSystem, file)).equals(content), 'the content is right');
    await drive.fileSystem.release(file.ino, file.handle);
  }
  await drive.close();

  const again = await openFileSystem(folder);
  const { ino } = cut;
  const { handle } = await again.fileSystem.open(ino, O_RDWR, caller);
  const read = await contentOf(again.fileSystem, { ino, handle });
  t.ok(read.equals(content), 'after another start, too');
  const { attributes } = await again.fileSystem.getattr(ino, undefined, caller);
  t.is(attributes.blocks, Math.ceil(content.length / 512), 'and so is the number of its blocks');
  await again.fileSystem.release(ino, handle);
  await again.close();
});

test('streams - a file synced after each few bytes is not stored many times', async (t) => {
  const drive = await openFileSystem(temporaryFolder(t, 'streams'));
  const file = await create(drive.fileSystem, 'log');
  const content = noise(1_500_000);
  await stream(drive, file, content.subarray(0, 1_200_000), []);
  const before = drive.content.statistics().storedBytes;
  for (let at = 1_200_000; at < content.length; at += 3000) {
    const piece = content.subarray(at, at + 3000);
    await drive.fileSystem.write(file.ino, file.handle, at, piece, options, caller);
    await drive.fileSystem.commit();
  }
  const grown = drive.content.statistics().storedBytes - before;
  t.ok(grown < 1.3 * 300_000, `${grown} bytes for 300,000`);
  t.ok((await contentOf(drive.fileSystem, file)).equals(content), 'the content is right');
  await drive.fileSystem.release(file.ino, file.handle);
  await drive.close();
});

test('streams - what was taken out is not brought back by what follows', async (t) => {
  const drive = await openFileSystem(temporaryFolder(t, 'streams'));
  const { fileSystem } = drive;
  const file = await create(drive.fileSystem, 'file');
  const content = noise(4_000_000);
  const expected = Buffer.from(content);
  await stream(drive, file, content.subarray(0, 2_000_000), []);
  // A hole in the chunk that the commit cut off.
  expected.fill(0, 1_999_000, 1_999_100);
  await fileSystem.fallocate(file.ino, file.handle, PUNCH_HOLE, 1_999_000, 100, caller);
  await fileSystem.commit();
  const rest = content.subarray(2_000_000);
  await fileSystem.write(file.ino, file.handle, 2_000_000, rest, options, caller);
  await fileSystem.commit();
  t.ok((await contentOf(drive.fileSystem, file)).equals(expected));
  await fileSystem.setattr(file.ino, { size: 3_990_000 }, caller);
  const more = noise(2_000_000);
  await fileSystem.write(file.ino, file.handle, 3_990_000, more, options, caller);
  await fileSystem.commit();
  const longer = Buffer.concat([expected.subarray(0, 3_990_000), more]);
  t.ok((await contentOf(drive.fileSystem, file)).equals(longer), 'nor what was cut off');
  await fileSystem.release(file.ino, file.handle);
  await drive.close();
});

/** Keeps the deduplication index from being learned: it goes over all segments. */
function learnNothing(tree: HyperbeeTree): void {
  const range = tree.range.bind(tree);
  tree.range = (from, to, readOptions) => {
    const isAll = from.length === 1 && from[0] === RecordKind.segment;
    return isAll ? range(from, from) : range(from, to, readOptions);
  };
}

test('streams - a file that is copied right after the mount is found again', async (t) => {
  const folder = temporaryFolder(t, 'streams');
  const drive = await openFileSystem(folder);
  const content = noise(2 * limits.segment_bytes + 5000);
  const first = await create(drive.fileSystem, 'first');
  await stream(drive, first, content, []);
  await drive.fileSystem.release(first.ino, first.handle);
  await drive.close();

  const again = await openFileSystem(folder, { onTree: learnNothing });
  const { handle } = await again.fileSystem.open(first.ino, O_RDWR, caller);
  const read = await contentOf(again.fileSystem, { ino: first.ino, handle });
  const copy = await create(again.fileSystem, 'copy');
  await stream(again, copy, read, []);
  const { storedBytes, deduplicatedBytes } = again.content.statistics();
  t.alike([storedBytes, deduplicatedBytes], [0, content.length]);
  await again.fileSystem.release(first.ino, handle);
  await again.fileSystem.release(copy.ino, copy.handle);
  await again.close();
});
