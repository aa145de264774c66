/**
 * kill -9 of a mount's process in the middle of work. Programs note outside the mount what they were told is durable;
 * after each kill the drive is mounted again and judged by that.
 */
import { spawn } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ended } from '../../support/command.js';
import { type DriveMount, Machine } from '../../support/drive-mount.js';
import { LineReader } from '../../support/line-reader.js';
import { mountsBelow } from '../../support/runner/leftovers.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { checkDrive, describeReport } from './check-drive.js';
import { difference, judgeCrash, readModel, readProgress } from './judge.js';
import { type Model, type Operation, planWork } from './workload.js';

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url));
const DRIVE = 'notes';
const WORKERS = ['a', 'b'];
/** More than a worker gets done before the kill. */
const OPERATIONS = 600;
const KILL_AFTER_OPERATIONS_MAX = 150;
const KILL_DELAY_MS_MAX = 30;
/** What a program gets from a mount whose process is gone. */
const GONE_CODES = ['ENOTCONN', 'ECONNABORTED', 'EIO'];

interface Work {
  name: string;
  start: Model;
  operations: Operation[];
  journal: string;
}

/** One drive, mounted, and killed again and again. Its methods return what is wrong; nothing when all is well. */
export class Kills {
  readonly #machine: Machine;
  readonly #bootstrap: string;
  #mount: DriveMount;
  #models: Map<string, Model>;

  private constructor(machine: Machine, bootstrap: string, mount: DriveMount) {
    this.#machine = machine;
    this.#bootstrap = bootstrap;
    this.#mount = mount;
    this.#models = new Map(WORKERS.map((name) => [name, new Map()]));
  }

  /**
   * Makes and mounts a drive on a machine of a private network (its HOST:PORT), which the caller closes. What is killed
   * is mounted offline: nobody withdraws what a killed process announced, and soon a new peer would find only the dead.
   */
  static async start(machine: Machine, bootstrap: string): Promise<Kills> {
    const mount = await machine.createAndMount(DRIVE, ['--offline']);
    for (const name of WORKERS) mkdirSync(join(mount.directory, name));
    fsyncDirectory(mount.directory);
    return new Kills(machine, bootstrap, mount);
  }

  /** Works, kills, mounts again. */
  async kill(random: SeededRandom): Promise<string[]> {
    const works = WORKERS.map((name) => {
      const start = this.#models.get(name) as Model;
      const operations = planWork(random, start, OPERATIONS);
      return { name, start, operations, journal: join(this.#machine.folder, `journal-${name}`) };
    });
    const killAt = random.below(KILL_AFTER_OPERATIONS_MAX);
    await runUntilKilled(this.#mount, works, killAt, random.below(KILL_DELAY_MS_MAX));
    await this.#mountAgain();

    const problems: string[] = [];
    const mounts = mountsBelow(this.#machine.folder);
    if (mounts.join() !== this.#mount.directory) problems.push(`mounts: ${mounts.join()}`);
    for (const { name, start, operations, journal } of works) {
      const found = readModel(join(this.#mount.directory, name));
      this.#models.set(name, found);
      const progress = readProgress(journal, operations);
      const { begun, errorCode } = progress;
      if (errorCode !== null && !GONE_CODES.includes(errorCode)) {
        problems.push(`'${name}': a program got ${errorCode} at operation ${begun}`);
      }
      const verdict = judgeCrash(start, operations, progress, found);
      if (verdict !== null) problems.push(`'${name}': ${verdict}`);
    }
    return problems;
  }

  /** Unmounts, checks the whole tree, which has no orphans now, and mounts again. */
  async check(): Promise<string[]> {
    await this.#mount.unmount();
    const report = await checkDrive(this.#machine.home, DRIVE);
    await this.#mountAgain();
    return describeReport(report);
  }

  /** A machine that has nothing of the drive reads all of it. */
  async readFromPeer(): Promise<string[]> {
    const machine = new Machine({ bootstrap: this.#bootstrap, here: true });
    try {
      await this.#mount.unmount();
      await this.#mountAgain([]);
      const key = (await this.#machine.shoal('share', DRIVE)).trim();
      const view = await machine.mount(key, ['--name', 'copy', '--read-only']);
      const problems = this.#differences(view);
      await view.unmount();
      await this.#mount.unmount();
      await this.#mountAgain();
      return problems;
    } finally {
      await machine.close();
    }
  }

  /** Unmounts. */
  async end(): Promise<void> {
    await this.#mount.unmount();
  }

  #differences(view: DriveMount): string[] {
    const problems: string[] = [];
    for (const [name, model] of this.#models) {
      const found = difference(model, readModel(join(view.directory, name)));
      if (found !== null) problems.push(`'${name}' on a second machine: ${found}`);
    }
    return problems;
  }

  async #mountAgain(options = ['--offline']): Promise<void> {
    this.#mount = await this.#machine.mount(DRIVE, options, this.#mount.directory);
  }
}

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
