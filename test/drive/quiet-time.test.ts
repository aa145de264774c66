import { setTimeout as sleep } from 'node:timers/promises';
import test from 'brittle';
import { QuietTime } from '../../src/drive/quiet-time.js';

/** A look-up that ends when it is told to. */
function lookupThatEnds(): { lookup: Promise<boolean>; end: (isAnswered: boolean) => void } {
  let end: (isAnswered: boolean) => void = () => undefined;
  const lookup = new Promise<boolean>((resolve) => {
    end = resolve;
  });
  return { lookup, end };
}

/** The time that has passed is over for certain. */
const PASSED_MS = 20;
const LONG_MS = 60_000;

/** With something else that keeps the process running. */
async function over(quiet: QuietTime, limitMs: number): Promise<void> {
  const running = setInterval(() => undefined, LONG_MS);
  await quiet.over(limitMs);
  clearInterval(running);
}

test('quiet time - does not pass while peers are looked for, and begins with the answer', async (t) => {
  const { lookup, end } = lookupThatEnds();
  const quiet = new QuietTime(lookup);
  await sleep(2 * PASSED_MS);
  t.absent(quiet.isOver(PASSED_MS), 'nobody can have come');
  const beganMs = performance.now();
  end(true);
  await over(quiet, 10 * PASSED_MS);
  t.ok(performance.now() - beganMs > 10 * PASSED_MS, 'the time from then on');
});

test('quiet time - without an answer it counts from the beginning', async (t) => {
  const { lookup, end } = lookupThatEnds();
  const quiet = new QuietTime(lookup);
  await sleep(2 * PASSED_MS);
  end(false);
  await lookup;
  t.ok(quiet.isOver(PASSED_MS), 'nothing more is waited for');
  t.absent(quiet.isOver(LONG_MS));
});

test('quiet time - begins anew when something comes', async (t) => {
  const quiet = new QuietTime(Promise.resolve(true));
  await sleep(2 * PASSED_MS);
  t.ok(quiet.isOver(PASSED_MS));
  quiet.restart();
  t.absent(quiet.isOver(LONG_MS));
  await over(quiet, PASSED_MS);
  t.ok(quiet.isOver(PASSED_MS));
});
