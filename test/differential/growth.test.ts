import { test } from 'brittle';
import { growthOf, SAMPLES_MIN } from '../../scripts/growth.js';

const LIMIT = { share: 0.1, slack: 24 };

/** `count` samples made from their index. */
function samples(count: number, value: (index: number) => number): number[] {
  return Array.from({ length: count }, (_, index) => value(index));
}

test('soak: a figure that rises all the time grows', (t) => {
  t.ok(
    growthOf(
      samples(60, (index) => 100 + 6 * index),
      LIMIT,
    )?.grows,
  );
});

test('soak: one that rises at first and then stays does not, nor does one that goes up and down', (t) => {
  t.absent(
    growthOf(
      samples(60, (index) => Math.min(300, 100 + 20 * index)),
      LIMIT,
    )?.grows,
  );
  t.absent(
    growthOf(
      samples(60, (index) => 150 + 40 * (index % 3)),
      LIMIT,
    )?.grows,
  );
});

test('soak: too few samples say nothing', (t) => {
  t.is(
    growthOf(
      samples(SAMPLES_MIN - 1, (index) => index * 1000),
      LIMIT,
    ),
    null,
  );
});
