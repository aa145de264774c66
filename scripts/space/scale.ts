/** What operations cost as a drive grows, up to a million files in ten thousand directories. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { callControl } from '../../src/control/client.js';
import { Home } from '../../src/drive/home.js';
import { runningHolder } from '../../src/drive/store-lock.js';
import { dropCaches } from '../../test/support/drop-caches.js';
import { SeededRandom } from '../../test/support/seeded-random.js';
import { residentBytes } from '../benchmark/mount-process.js';
import { cpuMs, waitUntilIdle } from './idle.js';
import { directoryPath, FILES_PER_DIRECTORY, filePath } from './many-files.js';
import type { Figure, PartOptions, SpacePart } from './part.js';

const SHOAL = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const BUILD = fileURLToPath(new URL('./build-drive.js', import.meta.url));
const SIZES = [1000, 10_000, 100_000, 1_000_000];
const QUICK_SIZES = [1000, 10_000];
const SAMPLES = 100;
const OPERATIONS = 500;

export const scalePart: SpacePart = {
  name: 'scale',
  what: 'a drive with 1k, 10k, 100k, 1M small files: mount, ls, stat, find, memory, operations',
  async run(options) {
    const figures: Figure[] = [];
    for (const files of options.sizes ?? (options.quick ? QUICK_SIZES : SIZES)) {
      figures.push(...(await new ScaleRun(options, files).run()));
    }
    figures.push(...(await measureLargeDirectory(options)));
    return figures;
  },
};

class ScaleRun {
  readonly #files: number;
  readonly #label: string;
  readonly #say: (line: string) => void;
  readonly #folder: string;
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #random = new SeededRandom(1);
  readonly #figures: Figure[] = [];
  #pid = 0;

  constructor({ folder, say }: PartOptions, files: number) {
    this.#files = files;
    this.#label = files >= 1e6 ? `${files / 1e6}M` : `${files / 1e3}k`;
    this.#say = say;
    this.#folder = join(folder, `scale-${files}`);
    this.#directory = join(this.#folder, 'mount');
    this.#env = { ...process.env, SHOAL_HOME: join(this.#folder, 'home') };
    mkdirSync(this.#directory, { recursive: true });
  }

  async run(): Promise<Figure[]> {
    this.#build();
    this.#mount();
    try {
      await waitUntilIdle(this.#pid);
      this.#add('idle memory', residentBytes(this.#pid) / 1e6, 'MB', 300);
      this.#coldReads();
      this.#unmount();
      this.#mount(false);
      this.#find();
      await waitUntilIdle(this.#pid);
      this.#add('idle memory after find', residentBytes(this.#pid) / 1e6, 'MB', 300);
      this.#operations();
    } finally {
      this.#unmount();
    }
    return this.#figures;
  }

  #build(): void {
    this.#warmProgram();
    this.#shoal('create', 'drive');
    const { status, stdout } = spawnSync(process.execPath, [BUILD, 'drive', String(this.#files)], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`Cannot build a drive of ${this.#files} files`);
    const built = JSON.parse(stdout) as Record<'buildMs' | 'buildCpuMs' | 'treeLogBytes', number>;
    this.#add('build, wall time a file', (built.buildMs / this.#files) * 1000, 'us');
    this.#add('build, CPU time a file', (built.buildCpuMs / this.#files) * 1000, 'us');
    this.#add("tree's log a file", built.treeLogBytes / this.#files, 'bytes', 600);
  }

  /** Mounts another drive, so that what is measured is the drive and not how fast the disk reads the program. */
  #warmProgram(): void {
    if (!existsSync(join(this.#folder, 'home', 'drives', 'other'))) this.#shoal('create', 'other');
    this.#shoal('mount', 'other', this.#directory, '--offline');
    this.#shoal('unmount', this.#directory);
  }

  #mount(isMeasured = true): void {
    dropCaches(this.#folder);
    this.#warmProgram();
    const began = performance.now();
    const printed = this.#shoal('mount', 'drive', this.#directory, '--offline');
    readdirSync(this.#directory);
    if (isMeasured)
      this.#add('mount and first ls, its store cold', performance.now() - began, 'ms', 2000);
    this.#pid = Number(/pid (\d+)/.exec(printed)?.[1]);
    if (isMeasured) this.#add('mount, CPU time of its process', cpuMs(this.#pid), 'ms');
  }

  #unmount(): void {
    this.#shoal('unmount', this.#directory, '--force');
  }

  /** Each sample with the kernel's caches empty, and another random place. */
  #coldReads(): void {
    const cpuBefore = cpuMs(this.#pid);
    const directories = this.#files / FILES_PER_DIRECTORY;
    this.#sample(
      'ls',
      () => directoryPath(this.#directory, this.#random.below(directories)),
      (path) => {
        const count = readdirSync(path).length;
        if (count !== FILES_PER_DIRECTORY) throw new Error(`${path} has ${count} names`);
      },
    );
    this.#sample(
      'stat',
      () => filePath(this.#directory, this.#random.below(this.#files)),
      (path) => {
        statSync(path);
      },
    );
    this.#add('CPU time of an ls and a stat', (cpuMs(this.#pid) - cpuBefore) / SAMPLES, 'ms');
  }

  #sample(name: string, choose: () => string, run: (path: string) => void): void {
    const times: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      const path = choose();
      dropCaches(this.#folder);
      const began = performance.now();
      run(path);
      times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    this.#add(`${name} cold, median`, times[SAMPLES >> 1] as number, 'ms', 10);
    this.#add(
      `${name} cold, 99th percentile`,
      times[Math.ceil(SAMPLES * 0.99) - 1] as number,
      'ms',
    );
  }

  /** With the attributes of everything, as `find -size` needs them. */
  #find(): void {
    const cpuBefore = cpuMs(this.#pid);
    const began = performance.now();
    const found = spawnSync('find', [this.#directory, '-type', 'f', '-size', '-1000k'], {
      encoding: 'latin1',
      maxBuffer: 1 << 30,
    });
    const tookMs = performance.now() - began;
    const count = found.stdout.split('\n').length - 1;
    if (found.status !== 0 || count !== this.#files) {
      throw new Error(`find found ${count} files: ${found.stderr}`);
    }
    this.#add('find over all, cold', tookMs / 1000, 's', 60);
    this.#add('find, CPU time of the mount', (cpuMs(this.#pid) - cpuBefore) / 1000, 's');
  }

  /** In random directories. Each kind ends with a sync, so that its commits count. */
  #operations(): void {
    const directories = this.#files / FILES_PER_DIRECTORY;
    const places = Array.from({ length: OPERATIONS }, (_, i) =>
      join(directoryPath(this.#directory, this.#random.below(directories)), `new-${i}`),
    );
    this.#time('create', places, (path) => writeFileSync(path, 'x'));
    this.#time('rename', places, (path) => renameSync(path, `${path}-renamed`));
    this.#time('unlink', places, (path) => unlinkSync(`${path}-renamed`));
  }

  #time(name: string, places: readonly string[], run: (path: string) => void): void {
    const cpuBefore = cpuMs(this.#pid);
    const began = performance.now();
    for (const path of places) run(path);
    spawnSync('sync', ['-f', this.#directory]);
    const wallMs = performance.now() - began;
    this.#add(`${name}, wall time`, wallMs / places.length, 'ms');
    this.#add(`${name}, CPU time`, (cpuMs(this.#pid) - cpuBefore) / places.length, 'ms');
  }

  #add(name: string, value: number, unit: string, atMost?: number): void {
    const figure = { name: `${this.#label}: ${name}`, value, unit };
    this.#figures.push(atMost === undefined ? figure : { ...figure, atMost });
    this.#say(`${figure.name}: ${value.toPrecision(4)} ${unit}`);
  }

  #shoal(...args: string[]): string {
    const result = spawnSync(process.execPath, [SHOAL, ...args], {
      env: this.#env,
      encoding: 'utf8',
    });
    if (result.status !== 0) throw new Error(`'shoal ${args.join(' ')}' failed: ${result.stderr}`);
    return result.stdout;
  }
}

/** Renaming and removing a directory with 100,000 files, next to an empty one. */
async function measureLargeDirectory({ folder, quick, say }: PartOptions): Promise<Figure[]> {
  const files = quick ? 10_000 : 100_000;
  const home = join(folder, 'large');
  const directory = join(folder, 'large-mount');
  mkdirSync(directory);
  const env = { ...process.env, SHOAL_HOME: home };
  const run = (...args: string[]): string => {
    const result = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`'${args.join(' ')}' failed: ${result.stderr}`);
    return result.stdout;
  };
  run(SHOAL, 'create', 'drive');
  run(BUILD, 'drive', String(files), 'flat');
  run(SHOAL, 'mount', 'drive', directory, '--offline');
  const figures: Figure[] = [];
  const measure = async (name: string, step: () => unknown): Promise<void> => {
    const began = performance.now();
    await step();
    figures.push({ name, value: performance.now() - began, unit: 'ms' });
    say(`${name}: ${figures.at(-1)?.value.toPrecision(4)} ms`);
  };
  try {
    const settle = () => spawnSync('sync', ['-f', directory]);
    for (const name of ['empty', 'large']) {
      const label = name === 'large' ? `directory of ${files} files` : 'empty directory';
      await measure(`rename and sync, ${label}`, () => {
        renameSync(join(directory, name), join(directory, `${name}-renamed`));
        settle();
      });
      // As the command does, without the time that starting it takes.
      const socket = runningHolder(new Home(home).paths('drive').lock)?.socket ?? '';
      const path = `${name}-renamed`;
      await measure(`shoal rm, ${label}`, () => callControl(socket, 'remove', { path }));
    }
    if (readdirSync(directory).length > 0) throw new Error('Removed directories are still listed');
    await measure(`its ${files} files gone from the tree, in the background`, () => {
      mkdirSync(join(directory, 'last'));
      run(SHOAL, 'rm', 'drive', 'last', '--wait');
    });
    const status = JSON.parse(run(SHOAL, 'status', 'drive', '--json')) as unknown;
    say(`after it: ${JSON.stringify(status).match(/"inodes":\d+/)?.[0]}`);
  } finally {
    run(SHOAL, 'unmount', directory, '--force');
  }
  return figures;
}
