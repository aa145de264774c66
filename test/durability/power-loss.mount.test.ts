/** Losses of power at random points of mixed work. SHOAL_TEST_SEED repeats a run's plan; `scripts/power-loss` does many. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Assertions, test } from 'brittle';
import { ended } from '../support/command.js';
import { mountsBelow } from '../support/runner/leftovers.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { losePower, type PointOutcome, type PowerLossOptions } from './power-loss/power-loss.js';

const POINTS = 10;
const POINTS_PER_ROUND = 5;
const LYING_POINTS = 3;
const POINTS_AFTER = 2;
const LOOK_MS = 20;
const INTERRUPTED = 130;
const SCRIPT = fileURLToPath(new URL('../../scripts/power-loss.js', import.meta.url));
const OPERATIONS = [100];
const TEST_TIME_MS_MAX = 400_000;

test('power loss - all that was synced is there, and the tree is whole', {
  timeout: TEST_TIME_MS_MAX,
}, async (t) => {
  const outcomes = await losses(t, { points: POINTS, pointsPerRound: POINTS_PER_ROUND });
  t.is(outcomes.length, POINTS);
  for (const { title, problems } of outcomes) t.alike(problems, [], title);
});

test('power loss - a disk that only says it has synced is found out, and the next one is sound', {
  timeout: TEST_TIME_MS_MAX,
}, async (t) => {
  const outcomes = await losses(t, {
    points: LYING_POINTS + POINTS_AFTER,
    pointsPerRound: LYING_POINTS,
    lyingPoints: LYING_POINTS,
  });
  t.ok(outcomes.slice(0, LYING_POINTS).some(({ problems }) => problems.length > 0));
  for (const { title, problems } of outcomes.slice(LYING_POINTS)) t.alike(problems, [], title);
});

test('power loss - Ctrl-C ends the script and leaves nothing behind', {
  timeout: TEST_TIME_MS_MAX,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'power-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }), { force: true });
  // In a group of its own, as a shell starts it.
  const script = spawn(process.execPath, [SCRIPT, '--points', '1000'], {
    detached: true,
    env: { ...process.env, TMPDIR: folder },
    stdio: 'ignore',
  });
  const end = ended(script);
  // The disk, and the drive whose store lies on it.
  while (mountsBelow(folder).length < 2) {
    if (script.exitCode !== null) throw new Error('The script ended by itself');
    await sleep(LOOK_MS);
  }
  process.kill(-Number(script.pid), 'SIGINT');
  t.is((await end).code, INTERRUPTED);
  t.alike(mountsBelow(folder), []);
  t.alike(readdirSync(folder), []);
  t.alike(processesNaming(folder), []);
});

/** Command lines of processes that work in the folder. */
function processesNaming(folder: string): string[] {
  const { stdout } = spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes(folder));
}

async function losses(
  t: Assertions,
  options: Omit<PowerLossOptions, 'random' | 'operations' | 'onPoint'>,
): Promise<PointOutcome[]> {
  const seed = seedOfRun();
  t.comment(`SHOAL_TEST_SEED=${seed}`);
  const folder = mkdtempSync(join(tmpdir(), 'power-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }), { force: true });
  const outcomes: PointOutcome[] = [];
  const random = new SeededRandom(seed);
  await losePower(folder, {
    ...options,
    random,
    operations: OPERATIONS,
    onPoint: (outcome) => outcomes.push(outcome),
  });
  return outcomes;
}
