/**
 * Losses of power at random points of mixed work: the disk of a drive's store loses what was not synced, and the drive
 * must open again, whole, with everything in it that a program was told is durable.
 */
import { spawn } from 'node:child_process';
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
/** Of one worker in one round. */
const OPERATIONS = 60;
/** A worker tells of the start of this one. */
const NEVER = -1;
const NO_SUCH_DRIVE = /Cannot find drive/;

export interface PowerLossOptions {
  random: SeededRandom;
  points: number;
  /** Losses of power from the recording of one round of work; the next round goes on from the last of them. */
  pointsPerRound: number;
  /** Called after each point. */
  onPoint: (outcome: PointOutcome) => void;
  /** See {@link Crash.syncsLie}. */
  syncsLie?: boolean;
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
  const machine = new Machine({ parent: folder, home: join(directory, 'home') });
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
  /** What the workers' directories held when the recording began. */
  #models = new Map<string, Model>();
  /** From these positions of the recording on, the drive and the workers' directories must be there. */
  #createdAt = 0;
  #directoriesAt = 0;
  #done = 0;

  constructor(disk: Disk, machine: Machine, options: PowerLossOptions) {
    this.#disk = disk;
    this.#machine = machine;
    this.#options = options;
    this.#mountPoint = machine.makeMountPoint();
  }

  async run(): Promise<void> {
    await this.#machine.shoal('create', DRIVE);
    this.#createdAt = await this.#disk.count();
    let mount: DriveMount | null = await this.#mount();
    for (let round = 0; this.#done < this.#options.points && mount !== null; round++) {
      const works = await this.#work(round, mount);
      mount = await this.#loseAtPoints(works);
    }
    await mount?.kill();
  }

  #mount(): Promise<DriveMount> {
    return this.#machine.mount(DRIVE, ['--offline'], this.#mountPoint);
  }

  /** Two programs work on the mount until one is done; then it ends, in order or not. */
  async #work(round: number, mount: DriveMount): Promise<Work[]> {
    const { random } = this.#options;
    for (const name of WORKERS) mkdirSync(join(mount.directory, name), { recursive: true });
    fsyncDirectory(mount.directory);
    this.#directoriesAt = await this.#disk.count();
    const works = WORKERS.map((name): Work => {
      const start = this.#models.get(name) ?? new Map();
      const journal = join(this.#disk.directory, NOTED, `${round}-${name}`);
      return { name, start, operations: planWork(random, start, OPERATIONS), journal };
    });
    const children = works.map(({ name, operations, journal }) => {
      const plan = join(this.#machine.folder, `${name}.plan`);
      writeFileSync(plan, JSON.stringify(operations));
      return spawn(process.execPath, [WORKER, plan, journal, String(NEVER)], {
        cwd: join(mount.directory, name),
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    });
    const ends = children.map((child) => ended(child));
    await Promise.all(ends);
    if (random.below(2) === 0) await mount.unmount();
    else await mount.kill();
    return works;
  }

  /** Returns the mount after the last one, from which the next round goes on; null when the drive does not mount. */
  async #loseAtPoints(works: readonly Work[]): Promise<DriveMount | null> {
    const { random, points, pointsPerRound } = this.#options;
    const count = await this.#disk.record();
    let mount: DriveMount | null = null;
    for (let i = 0; i < pointsPerRound && this.#done < points; i++) {
      await mount?.kill();
      mount = await this.#losePowerOnce(works, random.below(count + 1));
    }
    this.#createdAt = 0;
    this.#directoriesAt = 0;
    return mount;
  }

  async #losePowerOnce(works: readonly Work[], point: number): Promise<DriveMount | null> {
    const { random, onPoint, syncsLie = false } = this.#options;
    const names = random.pick(['ordered', 'loose'] as const);
    const fate = random.pick(['nothing', 'everything', 'some', 'some', 'some'] as const);
    const crash: Crash = { point, names, fate, syncsLie };
    await this.#disk.crash(crash, random.below(2 ** 31));
    const title = `at operation ${point}, ${fate} that was not synced kept, names ${names}`;
    const problems: string[] = [];
    const mount = await this.#judge(works, point, problems).catch((error: unknown) => {
      problems.push(error instanceof Error ? error.message : String(error));
      return null;
    });
    onPoint({ number: ++this.#done, title, problems });
    return mount;
  }

  async #judge(
    works: readonly Work[],
    point: number,
    problems: string[],
  ): Promise<DriveMount | null> {
    if (!(await this.#isThere(point, problems))) return null;
    const progress = works.map(({ journal, operations }) => progressIn(journal, operations));
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
    const report = await checkDrive(this.#machine.home, DRIVE);
    // The mount was killed before it deleted what was deleted while open.
    problems.push(...describeReport({ ...report, orphans: [] }));
    return await this.#mount();
  }

  /** Before it was said to be made, a drive may be missing. */
  async #isThere(point: number, problems: string[]): Promise<boolean> {
    const status = await this.#machine.tryShoal(['status', DRIVE]);
    if (status.code === 0) return true;
    const mayBeMissing = point < this.#createdAt && NO_SUCH_DRIVE.test(status.stderr);
    if (!mayBeMissing) problems.push(status.stderr.trim());
    return false;
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
