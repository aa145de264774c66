/** Records of the plan and stripe logs, which hosts and readers get from an owner. */
import { DamagedError } from '../../../src/errors.js';
import {
  type BlockRange,
  decodePlan,
  decodePlanGarbage,
  encodePlan,
  encodePlanGarbage,
} from '../../../src/hosts/plan-record.js';
import { decodeStripe, encodeStripe } from '../../../src/hosts/stripe-record.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { brokenInput } from '../mutate.js';
import { attempt, type Target } from '../target.js';

const scheme = { kind: 'erasure', data: 4, parity: 2 } as const;
const plans = [
  encodePlan({ timeMs: 1e12, repairAfterMs: 0, scheme, epochs: [], hosts: [], garbageBlock: null }),
  encodePlan({
    timeMs: 1e12,
    repairAfterMs: 86_400_000,
    scheme,
    epochs: [
      { fromBlock: 0, kind: 'copies', data: 1, parity: 2, stripeBase: 0, parityBase: 0 },
      { fromBlock: 300, kind: 'erasure', data: 4, parity: 2, stripeBase: 0, parityBase: 0 },
      { fromBlock: 70_000, kind: 'erasure', data: 10, parity: 4, stripeBase: 9, parityBase: 18 },
    ],
    hosts: [
      { id: Buffer.alloc(32, 1), capacityBytes: 2 ** 40, status: 'active', label: 'attic' },
      { id: Buffer.alloc(32, 2), capacityBytes: 0, status: 'dropped', label: '' },
    ],
    garbageBlock: 3,
  }),
];
const garbage = [
  encodePlanGarbage({ tree: [[0, 5]], content: [] }),
  encodePlanGarbage({
    tree: [
      [3, 70_000],
      [70_001, 70_002],
    ],
    content: [[4, 8]],
  }),
];
const block = (bytes: number) => ({ bytes, leafHash: Buffer.alloc(32, bytes) });
const stripes = [
  encodeStripe({
    data: [block(100), null, block(70_000), block(5)],
    parityBytes: 70_000,
    parityHashes: [Buffer.alloc(32, 1), Buffer.alloc(32, 2)],
  }),
];

function target(
  name: string,
  valid: readonly Buffer[],
  decode: (bytes: Buffer) => unknown,
): Target {
  const run = (random: SeededRandom) => {
    const bytes = brokenInput(random, valid);
    return attempt(() => decode(bytes), [DamagedError]);
  };
  return { name, rarity: 1, run };
}

function must(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`Taken, although ${what}`);
}

function mustAscend(ranges: readonly BlockRange[]): void {
  let last = -1;
  for (const [start, end] of ranges) {
    must(start > last && end > start, 'ranges are out of order');
    last = end;
  }
}

export const hostRecordTargets: readonly Target[] = [
  target('plan record', plans, (bytes) => {
    let before = -1;
    for (const { fromBlock, data, parity } of decodePlan(bytes).epochs) {
      must(fromBlock > before, 'epochs are out of order');
      must(data >= 1 && data + parity <= 1 + 255, 'an epoch has too many shards');
      before = fromBlock;
    }
  }),
  target('garbage of a plan', garbage, (bytes) => {
    const { tree, content } = decodePlanGarbage(bytes);
    mustAscend(tree);
    mustAscend(content);
  }),
  target('stripe record', stripes, (bytes) => {
    const { data, parityBytes, parityHashes } = decodeStripe(bytes);
    must(data.length >= 1 && parityHashes.length >= 1, 'a stripe is empty');
    for (const each of data) must((each?.bytes ?? 0) <= parityBytes, 'a block is too long');
  }),
];
