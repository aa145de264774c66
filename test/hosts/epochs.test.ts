/** Which scheme blocks get when hosts come and go, and where their stripes lie. */
import test from 'brittle';
import { encodedLengths, nextEpochs, stripeAt } from '../../src/hosts/epochs.js';
import type { PlanEpoch, Scheme } from '../../src/hosts/plan-record.js';

const scheme: Scheme = { kind: 'erasure', data: 4, parity: 2 };
const copies: Scheme = { kind: 'copies', data: 1, parity: 2 };

function next(
  epochs: PlanEpoch[],
  activeHosts: number,
  contentLength: number,
  wish: Scheme = scheme,
): PlanEpoch[] {
  return nextEpochs({ epochs, scheme: wish, activeHosts, contentLength });
}

test('too few hosts get copies, and those are encoded once there are enough', (t) => {
  const few = next([], 3, 100);
  t.alike(few, [{ fromBlock: 0, ...copies, stripeBase: 0, parityBase: 0 }]);
  t.alike(next(few, 5, 150), few, 'nothing changes');
  const enough = next(few, 6, 203);
  t.alike(enough, [{ fromBlock: 0, ...scheme, stripeBase: 0, parityBase: 0 }]);
  t.alike(encodedLengths(enough, 203), { stripes: 50, parity: 100 });
});

test('what is encoded stays so when hosts go, and the rest comes after it', (t) => {
  const first = next([], 6, 0);
  const gone = next(first, 5, 203);
  t.alike(gone.slice(0, 1), first);
  t.alike(gone[1], { fromBlock: 200, ...copies, stripeBase: 50, parityBase: 100 });
  t.alike(encodedLengths(gone, 260), { stripes: 50, parity: 100 });
  t.alike(next(gone, 6, 260), first, 'the same scheme goes on');
  const wider = next(gone, 14, 260, { kind: 'erasure', data: 10, parity: 4 });
  t.alike(wider[1], {
    fromBlock: 200,
    kind: 'erasure',
    data: 10,
    parity: 4,
    stripeBase: 50,
    parityBase: 100,
  });
  t.alike(encodedLengths(wider, 265), { stripes: 56, parity: 124 });
  t.alike(stripeAt(wider, 49)?.firstBlock, 196);
  t.alike(stripeAt(wider, 50), {
    epoch: wider[1] as PlanEpoch,
    firstBlock: 200,
    parityBlock: 100,
  });
  t.is(stripeAt(gone, 50), null, 'copies have no stripes');
});

test('an epoch without a stripe is replaced, and one behind the end of a log cut short goes', (t) => {
  const first = next([], 6, 0);
  const wide: Scheme = { kind: 'erasure', data: 3, parity: 3 };
  t.alike(next(first, 6, 3, wide), [{ fromBlock: 0, ...wide, stripeBase: 0, parityBase: 0 }]);
  const two = next(first, 6, 40, wide);
  t.is(two.length, 2);
  t.alike(next(two, 6, 39, wide)[1]?.fromBlock, 36, 'cut before the second epoch');
  t.alike(next(two, 6, 39, scheme), first);
});
