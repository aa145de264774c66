/** Records that an owner writes for hosts and readers. */
import test from 'brittle';
import { DamagedError } from '../../src/errors.js';
import {
  decodePlan,
  decodePlanGarbage,
  encodePlan,
  encodePlanGarbage,
  type Plan,
  type PlanEpoch,
  type PlanHost,
  planRecordKind,
} from '../../src/hosts/plan-record.js';
import { decodeStripe, encodeStripe, type StripeRecord } from '../../src/hosts/stripe-record.js';
import { limits } from '../../src/limits.js';
import { sectoredBytes } from '../../src/log/sectors.js';
import { decodeProtection, encodeProtection } from '../../src/tree/protection-record.js';

const copies: PlanEpoch = {
  fromBlock: 0,
  kind: 'copies',
  data: 1,
  parity: 2,
  stripeBase: 0,
  parityBase: 0,
};
const erasure: PlanEpoch = { ...copies, fromBlock: 100, kind: 'erasure', data: 4, parity: 2 };

function host(number: number, fields: Partial<PlanHost> = {}): PlanHost {
  const id = Buffer.alloc(32, number);
  return { id, capacityBytes: 5e10, status: 'active', label: `Host ${number}`, ...fields };
}

function plan(fields: Partial<Plan> = {}): Plan {
  return {
    timeMs: 1.8e12,
    repairAfterMs: 86_400_000,
    scheme: { kind: 'erasure', data: 4, parity: 2 },
    epochs: [copies, erasure],
    hosts: [host(1), host(2, { status: 'dropped', label: '' }), host(3, { status: 'leaving' })],
    garbageBlock: 0,
    ...fields,
  };
}

const stripe: StripeRecord = {
  data: [{ bytes: 900, leafHash: Buffer.alloc(32, 9) }, null],
  parityBytes: 900,
  parityHashes: [Buffer.alloc(32, 1)],
};

test('records for hosts come back as they went in', (t) => {
  t.alike(decodePlan(encodePlan(plan())), plan());
  t.alike(decodePlan(encodePlan(plan({ garbageBlock: null }))).garbageBlock, null);
  const garbage = {
    tree: [
      [0, 3],
      [70_000, 2 ** 30],
    ] as [number, number][],
    content: [],
  };
  t.alike(decodePlanGarbage(encodePlanGarbage(garbage)), garbage);
  t.alike(decodeStripe(encodeStripe(stripe)), stripe);
  const keys = {
    planKey: Buffer.alloc(32, 1),
    stripeKey: Buffer.alloc(32, 2),
    parityKey: Buffer.alloc(32, 3),
  };
  t.alike(decodeProtection(encodeProtection(keys)), keys);
  t.is(planRecordKind(encodePlan(plan())), 'plan');
  t.is(planRecordKind(encodePlanGarbage(garbage)), 'garbage');
  t.is(planRecordKind(Buffer.of(9)), null);
});

test('records for hosts that no owner makes are refused', (t) => {
  const planOf = (fields: Partial<Plan>) => () => decodePlan(encodePlan(plan(fields)));
  const epochOf = (fields: Partial<PlanEpoch>) => planOf({ epochs: [{ ...erasure, ...fields }] });
  const stripeOf = (fields: Partial<StripeRecord>) => () =>
    decodeStripe(encodeStripe({ ...stripe, ...fields }));
  const refused: [string, () => unknown][] = [
    ['epochs out of order', planOf({ epochs: [erasure, copies] })],
    ['two epochs of one block', planOf({ epochs: [erasure, erasure] })],
    ['stripes before those before', planOf({ epochs: [{ ...copies, stripeBase: 4 }, erasure] })],
    ['no data', epochOf({ data: 0 })],
    ['no parity', epochOf({ parity: 0 })],
    ['too many shards', epochOf({ data: 200, parity: 56 })],
    ['copies of stripes', epochOf({ kind: 'copies' })],
    ['a host twice', planOf({ hosts: [host(1), host(1)] })],
    ['a label that is no text', planOf({ hosts: [host(1, { label: '\x1b[2J' })] })],
    ['no shards', stripeOf({ data: [] })],
    ['no parity shards', stripeOf({ parityHashes: [] })],
    ['parity of another length', stripeOf({ parityBytes: 901 })],
    [
      'an empty block with a hash',
      stripeOf({ data: [...stripe.data, { bytes: 0, leafHash: Buffer.alloc(32, 7) }] }),
    ],
    [
      'a block above the limit',
      stripeOf({ ...blockOf(sectoredBytes(limits.block_bytes_max) + 1) }),
    ],
    ['ranges that touch', garbageOf([1, 5], [5, 6])],
    ['an empty range', garbageOf([4, 4])],
    ['a range behind the last block', garbageOf([4, 2 ** 30 + 1])],
    ['another kind', () => decodePlan(encodePlanGarbage({ tree: [], content: [] }))],
  ];
  for (const [what, decode] of refused) t.exception(decode, DamagedError, what);
  t.exception.all(
    () => encodePlan(plan({ hosts: Array.from({ length: 1025 }, () => host(1)) })),
    RangeError,
  );
});

function blockOf(bytes: number): Partial<StripeRecord> {
  return { data: [{ bytes, leafHash: Buffer.alloc(32, 1) }], parityBytes: bytes };
}

function garbageOf(...ranges: [number, number][]): () => unknown {
  return () => decodePlanGarbage(encodePlanGarbage({ tree: [], content: ranges }));
}
