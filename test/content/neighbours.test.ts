import test from 'brittle';
import { blocksRead, Neighbours } from '../../src/content/neighbours.js';

const WINDOW_MAX = 32;
const LOG_BLOCKS = 10_000;

/** A log of which nothing is here but what was read, or fetched: that arrives at once, unless it is lost. */
function emptyLog(length = LOG_BLOCKS) {
  const here = new Set<number>();
  const waits: number[] = [];
  let isLost = false;
  let fetched = 0;
  let files = 0;
  const neighbours = new Neighbours(WINDOW_MAX, (block) => here.has(block));
  return {
    here,
    /** So many blocks of a file are read, of another one each time without its number; returns what is fetched ahead. */
    read: (start: number, blocks = 1, file = --files) => {
      const end = start + blocks;
      const ahead = neighbours.read({ file, start, end }, length);
      for (let block = start; block < end; block++) {
        if (!here.has(block)) waits.push(block);
        here.add(block);
      }
      fetched += ahead.length;
      if (!isLost) for (const block of ahead) here.add(block);
      return ahead;
    },
    lose: (lost: boolean) => {
      isLost = lost;
    },
    /** Blocks that were not here when they were read. */
    waits,
    fetched: () => fetched,
  };
}

test('neighbours: files in order are waited for at the beginning only', (t) => {
  const log = emptyLog(1000);
  for (let block = 0; block < 1000; block++) for (let file = 0; file < 8; file++) log.read(block);
  t.alike(log.waits, [0]);
  t.is(log.fetched(), 999, 'each once, and nothing behind the end');
});

test('neighbours: the more is read, the more is fetched ahead', (t) => {
  const log = emptyLog();
  const asked: number[] = [];
  for (let block = 0; block < 400; block++) asked.push(log.read(block).length);
  t.alike(asked.slice(0, 2), [0, 0], 'two files say nothing');
  t.is(asked[2], 4);
  const beyond = Math.max(...log.here) - 399;
  t.ok(beyond >= WINDOW_MAX / 2 && beyond <= WINDOW_MAX, `${beyond} blocks, up to the bound`);
  t.ok(asked.filter((count) => count > 0).length < 100, 'not one by one');
});

test('neighbours: files of a folder in another order than they were written in', (t) => {
  const log = emptyLog();
  for (let folder = 0; folder < 50; folder++) {
    for (let file = 0; file < 40; file++) log.read(folder * 10 + ((file * 7) % 10));
  }
  t.ok(log.waits.length < 100, `${log.waits.length} of 500 blocks were waited for`);
  const backwards = emptyLog();
  for (let block = 500; block >= 0; block--) backwards.read(block);
  t.ok(backwards.waits.length < 150, `${backwards.waits.length} of 500, backwards`);
});

test('neighbours: files of a large folder in no order', (t) => {
  const log = emptyLog(1000);
  let place = 1;
  for (let folder = 0; folder < 8; folder++) {
    const blocks = Array.from({ length: 1000 }, (_, i) => folder * 125 + Math.floor(i / 8));
    for (let i = blocks.length - 1; i > 0; i--) {
      place = (place * 48_271) % 2_147_483_647;
      const other = place % (i + 1);
      [blocks[i], blocks[other]] = [blocks[other] as number, blocks[i] as number];
    }
    for (const block of blocks) log.read(block);
  }
  t.ok(log.waits.length < 350, `${log.waits.length} of 1,000 blocks were waited for`);
});

test('neighbours: of files that are read here and there, next to nothing', (t) => {
  const log = emptyLog();
  let place = 1;
  for (let i = 0; i < 1000; i++) {
    place = (place * 48_271) % 2_147_483_647;
    log.read(place % LOG_BLOCKS);
  }
  t.ok(log.fetched() < 50, `${log.fetched()} blocks for 1,000 files`);
});

test('neighbours: what lies between the files and is not read ends it', (t) => {
  const log = emptyLog();
  for (let block = 0; block < 100; block++) log.read(block);
  const before = log.fetched();
  for (let i = 1; i <= 200; i++) log.read(100 + i * 12);
  t.ok(log.fetched() - before < 2 * WINDOW_MAX, `${log.fetched() - before} blocks in vain`);
});

test('neighbours: who reads only the beginning of each file is given less and less', (t) => {
  for (const distance of [3, 4, 8]) {
    const log = emptyLog();
    for (let file = 0; file < 1000; file++) log.read(file * distance);
    t.ok(log.fetched() < 200, `${log.fetched()} blocks for 1,000 at a distance of ${distance}`);
  }
});

test('neighbours: larger files, of several blocks each', (t) => {
  const log = emptyLog();
  for (let file = 0; file < 200; file++) log.read(file * 4, 4);
  t.ok(log.waits.length <= 24, `${log.waits.length} of 800 blocks were waited for`);
});

test('neighbours: larger files, each read in pieces', (t) => {
  const log = emptyLog();
  const asked: number[] = [];
  for (let file = 0; file < 10; file++) {
    for (let piece = 0; piece < 20; piece++) {
      asked.push(log.read(file * 40 + piece * 2, 2, file).length);
    }
  }
  t.ok(
    asked.slice(0, 40).every((count) => count === 0),
    'not behind the first two',
  );
  t.ok(Math.max(...log.waits) <= 81, 'of the others only the beginning is waited for');
});

test('neighbours: the beginnings of files in one place and their ends in another', (t) => {
  const log = emptyLog();
  for (let file = 0; file < 100; file++) {
    log.read(file * 4, 4, file);
    log.read(5000 + file * 2, 2, file);
  }
  const ends = log.waits.filter((block) => block >= 5000);
  t.ok(ends.length <= 12, `${ends.length} of 200 blocks of ends were waited for`);
});

test('neighbours: large files side by side, and one file again and again, are not several', (t) => {
  const log = emptyLog();
  for (let piece = 0; piece < 100; piece++) {
    log.read(piece * 2, 2, 1);
    log.read(3000 + piece * 2, 2, 2);
    log.read(6000 + piece * 50);
  }
  for (let time = 0; time < 10; time++) log.read(9000, 1, 3);
  t.is(log.fetched(), 0);
});

test('neighbours: what did not come is asked for again', (t) => {
  for (const length of [LOG_BLOCKS, 100]) {
    const log = emptyLog(length);
    for (let block = 0; block < 40; block++) log.read(block);
    log.lose(true);
    log.here.clear();
    for (let block = 40; block < 60; block++) log.read(block);
    log.lose(false);
    const before = log.waits.length;
    for (let block = 60; block < 100; block++) log.read(block);
    const waits = log.waits.length - before;
    t.ok(waits <= 2, `of a log of ${length} blocks ${waits} were waited for`);
  }
});

test('neighbours: what is here is not fetched', (t) => {
  const log = emptyLog();
  for (let block = 0; block < 200; block++) log.here.add(block);
  for (let block = 0; block < 100; block++) log.read(block);
  t.is(log.fetched(), 0);
});

test('neighbours: several programs at once', (t) => {
  const log = emptyLog();
  for (let i = 0; i < 100; i++) {
    for (let program = 0; program < 6; program++) log.read(program * 1000 + i);
  }
  t.ok(log.waits.length <= 6 * 3, `${log.waits.length} of 600 blocks were waited for`);
});

test('neighbours: several programs near each other', (t) => {
  for (const distance of [20, 50, 100]) {
    const log = emptyLog();
    for (let i = 0; i < distance; i++) {
      for (let program = 0; program < 4; program++) log.read(program * distance + i);
    }
    const waits = log.waits.length;
    t.ok(waits <= 4 * 4, `at a distance of ${distance} blocks ${waits} were waited for`);
  }
});

test('neighbours: chunks of a file lie in several places', (t) => {
  const places = (chunks: { writer: number; block: number }[]) =>
    blocksRead(chunks, 7).map(({ writer, start, end }) => [writer, start, end]);
  const chunks = [4, 4, 5, 6, 90, 91, 6].map((block) => ({ writer: 0, block }));
  t.alike(places([...chunks, { writer: 1, block: 7 }]), [
    [0, 4, 7],
    [0, 90, 92],
    [0, 6, 7],
    [1, 7, 8],
  ]);
  const scattered = Array.from({ length: 100 }, (_, i) => ({ writer: 0, block: i * 3 }));
  t.is(places(scattered).length, 4, 'the first of many');
});
