/** The fixed workloads. Each is measured from clean: everything written before is on disk, and cold means cold. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '../../test/support/command.js';
import { dropCaches } from '../../test/support/drop-caches.js';
import type { LoopName, LoopResult } from './loops.js';
import type { Sizes } from './sizes.js';

/** Data that was written before would be found again by a file system that stores it once. */
let nextSeed = Date.now() >>> 0;

const LOOPS = fileURLToPath(new URL('./loops.js', import.meta.url));
const COMMAND_TIME_MS_MAX = 1_800_000;

/** Where a workload runs. */
export interface Place {
  /** A folder of the benchmark's own in the measured directory. */
  folder: string;
  /** The source tree, on the machine's own disk. */
  source: string;
  sizes: Sizes;
  /** Folder below the file system that is measured, where that keeps its data. */
  backing?: string;
}

export interface Workload {
  /** To choose it with, and what records of earlier runs go by. */
  id: string;
  name: string;
  unit: 'MB/s' | 'ops/s' | 'files/s' | 'commits/s';
  /** Not part of a comparison unless it is asked for. */
  isExtra?: boolean;
  /** The kernel's caches are dropped before it. */
  cold?: boolean;
  /** Makes what it needs when it is not there, unmeasured. */
  prepare?: (place: Place) => Promise<void>;
  run: (place: Place) => Promise<LoopResult>;
}

/** The workloads that are meant by words, each an id or a part of a name; all without words. Throws for other words. */
export function chooseWorkloads(words: readonly string[]): Workload[] {
  const means = (word: string) => {
    const exact = workloads.filter(({ id }) => id === word);
    return exact.length > 0 ? exact : workloads.filter(({ name }) => name.includes(word));
  };
  for (const word of words) {
    if (means(word).length > 0) continue;
    const ids = workloads.map(({ id }) => id).join(', ');
    throw new Error(`Cannot measure '${word}': no workload is called so; there are ${ids}`);
  }
  const chosen = new Set(words.flatMap(means));
  return workloads.filter((workload) => words.length === 0 || chosen.has(workload));
}

/** Prepares and runs a workload; returns its rate in its unit. */
export async function measure(workload: Workload, place: Place): Promise<number> {
  await workload.prepare?.(place);
  await settle(place, workload.cold === true);
  return rateOf(workload, await workload.run(place));
}

/** In the workload's unit. */
export function rateOf({ unit }: Workload, { seconds, operations, bytes }: LoopResult): number {
  return (unit === 'MB/s' ? bytes / 1e6 : operations) / seconds;
}

/** Has all that was written before on the disk. */
export async function settle(place: Place, cold: boolean): Promise<void> {
  for (const folder of [place.folder, place.backing]) {
    if (folder === undefined) continue;
    // What the file system wrote below must be on the disk, too, or dropping caches leaves it there.
    await command('sync', ['-f', folder], { deadlineMs: COMMAND_TIME_MS_MAX });
  }
  if (cold) dropCaches(place.folder);
}

/** Runs one of the loops in a process of its own. */
export async function loop(
  name: LoopName,
  target: string,
  count: number,
  size: number,
): Promise<LoopResult> {
  const request = JSON.stringify({ path: target, count, size, seed: nextSeed++ >>> 0 });
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
/** The file that is written and read in order, and at random places. */
export const LARGE_NAME = 'large';
const large = ({ folder }: Place) => path.join(folder, LARGE_NAME);
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

/** Removes the copy of a source tree that is another one now. */
export function dropTree(place: Place): void {
  rmSync(tree(place), { recursive: true, force: true });
}

async function needTree(place: Place): Promise<void> {
  if (!existsSync(tree(place))) await rsync(place);
}

function commits(id: string, name: string, mode: string): Workload {
  return {
    id,
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
    id: 'seq-write',
    name: 'sequential write, one fsync',
    unit: 'MB/s',
    prepare: async (place) => rmSync(large(place), { force: true }),
    run: writeLarge,
  },
  {
    id: 'seq-read',
    name: 'sequential read, cold',
    unit: 'MB/s',
    cold: true,
    prepare: needLarge,
    run: (place) => loop('sequentialRead', large(place), 0, MEBIBYTE),
  },
  {
    id: 'rand-read',
    name: 'random 4 KiB read, cold',
    unit: 'ops/s',
    cold: true,
    prepare: needLarge,
    run: (place) => loop('randomRead', large(place), place.sizes.randomReads, SMALL),
  },
  {
    id: 'rand-write',
    name: 'random 4 KiB write, one fsync',
    unit: 'ops/s',
    prepare: needLarge,
    run: (place) => loop('randomWrite', large(place), place.sizes.randomWrites, SMALL),
  },
  {
    id: 'create',
    name: 'create 4 KiB file',
    unit: 'files/s',
    prepare: async (place) => rmSync(small(place), { recursive: true, force: true }),
    run: createSmall,
  },
  {
    id: 'stat',
    name: 'stat, cold',
    unit: 'files/s',
    cold: true,
    prepare: needSmall,
    run: (place) => loop('statFiles', small(place), place.sizes.smallFiles, 0),
  },
  {
    id: 'walk',
    name: 'walk, for the second time',
    unit: 'files/s',
    prepare: async (place) => {
      await needSmall(place);
      await loop('walkFiles', small(place), 0, 0);
    },
    run: (place) => loop('walkFiles', small(place), 0, 0),
  },
  {
    id: 'read',
    name: 'read 4 KiB file, cold',
    unit: 'files/s',
    cold: true,
    prepare: needSmall,
    run: (place) => loop('readFiles', small(place), place.sizes.smallFiles, SMALL),
  },
  {
    id: 'unlink',
    name: 'unlink',
    unit: 'files/s',
    prepare: needSmall,
    run: async (place) => {
      const result = await loop('removeFiles', small(place), place.sizes.smallFiles, 0);
      rmSync(small(place), { recursive: true });
      return result;
    },
  },
  {
    id: 'append',
    name: 'append 4 KiB and fsync',
    unit: 'ops/s',
    run: (place) =>
      loop('appendAndSync', path.join(place.folder, 'log'), place.sizes.appends, SMALL),
  },
  commits('sqlite', 'sqlite commits, rollback journal', 'DELETE'),
  { ...commits('sqlite-wal', 'sqlite commits, WAL', 'WAL'), isExtra: true },
  {
    id: 'rsync',
    name: 'rsync in',
    unit: 'files/s',
    prepare: async (place) => rmSync(tree(place), { recursive: true, force: true }),
    run: rsync,
  },
  {
    id: 'rsync-again',
    name: 'rsync again, nothing to do, cold',
    unit: 'files/s',
    cold: true,
    prepare: needTree,
    run: rsync,
  },
  {
    id: 'diff',
    name: 'diff -r with the source, cold',
    unit: 'files/s',
    cold: true,
    prepare: needTree,
    run: (place) =>
      program(place.sizes.treeFiles, place.sizes.treeBytes, [
        'diff',
        '-r',
        '--no-dereference',
        place.source,
        tree(place),
      ]),
  },
  {
    id: 'git',
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
    id: 'rm',
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
