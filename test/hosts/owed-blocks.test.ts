import test from 'brittle';
import { OwedBlocks } from '../../src/hosts/owed-blocks.js';
import { Placement } from '../../src/hosts/placement.js';
import { type Epoch, type Layout, owedBlocks } from '../../src/hosts/stripes.js';
import { BlockSet } from '../../src/log/block-set.js';
import { SeededRandom } from '../support/seeded-random.js';

const HOSTS = 7;
const EPOCHS: Epoch[] = [
  { fromBlock: 3, kind: 'copies', data: 1, parity: 2, stripeBase: 0, parityBase: 0 },
  { fromBlock: 40, kind: 'erasure', data: 4, parity: 2, stripeBase: 0, parityBase: 0 },
  { fromBlock: 90, kind: 'erasure', data: 2, parity: 1, stripeBase: 12, parityBase: 24 },
];

function placement(live: (index: number) => boolean): Placement {
  return new Placement(
    Array.from({ length: HOSTS }, (_, index) => ({
      index,
      id: Buffer.alloc(32, index + 1),
      capacityBytes: 100 * (1 + (index % 3)),
      live: live(index),
    })),
  );
}

function names(owed: Iterable<{ log: string; block: number }>): string[] {
  return [...owed].map(({ log, block }) => `${log} ${block}`).sort();
}

test('owed blocks - looked at piece by piece as the logs grow, they are those of the whole', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new SeededRandom(seed);
    random.next();
    const garbage = new BlockSet();
    garbage.addRange(random.below(60), 60 + random.below(10));
    const placed = placement((index) => index !== seed % HOSTS);
    const host = random.below(HOSTS);
    const owed = new OwedBlocks(host, placed, garbage);
    // Epochs are added while the logs grow.
    const layout: Layout = { epochs: EPOCHS.slice(0, 1), contentLength: 0, stripeLength: 0 };
    while (layout.contentLength < 300) {
      const grown = {
        contentLength: layout.contentLength + random.below(30),
        stripeLength: layout.stripeLength + random.below(8),
      };
      const epochs = EPOCHS.filter(({ fromBlock }) => fromBlock <= grown.contentLength);
      Object.assign(layout, grown, { epochs: epochs.length === 0 ? layout.epochs : epochs });
      await owed.extend(layout, () => undefined);
      const expected = names(owedBlocks(host, layout, placed, garbage));
      const found = [
        ...[...owed.content].map((block) => ({ log: 'content', block })),
        ...[...owed.tail].map((block) => ({ log: 'content', block })),
        ...[...owed.parity].map((block) => ({ log: 'parity', block })),
      ];
      if (JSON.stringify(names(found)) === JSON.stringify(expected)) continue;
      t.alike(names(found), expected, `seed ${seed}, ${JSON.stringify(layout)}`);
      return;
    }
  }
  t.pass('all the same');
});
