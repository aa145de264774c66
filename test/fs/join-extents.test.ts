import test from 'brittle';
import type { ChunkReference } from '../../src/content/content-store.js';
import { type Extent, MemoryBuffer, type Source, UNWRITTEN } from '../../src/fs/extents.js';
import { runsInPlace } from '../../src/fs/join-extents.js';

const hash = Buffer.alloc(16);

function chunk(block: number, offset: number, length: number, more = {}): ChunkReference {
  return { writer: 0, block, offset, length, hash, ...more };
}

function extent(start: number, source: Source, length = 100, skip = 0): Extent {
  return { start, length, source, skip };
}

test('join extents - those that continue each other in the file and in a block', (t) => {
  const continued: [string, Extent, Extent][] = [
    ['whole', extent(0, chunk(7, 1, 100)), extent(100, chunk(7, 101, 100))],
    ['a part', extent(50, chunk(7, 1, 200), 100, 100), extent(150, chunk(7, 201, 100))],
    ['from a part on', extent(0, chunk(7, 1, 100)), extent(100, chunk(7, 91, 200), 100, 10)],
  ];
  for (const [what, one, other] of continued) {
    t.alike(runsInPlace([one, other], 1000), [[one, other]], what);
  }
  const apart: [string, Extent, Extent][] = [
    ['a hole between', extent(0, chunk(7, 1, 100)), extent(101, chunk(7, 101, 100))],
    ['another block', extent(0, chunk(7, 1, 100)), extent(100, chunk(8, 101, 100))],
    ['another log', extent(0, chunk(7, 1, 100)), extent(100, chunk(7, 101, 100, { writer: 1 }))],
    ['not behind it', extent(0, chunk(7, 1, 100)), extent(100, chunk(7, 102, 100))],
    ['cut at its end', extent(0, chunk(7, 1, 200)), extent(100, chunk(7, 201, 100))],
    ['cut at its start', extent(0, chunk(7, 1, 100)), extent(100, chunk(7, 101, 200), 100, 100)],
    [
      'compressed',
      extent(0, chunk(7, 1, 100, { compressedBytes: 9 })),
      extent(100, chunk(7, 101, 100)),
    ],
    [
      'compressed behind',
      extent(0, chunk(7, 1, 100)),
      extent(100, chunk(7, 101, 100, { compressedBytes: 9 })),
    ],
    [
      'in memory',
      extent(0, chunk(7, 1, 100)),
      extent(100, new MemoryBuffer(Buffer.alloc(100), 100)),
    ],
    ['never written', extent(0, UNWRITTEN), extent(100, UNWRITTEN)],
  ];
  for (const [what, one, other] of apart) {
    t.alike(
      runsInPlace([one, other], 1000).map(({ length }) => length),
      [1, 1],
      what,
    );
  }
  const three = [0, 100, 200].map((start) => extent(start, chunk(7, 1 + start, 100)));
  t.alike(
    runsInPlace(three, 300).map(({ length }) => length),
    [3],
  );
  t.alike(
    runsInPlace(three, 299).map(({ length }) => length),
    [2, 1],
    'not what lies behind the end',
  );
});
