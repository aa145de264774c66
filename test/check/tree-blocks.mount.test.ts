/** `shoal check` and damaged blocks of the tree's log, without a peer: what can be read is kept. */
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Assertions, test } from 'brittle';
import type { CheckDriveOptions } from '../../src/drive/check-drive.js';
import type { CheckReport } from '../../src/drive/check-report.js';
import { DriveLogs, driveKeysOf } from '../../src/drive/drive-logs.js';
import { readState } from '../../src/drive/drive-state.js';
import { Home } from '../../src/drive/home.js';
import { rebuildHeaders } from '../../src/drive/rebuild-headers.js';
import { Repairs } from '../../src/drive/repairs.js';
import { DamagedError } from '../../src/errors.js';
import { commitKey, entryKey, inodeKey } from '../../src/tree/keys.js';
import { withDrive } from '../durability/support/check-drive.js';
import { flipByte } from '../durability/support/store-files.js';
import { contentOf } from '../durability/support/workload.js';
import { CommandError } from '../support/command.js';
import { type DriveMount, isRunning, Machine } from '../support/drive-mount.js';
import { seedOfRun } from '../support/seeded-random.js';
import {
  changeBlock,
  checkHere,
  DRIVE,
  damageBlock,
  lengthOf,
  loseBlock,
  problemsOf,
  SavedStore,
  tableOfHeads,
} from './support/damaged-drive.js';

/** Many checks, one after the other, on a busy machine. */
const TIME = { timeout: 180_000 } as const;

const DIRECTORIES = 4;
const FILES = 60;
/** So many that some nodes are far from the root. */
const MANY_FILES = 400;
const LONG = 20_000;
const MIB = 1 << 20;

test('check - any block of the tree can be damaged, and the rest is kept', TIME, async (t) => {
  const { machine, files } = await driveOfSmallFiles(t);
  const saved = new SavedStore(machine);
  const blocks = await lengthOf(machine, 'tree');
  t.ok(blocks > 8, `${blocks} blocks`);
  let readable = 0;
  let opened = 0;
  let counted = 0;
  let tried = 0;
  // Every other one, to be quick; which ones the seed says, so over many runs all of them.
  const seed = seedOfRun();
  t.comment(`SHOAL_TEST_SEED=${seed}`);
  for (let block = seed % 2; block < blocks; block += 2) {
    if (tried++ > 0) saved.putBack();
    const file = await damageBlock(machine, 'tree', block);
    const what = `block ${block} in ${file.split('/').at(-1)}`;
    const damaged = await checkOrNull(machine);
    if (damaged !== null) t.ok(damaged.problemCount > 0, `${what} is damaged`);
    const repaired = await checkOrNull(machine, { repair: true, giveUp: true });
    if (repaired === null) continue;
    opened++;
    t.ok(repaired.repairs.length > 0 && repaired.inodes > 1, `${repaired.inodes} inodes`);
    // Where no older version had it, the file says so instead of reading as zeros. A hash goes with its block.
    const others = problemsOf(repaired).filter(
      (line) => !/: it was lost$|lacks 1 nodes/.test(line),
    );
    t.alike(others, [], what);
    // Where the store did not open more is gone than one block.
    if (damaged === null) continue;
    counted++;
    readable += repaired.inodes;
  }
  t.ok(opened > tried / 2, `${opened} of ${tried} times the store could be opened`);
  const all = counted * (files.size + DIRECTORIES + 1);
  t.ok(readable > 0.8 * all, `${readable} of ${all} inodes are kept`);
});

/** null where what the store says of the logs is beside it in the same small block of the database's. */
async function checkOrNull(
  machine: Machine,
  options: Partial<CheckDriveOptions> = {},
): Promise<CheckReport | null> {
  try {
    return await checkHere(machine, options);
  } catch (error) {
    if (error instanceof DamagedError) return null;
    throw error;
  }
}

test('check - what the logs are found by is damaged: it is made anew', TIME, async (t) => {
  const { machine, files } = await driveOfSmallFiles(t, MANY_FILES);
  // Alone: what else would be lost with it goes by how the drive was made, and can be all of the tree.
  flipByte({ file: await tableOfHeads(machine), offset: 50 });
  const refused = await machine.tryShoal(['mount', DRIVE, machine.makeMountPoint(), '--offline']);
  t.is(refused.code, 8);
  t.ok(refused.stderr.includes(`'shoal check ${DRIVE} --repair'`), refused.stderr);
  await t.exception(checkHere(machine), /--repair/);
  const { repairs } = await checkHere(machine, { repair: true });
  t.ok(repairs.some((line) => line.startsWith('made the heads of the logs anew')));
  t.is(await expectReadable(t, machine, files), files.size, 'all files are there');
});

test(
  'check - a repair of what the logs are found by is cut short: the next one ends it',
  TIME,
  async (t) => {
    const { machine, files } = await driveOfSmallFiles(t, MANY_FILES);
    const home = new Home(machine.home);
    const before = await forksOf(home);
    flipByte({ file: await tableOfHeads(machine), offset: 50 });
    const heads = 'made the heads of the logs anew';
    await t.exception(rebuildHeaders(home, DRIVE, new EndingRepairs(heads)), /the end of it/);
    t.alike(await forksOf(home), before, 'heads without a signature');
    const refused = await machine.tryShoal(['mount', DRIVE, machine.makeMountPoint(), '--offline']);
    t.is(refused.code, 8, 'nothing is written, or shown to peers');
    t.ok(refused.stderr.includes(`'shoal check ${DRIVE} --repair'`), refused.stderr);
    await t.exception(checkHere(machine), /--repair/);

    const { repairs } = await checkHere(machine, { repair: true });
    t.ok(repairs.some((line) => line.startsWith('the logs go on under fork')));
    const { treeFork, contentFork } = await forksOf(home);
    t.ok(treeFork > before.treeFork && contentFork > before.contentFork, 'a new fork has begun');
    t.is((await readState(home.paths(DRIVE).state))?.isRestoring, false);
    t.is(await expectReadable(t, machine, files), files.size, 'all files are there');
  },
);

/** Ends a repair as it says a line. */
class EndingRepairs extends Repairs {
  readonly #last: string;
  constructor(last: string) {
    super();
    this.#last = last;
  }
  override add(line: string): void {
    if (line.startsWith(this.#last)) throw new Error('the end of it');
    super.add(line);
  }
}

async function forksOf(home: Home): Promise<{ treeFork: number; contentFork: number }> {
  const { capability } = await home.read(DRIVE);
  if (capability.type !== 'write') throw new Error('No key to write with');
  const keys = driveKeysOf(capability);
  const logs = await DriveLogs.open(home.paths(DRIVE).store, keys, true);
  try {
    const key = keys.writer?.contentLog.key as Buffer;
    const { treeFork, contentFork } = await logs.lengths(key);
    return { treeFork, contentFork };
  } finally {
    await logs.store.close();
  }
}

test('check - the root of the tree is damaged: it is made of older versions', TIME, async (t) => {
  const { machine, files } = await driveOfSmallFiles(t);
  await changeBlock(machine, 'tree', (await lengthOf(machine, 'tree')) - 1);
  const refused = await machine.tryShoal(['mount', DRIVE, machine.makeMountPoint(), '--offline']);
  t.is(refused.code, 8, 'it cannot be mounted');
  t.ok(refused.stderr.includes(`'shoal check ${DRIVE} --repair' fetches`), refused.stderr);
  const kept = await checkHere(machine, { repair: true });
  t.ok(kept.problemCount > 0 && kept.version === 0, 'a peer could have it: nothing is given up');
  const { repairs } = await checkHere(machine, { repair: true, giveUp: true });
  t.ok(repairs.some((line) => line.includes('older version')));
  const left = await expectReadable(t, machine, files);
  t.ok(left > files.size / 2, `${left} of ${files.size} files are there`);
});

test(
  'check - a leaf of the tree is damaged: the mount stays up, other files read',
  TIME,
  async (t) => {
    const { machine, files } = await driveOfSmallFiles(t, MANY_FILES);
    const mount = await mountWithADamagedLeaf(machine);
    const { sound, failed } = readAll(mount.directory, files);
    t.ok(sound > 0 && failed > 0, `${sound} files read, ${failed} do not`);
    t.ok(isRunning(mount.pid), 'the mount is up');
    await mount.unmount();
    const report = await checkHere(machine);
    const named = new Set(report.problems.flatMap(({ paths }) => paths));
    t.ok(named.size > 0 && [...named].every((path) => path === '.' || !path.startsWith('/')));
    t.alike(problemsOf(await checkHere(machine, { repair: true, giveUp: true })), []);
    t.ok((await expectReadable(t, machine, files)) >= sound, 'nothing more is lost');
  },
);

test('check - where the segments of a file are lost it does not read as zeros', TIME, async (t) => {
  const machine = Machine.forTest(t);
  const first = await machine.createAndMount(DRIVE, ['--offline']);
  const content = contentOf(0, 6 * MIB);
  // In commits of their own, so that the name is in an older block than the first segments, and the inode in a newer.
  for (const [start, end] of [
    [0, 0],
    [0, 3 * MIB],
    [3 * MIB, content.length],
  ] as const) {
    appendFileSync(join(first.directory, 'file'), content.subarray(start, end));
    await first.commit();
  }
  await first.unmount();
  const saved = new SavedStore(machine);
  const isFound = async (block: number): Promise<boolean> => {
    saved.putBack();
    await changeBlock(machine, 'tree', block);
    const { problems } = await checkHere(machine);
    return problems.some(({ paths, range }) => paths[0] === 'file' && range !== null);
  };
  let block = (await lengthOf(machine, 'tree')) - 1;
  while (block > 0 && !(await isFound(block))) block--;
  t.ok(block > 0, `block ${block} holds segments`);
  const { repairs } = await checkHere(machine, { repair: true, giveUp: true });
  t.ok(repairs.length > 0);
  const mount = await machine.mount(DRIVE, ['--offline'], first.directory);
  let lost = 0;
  for (let offset = 0; offset < content.length; offset += MIB) {
    const read = readOrNull(join(mount.directory, 'file'), offset, MIB);
    if (read === null) lost++;
    else if (!read.equals(content.subarray(offset, offset + MIB))) t.fail(`wrong at ${offset}`);
  }
  t.ok(lost > 0 && lost < 6, `${lost} MiB of 6 are an error, the others are right`);
  await mount.unmount();
  const left = await checkHere(machine);
  t.alike(new Set(left.problems.flatMap(({ paths }) => paths)), new Set(['file']));
});

test('check - a block of the tree is missing', TIME, async (t) => {
  const { machine, files } = await driveOfSmallFiles(t);
  await loseBlock(machine, 'tree', (await lengthOf(machine, 'tree')) - 2);
  t.ok((await checkHere(machine)).problemCount > 0);
  t.alike(problemsOf(await checkHere(machine, { repair: true, giveUp: true })), []);
  t.ok((await expectReadable(t, machine, files)) > 0);
});

/** Damages a block that is not needed to mount the drive and to list its root. */
/** Where commits ended, so which records share a block, depends on the time. */
async function mountWithADamagedLeaf(machine: Machine): Promise<DriveMount> {
  const saved = new SavedStore(machine);
  const needed: string[] = [];
  for (let block = (await lengthOf(machine, 'tree')) - 2; block > 0; block--) {
    await changeBlock(machine, 'tree', block);
    if ((await mayMount(machine)) && (await checkHere(machine)).inodes > 0) {
      try {
        return await machine.mount(DRIVE, ['--offline']);
      } catch (error) {
        if (!(error instanceof CommandError) || error.result.code !== 8) throw error;
        needed.push(error.message);
      }
    }
    saved.putBack();
  }
  throw new Error(`Every block is needed to mount: ${needed.join('; ')}`);
}

/** Found out faster than by mounting. */
async function mayMount(machine: Machine): Promise<boolean> {
  try {
    await withDrive(machine.home, DRIVE, async ({ tree }) => {
      await tree.get(commitKey);
      await tree.get(inodeKey(1));
      await tree.get(entryKey(1, 'd0'));
    });
    return true;
  } catch (error) {
    if (error instanceof DamagedError) return false;
    throw error;
  }
}

/** Files in directories, written in some commits; what each holds. */
async function driveOfSmallFiles(
  t: Assertions,
  filesPerDirectory = FILES,
): Promise<{ machine: Machine; files: Map<string, string> }> {
  const machine = Machine.forTest(t);
  const mount = await machine.createAndMount(DRIVE, ['--offline']);
  const files = new Map<string, string>();
  for (let i = 0; i < DIRECTORIES; i++) {
    mkdirSync(join(mount.directory, `d${i}`));
    for (let j = 0; j < filesPerDirectory; j++) {
      const path = `d${i}/f${j}`;
      const text = `${path} `.repeat(j === 0 ? LONG / 6 : 1 + (j % 40));
      files.set(path, text);
      writeFileSync(join(mount.directory, path), text);
    }
    writeFileSync(join(mount.directory, `d${i}/f0`), String(files.get(`d${i}/f0`)));
    await mount.commit();
  }
  await mount.unmount();
  return { machine, files };
}

/** Every file that is there is whole; returns how many are. */
async function expectReadable(
  t: Assertions,
  machine: Machine,
  files: ReadonlyMap<string, string>,
): Promise<number> {
  const mount = await machine.mount(DRIVE, ['--offline']);
  const paths = readdirSync(mount.directory, { recursive: true, encoding: 'utf8' });
  let count = 0;
  for (const path of paths) {
    const expected = files.get(path);
    if (expected === undefined) continue;
    const content = readOrNull(join(mount.directory, path), 0, LONG);
    count++;
    if (content?.toString() !== expected) t.fail(`${path} is whole`);
  }
  writeFileSync(join(mount.directory, 'new'), 'new', { flush: true });
  await mount.unmount();
  t.alike(problemsOf(await checkHere(machine)), [], 'it can be used and is sound');
  return count;
}

/** null for an error. */
function readOrNull(path: string, offset: number, length: number): Buffer | null {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return null;
    throw error;
  } finally {
    closeSync(file);
  }
}

function readAll(
  directory: string,
  files: ReadonlyMap<string, string>,
): { sound: number; failed: number } {
  let sound = 0;
  let failed = 0;
  for (const [path, expected] of files) {
    try {
      if (readFileSync(join(directory, path), 'utf8') === expected) sound++;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      failed++;
    }
  }
  return { sound, failed };
}
