/** The fixed workloads. Each is measured from clean: everything written before is on disk, and cold means cold. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '../../test/support/command.js';
import { dropCaches } from '../../test/support/drop-caches.js';
import type { LoopName, LoopResult } from './loops.js';

const LOOPS = fileURLToPath(new URL('./loops.js', import.meta.url));
const COMMAND_TIME_MS_MAX = 1_800_000;

/** How much of everything. */
export interface Sizes {
  largeMebibytes: number;
  randomReads: number;
  randomWrites: number;
  smallFiles: number;
  appends: number;
  commits: number;
  treeFiles: number;
  treeBytes: number;
}

export const FULL_SIZES: Sizes = {
  largeMebibytes: 512,
  randomReads: 4000,
  randomWrites: 4000,
  smallFiles: 4000,
  appends: 500,
  commits: 300,
  treeFiles: 2000,
  treeBytes: 50_000_000,
};

export const QUICK_SIZES: Sizes = {
  largeMebibytes: 64,
  randomReads: 500,
  randomWrites: 500,
  smallFiles: 500,
  appends: 50,
  commits: 30,
  treeFiles: 300,
  treeBytes: 5_000_000,
};

/** Where a workload runs. */
export interface Place {
  /** A folder of the benchmark's own in the measured directory. */
  folder: string;
  /** The source tree, on the machine's own disk. */
  source: string;
  sizes: Sizes;
}

export interface Workload {
  name: string;
  unit: 'MB/s' | 'ops/s' | 'files/s' | 'commits/s';
  /** The kernel's caches are dropped before it. */
  cold?: boolean;
  /** Makes what it needs when it is not there, unmeasured. */
  prepare?: (place: Place) => Promise<void>;
  run: (place: Place) => Promise<LoopResult>;
}

/** Prepares and runs a workload; returns its rate in its unit. */
export async function measure(workload: Workload, place: Place): Promise<number> {
  await workload.prepare?.(place);
  await settle(place, workload.cold === true);
  const { seconds, operations, bytes } = await workload.run(place);
  return (workload.unit === 'MB/s' ? bytes / 1e6 : operations) / seconds;
}

async function settle(place: Place, cold: boolean): Promise<void> {
  await command('sync', ['-f', place.folder], { deadlineMs: COMMAND_TIME_MS_MAX });
  if (cold) dropCaches(place.folder);
}

async function loop(
  name: LoopName,
  target: string,
  count: number,
  size: number,
): Promise<LoopResult> {
  const request = JSON.stringify({ path: target, count, size });
  const printed = await command(process.execPath, [LOOPS, name, request], {
    deadlineMs: COMMAND_TIME_MS_MAX,
  });
  return JSON.parse(printed) as LoopResult;
}

/** Times a program from its start to its end. */
async function program(
  operations: number,
  bytes: number,
  words: string[],
  input = '',
): Promise<LoopResult> {
  const [name = '', ...args] = words;
  const started = performance.now();
  await command(name, args, { input, env: GIT_ENVIRONMENT, deadlineMs: COMMAND_TIME_MS_MAX });
  return { seconds: (performance.now() - started) / 1000, operations, bytes };
}

const GIT_ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Author',
  GIT_AUTHOR_EMAIL: 'author@example.org',
  GIT_COMMITTER_NAME: 'Author',
  GIT_COMMITTER_EMAIL: 'author@example.org',
};

const MEBIBYTE = 1 << 20;
const SMALL = 4096;
const large = ({ folder }: Place) => path.join(folder, 'large');
const small = ({ folder }: Place) => path.join(folder, 'small');
const tree = ({ folder }: Place) => path.join(folder, 'tree');

function writeLarge(place: Place): Promise<LoopResult> {
  return loop('sequentialWrite', large(place), place.sizes.largeMebibytes, MEBIBYTE);
}

function createSmall(place: Place): Promise<LoopResult> {
  return loop('createFiles', small(place), place.sizes.smallFiles, SMALL);
}

async function needLarge(place: Place): Promise<void> {
  if (!existsSync(large(place))) await writeLarge(place);
}

async function needSmall(place: Place): Promise<void> {
  if (!existsSync(small(place))) await createSmall(place);
}

function rsync(place: Place): Promise<LoopResult> {
  const { treeFiles, treeBytes } = place.sizes;
  return program(treeFiles, treeBytes, ['rsync', '-a', `${place.source}/`, tree(place)]);
}

async function needTree(place: Place): Promise<void> {
  if (!existsSync(tree(place))) await rsync(place);
}

function commits(name: string, mode: string): Workload {
  return {
    name,
    unit: 'commits/s',
    prepare: async (place) => {
      const file = path.join(place.folder, `${mode}.db`);
      const schema = `PRAGMA journal_mode=${mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB);`;
      for (const suffix of ['', '-wal', '-shm', '-journal'])
        rmSync(`${file}${suffix}`, { force: true });
      await command('sqlite3', ['-batch', '-bail', file], { input: schema });
    },
    run: (place) => {
      const insert = 'INSERT INTO t (body) VALUES (randomblob(500));\n';
      const file = path.join(place.folder, `${mode}.db`);
      return program(
        place.sizes.commits,
        0,
        ['sqlite3', '-batch', '-bail', file],
        insert.repeat(place.sizes.commits),
      );
    },
  };
}

export const workloads: readonly Workload[] = [
  {
    name: 'sequential write, 1 MiB, fsync',
    unit: 'MB/s',
    prepare: async (place) => rmSync(large(place), { force: true }),
    run: writeLarge,
  },
  {
    name: 'sequential read, cold',
    unit: 'MB/s',
    cold: true,
    prepare: needLarge,
    run: (place) => loop('sequentialRead', large(place), 0, MEBIBYTE),
  },
  {
    name: 'random 4 KiB reads, cold',
    unit: 'ops/s',
    cold: true,
    prepare: needLarge,
    run: (place) => loop('randomRead', large(place), place.sizes.randomReads, SMALL),
  },
  {
    name: 'random 4 KiB writes, fsync',
    unit: 'ops/s',
    prepare: needLarge,
    run: (place) => loop('randomWrite', large(place), place.sizes.randomWrites, SMALL),
  },
  {
    name: 'small files: create',
    unit: 'files/s',
    prepare: async (place) => rmSync(small(place), { recursive: true, force: true }),
    run: createSmall,
  },
  {
    name: 'small files: stat, cold',
    unit: 'files/s',
    cold: true,
    prepare: needSmall,
    run: (place) => loop('statFiles', small(place), place.sizes.smallFiles, 0),
  },
  {
    name: 'small files: walk, cold',
    unit: 'files/s',
    cold: true,
    prepare: needSmall,
    run: (place) => loop('walkFiles', small(place), 0, 0),
  },
  {
    name: 'small files: read, cold',
    unit: 'files/s',
    cold: true,
    prepare: needSmall,
    run: (place) => loop('readFiles', small(place), place.sizes.smallFiles, SMALL),
  },
  {
    name: 'small files: remove',
    unit: 'files/s',
    prepare: needSmall,
    run: async (place) => {
      const result = await loop('removeFiles', small(place), place.sizes.smallFiles, 0);
      rmSync(small(place), { recursive: true });
      return result;
    },
  },
  {
    name: 'append 4 KiB and fsync',
    unit: 'ops/s',
    run: (place) =>
      loop('appendAndSync', path.join(place.folder, 'log'), place.sizes.appends, SMALL),
  },
  commits('sqlite commits, rollback journal', 'DELETE'),
  commits('sqlite commits, WAL', 'WAL'),
  {
    name: 'rsync -a, into it',
    unit: 'files/s',
    prepare: async (place) => rmSync(tree(place), { recursive: true, force: true }),
    run: rsync,
  },
  {
    name: 'rsync -a, nothing to do, cold',
    unit: 'files/s',
    cold: true,
    prepare: needTree,
    run: rsync,
  },
  {
    name: 'diff -r with the source, cold',
    unit: 'MB/s',
    cold: true,
    prepare: needTree,
    run: (place) =>
      program(0, place.sizes.treeBytes, [
        'diff',
        '-r',
        '--no-dereference',
        place.source,
        tree(place),
      ]),
  },
  {
    name: 'git add and commit',
    unit: 'files/s',
    prepare: async (place) => {
      await needTree(place);
      rmSync(path.join(tree(place), '.git'), { recursive: true, force: true });
      await command('git', ['init', '--quiet', tree(place)], { env: GIT_ENVIRONMENT });
    },
    run: async (place) => {
      const git = ['git', '-C', tree(place), '-c', 'gc.auto=0'];
      const add = await program(place.sizes.treeFiles, 0, [...git, 'add', '--all']);
      const commit = await program(0, 0, [...git, 'commit', '--quiet', '-m', 'Everything']);
      return { ...add, seconds: add.seconds + commit.seconds };
    },
  },
  {
    name: 'rm -r',
    unit: 'files/s',
    prepare: async (place) => {
      await needTree(place);
      rmSync(path.join(tree(place), '.git'), { recursive: true, force: true });
    },
    run: (place) => program(place.sizes.treeFiles, 0, ['rm', '-r', tree(place)]),
  },
];

/** Makes the benchmark's own folder in a measured directory. */
export function makeFolder(directory: string): string {
  const folder = path.join(directory, `shoal-bench-${process.pid}`);
  mkdirSync(folder);
  return folder;
}
