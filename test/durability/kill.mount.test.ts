/** kill -9 of the mount process at random moments of mixed work. SHOAL_TEST_SEED repeats a run's work. */
import { spawn } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'brittle';
import { ended } from '../support/command.js';
import { type DriveMount, Machine } from '../support/drive-mount.js';
import { LineReader } from '../support/line-reader.js';
import { mountsBelow } from '../support/runner/leftovers.js';
import { SeededRandom, seedOfRun } from '../support/seeded-random.js';
import { checkDrive, describeReport } from './support/check-drive.js';
import { judgeCrash, readModel, readProgress } from './support/judge.js';
import { type Model, type Operation, planWork } from './support/workload.js';

const WORKER = fileURLToPath(new URL('./support/worker.js', import.meta.url));
const ROUNDS = 20;
/** In between, the mount that looks at what is left is the next to be killed. */
const ROUNDS_PER_CHECK = 4;
const WORKERS = ['a', 'b'];
/** More than a worker gets done before the kill. */
const OPERATIONS = 600;
const KILL_AFTER_OPERATIONS_MAX = 150;
const KILL_DELAY_MS_MAX = 30;
const TEST_TIME_MS_MAX = 200_000;
/** What a program gets from a mount whose process is gone. */
const GONE_CODES = ['ENOTCONN', 'ECONNABORTED', 'EIO'];

interface Work {
  name: string;
  start: Model;
  operations: Operation[];
  journal: string;
}

test('kill -9 at random points: all that was synced is there, nothing is torn', {
  timeout: TEST_TIME_MS_MAX,
}, async (t) => {
  const seed = seedOfRun();
  t.comment(`SHOAL_TEST_SEED=${seed}`);
  const random = new SeededRandom(seed);
  const machine = Machine.forTest(t);
  let mount = await machine.createAndMount('notes', ['--offline']);
  let models = new Map<string, Model>(WORKERS.map((name) => [name, new Map()]));
  for (const name of WORKERS) mkdirSync(join(mount.directory, name));
  fsyncDirectory(mount.directory);

  for (let round = 1; round <= ROUNDS; round++) {
    const works = WORKERS.map((name) => {
      const start = models.get(name) as Model;
      const operations = planWork(random, start, OPERATIONS);
      return { name, start, operations, journal: join(machine.folder, `journal-${name}`) };
    });
    const killAt = random.below(KILL_AFTER_OPERATIONS_MAX);
    await runUntilKilled(mount, works, killAt, random.below(KILL_DELAY_MS_MAX));

    mount = await machine.mount('notes', ['--offline'], mount.directory);
    t.alike(mountsBelow(machine.folder), [mount.directory], `round ${round}: one mount`);
    models = new Map(WORKERS.map((name) => [name, readModel(join(mount.directory, name))]));
    for (const { name, start, operations, journal } of works) {
      const progress = readProgress(journal, operations);
      const { begun, durable, errorCode } = progress;
      if (errorCode !== null && !GONE_CODES.includes(errorCode)) {
        t.fail(`round ${round}: a program got ${errorCode} at operation ${begun}`);
      }
      const verdict = judgeCrash(start, operations, progress, models.get(name) as Model);
      t.is(verdict, null, `round ${round}: '${name}', ${durable} of ${begun} operations durable`);
    }
    if (round % ROUNDS_PER_CHECK !== 0) continue;
    await mount.unmount();
    const report = await checkDrive(machine.home, 'notes');
    t.alike(describeReport(report), [], `round ${round}: the tree is whole`);
    if (round < ROUNDS) mount = await machine.mount('notes', ['--offline'], mount.directory);
  }
});

/** Kills the mount's process when the first worker has begun so many operations, or a moment later. */
async function runUntilKilled(
  mount: DriveMount,
  works: readonly Work[],
  killAt: number,
  delayMs: number,
): Promise<void> {
  const children = works.map(({ name, operations, journal }) => {
    const plan = `${journal}.plan`;
    writeFileSync(plan, JSON.stringify(operations));
    // In the mount, so that nothing is done to the directory below it once it is gone.
    return spawn(process.execPath, [WORKER, plan, journal, String(killAt)], {
      cwd: join(mount.directory, name),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  });
  const ends = children.map((child) => ended(child));
  await new LineReader((children[0] as (typeof children)[0]).stdout).next();
  await sleep(delayMs);
  await mount.kill('SIGKILL');
  await Promise.all(ends);
}

function fsyncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
