/** A drive with known files, and ways to damage its store as a disk does. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Assertions } from 'brittle';
import type Hypercore from 'hypercore';
import { type CheckDriveOptions, checkDrive } from '../../../src/drive/check-drive.js';
import type { CheckReport } from '../../../src/drive/check-report.js';
import { DriveLogs, driveKeysOf, openStorage } from '../../../src/drive/drive-logs.js';
import { Home } from '../../../src/drive/home.js';
import { removeBlock } from '../../../src/log/hash-tree.js';
import { valuesOf } from '../../../src/log/values/value-database.js';
import { VALUES } from '../../../src/log/values/value-files.js';
import { filesBelow, findBytes, flipByte } from '../../durability/support/store-files.js';
import { contentOf } from '../../durability/support/workload.js';
import { type DriveMount, Machine } from '../../support/drive-mount.js';

export const DRIVE = 'notes';
/** Some chunks each. */
export const FILE_BYTES = 300_000;

export interface CheckResult {
  code: number | null;
  report: CheckReport;
}

/** Runs `shoal check --json`. */
export async function check(machine: Machine, ...options: string[]): Promise<CheckResult> {
  const result = await machine.tryShoal(['check', DRIVE, '--json', ...options]);
  if (result.stdout === '') throw new Error(`'shoal check' said: ${result.stderr}`);
  return { code: result.code, report: JSON.parse(result.stdout) as CheckReport };
}

/** The same without a process of its own: faster. */
export function checkHere(
  machine: Machine,
  options: Partial<CheckDriveOptions> = {},
  name = DRIVE,
): Promise<CheckReport> {
  return checkDrive(new Home(machine.home), name, {
    repair: false,
    giveUp: false,
    offline: true,
    deadlineMs: 20_000,
    log: () => undefined,
    ...options,
  });
}

/** Lines for a failed assertion; empty for a sound drive. */
export function problemsOf({ problems }: CheckReport): string[] {
  return problems.map(({ paths, ino, message }) => `${paths.join(', ')} (${ino}): ${message}`);
}

/** A drive with files of some chunks, unmounted. */
export async function driveWith(t: Assertions, names: readonly string[]): Promise<Machine> {
  const machine = Machine.forTest(t, { here: true });
  const mount = await machine.createAndMount(DRIVE, ['--offline']);
  writeFiles(mount, names);
  await mount.unmount();
  return machine;
}

/** Written and synced; each has its own content. */
export function writeFiles(mount: DriveMount, names: readonly string[]): void {
  for (const [i, name] of names.entries()) {
    writeFileSync(join(mount.directory, name), contentOf(i, FILE_BYTES), { flush: true });
  }
}

/** Whether a file is the one that `writeFiles` wrote. */
export function isWritten(mount: DriveMount, names: readonly string[], name: string): boolean {
  const content = readFileSync(join(mount.directory, name));
  return content.equals(contentOf(names.indexOf(name), FILE_BYTES));
}

export type LogName = 'tree' | 'content';

/** Runs a function with a session of a log of a drive that is not mounted; what it writes is in tables then. */
export async function withLog<T>(
  machine: Machine,
  log: LogName,
  run: (core: Hypercore) => Promise<T>,
  name = DRIVE,
): Promise<T> {
  const home = new Home(machine.home);
  const { capability, contentLogKey } = await home.read(name);
  if (capability.type === 'host' || contentLogKey === null) throw new Error('No key to read with');
  const logs = await DriveLogs.open(home.paths(name).store, driveKeysOf(capability), true);
  try {
    const core = log === 'tree' ? logs.tree(false) : logs.content(contentLogKey, false);
    await core.ready();
    const result = await run(core);
    await core.close();
    await logs.store.storage.db.flush();
    return result;
  } finally {
    await logs.store.close();
  }
}

/** A block as it is stored. */
export async function storedBlock(
  machine: Machine,
  log: LogName,
  block: number,
  name = DRIVE,
): Promise<Buffer> {
  const read = (core: Hypercore) => core.get(block, { raw: true, wait: false });
  const stored = await withLog(machine, log, read, name);
  if (stored === null) throw new Error(`Block ${block} is missing`);
  return stored;
}

/** Changes one byte of a block in the store. Returns the file that it is in. */
export async function damageBlock(
  machine: Machine,
  log: LogName,
  block: number,
  name = DRIVE,
): Promise<string> {
  const stored = await storedBlock(machine, log, block, name);
  const middle = stored.length >> 1;
  const places = findBytes(machine.home, stored.subarray(middle, middle + 32));
  for (const place of places) flipByte(place);
  const file = places[0]?.file;
  if (file === undefined) throw new Error(`Block ${block} is in no file`);
  return file;
}

/** Changes one byte of a block, and the database's checksum with it: only the decryption notices. */
export async function changeBlock(
  machine: Machine,
  log: LogName,
  block: number,
  name = DRIVE,
): Promise<void> {
  const change = async (core: Hypercore): Promise<void> => {
    const stored = await core.get(block, { raw: true, wait: false });
    if (stored === null || core.core === null) throw new Error(`Block ${block} is missing`);
    const changed = Buffer.from(stored);
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
    const write = core.core.state.storage.write();
    write.putBlock(block, changed);
    await write.flush();
  };
  await withLog(machine, log, change, name);
}

/** Takes a block out of the store. */
export async function loseBlock(
  machine: Machine,
  log: LogName,
  block: number,
  name = DRIVE,
): Promise<void> {
  await withLog(machine, log, (core) => removeBlock(core, block), name);
}

/** Keys of what a log has by number: its blocks, the nodes of its hash tree, the pages of its map. */
const NUMBERED = /^04..0[345]/;

/**
 * Writes once more what the logs are found by, as each session does that appends something: in a table of the database's of
 * its own, whatever the tables hold that there were. Returns its file.
 */
export async function tableOfHeads(machine: Machine): Promise<string> {
  const tables = () => filesBelow(machine.home).filter((file) => file.endsWith('.sst'));
  const storage = openStorage(new Home(machine.home).paths(DRIVE).store, true);
  try {
    await storage.db.ready();
    const before = new Set(tables());
    const { database } = valuesOf(storage);
    const keys: Buffer[] = [];
    for await (const { key } of database.iterator({ gte: Buffer.alloc(0), values: false })) {
      if (!NUMBERED.test(key.toString('hex'))) keys.push(key);
    }
    const read = database.read();
    const values = Promise.all(keys.map((key) => read.get(key)));
    read.tryFlush();
    const write = database.write();
    for (const [i, value] of (await values).entries())
      write.tryPut(keys[i] as Buffer, value as Buffer);
    await write.flush();
    read.destroy();
    write.destroy();
    await storage.db.flush();
    const added = tables().filter((file) => !before.has(file));
    if (added.length !== 1) throw new Error(`${added.length} new tables: ${added.join(', ')}`);
    return added[0] as string;
  } finally {
    await storage.close();
  }
}

/** Blocks of a log. */
export function lengthOf(machine: Machine, log: LogName, name = DRIVE): Promise<number> {
  return withLog(machine, log, async (core) => core.length, name);
}

/** The database of a drive that is not mounted, to be put back after a damage. */
export class SavedStore {
  readonly #files: readonly { path: string; copy: string }[];

  constructor(machine: Machine) {
    const { store, state } = new Home(machine.home).paths(DRIVE);
    // The file by which a store knows that it is no copy stays.
    this.#files = [
      { path: join(store, 'db'), copy: join(machine.folder, 'saved-db') },
      { path: join(store, VALUES), copy: join(machine.folder, 'saved-values') },
      { path: state, copy: join(machine.folder, 'saved-state') },
    ];
    for (const { path, copy } of this.#files) cpSync(path, copy, { recursive: true });
  }

  putBack(): void {
    for (const { path, copy } of this.#files) {
      rmSync(path, { recursive: true });
      cpSync(copy, path, { recursive: true });
    }
  }
}
