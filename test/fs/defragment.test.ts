import test, { type Assertions } from 'brittle';
import { ChunkCheck } from '../../src/content/chunk-check.js';
import type { DriveFileSystem } from '../../src/fs/drive-file-system.js';
import type { Journal } from '../../src/fs/journal-writer.js';
import { limits } from '../../src/limits.js';
import type { HyperbeeTree } from '../../src/tree/hyperbee-tree.js';
import { segmentKey } from '../../src/tree/keys.js';
import { decodeSegment, type ExtentRecord } from '../../src/tree/segment-record.js';
import { randomBytes } from '../support/random-bytes.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import {
  caller,
  contentOf,
  create,
  HASH_KEY,
  type OpenFile,
  openFileSystem,
} from './support/open-file-system.js';

const O_RDWR = 2;
const options = { fromPageCache: false, killSuidGid: false, openFlags: O_RDWR };

test('thousands of tiny writes into one segment end in few extents', async (t) => {
  const folder = temporaryFolder(t, 'defragment');
  const { fileSystem, close } = await openFileSystem(folder);
  const made = await fileSystem.create(1, 'file', 0o100644, O_RDWR, caller);
  const { ino } = made.entry.attributes;
  const { handle } = made.open;
  const expected = Buffer.alloc(100_000);
  for (let i = 0; i < 5000; i++) {
    const at = (i * 7919) % 99_000;
    const data = Buffer.of(1 + (i % 255));
    expected[at] = data[0] as number;
    await fileSystem.write(ino, handle, at, data, options, caller);
    if (i % 1000 === 999) await fileSystem.syncfs();
  }
  await fileSystem.setattr(ino, { size: expected.length }, caller);
  const answer = await fileSystem.read(ino, handle, 0, expected.length, caller);
  const bytes = Array.isArray(answer) ? Buffer.concat(answer) : answer;
  t.ok(bytes.equals(expected), 'content is right');
  await fileSystem.release(ino, handle);
  await close();

  const again = await openFileSystem(folder);
  let largest = 0;
  for await (const { value } of again.tree.range(Buffer.of(0x12), Buffer.of(0x13))) {
    largest = Math.max(largest, value.length);
  }
  t.ok(largest > 0 && largest < limits.record_bytes_max / 2, `largest segment record ${largest}`);
  await again.close();
});

const PIECE_BYTES = 4096;
const PIECES = 200;

/** With it, what is synced waits in open blocks. */
const journal: Journal = {
  isReady: true,
  room: limits.sync_journal_bytes,
  append: async () => undefined,
  restart: () => undefined,
};

/** A file without a name: each sync makes chunks of what was written to it. */
async function createNameless(fileSystem: DriveFileSystem): Promise<OpenFile> {
  const made = await fileSystem.tmpfile(1, 0o100644, O_RDWR, caller);
  return { ino: made.entry.attributes.ino, handle: made.open.handle };
}

/** Appends to each of the files in turn, syncs after each piece, and gives them names at last. Answers their contents. */
async function appendInTurn(
  fileSystem: DriveFileSystem,
  files: readonly OpenFile[],
  pieceOf: (seed: number) => Buffer,
): Promise<Buffer[]> {
  const contents = files.map(() => Buffer.alloc(PIECES * PIECE_BYTES));
  for (let i = 0; i < PIECES; i++) {
    for (const [index, { ino, handle }] of files.entries()) {
      const piece = pieceOf(1000 * index + i);
      piece.copy(contents[index] as Buffer, i * PIECE_BYTES);
      await fileSystem.write(ino, handle, i * PIECE_BYTES, piece, options, caller);
      await fileSystem.syncfs();
    }
  }
  for (const { ino } of files) await fileSystem.link(ino, 1, `file-${ino}`, caller);
  await fileSystem.commit();
  return contents;
}

async function extentsOf(tree: HyperbeeTree, { ino }: OpenFile): Promise<ExtentRecord[]> {
  const record = await tree.get(segmentKey(ino, 0));
  return record === null ? [] : decodeSegment(ino, 0, record);
}

test('a file that is appended to in small pieces, each synced, is cut like any other', async (t) => {
  const folder = temporaryFolder(t, 'defragment');
  const { fileSystem, tree, content, close } = await openFileSystem(folder, { journal });
  const file = await create(fileSystem, 'log');
  const [expected] = await appendInTurn(fileSystem, [file], (seed) =>
    randomBytes(PIECE_BYTES, seed),
  );
  const extents = await extentsOf(tree, file);
  t.ok(extents.length <= PIECES / 8, `${extents.length} extents`);
  t.is(content.statistics().storedBytes, expected?.length);
  t.ok((await contentOf(fileSystem, file)).equals(expected as Buffer));
  await fileSystem.release(file.ino, file.handle);
  await close();
});

test('what is sealed in small pieces is stored once', async (t) => {
  const folder = temporaryFolder(t, 'defragment');
  const { fileSystem, tree, content, close } = await openFileSystem(folder, { journal });
  const file = await createNameless(fileSystem);
  const [expected] = await appendInTurn(fileSystem, [file], (seed) =>
    randomBytes(PIECE_BYTES, seed),
  );
  const extents = await extentsOf(tree, file);
  t.ok(extents.length <= 128, `${extents.length} extents`);
  t.ok(
    extents.some(({ length }) => length === 15 * PIECE_BYTES),
    'some of them are whole blocks',
  );
  t.is(content.statistics().storedBytes, expected?.length);
  // In the middle of what is referred to as one.
  const patch = randomBytes(3000, 9999);
  patch.copy(expected as Buffer, 30_000);
  await fileSystem.write(file.ino, file.handle, 30_000, patch, options, caller);
  await fileSystem.commit();
  await fileSystem.release(file.ino, file.handle);
  await close();

  const again = await openFileSystem(folder);
  const { handle } = await again.fileSystem.open(file.ino, O_RDWR, caller);
  const found = await contentOf(again.fileSystem, { ino: file.ino, handle });
  t.ok(found.equals(expected as Buffer), 'the content is right');
  const check = new ChunkCheck<null>({
    logs: new Map([[0, again.contentCore]]),
    hashKey: HASH_KEY,
    isWhole: true,
    onDamaged: (_, reason) => t.fail(reason),
  });
  for (const { chunk } of await extentsOf(again.tree, file))
    if (chunk !== null) check.add(chunk, null);
  await check.flush();
  await again.fileSystem.release(file.ino, handle);
  await again.close();
});

test('what lies apart, or is compressed, is written anew', async (t) => {
  const apart = await filesAfterAppending(t, 2, (seed) => randomBytes(PIECE_BYTES, seed));
  t.ok(
    apart.storedBytes > 2 * PIECES * PIECE_BYTES,
    `two files in turn: ${apart.storedBytes} bytes`,
  );
  const lines = await filesAfterAppending(t, 1, (seed) =>
    Buffer.alloc(PIECE_BYTES, `line ${seed}\n`),
  );
  const isJoined = ({ length, chunk }: ExtentRecord): boolean =>
    length > PIECE_BYTES && chunk?.compressedBytes !== undefined;
  t.ok(lines.extents.some(isJoined), 'lines');
});

async function filesAfterAppending(
  t: Assertions,
  count: number,
  pieceOf: (seed: number) => Buffer,
): Promise<{ storedBytes: number; extents: ExtentRecord[] }> {
  const folder = temporaryFolder(t, 'defragment');
  const drive = await openFileSystem(folder, { journal, compress: true });
  const files: OpenFile[] = [];
  for (let i = 0; i < count; i++) files.push(await createNameless(drive.fileSystem));
  const contents = await appendInTurn(drive.fileSystem, files, pieceOf);
  const { storedBytes } = drive.content.statistics();
  const all: ExtentRecord[] = [];
  for (const [index, file] of files.entries()) {
    const extents = await extentsOf(drive.tree, file);
    t.ok(extents.length <= 128, `${extents.length} extents`);
    t.ok((await contentOf(drive.fileSystem, file)).equals(contents[index] as Buffer));
    await drive.fileSystem.release(file.ino, file.handle);
    all.push(...extents);
  }
  await drive.close();
  return { storedBytes, extents: all };
}
