import test from 'brittle';
import type { ChunkReference, ContentStore } from '../../src/content/content-store.js';
import type { Inode } from '../../src/fs/inode.js';
import type { InodeTable } from '../../src/fs/inode-table.js';
import { Readahead } from '../../src/fs/readahead.js';

const MEBIBYTE = 1 << 20;
const CHUNK = 64 << 10;
const FILE_MEBIBYTES = 64;

/** An open file of chunks of 64 KiB, how many of them were asked for ahead, and what was said of those that are read. */
function openFile(size = FILE_MEBIBYTES * MEBIBYTE) {
  let asked = 0;
  const noted: number[] = [];
  const content = {
    noteRead: (chunks: readonly ChunkReference[]) => {
      noted.push(chunks.length);
    },
    prefetch: (chunks: readonly ChunkReference[]) => {
      asked += chunks.length;
    },
  } as unknown as ContentStore;
  const segments = new Map(
    Array.from({ length: FILE_MEBIBYTES }, (_, index) => [
      index,
      {
        extents: Array.from({ length: MEBIBYTE / CHUNK }, (_, i) => ({
          start: i * CHUNK,
          length: CHUNK,
          source: { block: index * (MEBIBYTE / CHUNK) + i },
          skip: 0,
        })),
      },
    ]),
  );
  const inode = {
    inline: null,
    size,
    data: { segments },
  } as unknown as Inode;
  const readahead = new Readahead({} as InodeTable, content);
  return {
    read: (offset: number, length: number) => readahead.advance(inode, offset, length),
    asked: () => asked,
    noted,
  };
}

test('readahead: nothing for small reads at places near each other', (t) => {
  const { read, asked } = openFile();
  for (const mebibyte of [9, 10, 9.5, 11, 10.25, 12, 11]) read(mebibyte * MEBIBYTE, 4096);
  t.is(asked(), 0);
});

test('readahead: for small reads in order', (t) => {
  const { read, asked } = openFile();
  for (let i = 0; i < 4; i++) read(5 * MEBIBYTE + i * 4096, 4096);
  t.ok(asked() > 0);
});

test('readahead: for what the kernel reads ahead, which comes out of order', (t) => {
  const { read, asked } = openFile();
  for (const [at, length] of [
    [0, 128 << 10],
    [MEBIBYTE, MEBIBYTE],
    [128 << 10, MEBIBYTE - (128 << 10)],
  ] as const) {
    read(at, length);
  }
  t.ok(asked() >= MEBIBYTE / CHUNK);
  const before = asked();
  // Once it has begun also for the small piece that is left.
  read(3 * MEBIBYTE, 4096);
  t.ok(asked() > before);
});

test('readahead: of a file that may be one of many, what is read is told', (t) => {
  const small = openFile(3 * CHUNK);
  small.read(0, CHUNK);
  small.read(CHUNK, 2 * CHUNK);
  t.alike(small.noted, [3], 'a small one once, with all its chunks');
  const larger = openFile(8 * MEBIBYTE);
  larger.read(0, 2 * CHUNK);
  larger.read(2 * CHUNK, 3 * CHUNK);
  t.alike(larger.noted, [2, 3]);
  larger.read(6 * MEBIBYTE, CHUNK);
  larger.read(6 * MEBIBYTE + CHUNK, CHUNK);
  t.alike(larger.noted, [2, 3], 'not what is read elsewhere');
  const looked = openFile(8 * MEBIBYTE);
  looked.read(4 * CHUNK, CHUNK);
  looked.read(5 * CHUNK, 2 * CHUNK);
  t.alike(looked.noted, [2], 'where the kernel has the beginning');
  const inSegments = openFile(8 * MEBIBYTE);
  inSegments.read(0, 15 * CHUNK);
  inSegments.read(15 * CHUNK, 20 * CHUNK);
  t.is(inSegments.noted.at(-1), 20, 'of several segments');
  const large = openFile();
  large.read(0, CHUNK);
  t.alike(large.noted, []);
});
