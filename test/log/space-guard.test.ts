import test from 'brittle';
import { NoSpaceError } from '../../src/errors.js';
import { type DiskSpace, SpaceGuard } from '../../src/log/space-guard.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const MiB = 1 << 20;

function guardOf(space: DiskSpace, reserveBytes: number) {
  const state = { space, now: 0, measured: 0 };
  const guard = new SpaceGuard({
    directory: '/drive',
    reserveBytes,
    measure: () => {
      state.measured++;
      return state.space;
    },
    now: () => state.now,
  });
  return { guard, state };
}

test('space guard: refuses what would eat into the reserve', async (t) => {
  const { guard } = guardOf({ availableBytes: 20 * MiB, totalBytes: 1000 * MiB }, 16 * MiB);
  guard.claim(3 * MiB);
  await t.exception(() => guard.claim(2 * MiB + 1 + 3 * MiB), /'\/drive' is nearly full/);
  try {
    guard.claim(5 * MiB);
    t.fail('claimed');
  } catch (error) {
    t.ok(error instanceof NoSpaceError);
  }
  t.ok(guard.fits(4 * MiB));
  t.absent(guard.fits(4 * MiB + 1));
});

test('space guard: the reserve is at most an eighth of a small disk', (t) => {
  const { guard } = guardOf({ availableBytes: 80 * MiB, totalBytes: 80 * MiB }, 64 * MiB);
  t.ok(guard.fits(70 * MiB));
  t.absent(guard.fits(70 * MiB + 1));
});

test('space guard: does not measure each time, but never refuses by an old measurement', async (t) => {
  const { guard, state } = guardOf({ availableBytes: 100 * MiB, totalBytes: 1000 * MiB }, 0);
  for (let i = 0; i < 100; i++) guard.claim(1000);
  t.is(state.measured, 1);
  state.now = 100;
  guard.claim(1000);
  t.is(state.measured, 2, 'measured again later');
  guard.claim(35 * MiB);
  t.is(state.measured, 2);
  guard.claim(2 * MiB);
  t.is(state.measured, 3, 'and where others may have taken the rest since');
  state.space = { availableBytes: 0, totalBytes: 1000 * MiB };
  await t.exception(() => guard.claim(200 * MiB), /nearly full/);
  state.space = { availableBytes: 300 * MiB, totalBytes: 1000 * MiB };
  guard.claim(200 * MiB);
});

test('space guard: knows a real disk', (t) => {
  const guard = new SpaceGuard({ directory: temporaryFolder(t), reserveBytes: 0 });
  t.ok(guard.fits(1));
  t.absent(guard.fits(2 ** 60));
});
