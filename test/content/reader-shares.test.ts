import test from 'brittle';
import type Hypercore from 'hypercore';
import type { ReplicatorPeer } from 'hypercore';
import { ReaderShares, score } from '../../src/content/reader-shares.js';

const BLOCKS = 1000;
/** Around block 5, which the others have. */
const SHARED = 150;
/** Asked of anybody, as it is read soon. */
const NEAR = 17;

function keyOf(number: number): Buffer {
  const key = Buffer.alloc(32);
  key.writeUInt32LE(number);
  return key;
}

/** One reader, with a peer that has all; `others` are the readers it knows, by number and first block. */
function readerOf(own: number, others: [number, number][]) {
  const clock = { ms: 1000 };
  const asked = new Set<number>();
  let updated: () => void = () => undefined;
  const peerOf = (number: number, contiguous: number, first: number) => ({
    remoteContiguousLength: contiguous,
    remotePublicKey: keyOf(number),
    remoteBitfield: { firstSet: (at: number) => (first >= at ? first : -1) },
    stats: { wireRange: { rx: 1 } },
    stream: { publicKey: keyOf(own) },
    _requestRangeBlock: (block: number) => {
      asked.add(block);
      return true;
    },
  });
  const seed = peerOf(99, BLOCKS, -1);
  const peers = [seed, ...others.map(([number, first]) => peerOf(number, 0, first))];
  const core = {
    length: BLOCKS,
    core: { bitfield: { get: (block: number) => asked.has(block) } },
    replicator: { peers, updatePeer: () => updated() },
  };
  const shares = new ReaderShares(core as unknown as Hypercore, () => clock.ms);
  for (const peer of peers) shares.apply(peer as unknown as ReplicatorPeer);
  return {
    shares,
    clock,
    asked,
    /** Asks a peer for blocks as the library does; those that are asked for now. */
    ask: (index: number, from = 0, to = SHARED) => {
      const now: number[] = [];
      for (let block = from; block < to; block++) {
        if (!asked.has(block) && peers[index]?._requestRangeBlock(block)) now.push(block);
      }
      return now;
    },
    untilUpdated: () =>
      new Promise<void>((resolve) => {
        updated = resolve;
      }),
  };
}

test('reader shares - of readers that are abreast, each asks for what the others do not', (t) => {
  const numbers = [17, 0x80000000, 0xffffffff];
  const owners = new Map<number, number>();
  for (const own of numbers) {
    const others = numbers.filter((number) => number !== own);
    const reader = readerOf(
      own,
      others.map((number) => [number, 5]),
    );
    const blocks = reader.ask(0);
    t.alike(
      blocks.filter((block) => block < NEAR),
      Array.from({ length: NEAR }, (_, block) => block),
      'what is read soon is asked for by each',
    );
    for (const block of blocks) if (block >= NEAR) owners.set(block, (owners.get(block) ?? 0) + 1);
    t.ok(blocks.length > 30 && blocks.length < 100, `${blocks.length} of them`);
    t.is(reader.ask(1).length, SHARED - blocks.length, 'another reader is asked for all');
    reader.shares.close();
  }
  t.is(owners.size, SHARED - NEAR, 'all of it is asked for');
  t.ok(
    [...owners.values()].every((count) => count === 1),
    'by one reader',
  );
});

test('reader shares - without others, or with others elsewhere, all is asked for', (t) => {
  t.is(readerOf(1, []).ask(0).length, SHARED);
  const far = readerOf(1, [[2, 900]]);
  t.ok(far.shares.hasOthers);
  t.is(far.ask(0).length, SHARED);
});

test('reader shares - a reader to which nothing comes any more is left nothing', (t) => {
  const reader = readerOf(1, [[2, 200]]);
  t.ok(reader.ask(0, 100, 150).length < 50);
  reader.clock.ms += 2500;
  t.is(reader.ask(0, 150, 200).length, 50);
  reader.shares.close();
});

test('reader shares - what comes near is asked of anybody', async (t) => {
  const reader = readerOf(1, [[2, 5]]);
  reader.ask(0);
  const left = Array.from({ length: SHARED }, (_, block) => block).find(
    (b) => !reader.asked.has(b),
  );
  if (left === undefined) throw new Error('Nothing is left to the other reader');
  const updated = reader.untilUpdated();
  reader.shares.moveTo(left - NEAR + 1);
  await updated;
  t.ok(reader.ask(0).includes(left));
  reader.shares.close();
});

test('reader shares - what the other reader does not bring is asked of anybody', async (t) => {
  const reader = readerOf(1, [[2, 5]]);
  const first = reader.ask(0).length;
  t.ok(first < SHARED);
  t.is(reader.ask(0).length, 0, 'not at once');
  await reader.untilUpdated();
  t.pass('and it is looked after though nothing comes');
  reader.clock.ms += 5500;
  t.is(reader.ask(0).length, SHARED - first);
  reader.shares.close();
});

test('reader shares - each block is one reader\u2019s, and each reader has a fair part', (t) => {
  const readers = [17, 0x80000000, 0xffffffff, 12345];
  const counts = new Map(readers.map((reader) => [reader, 0]));
  let ties = 0;
  for (let block = 0; block < 4000; block++) {
    const scores = readers.map((reader) => score(reader, block));
    if (new Set(scores).size < readers.length) ties++;
    const owner = readers[scores.indexOf(Math.max(...scores))] as number;
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
  }
  t.is(ties, 0);
  for (const [reader, count] of counts) t.ok(Math.abs(count - 1000) < 150, `${reader}: ${count}`);
});
