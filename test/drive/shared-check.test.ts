/** A check of a mounted drive ends with the last of those who wait for it. */
import { test } from 'brittle';
import type { CheckLogsOptions } from '../../src/drive/check-logs.js';
import type { CheckReport } from '../../src/drive/check-report.js';
import { SharedCheck } from '../../src/drive/shared-check.js';
import { InterruptedError, StoreError } from '../../src/errors.js';

const REPORT = { name: 'notes', problems: [], problemCount: 0 } as unknown as CheckReport;

/** A drive whose check goes on until it is told to end. */
class SlowDrive {
  checks = 0;
  readonly #ends: (() => void)[] = [];

  check({ signal }: CheckLogsOptions): Promise<CheckReport> {
    this.checks++;
    return new Promise((resolve, reject) => {
      this.#ends.push(() => resolve(REPORT));
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
  }

  /** Once the newest check has begun. */
  async end(): Promise<void> {
    while (this.#ends.length < this.checks || this.checks === 0) await Promise.resolve();
    this.#ends.at(-1)?.();
  }
}

function sharedCheck() {
  const drive = new SlowDrive();
  const closing = new AbortController();
  const shared = new SharedCheck(drive, () => Promise.resolve(), closing.signal);
  return { drive, closing, shared };
}

test('shared check - it goes on while somebody waits, and ends with the last', async (t) => {
  const { drive, shared } = sharedCheck();
  const [first, second] = [new AbortController(), new AbortController()];
  const answers = [shared.ask(first.signal), shared.ask(second.signal)];
  first.abort();
  await Promise.resolve();
  t.is(drive.checks, 1, 'both share one');
  second.abort();
  for (const answer of answers) {
    await t.exception(answer, /Nobody waits/);
  }
});

test('shared check - one who stays gets the report; one who asks later a new one', async (t) => {
  const { drive, shared } = sharedCheck();
  const gone = new AbortController();
  const left = shared.ask(gone.signal);
  const stays = shared.ask(new AbortController().signal);
  gone.abort();
  await drive.end();
  t.is((await stays).name, 'notes');
  t.is((await left).name, 'notes');
  const given = new AbortController();
  const abandoned = shared.ask(given.signal);
  await Promise.resolve();
  given.abort();
  const again = shared.ask(new AbortController().signal);
  await t.exception(abandoned, /Nobody waits/);
  while (drive.checks < 3) await Promise.resolve();
  await drive.end();
  t.is((await again).name, 'notes', 'not the one that was given up');
});

test('shared check - a store that takes no commit is checked all the same', async (t) => {
  const drive = new SlowDrive();
  const refuse = () => Promise.reject(new StoreError('Cannot append'));
  const shared = new SharedCheck(drive, refuse, new AbortController().signal);
  const answer = shared.ask(new AbortController().signal);
  await drive.end();
  const { uncommitted, problems } = await answer;
  t.is(uncommitted, 'Cannot append');
  t.alike(problems, []);
});

test('shared check - the end of the mount ends it', async (t) => {
  const { closing, shared } = sharedCheck();
  const answer = shared.ask(new AbortController().signal);
  closing.abort(new InterruptedError('The drive was unmounted'));
  await t.exception(answer, /was unmounted/);
  await shared.ended();
});
