import test from 'brittle';
import type { BlockReader } from '../../src/content/block-reader.js';
import { Readahead } from '../../src/content/readahead.js';

const BYTES_MAX = 2 << 20;
const BLOCKS_MAX = BYTES_MAX >> 16;

/** A reader of a log at a peer. What is fetched is here once it is looked at again. */
function peersLog({ nowhere = -1, garbage = -1, length = 1000 }) {
  const here = new Set<number>();
  let most = 0;
  let rescued = 0;
  const reader = {
    core: { length },
    hasRoom: true,
    isAtHand: () => false,
    isLocal: (block: number) => here.has(block),
    needsNoFetch: (block: number) => here.has(block) || block === garbage,
    isNowhere: (block: number) => block === nowhere,
    rescueAhead: (block: number) => {
      if (block !== nowhere) return false;
      rescued++;
      return true;
    },
    download: (start: number, end: number) => {
      for (let block = start; block < end; block++) here.add(block);
      return { done: () => Promise.resolve(), destroy: () => undefined };
    },
  } as unknown as BlockReader;
  const readahead = new Readahead(BYTES_MAX);
  return {
    here,
    rescued: () => rescued,
    most: () => most,
    /** Reads files of one block each, from the first block up to this one. */
    async readTo(last: number) {
      for (let block = 0; block <= last; block++) {
        here.add(block);
        const read = { file: block, start: block, end: block + 1 };
        readahead.announceNeighbours(reader, read);
        most = Math.max(most, Math.max(...here) - block);
        await Promise.resolve();
      }
      readahead.close();
    },
  };
}

test('read-ahead of neighbours: as much as is read ahead at all', async (t) => {
  const log = peersLog({});
  await log.readTo(300);
  t.ok(log.most() <= BLOCKS_MAX && log.most() > BLOCKS_MAX / 2, `${log.most()} blocks`);
});

test('read-ahead of neighbours: not what was collected, nor what nobody has', async (t) => {
  const log = peersLog({ nowhere: 55, garbage: 60 });
  await log.readTo(50);
  t.absent(log.here.has(55), 'it may be garbage');
  t.is(log.rescued(), 0, 'and is brought back only for who reads it');
  t.absent(log.here.has(60));
  t.ok(log.here.has(54) && log.here.has(56) && log.here.has(61), 'but what lies around them');
});

test('read-ahead: of a stream that goes on nothing is taken back, of what was left behind by seeks the oldest is', (t) => {
  const here = new Set<number>();
  let destroyed = 0;
  const reader = {
    hasRoom: true,
    isAtHand: (block: number) => here.has(block),
    isLocal: (block: number) => here.has(block),
    rescueAhead: () => false,
    openAsTheyCome: () => undefined,
    download: () => ({ done: () => new Promise(() => {}), destroy: () => destroyed++ }),
  } as unknown as BlockReader;
  const readahead = new Readahead(BYTES_MAX);
  const announce = (start: number, end: number) => {
    const blocks = Array.from({ length: end - start }, (_, i) => ({
      block: start + i,
      length: 64 << 10,
    }));
    readahead.announce(reader, blocks);
  };
  const half = BLOCKS_MAX / 2;
  announce(0, BLOCKS_MAX);
  for (let at = half; at < 10 * BLOCKS_MAX; at += half) {
    // The kernel has asked for a little more than has come.
    for (let block = Math.max(0, at - half - 8); block < at - 8; block++) here.add(block);
    announce(at + half, at + BLOCKS_MAX);
  }
  t.is(destroyed, 0);
  for (const place of [1000, 2000, 3000]) announce(place, place + BLOCKS_MAX);
  t.ok(destroyed > 0);
  readahead.close();
});
