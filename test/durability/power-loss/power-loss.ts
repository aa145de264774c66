/**
 * Losses of power at random points of mixed work: the disk of a drive's store loses what was not synced, and the drive
 * must open again, whole, with everything in it that a program was told is durable.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Home } from '../../../src/drive/home.js';
import { ended } from '../../support/command.js';
import { type DriveMount, Machine } from '../../support/drive-mount.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import { checkDrive, describeReport } from '../support/check-drive.js';
import { judgeCrash, type Progress, readModel, readProgress } from '../support/judge.js';
import { type Model, type Operation, planWork } from '../support/workload.js';
import type { Crash } from './crash.js';
import { Disk, NOTED } from './disk.js';

const WORKER = fileURLToPath(new URL('../support/worker.js', import.meta.url));
const WORKERS = ['a', 'b'];
const DRIVE = 'notes';
/** A worker tells of the start of this one. */
const NEVER = -1;

export interface PowerLossOptions {
  random: SeededRandom;
  points: number;
  /** Losses of power from the recording of one round of work; the next round goes on from the last of them. */
  pointsPerRound: number;
  /** What each of the programs does in a round; one of these numbers. */
  operations: readonly number[];
  /** Called after each point. */
  onPoint: (outcome: PointOutcome) => void;
  /** At the first so many points syncs are no promise; see {@link Crash.syncsLie}. */
  lyingPoints?: number;
  /** Ends it within some seconds; its reason is thrown. */
  signal?: AbortSignal;
}

/** What one loss of power came to. */
export interface PointOutcome {
  number: number;
  /** One line that says what was done. */
  title: string;
  /** Nothing is wrong when it is empty. */
  problems: string[];
}

interface Work {
  name: string;
  start: Model;
  operations: Operation[];
  journal: string;
}

/** Everything happens in a folder that exists and is empty; it is empty again at the end. */
export async function losePower(folder: string, options: PowerLossOptions): Promise<void> {
  const directory = join(folder, 'disk');
  mkdirSync(directory);
  const disk = await Disk.start(directory);
  const machine = new Machine({ parent: folder, home: join(directory, 'home'), here: true });
  try {
    await new PowerLosses(disk, machine, options).run();
  } finally {
    await machine.close();
    await disk.close();
    rmSync(directory, { recursive: true });
  }
}

class PowerLosses {
  readonly #disk: Disk;
  readonly #machine: Machine;
  readonly #options: PowerLossOptions;
  readonly #mountPoint: string;
  /** What the workers' directories held after the last loss of power. */
  #models = new Map<string, Model>();
  /** From these positions of the recording on, the drive and the workers' directories must be there. */
  #createdAt = 0;
  #directoriesAt = 0;
  #done = 0;
  /** The last mount; it may have ended. */
  #mounted: DriveMount | null = null;
  /** The last loss of power left something wrong, which the next round shall not find again. */
  #isSpoilt = false;

  constructor(disk: Disk, machine: Machine, options: PowerLossOptions) {
    this.#disk = disk;
    this.#machine = machine;
    this.#options = options;
    this.#mountPoint = machine.makeMountPoint();
  }

  async run(): Promise<void> {
    for (let round = 0; this.#done < this.#options.points; round++) {
      this.#options.signal?.throwIfAborted();
      if (this.#isSpoilt) await this.#disk.replaceByEmpty();
      await this.#findOrCreate();
      const works = await this.#work(round, await this.#mount());
      await this.#loseAtPoints(works);
    }
  }

  /** What was there before the recording began is on the disk, from its first operation on. */
  async #findOrCreate(): Promise<void> {
    this.#createdAt = 0;
    if (await this.#isThere()) return;
    await this.#machine.shoal('create', DRIVE);
    this.#createdAt = await this.#disk.count();
    this.#models.clear();
  }

  #isThere(): Promise<boolean> {
    return new Home(this.#machine.home).exists(DRIVE);
  }

  async #mount(): Promise<DriveMount> {
    this.#mounted = await this.#machine.mount(DRIVE, ['--offline'], this.#mountPoint);
    return this.#mounted;
  }

  /** Two programs work on the mount until one is done; then it ends, in order or not. */
  async #work(round: number, mount: DriveMount): Promise<Work[]> {
    const { random } = this.#options;
    const missing = WORKERS.filter((name) => !existsSync(join(mount.directory, name)));
    for (const name of missing) mkdirSync(join(mount.directory, name));
    fsyncDirectory(mount.directory);
    this.#directoriesAt = missing.length === 0 ? 0 : await this.#disk.count();
    const count = random.pick(this.#options.operations);
    const works = WORKERS.map((name): Work => {
      const start = this.#models.get(name) ?? new Map();
      const journal = join(this.#disk.directory, NOTED, `${round}-${name}`);
      return { name, start, operations: planWork(random, start, count), journal };
    });
    const children = works.map(({ name, operations, journal }) => {
      const plan = join(this.#machine.folder, `${name}.plan`);
      writeFileSync(plan, JSON.stringify(operations));
      return spawn(process.execPath, [WORKER, plan, journal, String(NEVER)], {
        cwd: join(mount.directory, name),
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    });
    await this.#allEnded(children);
    if (random.below(2) === 0) await mount.unmount();
    else await mount.kill();
    return works;
  }

  async #allEnded(children: readonly ChildProcess[]): Promise<void> {
    const { signal } = this.#options;
    const kill = (): void => children.forEach((child) => void child.kill('SIGKILL'));
    signal?.addEventListener('abort', kill);
    if (signal?.aborted === true) kill();
    await Promise.all(children.map((child) => ended(child)));
    signal?.removeEventListener('abort', kill);
    signal?.throwIfAborted();
  }

  /** What the last of them leaves is what the next round goes on from. */
  async #loseAtPoints(works: readonly Work[]): Promise<void> {
    const { random, points, pointsPerRound } = this.#options;
    const count = await this.#disk.record();
    for (let i = 0; i < pointsPerRound && this.#done < points; i++) {
      this.#options.signal?.throwIfAborted();
      await this.#losePowerOnce(works, random.below(count + 1));
    }
  }

  async #losePowerOnce(works: readonly Work[], point: number): Promise<void> {
    const { random, onPoint, lyingPoints = 0 } = this.#options;
    const syncsLie = this.#done < lyingPoints;
    const names = random.pick(['ordered', 'loose'] as const);
    const fate = syncsLie
      ? 'nothing'
      : random.pick(['nothing', 'everything', 'some', 'some', 'some'] as const);
    const crash: Crash = { point, names, fate, syncsLie };
    await this.#disk.crash(crash, random.below(2 ** 31));
    const progress = works.map(({ journal, operations }) => progressIn(journal, operations));
    const durable = progress.map((one) => one.durable).join(' and ');
    const title = `write ${point}, ${durable} operations durable, ${fate} of the rest kept, names ${names}`;
    const problems: string[] = [];
    try {
      await this.#judge(works, progress, point, problems);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      problems.push(error instanceof Error ? error.message : String(error));
    } finally {
      await this.#mounted?.kill();
    }
    onPoint({ number: ++this.#done, title, problems });
    this.#isSpoilt = problems.length > 0;
  }

  async #judge(
    works: readonly Work[],
    progress: readonly Progress[],
    point: number,
    problems: string[],
  ): Promise<void> {
    // Before it was said to be made, a drive may be missing.
    if (point < this.#createdAt && !(await this.#isThere())) return;
    // Either may be the first to find what the loss of power left.
    const checksFirst = this.#options.random.below(2) === 0;
    if (checksFirst) problems.push(...(await this.#checkTree()));
    const mount = await this.#mount();
    const models = new Map<string, Model>();
    for (const [index, { name, start, operations }] of works.entries()) {
      const directory = join(mount.directory, name);
      if (!existsSync(directory) && point < this.#directoriesAt) continue;
      const found = readModel(directory);
      models.set(name, found);
      const verdict = judgeCrash(start, operations, progress[index] as Progress, found);
      if (verdict !== null) problems.push(`'${name}': ${verdict}`);
    }
    this.#models = models;
    await mount.kill();
    if (!checksFirst) problems.push(...(await this.#checkTree()));
  }

  async #checkTree(): Promise<string[]> {
    const report = await checkDrive(this.#machine.home, DRIVE);
    // Only a mount deletes what was deleted while open.
    return describeReport({ ...report, orphans: [] });
  }
}

function progressIn(journal: string, operations: readonly Operation[]): Progress {
  if (!existsSync(journal)) return { begun: 0, durable: 0, errorCode: null };
  return readProgress(journal, operations);
}

function fsyncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
