/** A drive with known files, and ways to damage its store as a disk does. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Assertions } from 'brittle';
import type Hypercore from 'hypercore';
import type { CheckReport } from '../../../src/drive/check-report.js';
import { DriveLogs, driveKeysOf } from '../../../src/drive/drive-logs.js';
import { Home } from '../../../src/drive/home.js';
import { findBytes, flipByte } from '../../durability/support/store-files.js';
import { contentOf } from '../../durability/support/workload.js';
import type { CommandResult } from '../../support/command.js';
import { type DriveMount, Machine } from '../../support/drive-mount.js';

export const DRIVE = 'notes';
/** Some chunks each. */
export const FILE_BYTES = 300_000;

/** What `shoal check` printed, and how it ended. */
export interface CheckResult extends CommandResult {
  report: CheckReport;
}

/** Runs `shoal check --json`. */
export async function check(machine: Machine, ...options: string[]): Promise<CheckResult> {
  return await checkNamed(machine, DRIVE, ...options);
}

export async function checkNamed(
  machine: Machine,
  name: string,
  ...options: string[]
): Promise<CheckResult> {
  const result = await machine.tryShoal(['check', name, '--json', ...options]);
  if (result.stdout === '') throw new Error(`'shoal check' said: ${result.stderr}`);
  return { ...result, report: JSON.parse(result.stdout) as CheckReport };
}

/** A drive with files of some chunks, unmounted. */
export async function driveWith(t: Assertions, names: readonly string[]): Promise<Machine> {
  const machine = Machine.forTest(t);
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
export async function storedBlock(machine: Machine, log: LogName, block: number): Promise<Buffer> {
  const stored = await withLog(machine, log, (core) => core.get(block, { raw: true, wait: false }));
  if (stored === null) throw new Error(`Block ${block} is missing`);
  return stored;
}

/** Changes one byte of a block in the store. Returns the file that it is in. */
export async function damageBlock(machine: Machine, log: LogName, block: number): Promise<string> {
  const stored = await storedBlock(machine, log, block);
  const middle = stored.length >> 1;
  const places = findBytes(machine.home, stored.subarray(middle, middle + 32));
  for (const place of places) flipByte(place);
  const file = places[0]?.file;
  if (file === undefined) throw new Error(`Block ${block} is in no file`);
  return file;
}

/** Takes a block out of the store. */
export async function removeBlock(machine: Machine, log: LogName, block: number): Promise<void> {
  await withLog(machine, log, (core) => core.clear(block));
}

/** Blocks of a log. */
export function lengthOf(machine: Machine, log: LogName): Promise<number> {
  return withLog(machine, log, async (core) => core.length);
}
