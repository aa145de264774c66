import test from 'brittle';
import { limits } from '../../src/limits.js';
import { InPlaceIo } from '../../src/log/in-place-io.js';

const { in_place_write_bytes_max, in_place_rest_max, in_place_rest_min } = limits;

/** Writes on a disk that takes so long for each. */
function writesOn(diskUs: () => number) {
  let nowMs = 0;
  const writes = new InPlaceIo(in_place_write_bytes_max, 0, () => nowMs);
  /** Whether it was done in place. */
  const write = (bytes = 4096): boolean => {
    if (!writes.admits(bytes)) return false;
    writes.run(() => {
      nowMs += diskUs() / 1000;
    });
    return true;
  };
  /** Writes that went through the pool until one was done in place. */
  const rest = (): number => {
    let count = 0;
    while (!write()) count++;
    return count;
  };
  return { write, rest };
}

test('a quick disk is written to in place', (t) => {
  const { rest } = writesOn(() => 100);
  t.is(rest() + rest() + rest(), 0);
});

test('a large entry never is', (t) => {
  const { write } = writesOn(() => 100);
  t.absent(write(in_place_write_bytes_max + 1));
  t.ok(write(in_place_write_bytes_max));
});

test('a slow disk is tried ever less often', (t) => {
  const { rest } = writesOn(() => 10_000);
  t.is(rest(), 0);
  const rests = Array.from({ length: 10 }, rest);
  t.is(rests[0], in_place_rest_min);
  t.is(rests[1], 2 * in_place_rest_min);
  t.is(rests.at(-1), in_place_rest_max);
});

test('a disk that was slow once is trusted again', (t) => {
  let us = 10_000;
  const { rest } = writesOn(() => us);
  rest();
  rest();
  us = 100;
  t.is(rest(), 2 * in_place_rest_min);
  us = 10_000;
  t.is(rest(), 0, 'a quick one was trusted');
  t.is(rest(), in_place_rest_min, 'and the next slow one counts as the first');
});

test('one that fails takes its time, too', (t) => {
  let nowMs = 0;
  const writes = new InPlaceIo(in_place_write_bytes_max, 0, () => nowMs);
  t.ok(writes.admits(1));
  t.exception(
    () =>
      writes.run(() => {
        nowMs += 50;
        throw new Error('no room');
      }),
    /no room/,
  );
  t.absent(writes.admits(1));
});

test('after a slow one there is a pause, if that is wanted', (t) => {
  let nowMs = 0;
  const reads = new InPlaceIo(in_place_write_bytes_max, 100, () => nowMs);
  t.ok(reads.admits(1));
  reads.run(() => {
    nowMs += 50;
  });
  nowMs += 4990;
  for (let i = 0; i < 2 * in_place_rest_max; i++) t.absent(reads.admits(1));
  nowMs += 20;
  for (let i = 0; i < in_place_rest_min; i++) t.absent(reads.admits(1));
  t.ok(reads.admits(1));
});
