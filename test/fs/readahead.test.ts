import test from 'brittle';
import type { ChunkReference, ContentStore } from '../../src/content/content-store.js';
import type { Inode } from '../../src/fs/inode.js';
import type { InodeTable } from '../../src/fs/inode-table.js';
import { Readahead } from '../../src/fs/readahead.js';

const MEBIBYTE = 1 << 20;
const CHUNK = 64 << 10;
const FILE_MEBIBYTES = 64;

/** An open file of chunks of 64 KiB, how many of them were asked for ahead, and of how many it was said that it is small. */
function openFile(size = FILE_MEBIBYTES * MEBIBYTE) {
  let asked = 0;
  const small: number[] = [];
  const content = {
    readSmallFile: (chunks: readonly ChunkReference[]) => {
      small.push(chunks.length);
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
    small,
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

test('readahead: a small file is told of once, with all its chunks', (t) => {
  const file = openFile(3 * CHUNK);
  file.read(0, CHUNK);
  file.read(CHUNK, 2 * CHUNK);
  t.alike(file.small, [3]);
  const large = openFile();
  large.read(0, CHUNK);
  t.alike(large.small, []);
});
