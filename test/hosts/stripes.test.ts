import { createHash } from 'node:crypto';
import test from 'brittle';
import { Placement } from '../../src/hosts/placement.js';
import {
  type Epoch,
  encodedStripes,
  groupOfBlock,
  groups,
  holdersOf,
  type Layout,
  owedBlocks,
  parityBlock,
  type ShardBlock,
  stripeOfParity,
  stripeRecordBlock,
} from '../../src/hosts/stripes.js';
import { BlockSet } from '../../src/log/block-set.js';

const HOSTS = 8;

function placementOf(count: number, lost: readonly number[] = []): Placement {
  return new Placement(
    Array.from({ length: count }, (_, index) => ({
      index,
      id: createHash('sha256').update(`host ${index}`).digest(),
      capacityBytes: 2 ** 30,
      live: !lost.includes(index),
    })),
  );
}

const erasure = (
  fromBlock: number,
  data: number,
  parity: number,
  stripeBase: number,
  parityBase: number,
): Epoch => ({ fromBlock, kind: 'erasure', data, parity, stripeBase, parityBase });

// 10 unprotected blocks, copies, then 4+2 (12 stripes and 2 blocks), then 3+1 of which two stripes are not encoded yet.
const layout: Layout = {
  epochs: [
    {
      fromBlock: 10,
      kind: 'copies',
      data: 1,
      parity: 2,
      stripeBase: 0,
      parityBase: 0,
    },
    erasure(50, 4, 2, 0, 0),
    erasure(100, 3, 1, 12, 24),
  ],
  contentLength: 131,
  stripeLength: 20,
};

const nameOf = ({ log, block }: ShardBlock): string => `${log} ${block}`;

test('stripes - each block is in one group, groups follow each other', (t) => {
  t.is(groupOfBlock(layout, 9), undefined);
  t.is(groupOfBlock(layout, 131), undefined);
  let next = 10;
  for (const group of groups(layout)) {
    t.is(group.from, next, `group at ${next}`);
    next = group.to;
    for (let block = group.from; block < group.to; block++) {
      const found = groupOfBlock(layout, block);
      if (found?.from !== group.from || found.to !== group.to) t.fail(`block ${block}`);
      if (found?.stripe !== group.stripe || found.epochIndex !== group.epochIndex)
        t.fail(`${block}`);
    }
  }
  t.is(next, 131);
  t.alike(
    [0, 1, 2].map((epoch) => encodedStripes(layout, epoch)),
    [0, 12, 8],
  );
  t.is(groupOfBlock(layout, 49)?.encoded, false, 'copies');
  t.is(groupOfBlock(layout, 97)?.encoded, true);
  t.is(groupOfBlock(layout, 98)?.encoded, false, 'does not fill a stripe');
  t.is(groupOfBlock(layout, 123)?.encoded, true);
  t.is(groupOfBlock(layout, 124)?.encoded, false, 'not encoded yet');
});

test('stripes - blocks of the other logs, and back', (t) => {
  const second = layout.epochs[2] as Epoch;
  t.is(stripeRecordBlock(second, 3), 15);
  t.is(parityBlock(second, 3, 0), 27);
  const seen = new Set<number>();
  for (const group of groups(layout)) {
    if (!group.encoded) continue;
    for (let shard = 0; shard < group.epoch.parity; shard++) {
      const block = parityBlock(group.epoch, group.stripe, shard);
      seen.add(block);
      const back = stripeOfParity(layout, block);
      t.alike([back?.group.from, back?.shard], [group.from, shard]);
    }
  }
  t.alike(
    [...seen].sort((a, b) => a - b),
    [...Array(32).keys()],
    'no gaps',
  );
  t.is(stripeOfParity(layout, 32), undefined);
});

test('stripes - what hosts owe is what others expect of them', (t) => {
  for (const lost of [[], [2, 5]]) {
    const placement = placementOf(HOSTS, lost);
    const owners = new Map<string, number[]>();
    for (let host = 0; host < HOSTS; host++) {
      for (const block of owedBlocks(host, layout, placement)) {
        owners.set(nameOf(block), [...(owners.get(nameOf(block)) ?? []), host]);
      }
    }
    for (let block = 0; block < 131; block++) {
      const group = groupOfBlock(layout, block);
      const found = owners.get(`content ${block}`) ?? [];
      const expected = group === undefined ? 0 : group.encoded ? 1 : group.epoch.parity + 1;
      t.is(found.length, expected, `block ${block}`);
      const holders = holdersOf(layout, placement, { log: 'content', block });
      t.alike(
        found,
        [...holders].sort((a, b) => a - b),
      );
    }
    for (let block = 0; block < 32; block++) {
      const found = owners.get(`parity ${block}`);
      t.alike(found, holdersOf(layout, placement, { log: 'parity', block }));
      t.is(found?.length, 1);
    }
    t.is(
      lost.some((host) => [...owedBlocks(host, layout, placement)].length > 0),
      false,
      'nothing is owed by a host that is gone',
    );
  }
});

test('stripes - garbage is not owed, but a stripe that is partly needed is', (t) => {
  const garbage = new BlockSet();
  garbage.addRange(10, 12);
  garbage.addRange(54, 61);
  const placement = placementOf(HOSTS);
  const owed = new Set<string>();
  for (let host = 0; host < HOSTS; host++) {
    for (const block of owedBlocks(host, layout, placement, garbage)) owed.add(nameOf(block));
  }
  t.absent(owed.has('content 10'));
  t.ok(owed.has('content 12'));
  for (const gone of ['content 54', 'content 57', 'parity 2', 'parity 3'])
    t.absent(owed.has(gone), gone);
  for (const kept of ['content 58', 'content 60', 'parity 4']) t.ok(owed.has(kept), kept);
});

test('stripes - more content and more encoded stripes change no stripe before them', (t) => {
  const placement = placementOf(HOSTS);
  const longer: Layout = { ...layout, contentLength: 200, stripeLength: 30 };
  for (const group of groups(layout)) {
    if (!group.encoded) continue;
    for (let block = group.from; block < group.to; block++) {
      t.alike(
        holdersOf(longer, placement, { log: 'content', block }),
        holdersOf(layout, placement, { log: 'content', block }),
      );
    }
  }
});
